"""Inspection of a trained model: inputs, code maps, reconstructions and confidence of its LEAs (thesis chapter 4)."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from lea_keras.autoencoders.base import Report
from lea_keras.checks import check_number, check_positive_int, fail
from lea_keras.data import batch as batches
from lea_keras.layers.lea import LocallyEmbeddedAutoencoder
from lea_keras.layers.scope import forward_pass
from lea_keras.metrics import reconstruction_confidence
from lea_keras.windows import merge_windows


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
        confidence: [b, rows, columns] in [0, 1], relative to the worst window of the batch, which has exactly 0, or to
            ``largest`` (Eq. 4.4).
        confidence_images: [b, h, w], the same over the input's pixels; averaged where windows overlap, and 0 where no
            window lies.
        histograms: of inputs and reconstructed values.
        largest: the error of a window (Eq. 4.3) at which confidence is 0, where ``inspect`` was given one.
    """

    layer: LocallyEmbeddedAutoencoder
    inputs: np.ndarray
    code_maps: np.ndarray
    windows: np.ndarray
    reconstructions: np.ndarray
    confidence: np.ndarray
    confidence_images: np.ndarray
    histograms: Histograms
    largest: float | None = None

    @property
    def unclipped(self) -> np.ndarray:
        """[b, h, w, c], the windows merged and not clipped; put together anew with every use."""
        return _numpy(_merge(self.layer, self.windows, self.inputs.shape[1:3]))


def inspect(
    model: keras.Model, images: Any, bins: int = 50, largest: float | Mapping[str, float] | None = None
) -> list[Inspection]:
    """Runs a batch through a model and returns what each of its LEAs made of it.

    Works on any built or callable ``keras.Model`` with LEA layers, nested or subclassed, and changes nothing in it.

    Args:
        model: the model.
        images: one batch of its inputs, [b, …], or a list, tuple or dictionary of them where it has several; or a
            ``tf.data.Dataset`` or ``keras.utils.PyDataset``, whose first batch is taken, without labels. They all are
            in memory at once.
        bins: of the histograms.
        largest: the error of the worst window (max RL of Eq. 4.4) of all data, where confidence is to be relative to
            that and not to the worst window of this batch: a number, or numbers by the names of the LEAs where the
            model has several. Windows with a larger error have confidence 0.

    Returns:
        One ``Inspection`` per use of a LEA, in the order of the calls; empty for a model without LEAs.

    Raises:
        ValueError: if images are not a non-empty batch of finite numbers that the model takes, an argument is not as
            said above, or what a LEA makes of the images is not finite.
    """
    if not isinstance(model, keras.Model):
        raise fail("model", "a keras.Model", type(model).__name__)
    bins = check_positive_int("bins", bins)
    for value in largest.values() if isinstance(largest, Mapping) else () if largest is None else (largest,):
        check_number("largest", value)
    batch = batches.for_model(model, batches.first_batch(images))
    if not model.built:
        batches.call(model, batch)  # building may run layers symbolically, which is nothing to look at
    with forward_pass("inspect") as current:
        batches.call(model, batch)
    by_name = _by_name(largest, [report.layer.name for report in current.reports])
    return [_inspection(report, bins, by_name.get(report.layer.name)) for report in current.reports]


def _by_name(largest: float | Mapping[str, float] | None, names: Iterable[str]) -> Mapping[str, float]:
    """The largest errors by the names of LEAs."""
    names = list(dict.fromkeys(names))
    if largest is None:
        return {}
    if not isinstance(largest, Mapping):
        if len(names) > 1:
            raise fail("largest", f"a mapping from names of LEAs, here {names}, where there are several", largest)
        return dict.fromkeys(names, largest)
    if not set(largest) <= set(names):
        raise fail("largest", f"a mapping from names of the model's LEAs, {names}", list(largest))
    return largest


def _inspection(report: Report, bins: int, largest: float | None) -> Inspection:
    layer, images = report.layer, ops.cast(report.windows.images, "float32")
    batch, height, width, channels = report.windows.images.shape
    grid = (batch, report.windows.rows, report.windows.columns)
    true_windows = ops.cast(report.windows.flat, "float32")
    reconstructions = ops.cast(report.reconstructions, "float32")
    windows = ops.reshape(reconstructions, (*grid, *layer.window_size, channels))
    confidence = reconstruction_confidence(true_windows, reconstructions, largest)
    confidence = ops.reshape(confidence, grid)  # [b·rows·columns] -> [b, rows, columns]
    tiles = ops.broadcast_to(confidence[..., None, None, None], (*grid, *layer.window_size, 1))
    inputs, merged = _numpy(images), _numpy(_merge(layer, windows, (height, width)))
    arrays = {
        "inputs": inputs,
        "code_maps": _numpy(report.windows.as_maps(report.codes)),
        "windows": _numpy(windows),
        "confidence": _numpy(confidence),
    }
    _check_finite(layer, arrays)
    return Inspection(
        layer=layer,
        **arrays,
        reconstructions=np.clip(merged, inputs.min(), inputs.max()),
        confidence_images=_numpy(_merge(layer, tiles, (height, width)))[..., 0],
        histograms=_histograms(inputs, merged, bins),
        largest=None if largest is None else float(largest),
    )


def _merge(layer: LocallyEmbeddedAutoencoder, windows: Any, size: tuple[int, int]) -> Any:
    """Images [b, h, w, c] of a layer's windows [b, rows, columns, wh, ww, c]."""
    return merge_windows(windows, size, layer.strides, layer.padding, "channels_last")


def _check_finite(layer: LocallyEmbeddedAutoencoder, arrays: Mapping[str, np.ndarray]) -> None:
    for name, values in arrays.items():
        if not np.all(np.isfinite(values)):
            received = f"NaN or infinite {name.replace('_', ' ')} of {layer.name!r}"
            raise fail("model", "a model whose LEAs are given and make finite values", received)


def _histograms(inputs: np.ndarray, reconstructions: np.ndarray, bins: int) -> Histograms:
    edges = np.histogram_bin_edges(np.concatenate([inputs.ravel(), reconstructions.ravel()]), bins)
    return Histograms(edges, np.histogram(inputs, edges)[0], np.histogram(reconstructions, edges)[0])


def _numpy(tensor: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))
