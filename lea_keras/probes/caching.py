"""Outputs of every layer of a frozen model."""

import contextlib
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers as kl
from keras import ops

from lea_keras.checks import check_choice, check_positive_int, fail
from lea_keras.layers.scope import forward_pass
from lea_keras.utils import Progress, say

INPUT = "input"


#: Layers that hand on the values of their input, outside training **(chosen)**: their probes would repeat others.
PASSING = (
    *(kl.InputLayer, kl.Flatten, kl.Reshape, kl.Permute, kl.Identity, kl.ActivityRegularization),
    *(kl.Dropout, kl.SpatialDropout1D, kl.SpatialDropout2D, kl.SpatialDropout3D),
    *(kl.AlphaDropout, kl.GaussianDropout, kl.GaussianNoise),
)

_FORWARD_BATCH = 64  # images that the frozen model takes at once; LEAs make many windows of each


def activations(
    model: keras.Model,
    images: Any,
    layers: Sequence[str] | None = None,
    *,
    max_features: int | None = None,
    memory_limit: int = 4 * 2**30,
    verbose: int = 0,
) -> dict[str, np.ndarray]:
    """Runs images once through a frozen model, outside training, and returns what comes out of each layer.

    Layers inside nested models count like any other, as "model/layer". A layer called more than once gives "layer",
    "layer#2", …; several outputs of one call give "layer[0]", "layer[1]", …. Layers in ``PASSING`` are left out unless
    asked for.

    Args:
        model: any ``keras.Model`` with one input; nothing in it changes.
        images: [n, …] as the model takes them; they are cast to float32.
        layers: names of those wanted; "input" is what the model is given. None: all.
        max_features: feature maps, the input too, are average-pooled over the smallest squares that leave at most so
            many values per image, or one per channel **(chosen)**; vectors stay as they are. None, as in the thesis:
            nothing is pooled.
        memory_limit: more bytes than this go to a temporary file instead of memory.
        verbose: 0: silent. 1: prints the bytes, and every half minute the time that is left.

    Returns:
        [n, features] by name, in the order of the calls; float16 where a layer computes in it, otherwise float32.

    Raises:
        ValueError: for an argument outside what is said above.
    """
    if not isinstance(model, keras.Model):
        raise fail("model", "a keras.Model", model)
    images = np.asarray(images)
    if images.ndim < 2 or not len(images):
        raise fail("images", "at least one image, [n, …]", f"an array of shape {images.shape}")
    max_features = None if max_features is None else check_positive_int("max_features", max_features)
    memory_limit = check_positive_int("memory_limit", memory_limit, minimum=0)
    if not model.built:
        model(ops.convert_to_tensor(images[:1], "float32"), training=False)  # may run layers symbolically
    found: dict[str, np.ndarray] = {}
    for batch in batches(np.arange(len(images)), _FORWARD_BATCH):
        values = _outputs(model, ops.convert_to_tensor(images[batch], "float32"), layers, max_features)
        if not found:
            found = _allocate(values, len(images), memory_limit, verbose)
            progress = Progress("", len(images), "images seen", verbose=verbose)
        for name, value in values.items():
            found[name][batch] = value
        progress.update(int(batch[-1]) + 1)
    progress.end()
    return found


def batches(rows: np.ndarray, size: int, whole: bool = False) -> Iterator[np.ndarray]:
    """Rows [n] in batches; if they have to be whole, the rest is left out unless there is nothing else."""
    end = len(rows) - len(rows) % size if whole and len(rows) > size else len(rows)
    return (rows[start : min(start + size, end)] for start in range(0, end, size))


def _named_layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, kl.Layer]]:
    """The layers of a model, those inside nested models instead of these."""
    for layer in model.layers:
        if isinstance(layer, keras.Model) and layer.layers:
            yield from _named_layers(layer, f"{prefix}{layer.name}/")
        else:
            yield prefix + layer.name, layer


