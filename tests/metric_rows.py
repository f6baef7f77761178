"""A row for each metric: what it is compared with. A new metric is tested by its row here."""

import numpy as np
import oracle_metrics as oracle

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
    ("conservation", oracle.conservation),
    ("sensitivity", oracle.sensitivity),
]

#: Metrics of where a map is high: their options, and the value of one image, of its map and its mask.
LOCALISATION_ROWS = [
    ("energy-pointing-game", {}, oracle.energy_pointing_game),
    ("iou", {}, oracle.iou),
    ("iou", {"threshold": 0.5}, oracle.iou_of_half),
    ("max-box-acc", {"thresholds": [0.3]}, oracle.box_accuracy),
    ("pointing-game", {"tolerance": 4}, oracle.pointing_game),
    ("relevance-mass-accuracy", {}, oracle.relevance_mass_accuracy),
    ("relevance-rank-accuracy", {}, oracle.relevance_rank_accuracy),
]
