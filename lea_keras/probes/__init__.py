"""Probes of every layer of a trained model for the known factors of its images (thesis section 5.2).

A probe is a small classifier, dense 1024 with ReLU → dense softmax, that is trained to read one factor (shape, scale,
orientation, x or y) off the activations of one layer of a frozen model. Its accuracy on test data shows how much of the
factor the layer preserves; ``lea_keras.plots.probe_plot.equivariance`` draws that as Fig. 5.4 does.
"""

from lea_keras.probes.caching import INPUT, PASSING, activations
from lea_keras.probes.factors import DATASETS, FACTORS, chance_level, sprites_data
from lea_keras.probes.measuring import Probe, measure, to_rows

__all__ = [
    "DATASETS",
    "FACTORS",
    "INPUT",
    "PASSING",
    "Probe",
    "activations",
    "chance_level",
    "measure",
    "sprites_data",
    "to_rows",
]
