"""Spatial of foolbox 1.8: shifts and rotations by scipy, from one corner of the grid."""

import itertools

import numpy as np
from scipy.ndimage import rotate, shift

from lea_keras.checks import check_number, check_positive_int
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack
from lea_keras.robustness.attacks.foolbox18.asked import Asked


class Spatial18(BatchAttack):
    """Shifts and rotations (Engstrom et al. 2017) as in v1.8.0, ``SpatialAttack``.

    The grid has ``granularity`` evenly spaced values of a shift across rows, one across columns, and a rotation. It is
    gone through in its own order, which begins with all three at their lowest, the strongest of all; ours begins with
    the weakest. The image is rotated with bilinear interpolation onto as large an image as it takes, shifted there by
    cubic splines, cut to its size from the middle and clipped, where ours does all in one bilinear step. What comes in
    from outside is 0, whatever the bounds. The first success is the result.

    Args:
        max_translation: in pixels, in each direction.
        max_rotation: in degrees, in each direction.
        granularity: how many values each of the three has, from one extreme to the other.
        max_images: how many images go through the model at once.

    Raises:
        ValueError: for an argument out of range; when run, for images without four axes or a targeted criterion.
    """

    def __init__(
        self,
        *,
        max_translation: float = 5.0,
        max_rotation: float = 5.0,
        granularity: int = 10,
        max_images: int = MAX_IMAGES,
    ) -> None:
        self.max_translation = check_number("max_translation", max_translation)
        self.max_rotation = check_number("max_rotation", max_rotation)
        self.granularity = check_positive_int("granularity", granularity)
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        asked, left, axis = Asked(batch, results), batch.running(), batch.channel_axis()
        images = np.moveaxis(batch.x.numpy(), axis, 1)  # [n, channels, rows, columns]
        shifts = np.linspace(-self.max_translation, self.max_translation, self.granularity).tolist()
        angles = np.linspace(-self.max_rotation, self.max_rotation, self.granularity).tolist()
        for down, across, angle in itertools.product(shifts, shifts, angles):
            if not len(left):
                break
            tried = np.clip(transform(images[left], down, across, angle), *batch.bounds)
            left = left[~asked.ask(left, np.ascontiguousarray(np.moveaxis(tried, 1, axis)))]


def transform(images: np.ndarray, down: float, across: float, angle: float) -> np.ndarray:
    """Images [n, channels, rows, columns], rotated by ``angle`` degrees and then shifted by pixels; in their shape."""
    rotated = rotate(images, angle, axes=(2, 3), order=1)
    shifted = np.empty_like(rotated)
    for place in np.ndindex(*rotated.shape[:2]):  # with further axes scipy would interpolate along these, too
        shift(rotated[place], (down, across), shifted[place])
    (top, left), (rows, columns) = (np.array(shifted.shape[2:]) - images.shape[2:]) // 2, images.shape[2:]
    return shifted[:, :, top : top + rows, left : left + columns]
