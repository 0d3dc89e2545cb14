"""Claims of our own about `parts`: what codes of windows say of the parts that the windows see.

Statements and thresholds were written down before the runs.
"""

from collections.abc import Callable, Sequence

from experiments.claims.base import Claim, Values
from experiments.claims.verdicts import Statement, difference
from experiments.studies.beyond_parts import LEARNED, STACKED, name

_SEPARATION = (
    "separation: DCI disentanglement with two factors, the orientation of a part and its offset in the window, from "
    "the importances of both to each code; of windows that see at least half of a part"
)


def _windows(values: Values) -> list[int]:
    """Of the sizes that were run, the smallest first."""
    return sorted({int(one.rpartition("_")[2]) for one in values if one.rpartition("_")[2].isdigit()})


def _gain(values: Values, measure: str, words: str, kind: str, than: str) -> list[Statement]:
    """A measure of one kind of code less that of another, at every window size, more than nothing."""
    found = []
    for window in _windows(values):
        names = [name(one, window) for one in (kind, than)]
        if all(one in values for one in names):
            gap = difference(*(values[one][measure] for one in names))
            found.append(Statement(f"{window}×{window}: {words} of {kind} less that of {than}", gap, least=0.0))
    return found


def _pca(values: Values) -> Sequence[Statement]:
    return _gain(values, "separation", "separation", "standard", "pca")


def _random(values: Values) -> Sequence[Statement]:
    return [one for kind in LEARNED for one in _gain(values, "separation", "separation", kind, "random")]


def _variational(values: Values) -> Sequence[Statement]:
    kinds = [kind for kind in LEARNED if "vae" in kind]
    return [one for kind in kinds for one in _gain(values, "separation", "separation", kind, "standard")]


def _larger(values: Values) -> Sequence[Statement]:
    found, sizes = [], _windows(values)
    for kind in LEARNED:
        names = [name(kind, size) for size in (sizes[-1], sizes[0])]
        if len(sizes) > 1 and all(one in values for one in names):
            gap = difference(*(values[one]["probe/orientation"] for one in names))
            words = f"{kind}: a probe's accuracy on orientation with {sizes[-1]}×{sizes[-1]} less with"
            found.append(Statement(f"{words} {sizes[0]}×{sizes[0]}", gap, least=0.0))
    return found


def _stacked(values: Values) -> Sequence[Statement]:
    if STACKED not in values:
        return []
    of = values[STACKED]
    edges, shapes = (
        difference(of[f"{about}/{more}"], of[f"{about}/{less}"])
        for about, more, less in (("edge", "first", "second"), ("shape", "second", "first"))
    )
    return [
        Statement("a probe's accuracy on the edge in the middle from the first LEA less the second", edges, least=0.0),
        Statement("a probe's accuracy on the part's shape from the second LEA less the first", shapes, least=0.0),
    ]


def _claim(number: int, words: str, statements: Callable[..., Sequence[Statement]], stand_in: str = "") -> Claim:
    return Claim(number, "Ours", "beyond the thesis", words, ("parts",), statements, stand_in)


CLAIMS: list[Claim] = [
    _claim(
        75,
        "Codes of a LEA separate the orientation of a part from its offset better than principal components do.",
        _pca,
        f"{_SEPARATION}.",
    ),
    _claim(
        76,
        "Codes of a LEA of any type separate orientation from offset better than those of a random encoder.",
        _random,
        f"{_SEPARATION}.",
    ),
    _claim(
        77,
        "Variational autoencoders separate orientation from offset better than the standard one.",
        _variational,
        f"{_SEPARATION}.",
    ),
    _claim(78, "Codes of larger windows tell better how a part is turned.", _larger),
    _claim(
        79,
        "Of two stacked LEAs the first knows edges and the second parts.",
        _stacked,
        "the code of the second LEA and that of the first in the middle of its window, which are equally long, of the "
        "same windows.",
    ),
]
