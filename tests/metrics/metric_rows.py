"""A row for each metric: what it is compared with. A new metric is tested by its row here."""

import numpy as np
import oracle_metrics as oracle
import oracle_of_maps as of_maps

#: Each metric's options, and its value of one image: ``(score, image, heatmap)``, written out in NumPy,
#: and what made the maps where images are explained again.
ROWS = [
    ("adcc", {}, oracle.adcc),
    ("arcc", {"percents": (10, 25)}, oracle.arcc),
    ("average-drop", {}, oracle.average_drop),
    ("average-drop", {"mask": "absolute", "baseline": 0.5}, oracle.average_drop_without_signs),
    ("average-drop", {"keep": 0.5, "binary": True}, oracle.average_drop_of_half_the_pixels),
    ("average-drop", {"relative": False, "mask": "max"}, oracle.drop_in_confidence),
    ("average-drop-in-deletion", {}, oracle.average_drop_in_deletion),
    ("average-gain", {}, oracle.average_gain),
    ("average-increase", {}, oracle.average_increase),
    ("coherency", {}, oracle.coherency),
    ("complexity", {}, oracle.complexity),
    ("deletion", {}, oracle.deletion),
    ("deletion", {"percent": 30, "baseline": np.array([9.0, 40.0, 100.0])}, oracle.deletion_of_thirty_percent),
    ("deletion", {"step": 1500, "baseline": "mean"}, oracle.deletion_of_pixels),
    ("insertion", {}, oracle.insertion),
    ("mu-fidelity", {}, oracle.mu_fidelity),
    ("mu-fidelity", {"correlation": "spearman", "cells": 7, "sampling": "bernoulli"}, oracle.mu_fidelity_of_ranks),
    ("road", {"percents": (10, 25)}, oracle.road),
    ("road", {"order": "most", "percents": (30, 15), "noise": 0}, oracle.road_most_relevant_first),
    ("road", {"order": "least", "percents": (40,), "seed": 4}, oracle.road_least_relevant_first),
]

#: Metrics of what channels contribute to a map, and the error of one image: of its score, that without each channel,
#: and what each contributes.
AXIOM_ROWS = [
    ("conservation", of_maps.conservation),
    ("sensitivity", of_maps.sensitivity),
]

#: Metrics of where a map is high: their options, and the value of one image, of its map and its mask.
LOCALISATION_ROWS = [
    ("energy-pointing-game", {}, of_maps.energy_pointing_game),
    ("iou", {}, of_maps.iou),
    ("iou", {"threshold": 0.5}, of_maps.iou_of_half),
    ("max-box-acc", {"thresholds": [0.3]}, of_maps.box_accuracy),
    ("pointing-game", {"tolerance": 4}, of_maps.pointing_game),
    ("relevance-mass-accuracy", {}, of_maps.relevance_mass_accuracy),
    ("relevance-rank-accuracy", {}, of_maps.relevance_rank_accuracy),
]

#: Metrics of maps that are made again: their options, and the value of one image, of its map, the maps of other
#: targets, of noisy images, and of the model with other weights, stage by stage.
SANITY_ROWS = [
    ("emprt", {}, of_maps.emprt),
    ("model-randomization", {"stages": 3}, of_maps.model_randomization),
    ("model-randomization", {"stages": 3, "similarity": "ssim"}, of_maps.model_randomization_by_structure),
    ("random-logit", {"samples": 2}, of_maps.random_logit),
    ("stability", {"samples": 2, "level": 0.1}, of_maps.stability),
]

#: Fewer steps, samples and layers than by default, for properties that do not depend on how many there are.
FEWER = {
    "arcc": {"percents": (20,)},
    "deletion": {"percent": 25},
    "insertion": {"percent": 25},
    "model-randomization": {"stages": 2},
    "mu-fidelity": {"samples": 20},
    "random-logit": {"samples": 1},
    "road": {"percents": (20,)},
    "stability": {"samples": 1},
}
