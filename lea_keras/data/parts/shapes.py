"""The alphabet of the data set `parts`: five shapes that look the same after no turn but a full one.

Every shape points along u and is symmetric in v. It lies within a circle of radius 1 around the origin, and is given by
a function that is positive inside, 0 on the outline and negative outside; near the outline, and away from corners, it
is the distance to the outline, so that its gradient is the outline's normal.
"""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np


def _wedge(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """An isosceles triangle with its tip at (1, 0) and the other corners at (-0.6, ±0.8)."""
    sides = (1.0 - u - 2.0 * np.abs(v)) * _STEEP  # the lines |v| = (1 - u) / 2, over the length of their gradient
    return np.minimum(u + 0.6, sides)


def _half(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The half of a disc of radius 0.92 around (-0.37, 0) that lies ahead."""
    ahead = u + 0.37
    return np.minimum(ahead, 0.92 - np.sqrt(ahead * ahead + v * v))


def _chevron(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Two arms that meet at (0.6, 0) in a right angle, cut off at v = ±0.7."""
    behind_front = (0.6 - u - np.abs(v)) * _DIAGONAL
    return np.minimum(np.minimum(behind_front, 0.6 * _DIAGONAL - behind_front), 0.7 - np.abs(v))


def _tee(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A bar across from u = -0.65 to -0.2, 1.5 wide, and a stem from there to u = 0.95, 0.44 wide."""
    bar = np.minimum(np.minimum(u + 0.65, -0.2 - u), 0.75 - np.abs(v))
    stem = np.minimum(np.minimum(u + 0.65, 0.95 - u), 0.22 - np.abs(v))
    return np.maximum(bar, stem)


def _ring(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A ring of radii 0.45 and 0.95, open ahead for |v| < 0.3."""
    radius = np.sqrt(u * u + v * v)
    opening = np.minimum(u, 0.3 - np.abs(v))  # positive in it
    return np.minimum(np.minimum(radius - 0.45, 0.95 - radius), -opening)


# Of gradients (1, 2) and (1, 1): 1 / sqrt(5) and 1 / sqrt(2), which are correctly rounded everywhere.
_STEEP, _DIAGONAL = 1.0 / np.sqrt(5.0), 1.0 / np.sqrt(2.0)

#: From (u, v), arrays of one shape, to the function that is positive inside, by name; the first is the key.
OUTLINES: MappingProxyType[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = MappingProxyType(
    {"ring": _ring, "wedge": _wedge, "half": _half, "chevron": _chevron, "tee": _tee}
)


def normals(shape: str, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the gradient (∂u, ∂v) of a shape's function, which across the outline points inwards.

    Args:
        shape: of `OUTLINES`.
        u: along the shape's direction.
        v: across; of the same shape of array.
    """
    outline, step = OUTLINES[shape], 1e-4
    return outline(u + step, v) - outline(u - step, v), outline(u, v + step) - outline(u, v - step)
