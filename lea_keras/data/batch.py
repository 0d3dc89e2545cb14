"""One batch of a model's inputs: taken from arrays, structures of them or data sets, and checked before anything runs.

No message holds a value of a batch; what came is described by type, shape and range.
"""

import numbers
import sys
from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Any

import keras
import numpy as np
from keras import ops

from lea_keras.checks import fail

_ALLOWED = "one batch of the model's inputs: an array, a list or dictionary of arrays, a tf.data.Dataset or a PyDataset"
_LARGEST = 1e18  # the square of it, and the sum over a window of such squares, is a float32 number
_BATCH_AXIS = "A single image becomes a batch as images[None], single samples of a data set by batching them."


def first_batch(images: Any) -> Any:
    """Returns one batch of a model's inputs, checked as far as that goes without the model.

    Args:
        images: arrays or tensors [b, …], one or a list, tuple or dictionary of them for a model of several inputs;
            or a ``tf.data.Dataset`` or ``keras.utils.PyDataset`` of batches, whose first one is taken (of pairs
            (x, y), as for ``fit``, its x). An iterator or generator is refused: its batch would be lost to others.

    Returns:
        An array or tensor, or a list or dictionary of them.

    Raises:
        ValueError: if that is not what came; if there are no images; or if a value is not finite or so large that
            its square is not.
    """
    if _is_dataset(images):
        images = _first_inputs(images)
    batch = _structure(images)
    leaves = [leaf for leaf in keras.tree.flatten(batch) if leaf is not None]
    if not leaves:
        raise fail("images", _ALLOWED, type(images).__name__)
    arrays = [_array(leaf) for leaf in leaves]
    shapes = [array.shape for array in arrays]
    if any(not array.size for array in arrays) or max(map(len, shapes)) < 2:
        raise fail("images", "a batch of at least one image", shapes[0] if len(shapes) == 1 else shapes)
    for array in arrays:
        _check_values(array)
    return keras.tree.map_structure(
        lambda leaf: leaf if leaf is None or hasattr(leaf, "shape") else _array(leaf), batch
    )


def for_model(model: keras.Model, batch: Any) -> Any:
    """Returns what ``first_batch`` returned in the structure that a model takes.

    A list of images [h, w, c] becomes a batch of them where a model has one input; of a dictionary, those entries are
    left that are inputs.

    Raises:
        ValueError: if number, names or shapes of the inputs are not the model's, as far as these are known, or the
            inputs differ in their number of images.
    """
    inputs = list(getattr(model, "inputs", None) or ())
    if isinstance(batch, list) and (len(inputs) == 1 or not inputs and _are_images(batch)):
        batch = _stack(batch, inputs)
    structure = getattr(model, "input", None)  # which a Sequential has only after a call
    if inputs and (isinstance(batch, dict) or isinstance(structure, dict)):
        batch = _named(batch, list(structure) if isinstance(structure, dict) else [], inputs)
    leaves = keras.tree.flatten(batch)
    if inputs and len(leaves) != len(inputs):
        allowed = f"as many arrays as the model has inputs, {[tensor.name for tensor in inputs]}"
        raise fail("images", allowed, describe(batch))
    for tensor, leaf in zip(inputs, leaves, strict=bool(inputs)):
        if leaf is not None and not _fits(tuple(leaf.shape), tuple(tensor.shape)):
            hint = _BATCH_AXIS if _fits((1, *leaf.shape), tuple(tensor.shape)) else ""
            of_input = f" at its input {tensor.name!r}" if len(inputs) > 1 else ""
            allowed = f"of the shape that the model takes{of_input}, {tuple(tensor.shape)}"
            raise fail("images", allowed, describe(leaf), hint)
    counts = {int(leaf.shape[0]) for leaf in leaves if leaf is not None and len(leaf.shape)}
    if len(counts) > 1:
        raise fail("images", "equally many at all inputs", describe(batch))
    return keras.tree.map_structure(lambda leaf: None if leaf is None else ops.convert_to_tensor(leaf), batch)


def call(model: keras.Model, batch: Any) -> Any:
    """Runs what ``for_model`` returned through a model, outside training.

    Raises:
        ValueError: what the model raises; of what may be a single image, with a line about that.
    """
    try:
        return model(batch, training=False)
    except ValueError as error:
        if getattr(model, "inputs", None) or not hasattr(batch, "shape") or len(batch.shape) != 3:
            raise
        raise fail("images", "a batch that the model takes", describe(batch), _BATCH_AXIS) from error


def describe(batch: Any) -> str:
    """Types and shapes of a batch, such as "float32 array of shape (2, 8, 8, 1)"."""
    if isinstance(batch, dict):
        return "{" + ", ".join(f"{name}: {describe(value)}" for name, value in batch.items()) + "}"
    if isinstance(batch, list):
        return "[" + ", ".join(map(describe, batch)) + "]"
    if batch is None:
        return "None"
    return f"{getattr(batch.dtype, 'name', batch.dtype)} array of shape {tuple(batch.shape)}"


def _is_dataset(images: Any) -> bool:
    tensorflow = sys.modules.get("tensorflow")  # where it was never imported nothing can be a data set of its
    is_tensorflows = tensorflow is not None and isinstance(images, tensorflow.data.Dataset)
    return is_tensorflows or isinstance(images, keras.utils.PyDataset)