@contextlib.contextmanager
def _calls(model: keras.Model) -> Iterator[list[tuple[kl.Layer, str, Any]]]:
    """Inside this context, calls of the model's layers are listed: layer, name and output.

    Keras has no hooks, and the tensors of a functional model do not reach into nested or subclassed ones; so the one
    method that every call of a layer goes through is wrapped meanwhile.
    """
    names: dict[int, str] = {}
    for name, layer in _named_layers(model):
        names.setdefault(id(layer), name)
    calls: list[tuple[kl.Layer, str, Any]] = []
    call = kl.Layer.__call__

    def listed_call(layer: kl.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs = call(layer, *args, **kwargs)
        if id(layer) in names:
            calls.append((layer, names[id(layer)], outputs))
        return outputs

    kl.Layer.__call__ = listed_call  # pyright: ignore[reportAttributeAccessIssue] (Keras names its arguments otherwise)
    try:
        yield calls
    finally:
        kl.Layer.__call__ = call


class _Output(NamedTuple):
    tensor: Any
    passing: bool
    data_format: str | None


def _outputs(
    model: keras.Model, images: Any, layers: Sequence[str] | None, max_features: int | None
) -> dict[str, np.ndarray]:
    """Activations [b, features] of one batch by name: those of ``layers``, or all but the passing ones."""
    with _calls(model) as calls, forward_pass("codes"):
        model(images, training=False)
    found = {INPUT: _Output(images, False, None)}
    uses = Counter([INPUT])
    for layer, name, outputs in calls:
        uses[name] += 1
        name = f"{name}#{uses[name]}" if uses[name] > 1 else name
        leaves = [leaf for leaf in keras.tree.flatten(outputs) if leaf is not None]
        for i, leaf in enumerate(leaves):
            output = _Output(leaf, isinstance(layer, PASSING), getattr(layer, "data_format", None))
            found[f"{name}[{i}]" if len(leaves) > 1 else name] = output
    if layers is None:
        wanted = {name for name, output in found.items() if not output.passing}
    elif isinstance(layers, str) or not len(layers):
        raise fail("layers", "None or a sequence of names", layers)
    else:
        wanted = {check_choice("layers", name, found) for name in layers}
    return {
        name: _vectors(output.tensor, output.data_format, max_features)
        for name, output in found.items()
        if name in wanted
    }


def _vectors(tensor: Any, data_format: str | None, max_features: int | None) -> np.ndarray:
    """[b, …] → [b, features], feature maps averaged over squares if they are too large."""
    if keras.backend.standardize_dtype(tensor.dtype) != "float16":
        tensor = ops.cast(tensor, "float32")
    if max_features is not None and len(tensor.shape) == 4:
        data_format = data_format or keras.config.image_data_format()
        height, width, channels = (
            tensor.shape[i] for i in ((2, 3, 1) if data_format == "channels_first" else (1, 2, 3))
        )
        fits = (
            side
            for side in range(1, max(height, width))
            if math.ceil(height / side) * math.ceil(width / side) * channels <= max_features
        )
        side = next(fits, max(height, width))
        if side > 1:
            tensor = ops.average_pool(tensor, side, side, "same", data_format)
    return np.asarray(ops.convert_to_numpy(ops.reshape(tensor, (tensor.shape[0], -1))))


def _allocate(values: dict[str, np.ndarray], count: int, memory_limit: int, verbose: int) -> dict[str, np.ndarray]:
    """Room for the activations of all images, given those of a batch, in memory or in a temporary file."""
    size = count * sum(value.nbytes // len(value) for value in values.values())
    place = "memory" if size <= memory_limit else "a temporary file"
    say(verbose, f"Activations of {count} images in {len(values)} layers: {describe_bytes(size)} in {place}")
    return {name: _empty((count, *value.shape[1:]), value.dtype, size > memory_limit) for name, value in values.items()}


def _empty(shape: tuple[int, ...], dtype: Any, on_disk: bool) -> np.ndarray:
    if not on_disk:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:  # lives as long as the array, and is gone from its folder at once
        return np.memmap(file, dtype, "w+", shape=shape)


def describe_bytes(size: int) -> str:
    """ "1.23 GB" or, below 0.1 GB, "45.60 MB"."""
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.2f} MB"
