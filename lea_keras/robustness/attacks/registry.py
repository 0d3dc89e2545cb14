"""The thirteen attacks of the thesis (section 4.6) by their names.

==============================  ===============================  =================================  ==================
name                            class                            origin                             smallest …
==============================  ===============================  =================================  ==================
``gradient_sign``               ``GradientSignSearch``           Goodfellow et al. 2014             ε, the L∞ norm
``projected_gradient_descent``  ``SmallestEpsilon``              Madry et al. 2017                  ε, the L∞ norm
``deep_fool``                   ``DeepFoolSearch``               Moosavi-Dezfooli et al. 2015       L2 norm
``adef``                        ``ADefAttack``                   Alaifari et al. 2018               deformation
``slsqp``                       ``SLSQPAttack``                  Kraft 1988 (the optimiser)         L2 norm
``saliency_map``                ``SaliencyMapAttack``            Papernot et al. 2016               changed elements
``single_pixel``                ``SinglePixelAttack``            Narodytska & Kasiviswanathan 2016  change of a pixel
``local_search``                ``LocalSearchAttack``            Narodytska & Kasiviswanathan 2016  number of rounds
``spatial``                     ``SpatialSearch``                Engstrom et al. 2017               shift and rotation
``gaussian_blur``               ``GaussianBlurSearch``           foolbox                            σ of the filter
``contrast_reduction``          ``ContrastReductionSearch``      foolbox                            share of grey
``additive_gaussian_noise``     ``AdditiveGaussianNoiseSearch``  foolbox                            σ of the noise
``salt_and_pepper``             ``SaltAndPepperSearch``          foolbox                            share of pixels
==============================  ===============================  =================================  ==================

The first six are based on gradients, two on scores, the last five on decisions. The five whose names end in "Attack"
are written here, as foolbox 3 no longer has them; the others run foolbox's operations and look for the smallest.
"""

from collections.abc import Callable
from typing import Any

from foolbox.attacks.base import MinimizationAttack

from lea_keras.checks import check_choice, check_seed
from lea_keras.robustness.attacks.adef import ADefAttack
from lea_keras.robustness.attacks.decisions import (
    AdditiveGaussianNoiseSearch,
    ContrastReductionSearch,
    GaussianBlurSearch,
)
from lea_keras.robustness.attacks.deep_fool import DeepFoolSearch
from lea_keras.robustness.attacks.local_search import LocalSearchAttack
from lea_keras.robustness.attacks.saliency_map import SaliencyMapAttack
from lea_keras.robustness.attacks.salt_and_pepper import SaltAndPepperSearch
from lea_keras.robustness.attacks.searching import (
    GradientSignSearch,
    PerSampleProjectedGradientDescent,
    SmallestEpsilon,
)
from lea_keras.robustness.attacks.single_pixel import SinglePixelAttack
from lea_keras.robustness.attacks.slsqp import SLSQPAttack
from lea_keras.robustness.attacks.spatial import SpatialSearch

Factory = Callable[..., MinimizationAttack]  # (seed=0, **options)


def seeded(attack: Factory) -> Factory:
    """A factory of an attack that takes a seed."""

    def make(seed: int = 0, **options: Any) -> MinimizationAttack:
        return attack(seed=check_seed(seed), **options)

    return make


def deterministic(attack: Factory) -> Factory:
    """A factory of an attack that draws nothing, but is called like the others."""

    def make(seed: int = 0, **options: Any) -> MinimizationAttack:
        check_seed(seed)
        return attack(**options)

    return make


def _projected_gradient_descent(
    seed: int = 0, *, steps: int = 40, rel_stepsize: float = 0.01 / 0.3, **options: Any
) -> SmallestEpsilon:
    """``steps`` and ``rel_stepsize`` go to the attack, the other options to the search for its smallest ε."""
    check_seed(seed)
    attack = PerSampleProjectedGradientDescent(steps=steps, rel_stepsize=rel_stepsize)
    return SmallestEpsilon(attack, per_sample=True, **options)


ATTACKS: dict[str, Factory] = {
    "gradient_sign": deterministic(GradientSignSearch),
    "projected_gradient_descent": _projected_gradient_descent,
    "deep_fool": deterministic(DeepFoolSearch),
    "adef": deterministic(ADefAttack),
    "slsqp": seeded(SLSQPAttack),
    "saliency_map": seeded(SaliencyMapAttack),
    "single_pixel": seeded(SinglePixelAttack),
    "local_search": seeded(LocalSearchAttack),
    "spatial": deterministic(SpatialSearch),
    "gaussian_blur": deterministic(GaussianBlurSearch),
    "contrast_reduction": deterministic(ContrastReductionSearch),
    "additive_gaussian_noise": seeded(AdditiveGaussianNoiseSearch),
    "salt_and_pepper": seeded(SaltAndPepperSearch),
}


def get(name: str, seed: int = 0, **options: Any) -> MinimizationAttack:
    """Returns an attack by its name.

    Args:
        name: one of ``ATTACKS``.
        seed: for those that draw something; from 0 to 2³² − 1.
        options: of its class, as in the table above; for Projected Gradient Descent also ``steps`` and
            ``rel_stepsize``.

    Returns:
        An attack of foolbox 3 to call as ``raw, clipped, success = attack(model, images, labels, epsilons=None)``.

    Raises:
        ValueError: for an unknown name, and the error names the nearest one; or for an option out of range.
    """
    return ATTACKS[check_choice("name", name, ATTACKS)](seed=seed, **options)