def _first_inputs(dataset: Any) -> Any:
    """x of the first batch: the element itself, or the first part of (x,), (x, y) or (x, y, sample weights)."""
    elements = iter(dataset) if not isinstance(dataset, keras.utils.PyDataset) else _items(dataset)
    for element in elements:
        if isinstance(element, (list, tuple)) and not 1 <= len(element) <= 3:
            allowed = "a data set of x, (x,), (x, y) or (x, y, sample_weight)"
            raise fail("images", allowed, f"a {type(dataset).__name__} of {len(element)} parts")
        return keras.utils.unpack_x_y_sample_weight(element)[0]
    raise fail("images", "a data set with at least one batch", f"an empty {type(dataset).__name__}")


def _items(dataset: keras.utils.PyDataset) -> Iterator[Any]:
    if not isinstance(dataset, Sized) or len(dataset):
        yield dataset[0]


def _structure(value: Any) -> Any:
    """Dictionaries and lists of arrays; what consists of Python's own numbers alone is an array itself."""
    if isinstance(value, Mapping):
        return {name: _structure(part) for name, part in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    if not _are_numbers(value):
        return [_structure(part) for part in value]
    try:
        return np.asarray(value)
    except ValueError as error:
        raise fail("images", _ALLOWED, f"a {type(value).__name__} of lists of different lengths") from error


def _are_numbers(value: Any) -> bool:
    """Whether a list holds numbers, or lists of them, and nothing else."""
    if isinstance(value, (list, tuple)):
        return all(map(_are_numbers, value))
    return isinstance(value, numbers.Number) and not isinstance(value, np.generic)


def _array(leaf: Any) -> np.ndarray:
    """A leaf as NumPy's array, for a look at its values."""
    name = type(leaf).__name__
    if isinstance(leaf, keras.KerasTensor) or isinstance(leaf, Iterator):
        hint = "Pass a batch of it, next(images)." if isinstance(leaf, Iterator) else ""
        raise fail("images", _ALLOWED, name, hint)
    try:
        array = np.asarray(ops.convert_to_numpy(leaf) if ops.is_tensor(leaf) else leaf)
    except (TypeError, ValueError, RuntimeError) as error:
        raise fail("images", _ALLOWED, name) from error
    dtype = array.dtype.name
    is_real = np.issubdtype(array.dtype, np.number) and not np.issubdtype(array.dtype, np.complexfloating)
    if not is_real and array.dtype != np.bool_ and not dtype.startswith(("bfloat", "float8")):
        raise fail("images", "numbers" if array.ndim else _ALLOWED, _what(leaf, array))
    return array


def _what(leaf: Any, array: np.ndarray) -> str:
    """What came instead of numbers."""
    return f"{array.dtype.name} array of shape {array.shape}" if hasattr(leaf, "shape") else type(leaf).__name__


def _check_values(array: np.ndarray) -> None:
    # A NaN anywhere makes both extremes NaN, so that one comparison finds it without a copy of the array.
    low, high = float(np.min(array)), float(np.max(array))
    if not (-_LARGEST <= low and high <= _LARGEST):
        allowed = f"finite and within ±{_LARGEST:.0e}, where their squares are float32 numbers"
        raise fail("images", allowed, f"{describe(array)}, minimum {low:g}, maximum {high:g}")


def _are_images(batch: Sequence[Any]) -> bool:
    """Whether a list holds images [h, w, c] of one shape, and not the inputs [b, …] of a model."""
    shapes = _shapes(batch)
    return len(shapes) == 1 and len(shapes.pop()) == 3


def _shapes(batch: Sequence[Any]) -> set[tuple[int, ...]]:
    """The shapes that arrays in a list have; empty where it holds something else, too."""
    return {tuple(leaf.shape) for leaf in batch} if all(hasattr(leaf, "shape") for leaf in batch) else set()


def _stack(batch: list[Any], inputs: Sequence[keras.KerasTensor]) -> Any:
    """The one input of a model out of a list: its only element, or all of them as a batch."""
    shapes = _shapes(batch)
    if len(batch) == 1 and shapes and inputs and _fits(next(iter(shapes)), tuple(inputs[0].shape)):
        return batch[0]
    if len(shapes) != 1:
        raise fail("images", "one array, or a list of images of one shape, for a model of one input", describe(batch))
    return np.stack([_array(leaf) for leaf in batch])


def _named(batch: Any, keys: list[str], inputs: Sequence[keras.KerasTensor]) -> Any:
    """The entries of a dictionary that a model takes: in one under its ``keys``, or else by the names of its inputs."""
    names = keys or [tensor.name for tensor in inputs]
    if len(names) == 1 and hasattr(batch, "shape"):
        return {names[0]: batch}
    if not isinstance(batch, dict) or any(name not in batch for name in names):
        received = list(batch) if isinstance(batch, dict) else describe(batch)
        raise fail("images", f"a dictionary with the model's inputs {names}", received)
    if keys:
        return {name: batch[name] for name in names}
    return [batch[name] for name in names] if len(names) > 1 else batch[names[0]]


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether Keras takes an array of some shape for an input: a last axis of 1 may be there or not."""
    shapes = [shape]
    if wanted and wanted[-1] == 1 and len(shape) == len(wanted) - 1:
        shapes.append((*shape, 1))
    if shape and shape[-1] == 1 and len(shape) == len(wanted) + 1:
        shapes.append(shape[:-1])
    return any(
        len(candidate) == len(wanted)
        and all(size is None or size == length for length, size in zip(candidate, wanted, strict=True))
        for candidate in shapes
    )
