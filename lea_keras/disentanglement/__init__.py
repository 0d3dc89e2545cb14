"""Disentanglement of codes: how far each of them stands for one factor of the images, and each factor for one code.

Every score is a function of arrays, codes [n, d] and, but for those that need no labels, factors [n, k], and returns a
named tuple with the ``score`` first, then the ``matrix`` behind it, the number of ``dead_codes`` and an ``interval``.
Some need scikit-learn: ``pip install 'lea_keras[metrics]'``.

The definitions are those of F. Locatello et al., "Challenging Common Assumptions in the Unsupervised Learning of
Disentangled Representations", 2019, where nothing else is said. Where they would intervene, samples are drawn among
those that share the value of a factor.
"""

from lea_keras.disentanglement.code_maps import PositionScores, at_positions, flattened, pooled, windows
from lea_keras.disentanglement.information import discretise, information_bias, mutual_information
from lea_keras.disentanglement.measuring import SCORES, SUPERVISED, UNSUPERVISED, measure
from lea_keras.disentanglement.scores.beta_vae import BetaVAEScore, beta_vae
from lea_keras.disentanglement.scores.dci import DCI, completeness, dci, disentanglement
from lea_keras.disentanglement.scores.explicitness import Explicitness, explicitness
from lea_keras.disentanglement.scores.factor_vae import FactorVAEScore, factor_vae
from lea_keras.disentanglement.scores.irs import IRS, irs
from lea_keras.disentanglement.scores.mig import MIG, mig
from lea_keras.disentanglement.scores.modularity import Modularity, modularity, modularity_of_codes
from lea_keras.disentanglement.scores.sap import SAP, sap
from lea_keras.disentanglement.scores.total_correlation import TotalCorrelation, total_correlation
from lea_keras.disentanglement.scores.udr import UDR, strength, udr
from lea_keras.disentanglement.scores.wasserstein_correlation import WassersteinCorrelation, wasserstein_correlation

__all__ = [
    "DCI",
    "IRS",
    "MIG",
    "SAP",
    "SCORES",
    "SUPERVISED",
    "UDR",
    "UNSUPERVISED",
    "BetaVAEScore",
    "Explicitness",
    "FactorVAEScore",
    "Modularity",
    "PositionScores",
    "TotalCorrelation",
    "WassersteinCorrelation",
    "at_positions",
    "beta_vae",
    "completeness",
    "dci",
    "discretise",
    "disentanglement",
    "explicitness",
    "factor_vae",
    "flattened",
    "information_bias",
    "irs",
    "measure",
    "mig",
    "modularity",
    "modularity_of_codes",
    "mutual_information",
    "pooled",
    "sap",
    "strength",
    "total_correlation",
    "udr",
    "wasserstein_correlation",
    "windows",
]
