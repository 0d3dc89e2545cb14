"""``SinglePixelAttack``: one pixel set to an extreme."""

from typing import Any

import eagerpy as ep
import numpy as np
from foolbox.distances import l2
from foolbox.models import Model

from lea_keras.checks import check_positive_int, check_seed
from lea_keras.robustness.attacks.base import ImageAttack
from lea_keras.robustness.attacks.pixels import Pixels
from lea_keras.robustness.attacks.trials import MAX_IMAGES, Trials

_FIRST, _MOST = 8, 256  # candidates of a sample tried at once: few at first, as many samples may be done soon


class SinglePixelAttack(ImageAttack):
    """Sets one pixel to the minimum or maximum (Narodytska & Kasiviswanathan 2016, arXiv 1612.06299).

    Up to ``max_pixels`` different pixels of each sample are drawn. Each gives two candidates: all its channels at the
    lower bound, or all at the upper. foolbox 1.8 tried them in the order drawn and stopped at the first success; it
    also drew rows up to the number of columns by mistake. Here candidates come in the order of their distance from the
    image, which is known before the model is asked, equally distant ones in the order drawn **(chosen)**. The first
    success then is the smallest of all, at no extra cost. Candidates that change nothing are left out.

    Args:
        max_pixels: how many pixels of a sample are tried at most.
        seed: decides which, for each position in the batch on its own.
        max_images: how many images a model call takes at most.

    Raises:
        ValueError: for an argument outside what is said above, or images that do not have four axes.
    """

    distance = l2

    def __init__(self, *, max_pixels: int = 1000, seed: int = 0, max_images: int = MAX_IMAGES) -> None:
        self.max_pixels = check_positive_int("max_pixels", max_pixels)
        self.seed = check_seed(seed)
        self.max_images = check_positive_int("max_images", max_images)

    def adversarials(self, model: Model, x: ep.Tensor, criterion: Any) -> ep.Tensor:
        """Returns the images [n, …] with one pixel changed; those of which none succeeded as they came."""
        trials = Trials(model, x, criterion, self.max_images)
        pixels, left, result = Pixels(trials), trials.running(), x.numpy().copy()
        bounds = np.array(trials.bounds, result.dtype)
        candidates = {row: self._candidates(pixels.values[row], row, bounds) for row in left.tolist()}
        start, together = 0, _FIRST
        while len(left := np.array([row for row in left if start < len(candidates[row])], int)):
            tried = [candidates[row][start : start + together] for row in left.tolist()]
            samples = np.repeat(left, [len(some) for some in tried])
            places, extremes = np.divmod(np.concatenate(tried), 2)
            done = np.zeros(len(x), bool)
            for part in trials.batches(len(samples)):
                if done[samples[part]].all():
                    continue
                images = pixels.changed(samples[part], places[part], bounds[extremes[part], None])
                fooled = trials.fooled(samples[part], trials.tensor(images))
                for row, image in zip(samples[part][fooled], images[fooled], strict=True):
                    if not done[row]:  # those of a sample come in order, so the first is the closest
                        done[row], result[row] = True, image
            left = left[~done[left]]
            start, together = start + together, min(2 * together, _MOST)
        return trials.tensor(result)

    def _candidates(self, values: np.ndarray, row: int, bounds: np.ndarray) -> np.ndarray:
        """Twice the number of a pixel, plus one for the upper bound, by distance; values are [pixels, channels]."""
        drawn = np.random.default_rng((self.seed, row)).permutation(len(values))[: self.max_pixels]
        differences = bounds[None, :, None].astype(np.float64) - values[drawn, None, :]  # [drawn, 2, channels]
        distances = np.sum(np.square(differences), axis=-1).reshape(-1)
        numbers = (2 * drawn[:, None] + np.arange(2)).reshape(-1)
        order = np.argsort(distances, kind="stable")
        return numbers[order][distances[order] > 0]
