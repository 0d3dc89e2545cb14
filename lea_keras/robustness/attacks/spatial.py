"""Shifts and rotations as in foolbox, from weak to strong: the weakest that succeeds."""

import itertools
import math

import numpy as np
from eagerpy.tensor import JAXTensor, PyTorchTensor, TensorFlowTensor
from foolbox.attacks.spatial_attack_transformations import rotate_and_shift

from lea_keras.checks import check_number, check_positive_int, fail
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack

_Transformation = tuple[float, float, float]  # shift across columns and across rows, in pixels; rotation in degrees


class SpatialSearch(BatchAttack):
    """The weakest shift and rotation that succeed (Engstrom et al. 2017, "A Rotation and a Translation Suffice").

    The transformations of foolbox's ``SpatialAttack`` on a grid: all combinations of a shift across columns, one across
    rows and a rotation about the centre, each from evenly spaced values. foolbox takes the first success in the order
    of the grid, which begins with the strongest. Here they come in order of strength, the root mean square of the
    three, each relative to its largest **(chosen)**. Of equally strong ones the success closest to the image counts; a
    sample that has one is done. The identity is left out.

    foolbox fills with zeros what comes in from outside, whatever the bounds, and its shift by one pixel of n is in fact
    one by (n − 1)/n. Images are meant to be square. It transforms tensors of TensorFlow and PyTorch only; those of JAX
    are transformed here by the same rule.

    Args:
        max_translation: in pixels, in each direction.
        max_rotation: in degrees, in each direction.
        num_translations: how many values either shift has, from one extreme to the other; 1.8 had ten.
        num_rotations: how many rotations.
        max_images: how many images a model call takes at most.

    Raises:
        ValueError: for an argument outside what is said above, images without four axes, or another backend.
    """

    def __init__(
        self,
        *,
        max_translation: float = 5.0,
        max_rotation: float = 5.0,
        num_translations: int = 10,
        num_rotations: int = 10,
        max_images: int = MAX_IMAGES,
    ) -> None:
        self.max_translation = check_number("max_translation", max_translation)
        self.max_rotation = check_number("max_rotation", max_rotation)
        self.num_translations = check_positive_int("num_translations", num_translations)
        self.num_rotations = check_positive_int("num_rotations", num_rotations)
        self.max_images = check_positive_int("max_images", max_images)

    def groups(self) -> list[list[_Transformation]]:
        """All transformations but the identity, equally strong ones together, from weak to strong."""
        shifts = np.linspace(-self.max_translation, self.max_translation, self.num_translations).tolist()
        rotations = np.linspace(-self.max_rotation, self.max_rotation, self.num_rotations).tolist()
        groups: dict[float, list[_Transformation]] = {}
        for across, down, rotation in itertools.product(shifts, shifts, rotations):
            strength = round(self.strength(across, down, rotation), 9)  # equal ones may differ in their last digits
            groups.setdefault(strength, []).append((across, down, rotation))
        return [groups[strength] for strength in sorted(groups) if strength > 0]

    def strength(self, across: float, down: float, rotation: float) -> float:
        """From 0, the identity, to 1, the three extremes together."""
        shift, turn = self.max_translation or 1.0, self.max_rotation or 1.0
        return math.sqrt(((across / shift) ** 2 + (down / shift) ** 2 + (rotation / turn) ** 2) / 3)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        first = batch.channel_axis() == 1
        left, original = batch.running(), results.copy()
        for group in self.groups():
            if not len(left):
                break
            closest = np.full(len(results), np.inf)
            together = max(1, self.max_images // len(left))  # transformations in one call
            for start in range(0, len(group), together):
                tried = group[start : start + together]
                indices = np.tile(left, len(tried))
                images = np.concatenate([_transform(batch, left, one, first) for one in tried])
                for part in batch.parts(len(indices)):
                    adversarial = batch.is_adversarial(indices[part], images[part])
                    for index, image in zip(indices[part][adversarial], images[part][adversarial], strict=True):
                        distance = float(np.sum(np.square(image - original[index], dtype=np.float64)))
                        if distance < closest[index]:
                            closest[index], results[index] = distance, image
            left = left[np.isinf(closest[left])]


def _transform(batch: Batch, indices: np.ndarray, transformation: _Transformation, channels_first: bool) -> np.ndarray:
    """These samples [m, …], transformed and within the bounds."""
    x = batch.x[indices]
    if isinstance(x, JAXTensor):
        images = np.moveaxis(x.numpy(), 1, -1) if channels_first else x.numpy()
        images = rotated_and_shifted(images, *transformation)
        images = np.moveaxis(images, -1, 1) if channels_first else images
        return np.clip(images, *batch.bounds)
    if not isinstance(x, (TensorFlowTensor, PyTorchTensor)):
        allowed = "tensors of TensorFlow or PyTorch, which foolbox can transform, or of JAX"
        raise fail("inputs", allowed, type(x.raw).__name__)
    wants_first = isinstance(x, PyTorchTensor)  # foolbox wants channels where their framework has them
    if wants_first != channels_first:
        x = x.transpose((0, 3, 1, 2) if wants_first else (0, 2, 3, 1))
    across, down, rotation = transformation
    x = rotate_and_shift(x.float32(), translation=(across, down), rotation=rotation)
    if wants_first != channels_first:
        x = x.transpose((0, 2, 3, 1) if wants_first else (0, 3, 1, 2))
    return x.clip(*batch.bounds).numpy()


def rotated_and_shifted(images: np.ndarray, across: float, down: float, rotation: float) -> np.ndarray:
    """foolbox's ``rotate_and_shift`` for arrays, in the same float32 steps, as rounding decides what is outside.

    A pixel is read by bilinear interpolation at its turned and shifted position, on a scale of ±1 from edge to edge.
    As in foolbox, a position on the last row or column or beyond counts as outside.

    Args:
        images: float32 [n, rows, columns, channels].
        across: shift of the position in pixels, to the right.
        down: the same, downwards.
        rotation: in degrees.

    Returns:
        float32 [n, rows, columns, channels]; 0 where the position is outside.
    """
    rows, columns = images.shape[1:3]
    angle = rotation * math.pi / 180.0
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    # foolbox divides the shift across by the number of rows, and the one down by that of columns.
    shift_x, shift_y = np.float32(across) / np.float32(rows / 2), np.float32(down) / np.float32(columns / 2)
    x = np.linspace(-1, 1, columns, dtype=np.float32)
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    # [rows, columns], each in pixels
    right = np.float32(0.5) * ((cosine * x - sine * y + shift_x + np.float32(1)) * np.float32(columns - 1))
    below = np.float32(0.5) * ((sine * x + cosine * y + shift_y + np.float32(1)) * np.float32(rows - 1))
    left, top = np.floor(right), np.floor(below)
    left, far = np.clip(left, 0, columns - 1), np.clip(left + 1, 0, columns - 1)
    top, bottom = np.clip(top, 0, rows - 1), np.clip(top + 1, 0, rows - 1)
    result = np.zeros(images.shape, np.float32)
    for column, weight_across in ((left, far - right), (far, right - left)):
        for row, weight_down in ((top, bottom - below), (bottom, below - top)):
            # Outside both ends are one, and their weights add up to 0.
            weights = (weight_across * weight_down)[..., None]
            result += weights * images[:, row.astype(int), column.astype(int)]
    return result
