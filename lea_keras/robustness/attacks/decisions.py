"""Noise, blur and loss of contrast: operations of foolbox at the smallest strength that succeeds."""

import math

import eagerpy as ep
import numpy as np
from foolbox.attacks import L2AdditiveGaussianNoiseAttack, L2ContrastReductionAttack
from foolbox.devutils import flatten
from scipy.ndimage import gaussian_filter

from lea_keras.checks import check_above_zero, check_number, check_seed, fail
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch
from lea_keras.robustness.attacks.search import Path, PathSearch, make_few_lengths


class AdditiveGaussianNoiseSearch(PathSearch):
    """Gaussian noise of the smallest standard deviation that succeeds (foolbox's additive Gaussian noise).

    Each sample has one draw of noise, which the search scales **(chosen)**: more noise is more of the same, so that
    success changes little by little along it. foolbox 1.8 drew anew at each of 1,000 strengths ε, with a standard
    deviation of ε²/√3 times the range of the bounds: ε entered twice, by mistake. Here it is ε/√3 times the range, that
    of uniform noise within ±ε times the range, with ε up to 1. The noisy image is clipped to the bounds.

    Args:
        steps: how many standard deviations the grid has.
        seed: decides the noise, for each position in the batch its own.
        every: as in ``PathSearch``.
        max_images: as in ``PathSearch``.

    Raises:
        ValueError: for an argument outside what is said above.
    """

    def __init__(self, *, steps: int = 1000, seed: int = 0, every: bool = False, max_images: int = MAX_IMAGES) -> None:
        super().__init__(steps=steps, every=every, max_images=max_images)
        self.seed = check_seed(seed)

    def make_path(self, batch: Batch, indices: np.ndarray) -> Path:
        lower, upper = batch.bounds
        noise = np.zeros(batch.x.shape, np.float32)
        for index in indices:
            noise[index] = np.random.default_rng((self.seed, index)).standard_normal(batch.x.shape[1:])

        def make(indices: np.ndarray, strengths: np.ndarray) -> ep.Tensor:
            deviations = batch.column(strengths * (upper - lower) / math.sqrt(3))
            run = _Noise(batch.tensor(noise[indices])).run
            # foolbox says float, but only multiplies by it.
            return run(batch.model, batch.x[indices], epsilon=deviations)  # pyright: ignore[reportArgumentType]

        return make_few_lengths(batch, make)


class _Noise(L2AdditiveGaussianNoiseAttack):
    """foolbox's attack with given noise, and with ε as its standard deviation in place of its norm."""

    def __init__(self, noise: ep.Tensor) -> None:
        self.noise = noise

    def sample_noise(self, x: ep.Tensor) -> ep.Tensor:
        return self.noise

    def get_epsilons(self, x: ep.Tensor, p: ep.Tensor, epsilon: ep.Tensor, min_: float, max_: float) -> ep.Tensor:
        return epsilon


class ContrastReductionSearch(PathSearch):
    """The smallest loss of contrast that succeeds (foolbox's ``L2ContrastReductionAttack``).

    At strength s the image x is x + s·(g − x), with the grey g at ``target`` between the bounds. foolbox's linear
    search runs the whole batch a thousand times over the same grid.

    Args:
        steps: how many strengths the grid has; the last leaves nothing but grey.
        target: the grey, relative to the bounds: 0 the lower, 1 the upper; in the middle by default.
        every: as in ``PathSearch``.
        max_images: as in ``PathSearch``.

    Raises:
        ValueError: for an argument outside what is said above.
    """

    def __init__(
        self, *, steps: int = 1000, target: float = 0.5, every: bool = False, max_images: int = MAX_IMAGES
    ) -> None:
        super().__init__(steps=steps, every=every, max_images=max_images)
        self.target = check_number("target", target)
        if self.target > 1:
            raise fail("target", "between 0 and 1", target)

    def make_path(self, batch: Batch, indices: np.ndarray) -> Path:
        attack, (lower, upper) = L2ContrastReductionAttack(target=self.target), batch.bounds
        grey = lower + self.target * (upper - lower)
        # foolbox's ε is a distance: the whole path is as long as the way to grey. It divides by that length, which must
        # not be zero; an image that is grey all over then just stays as it is.
        lengths = flatten(grey - batch.x).norms.l2(axis=-1).numpy()

        def make(indices: np.ndarray, strengths: np.ndarray) -> ep.Tensor:
            epsilons = batch.column(strengths * lengths[indices])
            # foolbox says float, but only multiplies by it.
            images = attack.run(batch.model, batch.x[indices], epsilon=epsilons)  # pyright: ignore[reportArgumentType]
            return ep.where(batch.column(lengths[indices]) > 0, images, batch.x[indices])

        return make_few_lengths(batch, make)


class GaussianBlurSearch(PathSearch):
    """The smallest Gaussian blur that succeeds (foolbox's ``GaussianBlurAttack``, whose operation is scipy's filter).

    The standard deviation σ is the strength times ``max_sigma``. Beyond its border the image is mirrored again and
    again, so that a large σ leaves the mean of each channel. Channels do not mix. foolbox blurs the whole batch at each
    of the grid's σ in turn. Here samples of the same σ are blurred together; a filter reaches out to 4 σ and costs
    accordingly.

    Args:
        steps: how many σ the grid has.
        max_sigma: the largest, in pixels. None: as many as there are rows or columns, whichever are more.
        channel_axis: 1 or 3 (or -1). None: where the model says; else the last.
        every: as in ``PathSearch``.
        max_images: as in ``PathSearch``.

    Raises:
        ValueError: for an argument outside what is said above, or images that do not have four axes.
    """

    def __init__(
        self,
        *,
        steps: int = 1000,
        max_sigma: float | None = None,
        channel_axis: int | None = None,
        every: bool = False,
        max_images: int = MAX_IMAGES,
    ) -> None:
        super().__init__(steps=steps, every=every, max_images=max_images)
        self.max_sigma = None if max_sigma is None else check_above_zero("max_sigma", max_sigma, "None")
        self.channel_axis = channel_axis

    def make_path(self, batch: Batch, indices: np.ndarray) -> Path:
        channels = batch.channel_axis(self.channel_axis)
        axes = tuple(axis for axis in (1, 2, 3) if axis != channels)
        x, (lower, upper) = batch.x.numpy(), batch.bounds
        max_sigma = self.max_sigma or max(x.shape[axis] for axis in axes)

        def make(indices: np.ndarray, strengths: np.ndarray) -> ep.Tensor:
            images = np.empty((len(indices), *x.shape[1:]), x.dtype)
            for strength in np.unique(strengths):
                same = strengths == strength
                images[same] = gaussian_filter(x[indices[same]], strength * max_sigma, axes=axes)
            return batch.tensor(np.clip(images, lower, upper))

        return make
