"""What a trained model's LEAs make of a batch: inputs, code maps, reconstructions, confidence (thesis chapter 4)."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from lea_keras.checks import check_positive_int, fail
from lea_keras.layer import LocallyEmbeddedAutoencoder, Use, forward_pass
from lea_keras.metrics import reconstruction_confidence
from lea_keras.windows import extract_windows, merge_windows


class Histograms(NamedTuple):
    """How the values of inputs and reconstructions are distributed (section 4.2).

    Attributes:
        edges: [bins + 1], shared by both.
        inputs: [bins] counts of the LEA's input values.
        reconstructions: [bins] counts of the merged reconstruction's values, not clipped.
    """

    edges: np.ndarray
    inputs: np.ndarray
    reconstructions: np.ndarray


class Inspection(NamedTuple):
    """One LEA (one use of it, where a model uses it more than once) on one batch; all arrays float32, channels last.

    Attributes:
        layer: the LEA layer.
        inputs: [b, h, w, c], what the layer was given.
        code_maps: [b, rows, columns, code_length].
        windows: [b, rows, columns, wh, ww, c], the input's windows as reconstructed, not clipped.
        reconstructions: [b, h, w, c], the windows merged and clipped to the input's range of values (section 4.2).
        confidence: [b, rows, columns] in [0, 1], the worst window of the batch exactly 0 (Eq. 4.4).
        confidence_images: [b, h, w], the same over the input's pixels; averaged where windows overlap, and 0 where no
            window lies.
        histograms: of inputs and reconstructed values.
    """

    layer: LocallyEmbeddedAutoencoder
    inputs: np.ndarray
    code_maps: np.ndarray
    windows: np.ndarray
    reconstructions: np.ndarray
    confidence: np.ndarray
    confidence_images: np.ndarray
    histograms: Histograms


def inspect(model: keras.Model, images: Any, bins: int = 50) -> list[Inspection]:
    """Runs a batch through a model and returns what each of its LEAs made of it.

    Works on any built or callable ``keras.Model`` with LEA layers, nested or subclassed, and changes nothing in it.

    Args:
        model: the model.
        images: one batch of its inputs, [b, …]; they all are in memory at once.
        bins: of the histograms.

    Returns:
        One ``Inspection`` per use of a LEA, in the order of the calls; empty for a model without LEAs.

    Raises:
        ValueError: if images are not a non-empty batch, or bins is not positive.
    """
    bins = check_positive_int("bins", bins)
    if np.ndim(images) and not len(images):
        raise fail("images", "a batch of at least one image", np.shape(images))
    images = ops.convert_to_tensor(images)
    if not model.built:
        model(images, training=False)  # building may run layers symbolically, which is nothing to look at
    with forward_pass("inspect") as current:
        model(images, training=False)
    return [_inspection(use, bins) for use in current.uses]


def _inspection(use: Use, bins: int) -> Inspection:
    layer, images = use.layer, ops.cast(use.images, "float32")
    batch, height, width, channels = images.shape
    grid = (batch, *use.grid)
    windows = ops.reshape(ops.cast(use.objective.reconstructions, "float32"), (*grid, *layer.window_size, channels))
    merged = merge_windows(windows, (height, width), layer.strides, layer.padding, "channels_last")
    true_windows = extract_windows(images, layer.window_size, layer.strides, layer.padding, "channels_last")
    flat = (-1, *windows.shape[3:])  # [b, rows, columns, wh, ww, c] -> [b·rows·columns, wh, ww, c]
    confidence = reconstruction_confidence(ops.reshape(true_windows, flat), ops.reshape(windows, flat))
    confidence = ops.reshape(confidence, grid)  # [b·rows·columns] -> [b, rows, columns]
    tiles = ops.broadcast_to(confidence[..., None, None, None], (*grid, *layer.window_size, 1))
    confidence_images = merge_windows(tiles, (height, width), layer.strides, layer.padding, "channels_last")[..., 0]
    inputs, merged = _numpy(images), _numpy(merged)
    return Inspection(
        layer=layer,
        inputs=inputs,
        code_maps=_numpy(ops.reshape(use.objective.codes, (*grid, layer.code_length))),
        windows=_numpy(windows),
        reconstructions=np.clip(merged, inputs.min(), inputs.max()),
        confidence=_numpy(confidence),
        confidence_images=_numpy(confidence_images),
        histograms=_histograms(inputs, merged, bins),
    )


def _histograms(inputs: np.ndarray, reconstructions: np.ndarray, bins: int) -> Histograms:
    edges = np.histogram_bin_edges(np.concatenate([inputs.ravel(), reconstructions.ravel()]), bins)
    return Histograms(edges, np.histogram(inputs, edges)[0], np.histogram(reconstructions, edges)[0])


def _numpy(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))
