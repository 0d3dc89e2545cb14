"""Claims of our own about the disentanglement of codes of sprites, for the study ``disentanglement``.

Statements and thresholds were written down before the runs.
"""

from collections.abc import Callable, Sequence

import numpy as np

from experiments.claims.base import Claim, Values
from experiments.claims.verdicts import Effect, Statement, difference, effect
from experiments.studies.beyond_disentanglement import KINDS, name

_SCORES = {"mig": "MIG", "dci": "DCI disentanglement", "sap": "SAP"}
_ALIKE = 0.5  # the rank correlation from which on two orders are taken for one


def _more(kind: str, than: str) -> Callable[[Values], Sequence[Statement]]:
    """Three scores of one kind less those of another, more than nothing."""

    def statements(values: Values) -> Sequence[Statement]:
        if not {name(kind), name(than)} <= set(values):
            return []
        return [
            Statement(
                f"{words} of {KINDS[kind][0]} less that of {KINDS[than][0]}",
                difference(values[name(kind)][score], values[name(than)][score]),
                least=0.0,
            )
            for score, words in _SCORES.items()
        ]

    return statements


def _cost(values: Values) -> Sequence[Statement]:
    if not {name("beta_vae"), name("vae")} <= set(values):
        return []
    gap = difference(values[name("beta_vae")]["nll"], values[name("vae")]["nll"])
    return [Statement("NLL on test images with β = 4 less that with β = 1", gap, least=0.0)]


def rank_correlation(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> Effect:
    """Spearman's, over kinds, of medians of runs by two measures: of each a sample for every kind."""

    def statistic(*samples: np.ndarray) -> np.ndarray:
        medians = np.stack([np.median(sample, axis=-1) for sample in samples], axis=-1)  # [..., 2·kinds]
        ranks = (np.argsort(np.argsort(part, axis=-1), axis=-1) for part in np.split(medians, 2, axis=-1))
        centred = [part - (part.shape[-1] - 1) / 2 for part in ranks]
        return np.sum(centred[0] * centred[1], axis=-1) / np.sum(centred[0] ** 2, axis=-1)

    return effect(statistic, *first, *second)


def _same_order(measure: str, words: str) -> Callable[[Values], Sequence[Statement]]:
    def statements(values: Values) -> Sequence[Statement]:
        kinds = [name(kind) for kind in KINDS if name(kind) in values]
        if len(kinds) < 3 or any(None in values[kind][measure] for kind in kinds):
            return []
        found = rank_correlation([values[kind][measure] for kind in kinds], [values[kind]["dci"] for kind in kinds])
        return [
            Statement(f"rank correlation of {words} and DCI disentanglement over autoencoders", found, least=_ALIKE)
        ]

    return statements


def _claim(number: int, words: str, statements: Callable[[Values], Sequence[Statement]], stand_in: str = "") -> Claim:
    return Claim(number, "Ours", "beyond the thesis", words, ("disentanglement",), statements, stand_in)


_ORDERS = "two orders are taken for one from a rank correlation of 0.5 on."
CLAIMS: list[Claim] = [
    _claim(
        70,
        "Codes of a VAE are more disentangled than those of a standard autoencoder.",
        _more("vae", "standard"),
    ),
    _claim(71, "β = 4 disentangles more than β = 1.", _more("beta_vae", "vae")),
    _claim(72, "What β = 4 may gain costs reconstruction.", _cost),
    _claim(73, "MIG and DCI put the autoencoders in one order.", _same_order("mig", "MIG"), _ORDERS),
    _claim(
        74,
        "UDR, which needs no labels, puts the autoencoders in the order of DCI.",
        _same_order("udr", "UDR"),
        _ORDERS,
    ),
]
