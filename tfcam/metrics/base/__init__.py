"""What metrics share: scores, perturbations, curves and ground truth, which leave a metric nothing but its formula."""

from tfcam.metrics.base.axiom_metric import AxiomMetric
from tfcam.metrics.base.curve_metric import Curve, CurveMetric
from tfcam.metrics.base.ground_truth import GroundTruth
from tfcam.metrics.base.harmonic_mean import HarmonicMean
from tfcam.metrics.base.imputation import Imputation
from tfcam.metrics.base.map_metric import LocalisationMetric, MapMetric
from tfcam.metrics.base.masked_metric import MaskedMetric
from tfcam.metrics.base.masking import Blank, Masking
from tfcam.metrics.base.metric import METRICS, Metric, MetricInfo
from tfcam.metrics.base.perturbed_batch import Perturbation, PerturbedBatch
from tfcam.metrics.base.pixel_flipping import FlippingStep, PixelFlipping, PixelFlippingMetric
from tfcam.metrics.base.random_subsets import RandomSubsets
from tfcam.metrics.base.randomization import RandomizedModel, SimilarityMetric

__all__ = [
    "METRICS",
    "AxiomMetric",
    "Blank",
    "Curve",
    "CurveMetric",
    "FlippingStep",
    "GroundTruth",
    "HarmonicMean",
    "Imputation",
    "LocalisationMetric",
    "MapMetric",
    "MaskedMetric",
    "Masking",
    "Metric",
    "MetricInfo",
    "Perturbation",
    "PerturbedBatch",
    "PixelFlipping",
    "PixelFlippingMetric",
    "RandomSubsets",
    "RandomizedModel",
    "SimilarityMetric",
]
