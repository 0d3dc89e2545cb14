"""Images as lists of pixels, wherever their channels are."""

import numpy as np
from foolbox.attacks.base import get_channel_axis

from lea_keras.checks import fail, is_integer
from lea_keras.robustness.attacks.trials import Trials


def image_channel_axis(trials: Trials, channel_axis: int | None = None) -> int:
    """Which axis of images [n, …] holds the channels, 1 or 3: as given, as the model says, or the last.

    Raises:
        ValueError: if images do not have four axes, or for another axis.
    """
    shape = tuple(trials.x.shape)
    if len(shape) != 4:
        raise fail("inputs", "images with rows, columns and channels, four axes with the batch", shape)
    if channel_axis is None:
        found = get_channel_axis(trials.model, 4)
        return 3 if found is None else found
    if not is_integer(channel_axis) or channel_axis not in (1, 3, -1):
        raise fail("channel_axis", "1, 3, -1 or None", channel_axis)
    return channel_axis % 4


class Pixels:
    """A batch's images as arrays [n, pixels, channels], which attacks change at single places.

    Args:
        trials: the batch.

    Attributes:
        values: the images [n, pixels, channels], row by row; a copy.
        rows: of an image.
        columns: of an image.
    """

    def __init__(self, trials: Trials) -> None:
        self._trials, self._axis = trials, image_channel_axis(trials)
        images = np.moveaxis(trials.x.numpy(), self._axis, -1)  # [n, rows, columns, channels]
        _, self.rows, self.columns, channels = images.shape
        self.values = images.reshape(len(images), self.rows * self.columns, channels).copy()

    def images(self, values: np.ndarray) -> np.ndarray:
        """Images [m, …] in the model's layout of values [m, pixels, channels]."""
        shaped = values.reshape(len(values), self.rows, self.columns, values.shape[-1])
        return np.ascontiguousarray(np.moveaxis(shaped, -1, self._axis))

    def changed(self, samples: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Images of samples [m] whose pixels at ``places`` [m] have other ``values`` [m, channels]."""
        candidates = self.values[samples]
        candidates[np.arange(len(samples)), places] = values
        return self.images(candidates)
