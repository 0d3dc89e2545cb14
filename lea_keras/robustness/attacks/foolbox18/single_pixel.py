"""Single Pixel of foolbox 1.8: the first success in the order drawn."""

import numpy as np

from lea_keras.robustness.attacks.single_pixel import SinglePixelAttack


class SinglePixel18(SinglePixelAttack):
    """Single Pixel (Narodytska & Kasiviswanathan 2016) as in v1.8.0, ``SinglePixelAttack``.

    As ours, but candidates come in the order in which their pixels were drawn, first the lower bound and then the
    upper, not in that of their distance. 1.8 took rows for columns, which makes no difference on square images; where
    it would have failed on others, rows are rows here **(chosen)**.
    """

    def candidates(self, values: np.ndarray, index: int, bounds: np.ndarray) -> np.ndarray:
        """Twice the number of a pixel, plus one for the upper bound, as drawn; values are [pixels, channels]."""
        drawn = np.random.default_rng((self.seed, index)).permutation(len(values))[: self.max_pixels]
        return (2 * drawn[:, None] + np.arange(2)).reshape(-1)
