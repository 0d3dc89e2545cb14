"""Checks of the model, images and labels to attack, each with one clear line, before anything takes long."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lea_keras.checks import fail


def check_bounds(bounds: Any) -> tuple[float, float]:
    """Returns the (lower, upper) bounds of images if they are two finite numbers in that order."""
    allowed = "a pair (lower, upper) of finite numbers, the first below the second"
    try:
        lower, upper = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        raise fail("bounds", allowed, bounds) from None
    if not (math.isfinite(lower) and math.isfinite(upper) and lower < upper):
        raise fail("bounds", allowed, bounds)
    return lower, upper


def check_images(images: Any, bounds: tuple[float, float]) -> np.ndarray:
    """Returns images as float32 [n, rows, columns, channels] (or channels first) if all values lie within bounds."""
    array = np.asarray(images)
    received = f"{array.dtype} array of shape {array.shape}"
    if array.ndim != 4 or not array.size:
        raise fail("images", "at least one image, [n, rows, columns, channels]", received)
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise fail("images", "numbers", received)
    array = np.ascontiguousarray(array, np.float32)
    # A NaN anywhere makes both extremes NaN, so that one comparison finds it without a copy of the array.
    low, high = float(array.min()), float(array.max())
    if not (np.float32(bounds[0]) <= low and high <= np.float32(bounds[1])):
        hint = "Divide 8-bit images by 255." if bounds == (0.0, 1.0) and low >= 0.0 and 1.0 < high <= 255.0 else ""
        allowed = f"finite and within the bounds, {bounds[0]:g} to {bounds[1]:g}"
        raise fail("images", allowed, f"{received}, minimum {low:g}, maximum {high:g}", hint)
    return array


def fits(wanted: Sequence[int | None], images_shape: Sequence[int | None]) -> bool:
    """Whether an input takes images of a shape, both with the batch axis; sizes of None are those of any image."""
    pairs = zip(wanted[1:], images_shape[1:], strict=False)
    return len(wanted) == len(images_shape) and all(size in (None, received) for size, received in pairs)


def check_input_shape(
    model: Any, images_shape: Sequence[int | None], argument: str = "images", taker: str = "model"
) -> None:
    """Raises if a model whose inputs are known takes something else than such images.

    Args:
        model: it may be a subclassed one, which says so when it is called.
        images_shape: with the batch axis.
        argument: that gave the shape, for the message.
        taker: the argument that gave the model.
    """
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return
    outputs = model.outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise fail(taker, "a model with one input and one output", f"{len(inputs)} inputs, {len(outputs)} outputs")
    wanted = tuple(inputs[0].shape)
    if not fits(wanted, images_shape):
        received: Any = tuple(images_shape)
        received = received[1:] if argument != "images" else f"an array of shape {received}"
        raise fail(argument, f"of the shape that the {taker} takes, {wanted}", received)


def check_labels(labels: Any, count: int, classes: int, owner: str = "model") -> np.ndarray:
    """Returns labels as int64 [n] if they are integers [n] or one-hot [n, classes]; ``owner`` has the classes."""
    array = np.asarray(labels)
    received = f"{array.dtype} array of shape {array.shape}"
    integers = array.shape == (count,) and np.issubdtype(array.dtype, np.integer)
    if not integers and array.shape != (count, classes):
        allowed = (
            f"one of {classes} classes for each of {count} images: integers [{count}] or one-hot [{count}, {classes}]"
        )
        raise fail("labels", allowed, received)
    if integers:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= classes:
            allowed = f"from 0 to {classes - 1}, as the {owner} has {classes} classes"
            raise fail("labels", allowed, f"{received}, minimum {low}, maximum {high}")
        return array.astype(np.int64)
    if np.any((array != 0) & (array != 1)) or np.any(np.count_nonzero(array, axis=1) != 1):
        raise fail("labels", "one-hot, with exactly one 1 among zeros in every row", received)
    return np.argmax(array, axis=1).astype(np.int64)
