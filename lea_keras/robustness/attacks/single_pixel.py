"""``SinglePixelAttack``: one pixel set to an extreme."""

import numpy as np

from lea_keras.checks import check_positive_int, check_seed
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack, Pixels

_FIRST, _MOST = 8, 256  # candidates of a sample tried at once: few at first, as many samples may be done soon


class SinglePixelAttack(BatchAttack):
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

    def __init__(self, *, max_pixels: int = 1000, seed: int = 0, max_images: int = MAX_IMAGES) -> None:
        self.max_pixels = check_positive_int("max_pixels", max_pixels)
        self.seed = check_seed(seed)
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        pixels, left = Pixels(batch), batch.running()
        bounds = np.array(batch.bounds, results.dtype)
        candidates = {index: self.candidates(pixels.values[index], index, bounds) for index in left.tolist()}
        start, together = 0, _FIRST
        while len(left := np.array([index for index in left if start < len(candidates[index])], int)):
            tried = [candidates[index][start : start + together] for index in left.tolist()]
            indices = np.repeat(left, [len(numbers) for numbers in tried])
            places, extremes = np.divmod(np.concatenate(tried), 2)
            done = np.zeros(len(results), bool)
            for part in batch.parts(len(indices)):
                if done[indices[part]].all():
                    continue
                images = pixels.changed(indices[part], places[part], bounds[extremes[part], None])
                adversarial = batch.is_adversarial(indices[part], images)
                for index, image in zip(indices[part][adversarial], images[adversarial], strict=True):
                    if not done[index]:  # those of a sample come in order, so the first is the closest
                        done[index], results[index] = True, image
            left = left[~done[left]]
            start, together = start + together, min(2 * together, _MOST)

    def candidates(self, values: np.ndarray, index: int, bounds: np.ndarray) -> np.ndarray:
        """Twice the number of a pixel, plus one for the upper bound, by distance; values are [pixels, channels]."""
        drawn = np.random.default_rng((self.seed, index)).permutation(len(values))[: self.max_pixels]
        differences = bounds[None, :, None].astype(np.float64) - values[drawn, None, :]  # [drawn, 2, channels]
        distances = np.sum(np.square(differences), axis=-1).reshape(-1)
        numbers = (2 * drawn[:, None] + np.arange(2)).reshape(-1)
        order = np.argsort(distances, kind="stable")
        return numbers[order][distances[order] > 0]
