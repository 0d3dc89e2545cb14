"""The convex outer adversarial polytope: bounds on all values that a ReLU network may take on a box of images.

E. Wong and J. Z. Kolter, "Provable defenses against adversarial examples via the convex outer adversarial polytope"
(arXiv:1711.00851, 2018). Of a ReLU whose input lies between l < 0 < u the output lies in a triangle, above 0 and the
input and below the line from (l, 0) to (u, u). What a network can make of a box then lies in a convex set, and how far
that reaches in a direction is bounded by its dual: with the slope u/(u − l) for both sides of the triangle, the
direction is led back through the network, layer by layer, by transposed weights alone.

The authors' Algorithm 1 leads all rows forward instead, with the same result; led back there are fewer. All is
``keras.ops``, and differentiable. [n, m, s]: of n images, m directions, s values; n is 1 where all images share it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras import ops

from lea_keras.robustness.affine import Affine
from lea_keras.utils import slices


class Box(NamedTuple):
    """What the values of an image may be: middle ± radius, each [n, s]."""

    middle: Any
    radius: Any


class Relaxation(NamedTuple):
    """What is known of the ReLUs behind an affine map.

    Attributes:
        slope: [n, s]; 0 where the input is never positive, 1 where it is never negative, else u/(u − l).
        low: [n, s]; l where the sign of the input is open, else 0.
        outputs: the box in which its outputs lie.
    """

    slope: Any
    low: Any
    outputs: Box


def box(images: Any, epsilon: Any, bounds: tuple[float, float] | None) -> Box:
    """The images [n, s] that differ from given ones by at most ε, [n, 1] or a number, everywhere, within bounds."""
    lower, upper = images - epsilon, images + epsilon
    if bounds is not None:
        lower, upper = ops.maximum(lower, bounds[0]), ops.minimum(upper, bounds[1])
    return Box((lower + upper) / 2, (upper - lower) / 2)


def relax(lower: Any, upper: Any) -> Relaxation:
    """The triangles over inputs from lower to upper, [n, s]."""
    unstable = ops.logical_and(lower < 0, upper > 0)
    positive = ops.cast(lower >= 0, lower.dtype)
    width = ops.where(unstable, upper - lower, 1.0)  # where it is not chosen its gradient must be finite, too
    slope = ops.where(unstable, upper / width, positive)
    low, high = ops.relu(lower), ops.relu(upper)
    outputs = Box((low + high) / 2, (high - low) / 2)
    return Relaxation(slope, ops.where(unstable, lower, 0.0), outputs)


def activations(
    network: Sequence[Affine], images: Box, *, values: int | None = None, tight: bool = True, final: bool = True
) -> list[tuple[Any, Any]]:
    """Bounds (lower, upper), [n, s] each, on what every affine map returns, before its ReLU.

    Element by element the better of the polytope's and of intervals': those of the map on the box of its inputs.

    Args:
        network: the maps.
        images: the box.
        values: how many values [n, m, s] may be in an array at most, by choice of m; None: any number.
        tight: False: intervals alone, which cost two passes forward.
        final: False: without the last map.
    """
    found: list[tuple[Any, Any]] = []
    relaxed: list[Relaxation] = []
    for i, affine in enumerate(network if final else network[:-1]):
        if tight:
            widest = max(max(one.inputs, one.outputs) for one in network[: i + 1])
            count = affine.outputs if values is None else max(1, values // (images.middle.shape[0] * widest))
            parts = []
            for part in slices(affine.outputs, count):
                places = ops.arange(part.start, min(part.stop, affine.outputs))
                rows = ops.one_hot(places, affine.outputs)[None]  # [1, m, outputs]
                parts.append(directed(network[: i + 1], relaxed, rows, images))
            lower, upper = (ops.concatenate(sides, axis=1) for sides in zip(*parts, strict=True))
        else:
            inputs = relaxed[-1].outputs if relaxed else images
            middle, radius = affine(inputs.middle), affine.spread(inputs.radius)
            lower, upper = middle - radius, middle + radius
        found.append((lower, upper))
        relaxed.append(relax(lower, upper))
    return found


def directed(
    network: Sequence[Affine],
    relaxed: Sequence[Relaxation],
    rows: Any,
    images: Box,
    combine: Callable[[Any], Any] = lambda rows: rows,
) -> tuple[Any, Any]:
    """Bounds (lower, upper), [n, m] each, on directions in the outputs of a network.

    Args:
        network: the maps.
        relaxed: of the ReLUs behind all maps but the last one.
        rows: [1 or n, k, outputs], directions.
        images: the box.
        combine: the linear map from k rows, [1 or n, k, s], to the m that are asked for, such as differences. As slopes
            are the same for all rows, it may be taken anywhere on the way back, and k led back instead of m.
    """
    # Either bound is a centre, linear in the direction, and a reach to both sides of it: of a triangle's share
    # l·max(−r, 0) of a row r, −l·r/2 and l·|r|/2.
    constant = _dot(rows, network[-1].bias())
    rows = network[-1].pull(rows)
    inputs = relaxed[-1].outputs if relaxed else images
    centre, reach = constant + _dot(rows, inputs.middle), _dot(ops.abs(combine(rows)), inputs.radius)
    centre = combine(centre[..., None])[..., 0]
    lower, upper = centre - reach, centre + reach
    if not relaxed:
        return lower, upper
    reach = 0.0
    for affine, relaxation in zip(network[-2::-1], relaxed[::-1], strict=True):
        rows = rows * relaxation.slope[:, None]
        reach = reach - 0.5 * _dot(ops.abs(combine(rows)), relaxation.low)
        constant = constant + _dot(rows, affine.bias()) - 0.5 * _dot(rows, relaxation.low)
        rows = affine.pull(rows)
    reach = reach + _dot(ops.abs(combine(rows)), images.radius)
    centre = combine((constant + _dot(rows, images.middle))[..., None])[..., 0]
    lower, upper = ops.maximum(lower, centre - reach), ops.minimum(upper, centre + reach)
    return ops.minimum(lower, upper), ops.maximum(lower, upper)  # where they are one, rounding may have turned them


def _dot(rows: Any, values: Any) -> Any:
    """[1 or n, m, s] · [s] or [n, s] → [1 or n, m]."""
    if len(values.shape) == 1:
        return ops.matmul(rows, values)
    if rows.shape[0] == 1:
        return ops.matmul(values, ops.transpose(rows[0]))  # one product for all images
    return ops.matmul(rows, values[..., None])[..., 0]


def margins(network: Sequence[Affine], relaxed: Sequence[Relaxation], images: Box, labels: Any) -> Any:
    """Lower bounds [n, classes] on how far the logit of an image's class, of labels [n], is above every other one."""
    classes = network[-1].outputs
    each = ops.eye(classes)
    chosen = ops.one_hot(labels, classes)[:, None] - each  # [n, classes, classes]
    return directed(network, relaxed, each[None], images, lambda rows: ops.matmul(chosen, rows))[0]


def all_margins(network: Sequence[Affine], relaxed: Sequence[Relaxation], images: Box) -> Any:
    """Lower bounds [n, classes, classes] on how far each logit, of the second axis, is above each other one."""
    classes = network[-1].outputs
    each = ops.eye(classes)
    firsts, seconds = zip(*((i, j) for i in range(classes) for j in range(i + 1, classes)), strict=True)
    pairs = ops.take(each, firsts, axis=0) - ops.take(each, seconds, axis=0)  # [m, classes]
    lower, upper = directed(network, relaxed, each[None], images, lambda rows: ops.matmul(pairs, rows))
    # The upper bound of one difference is minus the lower bound of the other.
    there, back = (
        ops.one_hot([i * classes + j for i, j in zip(*places, strict=True)], classes**2)
        for places in ((firsts, seconds), (seconds, firsts))
    )
    return ops.reshape(ops.matmul(lower, there) - ops.matmul(upper, back), (-1, classes, classes))
