"""Written by `make generated` from the registry of metrics."""

from tfcam.metrics.adcc import ADCC as ADCC
from tfcam.metrics.arcc import ARCC as ARCC
from tfcam.metrics.average_drop import AverageDrop as AverageDrop
from tfcam.metrics.average_drop_in_deletion import AverageDropInDeletion as AverageDropInDeletion
from tfcam.metrics.average_gain import AverageGain as AverageGain
from tfcam.metrics.average_increase import AverageIncrease as AverageIncrease
from tfcam.metrics.base import Metric as Metric
from tfcam.metrics.base import MetricInfo as MetricInfo
from tfcam.metrics.coherency import Coherency as Coherency
from tfcam.metrics.complexity import Complexity as Complexity
from tfcam.metrics.conservation import Conservation as Conservation
from tfcam.metrics.deletion import Deletion as Deletion
from tfcam.metrics.emprt import EMPRT as EMPRT
from tfcam.metrics.energy_pointing_game import EnergyPointingGame as EnergyPointingGame
from tfcam.metrics.insertion import Insertion as Insertion
from tfcam.metrics.iou import IoU as IoU
from tfcam.metrics.max_box_acc import MaxBoxAcc as MaxBoxAcc
from tfcam.metrics.model_randomization import ModelRandomization as ModelRandomization
from tfcam.metrics.mu_fidelity import MuFidelity as MuFidelity
from tfcam.metrics.pointing_game import PointingGame as PointingGame
from tfcam.metrics.random_logit import RandomLogit as RandomLogit
from tfcam.metrics.relevance_mass_accuracy import RelevanceMassAccuracy as RelevanceMassAccuracy
from tfcam.metrics.relevance_rank_accuracy import RelevanceRankAccuracy as RelevanceRankAccuracy
from tfcam.metrics.road import ROAD as ROAD
from tfcam.metrics.sensitivity import Sensitivity as Sensitivity
from tfcam.metrics.stability import Stability as Stability

def get_metric(name: str) -> type[Metric]: ...
def list_metrics() -> list[MetricInfo]: ...
def metric_names() -> list[str]: ...
def registry() -> dict[str, type[Metric]]: ...
