"""The attacks of foolbox 1.8 by the names of ours, and what each does otherwise.

=============================  ==============================  ========================================================
name                           class                           otherwise than ours
=============================  ==============================  ========================================================
``gradient_sign``              ``GradientSignSearch``          every ε in turn, where ours rises and halves
``projected_gradient_descent`` ``ProjectedGradientDescent18``  first success on the way; 20 halvings; no largest ε
``deep_fool``                  ``DeepFool18``                  5 % beyond each step, where ours goes 2 % beyond the sum
``adef``                       ``ADef18``                      whole steps, chosen by the sum of fields; not shrunk
``slsqp``                      ``SLSQP18``                     uniform noise, as scipy cannot see the 0/1 constraint
``saliency_map``               ``SaliencyMap18``               only darkens, towards the raw gradient's class; no undo
``single_pixel``               ``SinglePixel18``               in the order drawn, where ours begins with the nearest
``local_search``               ``LocalSearch18``               the lowest scores, where ours takes the highest
``spatial``                    ``Spatial18``                   strongest corner first; scipy's rotation and cubic shift
``gaussian_blur``              ``GaussianBlurSearch``          every σ in turn, where ours rises and halves
``contrast_reduction``         ``ContrastReductionSearch``     every strength in turn, where ours rises and halves
``additive_gaussian_noise``    ``AdditiveGaussianNoise18``     deviation ε²/√3, not ε/√3; drawn anew for each ε
``salt_and_pepper``            ``SaltAndPepper18``             100 probabilities, drawn anew, 10 times, not 200 draws
=============================  ==============================  ========================================================

All are as in v1.8.0 with its defaults. Random numbers are others than NumPy's stream of 2019 gave.
"""

from functools import partial

from lea_keras.robustness.attacks.decisions import ContrastReductionSearch, GaussianBlurSearch
from lea_keras.robustness.attacks.foolbox18.adef import ADef18
from lea_keras.robustness.attacks.foolbox18.deep_fool import DeepFool18
from lea_keras.robustness.attacks.foolbox18.local_search import LocalSearch18
from lea_keras.robustness.attacks.foolbox18.noise import AdditiveGaussianNoise18, SaltAndPepper18
from lea_keras.robustness.attacks.foolbox18.projected_gradient_descent import ProjectedGradientDescent18
from lea_keras.robustness.attacks.foolbox18.saliency_map import SaliencyMap18
from lea_keras.robustness.attacks.foolbox18.single_pixel import SinglePixel18
from lea_keras.robustness.attacks.foolbox18.slsqp import SLSQP18
from lea_keras.robustness.attacks.foolbox18.spatial import Spatial18
from lea_keras.robustness.attacks.registry import Factory, deterministic, seeded
from lea_keras.robustness.attacks.searching import GradientSignSearch

ATTACKS_1_8: dict[str, Factory] = {
    "gradient_sign": deterministic(partial(GradientSignSearch, every=True)),
    "projected_gradient_descent": deterministic(ProjectedGradientDescent18),
    "deep_fool": deterministic(DeepFool18),
    "adef": deterministic(ADef18),
    "slsqp": seeded(SLSQP18),
    "saliency_map": seeded(SaliencyMap18),
    "single_pixel": seeded(SinglePixel18),
    "local_search": seeded(LocalSearch18),
    "spatial": deterministic(Spatial18),
    "gaussian_blur": deterministic(partial(GaussianBlurSearch, every=True)),
    "contrast_reduction": deterministic(partial(ContrastReductionSearch, every=True)),
    "additive_gaussian_noise": seeded(AdditiveGaussianNoise18),
    "salt_and_pepper": seeded(SaltAndPepper18),
}
