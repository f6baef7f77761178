"""Many methods, many metrics, one answer."""

from tfcam.evaluation.comparison import compare
from tfcam.evaluation.conservation import ConservationTerms, verify_conservation
from tfcam.evaluation.evaluator import Evaluator, evaluate
from tfcam.evaluation.results import Evaluation

__all__ = ["ConservationTerms", "Evaluation", "Evaluator", "compare", "evaluate", "verify_conservation"]
