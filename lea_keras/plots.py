"""Pictures of what LEAs learned. Every function returns a matplotlib figure; nothing is shown or saved.

matplotlib is imported where a picture is drawn, so that importing the package stays cheap.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import ops

from lea_keras import windows as windowing
from lea_keras.layer import LocallyEmbeddedAutoencoder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches: the side of one picture, and the room for texts.
_CELL, _GAP, _RANGE, _HEADING, _TITLE, _MARGIN = 1.0, 0.14, 0.2, 0.24, 0.26, 0.15
_MINIMUM_WIDTH = 6.0
_DPI = 100


class _View(NamedTuple):
    """What is drawn of one LEA, channels last: inputs, code maps, reconstructions (None of an untrained decoder)."""

    inputs: np.ndarray
    code_maps: np.ndarray
    reconstructions: np.ndarray | None


def lea_layers(model: keras.Model) -> list[LocallyEmbeddedAutoencoder]:
    """The LEA layers right inside a model, in order."""
    return [layer for layer in model.layers if isinstance(layer, LocallyEmbeddedAutoencoder)]


def code_maps(model: keras.Model, images: Any, max_codes: int = 16) -> "Figure":
    """Draws inputs, code maps and reconstructions of every LEA in a model (thesis Figs. 4.4 and 5.2).

    One block per LEA, one row per image: the LEA's input, one grey picture per code variable, and the input put
    together again from the reconstructed windows, clipped to the range of the inputs. White is high, black is low. Each
    code map is scaled by its own range, which is printed below it; a reconstruction is scaled as its input. Of inputs
    that are no picture (neither 1 channel, nor 3 with values in [0, 1]) the mean of the channels is drawn.

    Args:
        model: a functional model with LEA layers, trained.
        images: [b, h, w, c], a few images as the model takes them.
        max_codes: of longer codes only so many code maps are drawn; the title says so.

    Returns:
        A figure whose size depends on the number of images, LEAs and code maps alone.

    Raises:
        ValueError: if the model has no LEA layer.
    """
    from matplotlib.figure import Figure

    leas = lea_layers(model)
    if not leas:
        names = [layer.name for layer in model.layers]
        raise ValueError(f"Argument `model` must have LEA layers. Received: a model with the layers {names}")
    views = [_view(model, layer, images) for layer in leas]
    columns = [2 + min(layer.code_length, max_codes) for layer in leas]
    rows = len(views[0].inputs)
    block = _TITLE + _HEADING + rows * (_CELL + _RANGE)
    width = max(2 * _MARGIN + max(columns) * (_CELL + _GAP) - _GAP, _MINIMUM_WIDTH)
    height = _MARGIN + len(leas) * (block + _MARGIN)
    figure = Figure(figsize=(width, height), dpi=_DPI)
    for i, (layer, view) in enumerate(zip(leas, views, strict=True)):
        top = height - _MARGIN - i * (block + _MARGIN)
        figure.text(_MARGIN / width, top / height, _title(layer, max_codes), fontsize=11, weight="bold", va="top")
        for row in range(rows):
            for column, (picture, limits, heading) in enumerate(_row(layer, view, row, max_codes)):
                left = _MARGIN + column * (_CELL + _GAP)
                bottom = top - _TITLE - _HEADING - row * (_CELL + _RANGE) - _CELL
                axes = figure.add_axes((left / width, bottom / height, _CELL / width, _CELL / height))
                _draw(axes, picture, limits, heading if row == 0 else "")
    return figure


def _view(model: keras.Model, layer: LocallyEmbeddedAutoencoder, images: Any) -> _View:
    """Runs images through the model up to a LEA, and through that LEA's autoencoder."""
    inputs = keras.Model(model.inputs, layer.input)(ops.convert_to_tensor(images), training=False)
    extracted = windowing.extract_windows(
        inputs, layer.window_size, layer.strides, layer.padding, layer.data_format
    )  # [b, rows, columns, wh, ww, c]
    grid, window = tuple(extracted.shape[:3]), tuple(extracted.shape[3:])
    codes = layer.autoencoder.encode(ops.reshape(extracted, (-1, *window)), training=False)
    if layer.data_format == "channels_first":
        inputs = ops.transpose(inputs, (0, 2, 3, 1))
    reconstructions = None
    if layer.loss_weight:  # without a weight the decoder was never trained
        decoded = ops.reshape(layer.autoencoder.decode(codes), (*grid, *window))
        merged = windowing.merge_windows(
            decoded, tuple(inputs.shape[1:3]), layer.strides, layer.padding, "channels_last"
        )
        merged = ops.clip(ops.cast(merged, "float32"), ops.min(inputs), ops.max(inputs))
        reconstructions = ops.convert_to_numpy(merged)
    maps = ops.reshape(ops.cast(codes, "float32"), (*grid, layer.code_length))
    return _View(ops.convert_to_numpy(ops.cast(inputs, "float32")), ops.convert_to_numpy(maps), reconstructions)


def _row(
    layer: LocallyEmbeddedAutoencoder, view: _View, row: int, max_codes: int
) -> list[tuple[np.ndarray, tuple[float, float], str]]:
    """Pictures, limits of their grey values and headings of one image, from left to right."""
    inputs, is_picture = _picture(view.inputs)
    limits = _limits(inputs if is_picture else inputs[row])
    label = "input" if is_picture else f"input, mean of\n{view.inputs.shape[-1]} channels"
    cells = [(inputs[row], limits, label)]
    for i in range(min(layer.code_length, max_codes)):
        code_map = view.code_maps[row, ..., i]
        cells.append((code_map, _limits(code_map), f"code {i + 1}"))
    if view.reconstructions is not None:
        shown = view.reconstructions if is_picture and inputs.ndim == 4 else np.mean(view.reconstructions, axis=-1)
        cells.append((shown[row], limits, "reconstruction"))
    return cells


def _picture(inputs: np.ndarray) -> tuple[np.ndarray, bool]:
    """What of [b, h, w, c] can be drawn, [b, h, w] or [b, h, w, 3], and whether that is all of it."""
    channels = inputs.shape[-1]
    if channels == 3 and inputs.min() >= 0 and inputs.max() <= 1:
        return inputs, True
    return np.mean(inputs, axis=-1), channels == 1


def _limits(picture: np.ndarray) -> tuple[float, float]:
    return float(np.min(picture)), float(np.max(picture))


def _title(layer: LocallyEmbeddedAutoencoder, max_codes: int) -> str:
    """The name of a LEA, its windows and how much of its code is drawn."""
    size, strides = ("×".join(str(n) for n in pair) for pair in (layer.window_size, layer.strides))
    shown = f", first {max_codes} of {layer.code_length} codes" if layer.code_length > max_codes else ""
    untrained = "" if layer.loss_weight else ", no decoder"
    return f"{layer.name}: windows {size}, strides {strides}{shown}{untrained}"


def _draw(axes: "Axes", picture: np.ndarray, limits: tuple[float, float], heading: str) -> None:
    """One picture with its heading above and its range of values below."""
    axes.imshow(picture, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest", aspect="equal")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color="0.6", linewidth=0.5)
    if heading:
        axes.set_title(heading, fontsize=7.5, pad=3, linespacing=0.95)
    low, high = _limits(picture)
    axes.set_xlabel(f"{low:.2g} … {high:.2g}", fontsize=6.5, labelpad=2, color="0.25")
