"""Statements of the thesis' claims about adversarial attacks (section 5.5)."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from experiments.claims.base import LESS, MORE, Values
from experiments.claims.verdicts import Effect, Statement, effect, exactly
from experiments.studies import robustness

#: Of foolbox 1.8: the attacks that ask for scores alone.
SCORES = ("single_pixel", "local_search")
SUCCESS = "means over runs and CNN-LEAs of the shares of correctly classified images that attacks change"


def _rows(values: Values, kinds: Sequence[str] = ("standard", "vae", "capacity_vae")) -> list[str]:
    """The CNN-LEAs of these types that Fig. 5.7 shows."""
    names = [robustness.name(kind, coders) for kind, coders in robustness.ROWS if kind in kinds]
    return [name for name in names if name in values]


def _against_classic(values: Values, measure: str, names: Sequence[str]) -> Effect:
    """The mean over models less Classic, all runs of the models being one sample."""
    leas = [value for name in names for value in values[name][measure]]
    return effect(lambda a, b: np.mean(a, axis=-1) - np.mean(b, axis=-1), leas, values[robustness.CLASSIC][measure])


def _attacked(measure: str, attacks: Sequence[str], allowed: dict[str, float]) -> Callable[[Values], list[Statement]]:
    """A statement for each attack: CNN-LEAs less Classic."""
    told = measure.replace("_", " ")

    def statements(values: Values) -> list[Statement]:
        return [
            Statement(
                f"{attack}: {told}, CNN-LEAs less Classic",
                _against_classic(values, f"{measure}/{attack}", _rows(values)),
                **allowed,
            )
            for attack in attacks
        ]

    return statements


def some_more_some_less(values: Values) -> list[Statement]:
    more = _attacked("success_rate", ("adef", "deep_fool", "slsqp"), MORE)(values)
    less = _attacked("success_rate", ("projected_gradient_descent", "saliency_map"), LESS)(values)
    return more + less


def single_pixel(values: Values) -> list[Statement]:
    statements = []
    for kind in ("standard", "capacity_vae"):
        gap = _against_classic(values, "success_rate/single_pixel", _rows(values, (kind,)))
        statements.append(Statement(f"{kind}: success rate of single_pixel less Classic's", gap, **LESS))
    return statements


def unchanged(values: Values) -> list[Statement]:
    """All attacks but those on scores together: each alone would change by chance in one of twenty."""
    measures = [name for name in values[robustness.CLASSIC] if name.startswith("success_rate/")]
    others = [name for name in measures if name.partition("/")[2] not in SCORES]
    gaps = [_against_classic(values, name, _rows(values)) for name in others]
    changed = exactly(sum(gap.low > 0 or gap.high < 0 for gap in gaps))
    if any(math.isinf(gap.low) for gap in gaps):  # of single runs, which show no difference however large it is
        changed = changed._replace(low=-math.inf, high=math.inf)
    words = f"attacks of {len(others)} whose success rate differs from Classic's"
    scores = _attacked("success_rate", SCORES, {"most": -0.02})(values)
    return [Statement(words, changed, most=1), *scores]


def distances(values: Values) -> list[Statement]:
    larger = _attacked("mean_distance", ("adef", "slsqp", "gaussian_blur"), MORE)(values)
    return larger + _attacked("success_rate", ("salt_and_pepper", "spatial"), LESS)(values)
