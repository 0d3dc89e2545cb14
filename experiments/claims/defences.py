"""Claims of the slides about sparsity against attacks, for the γ of ``beyond_defences.chosen_radius``.

Written down before the runs.
"""

from collections.abc import Sequence

from experiments.claims.base import Claim, Values
from experiments.claims.verdicts import Statement, difference
from experiments.studies.beyond_defences import EPSILONS, chosen_radius, name

_EPSILON, _COST = 0.1, 0.05
_STAND_IN = (
    "γ is the smallest of the sweep that costs at most 5 points of accuracy on training images; accuracy is what "
    "projected gradient descent leaves of it at ε = 0.1"
)


def _withstood(values: Values, radius: float | None, front_end: bool) -> list[float]:
    """Accuracy under attack at ε = 0.1, of every run."""
    return [of_run[EPSILONS.index(_EPSILON)] for of_run in values[name(radius, front_end)]["accuracy"]]


def _gain(values: Values, words: str, radius: float | None, front_end: bool, than: tuple) -> Statement:
    gap = difference(_withstood(values, radius, front_end), _withstood(values, *than))
    return Statement(f"accuracy at ε = 0.1 of {words}", gap, least=0.0)


def _l1(values: Values) -> Sequence[Statement]:
    gamma = chosen_radius(values)
    return [_gain(values, f"γ = {gamma:g} less that of the plain network", gamma, False, (None, False))]


def _front_end(values: Values) -> Sequence[Statement]:
    return [_gain(values, "the front end less that of the plain network", None, True, (None, False))]


def _both(values: Values) -> Sequence[Statement]:
    gamma = chosen_radius(values)
    return [
        _gain(values, f"both less that of γ = {gamma:g} alone", gamma, True, (gamma, False)),
        _gain(values, "both less that of the front end alone", gamma, True, (None, True)),
    ]


def _cost(values: Values) -> Sequence[Statement]:
    gamma = chosen_radius(values)
    found = []
    kinds = {f"γ = {gamma:g}": (gamma, False), "the front end": (None, True), "both": (gamma, True)}
    for words, kind in kinds.items():
        gap = difference(values[name(None, False)]["test_accuracy"], values[name(*kind)]["test_accuracy"])
        found.append(Statement(f"test accuracy of the plain network less that of {words}", gap, most=_COST))
    return found


CLAIMS: list[Claim] = [
    Claim(
        55,
        "Slides",
        "Gopalakrishnan et al. 18",
        "Weights in an ℓ1 ball raise accuracy under attack.",
        ("defences",),
        _l1,
        f"{_STAND_IN}.",
    ),
    Claim(
        56,
        "Slides",
        "Gopalakrishnan et al. 18",
        "A sparse front end raises accuracy under attack.",
        ("defences",),
        _front_end,
        "accuracy is what projected gradient descent leaves of it at ε = 0.1.",
    ),
    Claim(
        57,
        "Slides",
        "Gopalakrishnan et al. 18",
        "Both together withstand at least as much as either.",
        ("defences",),
        _both,
        f"{_STAND_IN}.",
    ),
    Claim(
        58,
        "Slides",
        "Gopalakrishnan et al. 18",
        "Sparsity costs at most 5 points of accuracy without attacks.",
        ("defences",),
        _cost,
        f"{_STAND_IN}. What it costs is told on test images.",
    ),
]
