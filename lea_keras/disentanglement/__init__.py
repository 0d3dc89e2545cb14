"""Disentanglement of codes: how far each of them stands for one factor of the images, and each factor for one code.

Every score is a function of arrays, codes [n, d] and, but for those that need no labels, factors [n, k], and returns a
named tuple with the ``score`` first, then the ``matrix`` behind it, the number of ``dead_codes`` and an ``interval``.
Some need scikit-learn: ``pip install 'lea_keras[metrics]'``.
"""

from lea_keras.disentanglement.information import discretise, information, information_bias
from lea_keras.disentanglement.scores.dci import DCI, completeness, dci, disentanglement
from lea_keras.disentanglement.scores.mig import MIG, mig
from lea_keras.disentanglement.scores.sap import SAP, sap

__all__ = [
    "DCI",
    "MIG",
    "SAP",
    "completeness",
    "dci",
    "discretise",
    "disentanglement",
    "information",
    "information_bias",
    "mig",
    "sap",
]
