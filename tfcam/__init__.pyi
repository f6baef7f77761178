"""Written by `make generated` from the registries of methods and metrics."""

from tfcam import demo as demo
from tfcam import methods as methods
from tfcam import metrics as metrics
from tfcam import operators as operators
from tfcam.engine import Augment as Augment
from tfcam.engine import ExplanationWarning as ExplanationWarning
from tfcam.engine import Noise as Noise
from tfcam.evaluation import ConservationTerms as ConservationTerms
from tfcam.evaluation import Evaluation as Evaluation
from tfcam.evaluation import compare as compare
from tfcam.evaluation import evaluate as evaluate
from tfcam.evaluation import verify_conservation as verify_conservation
from tfcam.layers import EffectiveField as EffectiveField
from tfcam.layers import list_layers as list_layers
from tfcam.methods import get_method as get_method
from tfcam.methods import list_methods as list_methods
from tfcam.methods.ablation_cam import AblationCAM as AblationCAM
from tfcam.methods.agcam import AGCAM as AGCAM
from tfcam.methods.attention_relevance import AttentionRelevance as AttentionRelevance
from tfcam.methods.attention_rollout import AttentionRollout as AttentionRollout
from tfcam.methods.base import Explainer as Explainer
from tfcam.methods.cam import CAM as CAM
from tfcam.methods.deep_feature_factorization import DeepFeatureFactorization as DeepFeatureFactorization
from tfcam.methods.eigen_cam import EigenCAM as EigenCAM
from tfcam.methods.eigen_grad_cam import EigenGradCAM as EigenGradCAM
from tfcam.methods.faster_score_cam import FasterScoreCAM as FasterScoreCAM
from tfcam.methods.fem import FEM as FEM
from tfcam.methods.finer_cam import FinerCAM as FinerCAM
from tfcam.methods.full_grad import FullGrad as FullGrad
from tfcam.methods.grad_cam import GradCAM as GradCAM
from tfcam.methods.grad_cam_elementwise import GradCAMElementWise as GradCAMElementWise
from tfcam.methods.grad_cam_plus_plus import GradCAMPlusPlus as GradCAMPlusPlus
from tfcam.methods.group_cam import GroupCAM as GroupCAM
from tfcam.methods.guided_grad_cam import GuidedGradCAM as GuidedGradCAM
from tfcam.methods.hires_cam import HiResCAM as HiResCAM
from tfcam.methods.is_cam import ISCAM as ISCAM
from tfcam.methods.kpca_cam import KPCACAM as KPCACAM
from tfcam.methods.layer_cam import LayerCAM as LayerCAM
from tfcam.methods.le_grad import LeGrad as LeGrad
from tfcam.methods.lift_cam import LIFTCAM as LIFTCAM
from tfcam.methods.opti_cam import OptiCAM as OptiCAM
from tfcam.methods.poly_cam import PolyCAM as PolyCAM
from tfcam.methods.random_cam import RandomCAM as RandomCAM
from tfcam.methods.recipro_cam import ReciproCAM as ReciproCAM
from tfcam.methods.refine_cam import RefineCAM as RefineCAM
from tfcam.methods.rise import RISE as RISE
from tfcam.methods.score_cam import ScoreCAM as ScoreCAM
from tfcam.methods.seg_eigen_cam import SegEigenCAM as SegEigenCAM
from tfcam.methods.shapley_cam import ShapleyCAM as ShapleyCAM
from tfcam.methods.smooth_grad_cam_plus_plus import SmoothGradCAMPlusPlus as SmoothGradCAMPlusPlus
from tfcam.methods.ss_cam import SSCAM as SSCAM
from tfcam.methods.winsor_cam import WinsorCAM as WinsorCAM
from tfcam.methods.xgrad_cam import XGradCAM as XGradCAM
from tfcam.metrics import get_metric as get_metric
from tfcam.metrics import list_metrics as list_metrics
from tfcam.metrics.base import Metric as Metric
from tfcam.operators import Contrast as Contrast
from tfcam.operators import Operator as Operator
from tfcam.operators import Tasks as Tasks
from tfcam.plotting import blend as blend
from tfcam.plotting import overlay as overlay
from tfcam.plotting import plot as plot

METHODS: dict[str, type[Explainer]]
METRICS: dict[str, type[Metric]]
__version__: str
