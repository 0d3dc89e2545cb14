"""Claims: the words of a document, and the statements that test them against what studies stored."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from experiments.claims.verdicts import Statement

#: What a study stored under "values": by series, by measure, a value for each run, or a list of them.
Values = Mapping[str, Mapping[str, Any]]

#: Ranges of statements about differences.
LESS, MORE = {"most": 0.0}, {"least": 0.0}


def at_end(runs: Sequence[Sequence[float]]) -> list[float]:
    """Returns what every run has after its last epoch."""
    return [run[-1] for run in runs]


class Claim(NamedTuple):
    """Something that a document says.

    Attributes:
        number: by which it is asked for.
        document: which says so.
        place: where.
        words: what it says, shortly.
        studies: by name, those whose values decide it.
        statements: from the values of each of them, in that order, to the statements of the claim.
        stand_in: what is computed for words that cannot be, if any.
    """

    number: int
    document: str
    place: str
    words: str
    studies: tuple[str, ...]
    statements: Callable[..., Sequence[Statement]]
    stand_in: str = ""
