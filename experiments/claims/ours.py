"""Claims of our own, beyond the thesis: questions that its readers ask first, put as statements that could be wrong.

As with the thesis', statements and thresholds were written down before the runs.
"""

from collections.abc import Callable

from experiments.claims.base import Claim, Values
from experiments.claims.verdicts import Statement, difference
from experiments.studies import beyond_objective as objective

_PANELS = (("fashion_mnist", 1.0), ("fashion_mnist", 0.01), ("cifar10", 1.0), ("cifar10", 0.01))


def _better(kind: str, than: str) -> Callable[[Values], list[Statement]]:
    """Test accuracy of one kind of code less that of another, in every panel, more than nothing."""

    def statements(values: Values) -> list[Statement]:
        found = []
        for dataset, labelled in _PANELS:
            names = [objective.name(one, dataset, labelled) for one in (kind, than)]
            if all(one in values for one in names):
                words = f"{dataset}, {100 * labelled:g} % of labels: accuracy of {kind} less that of {than}"
                gap = difference(*(values[one]["val_accuracy"] for one in names))
                found.append(Statement(words, gap, least=0.0))
        return found

    return statements


def _claim(number: int, words: str, kind: str, than: str) -> Claim:
    return Claim(number, "Ours", "beyond the thesis", words, ("objective",), _better(kind, than))


CLAIMS: list[Claim] = [
    _claim(29, "Codes of a LEA classify better than the principal components of the same windows.", "lea", "pca"),
    _claim(30, "Codes of a LEA classify better than those of a random encoder.", "lea", "random"),
    _claim(31, "Codes of a LEA classify better than the same encoder trained end to end (λ = 0).", "lea", "end_to_end"),
    _claim(32, "Codes of a LEA classify better than max-pooling.", "lea", "pool"),
    _claim(
        33,
        "Reconstruction beside the main task classifies better than the main task alone (λ = 0).",
        "joint",
        "end_to_end",
    ),
]
