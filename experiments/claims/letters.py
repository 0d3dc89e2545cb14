"""Claims of the assignment, exercise 2: what each target makes of images. Written down before the runs."""

from collections.abc import Callable, Sequence

from experiments.claims.base import Claim, Values
from experiments.claims.verdicts import Statement, difference, median, ratio
from experiments.studies.beyond_letters import NAME

_OTHERS = ("random", "representative", "mean")
_ALIKE = 0.1  # of the spread of real images of a class
_FAR = 2.0  # times the distance of real images to their nearest
_READABLE = "readable: no further from the nearest training image of the class than real test images are, on average"


def _judged(values: Values) -> Sequence[Statement]:
    of = values[NAME]
    judged = of["accuracy/classifier"]
    found = [Statement("the judge's accuracy on what the classifier target draws", median(judged), 0.95, 0.99)]
    for other in _OTHERS:
        words = f"the same less that of {other}"
        found.append(Statement(words, difference(judged, of[f"accuracy/{other}"]), least=0.0))
    words = "distance to the nearest image of the class, over that of real test images"
    return [*found, Statement(words, median(of["nearest/classifier"]), least=_FAR)]


def _representative(values: Values) -> Sequence[Statement]:
    of = values[NAME]
    words = "squared distances of what is drawn for a class to its mean, over those of real images"
    gap = difference(of["lookup"], of["accuracy/classifier"])
    told = "share that is nearest to the image of its class, less the judge's accuracy for the classifier target"
    return [Statement(words, median(of["alike/representative"]), most=_ALIKE), Statement(told, gap, -0.02, 0.02)]


def _random(values: Values) -> Sequence[Statement]:
    of = values[NAME]
    words = "squared distances of what is drawn for a class to its mean, over those of real images"
    near = "distance to the nearest image of the class, over that of real test images"
    return [
        Statement(near, median(of["nearest/random"]), most=1.0),
        Statement(words, median(of["alike/random"]), most=_ALIKE),
    ]


def _mean(values: Values) -> Sequence[Statement]:
    """If the mean were senseless and a random image were not, what they end in would differ as images do."""
    of = values[NAME]
    far = "squared distance between what both targets draw of the same image, over the spread of real images"
    near = "distance to the nearest image of the class with the mean target, over that with random ones"
    judged = difference(of["accuracy/random"], of["accuracy/mean"])
    return [
        Statement(far, median(of["difference"]), least=0.5),
        Statement(near, ratio(of["nearest/mean"], of["nearest/random"]), least=1.25),
        Statement("the judge's accuracy on random less that on mean", judged, least=0.05),
    ]


def _codes(values: Values) -> Sequence[Statement]:
    of = values[NAME]
    near = "squared distance to the class mean, over the spread of real images"
    less = difference(of["error/random"], of["error/codes"])
    return [
        Statement(near, median(of["error/codes"]), most=_ALIKE),
        Statement("by how much that of the network itself, trained with random targets, is larger", less, least=0.0),
    ]


def _claim(
    number: int, place: str, words: str, statements: Callable[..., Sequence[Statement]], stand: str = ""
) -> Claim:
    return Claim(number, "Assignment", place, words, ("letters",), statements, stand)


CLAIMS: list[Claim] = [
    _claim(
        50,
        "exercise 2c, (1)",
        "A classifier as judge: about 97 % are classified correctly, more than with any other target, and unreadable.",
        _judged,
        f"about 97 %: from 95 to 99; {_READABLE}; unreadable: at least twice as far.",
    ),
    _claim(
        51,
        "exercise 2c, (2)",
        "A random image of the class works quite well, and what is drawn for a class is alike.",
        _random,
        f"works: {_READABLE}.",
    ),
    _claim(
        52,
        "exercise 2c, (3)",
        "One image for all of a class is nothing but classification: what is drawn for a class is constant.",
        _representative,
    ),
    _claim(
        53,
        "exercise 2d",
        "The mean image of the class is senseless as a target, other than a random image.",
        _mean,
        "senseless: other images than with the random target, further from real ones, and less often recognised. (Both "
        "have the same expected gradient.)",
    ),
    _claim(
        54,
        "exercise 2, codes alone",
        "With all weights frozen, a code alone can be optimised for each class.",
        _codes,
        "it can: the image decoded of it is near the mean of the class, and no further than what the network draws.",
    ),
]
