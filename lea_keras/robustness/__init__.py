"""Robustness of a classifier against thirteen adversarial attacks (thesis sections 4.6 and 5.5).

``evaluate`` attacks any Keras model that returns logits and records, for each attack and sample, whether an adversarial
was found and how far from the image it lies. ``ATTACKS`` makes the attacks by their names; each is an attack of foolbox
3 that searches for its smallest perturbation, and works on any foolbox model. ``ATTACKS_1_8`` makes those of foolbox
1.8, the thesis' version, by the same names.
``perturbation_bound`` says how far a perturbation can move logits at most; ``certify`` and ``certified_radius`` prove
that no perturbation within a distance changes a class, and ``margin_model`` trains for that.
``evaluate_reconstructions`` attacks the codes of autoencoders with ``LatentAttack`` and has a judge say what becomes of
their reconstructions; ``judged`` makes a classifier of both, for the thirteen.
``lea_keras.plots.robustness_plot.heatmap`` draws what several models withstand.
"""

from lea_keras.robustness.attacks.adef import ADefAttack
from lea_keras.robustness.attacks.foolbox18.registry import ATTACKS_1_8
from lea_keras.robustness.attacks.local_search import LocalSearchAttack
from lea_keras.robustness.attacks.registry import ATTACKS, get
from lea_keras.robustness.attacks.saliency_map import SaliencyMapAttack
from lea_keras.robustness.attacks.searching import SmallestEpsilon
from lea_keras.robustness.attacks.single_pixel import SinglePixelAttack
from lea_keras.robustness.attacks.slsqp import SLSQPAttack
from lea_keras.robustness.bounds import perturbation_bound
from lea_keras.robustness.certificates import Certificate, activation_bounds, certified_radius, certify
from lea_keras.robustness.evaluation import Robustness, evaluate
from lea_keras.robustness.latent import LatentAttack
from lea_keras.robustness.reconstructing import Reconstructor, judged
from lea_keras.robustness.reconstructions import evaluate_reconstructions
from lea_keras.robustness.records import Record, Summary, to_rows
from lea_keras.robustness.robust_training import Margins, RobustCrossentropy, certified_accuracy, margin_model
from lea_keras.robustness.success import PairRecord, Reconstructions, Success
from lea_keras.robustness.victim import Victim

__all__ = [
    "ATTACKS",
    "ATTACKS_1_8",
    "ADefAttack",
    "Certificate",
    "LatentAttack",
    "LocalSearchAttack",
    "Margins",
    "PairRecord",
    "Reconstructions",
    "Reconstructor",
    "Record",
    "RobustCrossentropy",
    "Robustness",
    "SLSQPAttack",
    "SaliencyMapAttack",
    "SinglePixelAttack",
    "SmallestEpsilon",
    "Success",
    "Summary",
    "Victim",
    "activation_bounds",
    "certified_accuracy",
    "certified_radius",
    "certify",
    "evaluate",
    "evaluate_reconstructions",
    "get",
    "judged",
    "margin_model",
    "perturbation_bound",
    "to_rows",
]
