"""The smallest strength that succeeds: climbing, bisection, and attacks along a path of images."""

import itertools
from abc import abstractmethod
from collections.abc import Callable, Sequence

import eagerpy as ep
import numpy as np

from lea_keras.checks import check_positive_int
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack, check_flag

RATIO = 1.2  # (chosen): on a CNN, doubling misses a lower success for 4 % of the images under blur, this for 0.5 %
_FEWEST = 8  # images that a path makes at once on JAX
Attempt = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (samples [m], levels [m]) -> which gave in, booleans [m]
# (samples [m], strengths [m] in (0, 1]) -> their images [m, …]
Path = Callable[[np.ndarray, np.ndarray], ep.Tensor]


def list_levels(highest: int, ratio: float) -> list[int]:
    """Levels from 1 to ``highest`` that each grow by about ``ratio``: with 2 it is 1, 2, 4, 8, …, highest."""
    levels = [1]
    while levels[-1] < highest:
        levels.append(min(highest, max(levels[-1] + 1, round(levels[-1] * ratio))))
    return levels


def climb(attempt: Attempt, indices: np.ndarray, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Tries rising levels above 0 until a sample gives in.

    Returns:
        The last level [m] that failed, 0 if none did, and the first that succeeded, 0 if none did.
    """
    failing, succeeding = np.zeros((2, len(indices)), np.asarray(levels).dtype)
    for level in levels:
        left = np.flatnonzero(succeeding == 0)
        if not len(left):
            break
        gave_in = attempt(indices[left], np.full(len(left), level))
        succeeding[left[gave_in]] = level
        failing[left[~gave_in]] = level
    return failing, succeeding


def bisect(
    attempt: Attempt,
    indices: np.ndarray,
    failing: np.ndarray,
    succeeding: np.ndarray,
    halvings: int | None = None,
    precision: float = 0.0,
) -> np.ndarray:
    """Halves the gaps between a failing and a higher, succeeding level.

    Args:
        attempt: tells which of the samples [m] give in at their levels [m].
        indices: the samples [k].
        failing: levels [k]. Gaps between integers are halved until they are neighbours.
        succeeding: levels [k] of the same type; where they are not above ``failing``, they are the result.
        halvings: how often at most; None: until all gaps are closed.
        precision: the gap between fractions, relative to the succeeding level, that is closed.

    Returns:
        Levels [k] that succeed, while those below the closed gap fail (or are ``failing``).
    """
    failing, succeeding = failing.copy(), succeeding.copy()
    whole = np.issubdtype(succeeding.dtype, np.integer)
    for _ in itertools.count() if halvings is None else range(halvings):
        left = np.flatnonzero(succeeding - failing > (1 if whole else precision * succeeding))
        if not len(left):
            break
        sums = failing[left] + succeeding[left]
        middle = sums // 2 if whole else sums / 2
        gave_in = attempt(indices[left], middle)
        succeeding[left] = np.where(gave_in, middle, succeeding[left])
        failing[left] = np.where(gave_in, failing[left], middle)
    return succeeding


def scan(attempt: Attempt, indices: np.ndarray, highest: int, at_once: int = 8) -> np.ndarray:
    """Tries every level from the first on, some at once; the first [m] that succeeds, 0 if none does."""
    succeeding = np.zeros(len(indices), int)
    for start in range(1, highest + 1, at_once):
        left = np.flatnonzero(succeeding == 0)
        if not len(left):
            break
        tried = np.arange(start, min(start + at_once, highest + 1))
        gave_in = attempt(np.repeat(indices[left], len(tried)), np.tile(tried, len(left))).reshape(len(left), -1)
        succeeding[left] = np.where(gave_in.any(axis=1), tried[gave_in.argmax(axis=1)], 0)
    return succeeding


def find_smallest(
    attempt: Attempt, indices: np.ndarray, highest: int, *, ratio: float = RATIO, every: bool = False
) -> np.ndarray:
    """The smallest level from 1 to ``highest`` at which each sample gives in.

    By default levels rise by ``ratio`` until one succeeds, and the gap below it is halved until it is closed: at most
    some forty attempts a sample for a thousand levels. The level found succeeds and the one below it fails. It is the
    smallest of all if a sample that has given in does so at all higher levels, too; where it does not, a lower island
    may be missed, which only trying ``every`` level excludes.

    Args:
        attempt: tells which of the samples [m] give in at their levels [m].
        indices: the samples [k].
        highest: the highest level.
        ratio: by how much levels rise at first; the smaller, the fewer islands are missed.
        every: try all levels in turn.

    Returns:
        Levels [k], 0 for those that never gave in.
    """
    if every:
        return scan(attempt, indices, highest)
    return bisect(attempt, indices, *climb(attempt, indices, list_levels(highest, ratio)))


class PathSearch(BatchAttack):
    """The smallest strength on an even grid at which an operation on images succeeds; a base class.

    Each sample has a path of images from strength 0, itself, to 1. All samples search at once, each at a strength of
    its own: by default rising, then closing in on the first success (see ``find_smallest``), which takes at most some
    forty images a sample instead of a thousand.

    Args:
        steps: how many strengths the grid has in (0, 1].
        every: try all strengths in turn. Only this finds the smallest for sure if a stronger perturbation may undo what
            a weaker one did.
        max_images: how many images a model call takes at most.

    Raises:
        ValueError: for an argument outside what is said above.
    """

    def __init__(self, *, steps: int = 1000, every: bool = False, max_images: int = MAX_IMAGES) -> None:
        self.steps = check_positive_int("steps", steps)
        self.every = check_flag("every", every)
        self.max_images = check_positive_int("max_images", max_images)

    @abstractmethod
    def make_path(self, batch: Batch, indices: np.ndarray) -> Path:
        """What makes images of these samples [k]."""

    def search(self, batch: Batch, results: np.ndarray) -> None:
        indices = batch.running()
        if not len(indices):
            return
        path = self.make_path(batch, indices)
        strengths = self.find_strengths(lambda tried, at: batch.make_and_try(path, tried, at, tried), indices)
        indices, strengths = indices[strengths > 0], strengths[strengths > 0]
        for part in batch.parts(len(indices)):
            results[indices[part]] = path(indices[part], strengths[part]).numpy()

    def find_strengths(self, attempt: Attempt, indices: np.ndarray) -> np.ndarray:
        """The smallest strength [k] in (0, 1] at which each sample gives in, or 0."""
        levels = find_smallest(lambda s, level: attempt(s, level / self.steps), indices, self.steps, every=self.every)
        return levels / self.steps


def make_few_lengths(batch: Batch, path: Path) -> Path:
    """The same path; on JAX, which compiles each operation for each number of images, it makes few numbers of them."""
    if not isinstance(batch.x, ep.JAXTensor):
        return path

    def make(indices: np.ndarray, strengths: np.ndarray) -> ep.Tensor:
        count = max(_FEWEST, 1 << (len(indices) - 1).bit_length())
        images = path(np.resize(indices, count), np.resize(strengths, count))  # which repeats them
        return batch.tensor(images.numpy()[: len(indices)])

    return make
