"""Claims of the slides about certificates: what their table of eight rows says of plain and of robust networks.

Written down before the runs. Errors are shares of the same test images, at ε = 0.1 in pixels from 0 to 1, mistakes
without a perturbation included; thresholds are chosen **(chosen)**.
"""

from collections.abc import Sequence

from experiments.claims.base import Claim, Values
from experiments.claims.verdicts import Statement, difference, median
from experiments.studies.beyond_certificates import datasets, name

_VACUOUS, _NEAR = 0.99, 0.05


def _sound(values: Values) -> Sequence[Statement]:
    """Of all runs, also those with a LEA."""
    words = "largest share, over the runs of {}, of images that are certified and yet fooled within ε"
    return [Statement(words.format(one), median(of["contradictions"]), most=0.0) for one, of in values.items()]


def _vacuous(values: Values) -> Sequence[Statement]:
    words = "{}: bound of the plain network"
    return [
        Statement(words.format(one), median(values[name(one)]["bound"]), least=_VACUOUS) for one in datasets(values)
    ]


def _near(values: Values) -> Sequence[Statement]:
    found = []
    for one in datasets(values):
        of = values[name(one, robust=True)]
        gap = difference(of["bound"], of["projected_gradient_descent"])
        words = f"{one}: bound of the robust network less its error under projected gradient descent"
        found.append(Statement(words, gap, most=_NEAR))
    return found


def _withstands(values: Values) -> Sequence[Statement]:
    found = []
    for one in datasets(values):
        for attack, words in (("gradient_sign", "Gradient Sign"), ("projected_gradient_descent", "PGD")):
            gap = difference(values[name(one)][attack], values[name(one, robust=True)][attack])
            found.append(Statement(f"{one}: error under {words}, plain less robust", gap, least=0.0))
    return found


def _cost(values: Values) -> Sequence[Statement]:
    words = "{}: test error, robust less plain"
    gaps = {
        one: difference(values[name(one, robust=True)]["error"], values[name(one)]["error"]) for one in datasets(values)
    }
    return [Statement(words.format(one), gap, least=0.0) for one, gap in gaps.items()]


def _ordered(values: Values) -> Sequence[Statement]:
    order = ("error", "gradient_sign", "projected_gradient_descent", "bound")
    found = []
    for one, of in values.items():
        least = [
            min(second - first for first, second in zip(errors[:-1], errors[1:], strict=True))
            for errors in zip(*(of[column] for column in order), strict=True)
        ]
        words = f"{one}: least step from test error to Gradient Sign, to PGD, to the bound"
        found.append(Statement(words, median(least), least=0.0))
    return found


def _claim(number: int, words: str, statements, stand_in: str = "") -> Claim:
    return Claim(number, "Slides", "Wong & Kolter 18", words, ("certificates",), statements, stand_in)


CLAIMS: list[Claim] = [
    _claim(
        80,
        "If the minimum over the outer set is not negative, the network is robust to ε.",
        _sound,
        "no attack within ε, Gradient Sign or projected gradient descent, fools a certified image",
    ),
    _claim(81, "At ε = 0.1 the bound of a plain network is 100 %.", _vacuous, "at least 99 %"),
    _claim(
        82,
        "Robust training brings the bound near the error under projected gradient descent.",
        _near,
        "within 5 points; the table has 1.71 and 2.90",
    ),
    _claim(83, "Robust networks withstand Gradient Sign and projected gradient descent better.", _withstands),
    _claim(84, "Robust training costs accuracy without a perturbation.", _cost),
    _claim(85, "Errors rise from test to Gradient Sign, to projected gradient descent, to the bound.", _ordered),
]
