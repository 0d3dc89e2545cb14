"""Additive Gaussian noise and salt and pepper of foolbox 1.8, drawn anew for each level."""

import math

import eagerpy as ep
import numpy as np

from lea_keras.checks import check_positive_int, check_seed
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack
from lea_keras.robustness.attacks.foolbox18.asked import Asked
from lea_keras.robustness.attacks.search import Path, PathSearch
from lea_keras.utils import slices

_TOGETHER = 8  # levels that a sample tries at once; those above its first success do not count
_BEYOND = 1.2  # how far the next repetition's levels reach, relative to the level of the last success


class AdditiveGaussianNoise18(PathSearch):
    """Additive Gaussian noise as in v1.8.0, ``AdditiveGaussianNoiseAttack``.

    Levels ε rise evenly to 1, and the first success is the result. ε entered twice by mistake: the standard deviation
    is ε²/√3 times the range of the bounds. Each ε has a draw of its own, so that the first success is an early one
    among many; ours has one draw, scaled, and ε/√3.

    Args:
        steps: how many levels there are.
        seed: decides the noise, for each position in the batch and each level on its own.
        max_images: how many images go through the model at once.

    Raises:
        ValueError: for an argument out of range.
    """

    def __init__(self, *, steps: int = 1000, seed: int = 0, max_images: int = MAX_IMAGES) -> None:
        super().__init__(steps=steps, every=True, max_images=max_images)
        self.seed = check_seed(seed)

    def make_path(self, batch: Batch, indices: np.ndarray) -> Path:
        x, (lower, upper) = batch.x.numpy(), batch.bounds

        def make(indices: np.ndarray, strengths: np.ndarray) -> ep.Tensor:
            images = x[indices]
            for image, index, strength in zip(images, indices.tolist(), strengths.tolist(), strict=True):
                source = np.random.default_rng((self.seed, index, round(strength * self.steps)))
                deviation = x.dtype.type(strength**2 / math.sqrt(3) * (upper - lower))
                image += deviation * source.standard_normal(image.shape, np.float32)
            return batch.tensor(np.clip(images, lower, upper))

        return make


class SaltAndPepper18(BatchAttack):
    """Salt and pepper noise as in v1.8.0, ``SaltAndPepperNoiseAttack``.

    Probabilities rise evenly to 1, each with a draw of its own, up to the first success; and that ``repetitions``
    times, from the second on only up to 1.2 times the probability of the last success. The model is not asked about
    noise that is no closer than the closest adversarial. Ours searches for the smallest probability of each of 200
    draws. As in 1.8, above a probability of 1 the pixels that would get both stay as they are.

    Args:
        epsilons: how many probabilities there are, but no more than the image has pixels.
        repetitions: how often they are gone through.
        seed: decides the noise, for each position in the batch on its own.
        max_images: how many images go through the model at once.

    Raises:
        ValueError: for an argument out of range; when run, for images without four axes or a targeted criterion.
    """

    def __init__(
        self, *, epsilons: int = 100, repetitions: int = 10, seed: int = 0, max_images: int = MAX_IMAGES
    ) -> None:
        self.epsilons = check_positive_int("epsilons", epsilons)
        self.repetitions = check_positive_int("repetitions", repetitions)
        self.seed = check_seed(seed)
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        asked, x, indices = Asked(batch, results), batch.x.numpy(), batch.running()
        shape = list(x.shape[1:])
        shape[batch.channel_axis() - 1] = 1  # a pixel's channels share its number
        levels = np.arange(min(self.epsilons, math.prod(shape))) + 1
        highest = np.ones(len(x))
        sources = {index: np.random.default_rng((self.seed, index)) for index in indices.tolist()}
        for _ in range(self.repetitions):
            left = indices
            for part in slices(len(levels), _TOGETHER):
                if not len(left):
                    break
                tried = highest[left, None] * levels[part] / len(levels)  # [m, k]
                draws = [sources[index].random((tried.shape[1], *shape), np.float32) for index in left.tolist()]
                images = season(x[left], np.stack(draws), tried, batch.bounds)
                distances = asked.measure(np.repeat(left, tried.shape[1]), images.reshape(-1, *x.shape[1:]))
                closer = distances.reshape(tried.shape) < asked.distances[left, None]
                hits = asked.ask_until_first(left, images, closer)
                done = np.flatnonzero(hits >= 0)
                highest[left[done]] = _BEYOND * tried[done, hits[done]]
                left = left[hits < 0]


def season(images: np.ndarray, draws: np.ndarray, probabilities: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Images [m, …] with salt and pepper of probabilities [m, k] by draws [m, k, …] in [0, 1): [m, k, …]."""
    half = probabilities.reshape(*probabilities.shape, *[1] * (images.ndim - 1)) / 2
    pepper, salt = draws < half, draws >= 1 - half
    lower, upper = (images.dtype.type(bound) for bound in bounds)
    return np.where(salt == pepper, images[:, None], np.where(salt, upper, lower))
