"""Pictures of what LEAs make of images: code maps, reconstructions, windows and confidence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from lea_keras.checks import check_choice, check_positive_int, fail
from lea_keras.data.batch import first_batch
from lea_keras.inspection import Inspection
from lea_keras.plots.grid import DIVERGING, GREY, Block, Cell, draw, range_text
from lea_keras.plots.views import (
    Drawable,
    Source,
    count_text,
    limits,
    names,
    note,
    resolve,
    resolve_with_decoder,
    title,
    widened,
)
from lea_keras.windows import extract_windows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAIRS = 4  # of input and reconstruction, in a row
_COLOURS = {"diverging": DIVERGING, "grey": GREY}
_CODES_NOTE = "codes: one scale for all images, below each column"


def code_maps(
    source: Source, images: Any = None, max_codes: int = 16, max_images: int = 8, colours: str = "diverging"
) -> "Figure":
    """Draws inputs, code maps and reconstructions of every LEA (thesis Figs. 4.4 and 5.2).

    One block per LEA, one row per image: the LEA's input, one picture per code variable, and the input put together
    again from the reconstructed windows, clipped to the range of the inputs. Each code has one scale for all images
    drawn, which a bar below its column shows: red above 0, white at 0, blue below, or grey from its lowest to its
    highest value as in the thesis. The range of every single picture is printed below it, that of a reconstruction
    before clipping; it is scaled as the inputs are. Of inputs that are no picture (neither 1 channel, nor 3 with values
    in [0, 1]) the mean of the channels is drawn.

    Args:
        source: a model with LEA layers, nested or not, or what ``lea_keras.inspect`` returned, or a part of that.
        images: with a model, a batch of its inputs, as ``lea_keras.inspect`` takes it.
        max_codes: of longer codes only so many code maps are drawn; the title says so.
        max_images: of larger batches only so many images are drawn; the title says so.
        colours: of the code maps, "diverging" or "grey".

    Returns:
        A figure whose size does not depend on the number of channels.

    Raises:
        ValueError: for an argument outside what is said above, or without any LEA.
    """
    views = resolve(source, images)
    max_codes = check_positive_int("max_codes", max_codes)
    max_images = check_positive_int("max_images", max_images)
    check_choice("colours", colours, _COLOURS)
    blocks = []
    for view, name in zip(views, names(views), strict=True):
        trained = bool(view.layer.loss_weight)
        inputs, reconstructed, clipping = _pairs(view, max_images)
        columns = [
            _code_cells(view, code, len(inputs), colours) for code in range(min(view.layer.code_length, max_codes))
        ]
        rows = zip(inputs, *columns, *([reconstructed] if trained else []), strict=True)
        text = (
            title(view, name) + count_text(max_codes, view.layer.code_length, "codes") + _images_text(view, max_images)
        )
        blocks.append(
            Block(
                text + ("" if trained else ", no decoder"),
                _heading_once([list(row) for row in rows]),
                note=_CODES_NOTE + (f"; {clipping}" if trained and clipping else ""),
                bars=range(1, len(columns) + 1),
            )
        )
    return draw(blocks)


def reconstructions(source: Source, images: Any = None, max_images: int = 8) -> "Figure":
    """Draws every LEA's inputs beside their reconstructions, merged and clipped to the inputs' range (section 4.2).

    Both are scaled alike. Below a reconstruction stands its range before clipping, and whether it was clipped. LEAs
    without a trained decoder (loss weight 0) are left out.

    Args:
        source: as in ``code_maps``.
        images: as in ``code_maps``.
        max_images: as in ``code_maps``.

    Returns:
        A figure whose size does not depend on the number of channels.

    Raises:
        ValueError: for an argument outside what is said above, or without any LEA that has a trained decoder.
    """
    views = resolve_with_decoder(source, images)
    max_images = check_positive_int("max_images", max_images)
    blocks = []
    for view, name in zip(views, names(views), strict=True):
        inputs, reconstructed, clipping = _pairs(view, max_images)
        rows = _in_rows([list(pair) for pair in zip(inputs, reconstructed, strict=True)])
        blocks.append(Block(title(view, name) + _images_text(view, max_images), rows, group=2, note=clipping))
    return draw(blocks)


def windows(source: Source, images: Any = None, max_windows: int = 16) -> "Figure":
    """Draws every LEA's windows beside their reconstructions (section 4.2, Fig. 3.3): of use for large windows.

    All windows of a LEA are scaled alike, and clipped to the inputs' range. Below each one stands where it is, below
    its reconstruction how confident that is (Eq. 4.4), and the range of either before clipping. Where there are more
    windows than ``max_windows``, those with the least confidence are drawn, the worst first **(chosen)**. LEAs without
    a trained decoder are left out.

    Args:
        source: as in ``code_maps``.
        images: as in ``code_maps``.
        max_windows: how many windows of each LEA are drawn.

    Returns:
        A figure whose size does not depend on the number of channels.

    Raises:
        ValueError: for an argument outside what is said above, or without any LEA that has a trained decoder.
    """
    views = resolve_with_decoder(source, images)
    max_windows = check_positive_int("max_windows", max_windows)
    blocks = []
    for view, name in zip(views, names(views), strict=True):
        layer, count = view.layer, view.confidence.size
        inputs = extract_windows(view.inputs, layer.window_size, layer.strides, layer.padding, "channels_last")
        inputs = np.asarray(ops.convert_to_numpy(inputs))  # [b, rows, columns, wh, ww, c], as the reconstructions
        drawable = Drawable(view.inputs)
        order = np.argsort(view.confidence, axis=None, kind="stable") if count > max_windows else np.arange(count)
        places = list(zip(*np.unravel_index(order[:max_windows], view.confidence.shape), strict=True))
        pairs = []
        for place in places:
            image, row, column = (int(n) + 1 for n in place)
            texts = f"image {image} ({row}, {column})", f"confidence {view.confidence[place]:.2f}"
            pairs.append(
                [
                    Cell(drawable.picture(values), drawable.scale, heading, f"{text}\n{drawable.caption(values)}")
                    for values, heading, text in zip(
                        (inputs[place], view.windows[place]), (drawable.heading, "reconstruction"), texts, strict=True
                    )
                ]
            )
        shown = f", the {max_windows} least confident of {count}" if count > max_windows else ""
        text = f"{title(view, name)}{shown}; image (row, column)"
        notes = note(view), drawable.clipping(np.stack([view.windows[place] for place in places]))
        blocks.append(Block(text, _in_rows(pairs), group=2, note="; ".join(filter(None, notes))))
    return draw(blocks)


def confidence_maps(
    source: Source | Mapping[Any, Inspection | list[Inspection]],
    images: Any = None,
    max_images: int = 8,
    max_epochs: int = 10,
) -> "Figure":
    """Draws every LEA's inputs and how confident it is of their reconstruction, of one or several epochs (Fig. 4.3).

    White is confidence 1, black 0, which the worst window of each epoch has (Eq. 4.4): grey values of different epochs
    tell where the reconstruction is bad, not whether it got better. They tell both where ``lea_keras.inspect`` was
    given the ``largest`` error. The note below the title says which. LEAs without a trained decoder are left out.

    Args:
        source: as in ``code_maps``; or a mapping from epochs (or other headings) to what ``lea_keras.inspect`` returned
            after them for one batch, in the order of the columns. The inputs drawn are those of the last.
        images: as in ``code_maps``.
        max_images: as in ``code_maps``.
        max_epochs: of more epochs only so many are drawn, from the first to the last at even distances.

    Returns:
        A figure whose size does not depend on the number of channels.

    Raises:
        ValueError: for an argument outside what is said above, without any LEA that has a trained decoder, or if the
            inspections of the epochs do not belong to the same LEAs and images.
    """
    max_images = check_positive_int("max_images", max_images)
    max_epochs = check_positive_int("max_epochs", max_epochs, minimum=2)
    images = None if images is None else first_batch(images)  # the same for all epochs
    epochs = source if isinstance(source, Mapping) else {"confidence": source}
    if not epochs:
        raise fail("source", "at least one epoch", {})
    views = {_epoch_text(epoch): resolve_with_decoder(value, images) for epoch, value in epochs.items()}
    shapes = {heading: [view.confidence_images.shape for view in found] for heading, found in views.items()}
    if any(found != list(shapes.values())[-1] for found in shapes.values()):
        raise fail("source", "of the same LEAs and images in all epochs", shapes)
    even = np.unique(np.linspace(0, len(views) - 1, min(len(views), max_epochs)).round().astype(int))
    headings = [list(views)[i] for i in even]
    last = views[headings[-1]]
    blocks = []
    for number, (view, name) in enumerate(zip(last, names(last), strict=True)):
        rows = []
        for i, cell in enumerate(_input_cells(Drawable(view.inputs), view.inputs[:max_images])):
            rows.append([cell])
            for heading in headings:
                confidence = views[heading][number].confidence_images[i]
                rows[-1].append(Cell(confidence, (0.0, 1.0), heading, range_text(*limits(confidence))))
        text = f"{name}: confidence, white 1, black 0{_images_text(view, max_images)}"
        notes = {heading: note(views[heading][number]) for heading in headings}
        blocks.append(Block(text, _heading_once(rows), note=_over_epochs(notes)))
    return draw(blocks)


def _pairs(view: Inspection, max_images: int) -> tuple[list[Cell], list[Cell], str]:
    """Inputs and reconstructions of the first images, scaled alike, and a note where some of the latter are clipped."""
    drawable, inputs = Drawable(view.inputs), view.inputs[:max_images]
    unclipped = view._replace(windows=view.windows[:max_images]).unclipped
    reconstructed = [
        Cell(drawable.picture(values), drawable.scale, "reconstruction", drawable.caption(before))
        for values, before in zip(view.reconstructions, unclipped, strict=False)
    ]
    return _input_cells(drawable, inputs), reconstructed, drawable.clipping(unclipped)


def _input_cells(drawable: Drawable, inputs: np.ndarray) -> list[Cell]:
    return [
        Cell(drawable.picture(values), drawable.scale, drawable.heading, drawable.caption(values)) for values in inputs
    ]


def _code_cells(view: Inspection, code: int, count: int, colours: str) -> list[Cell]:
    """The maps of one code variable of the first images, on one scale."""
    code_maps = view.code_maps[:count, ..., code]  # [count, rows, columns]
    low, high = limits(code_maps)
    if colours == "diverging":
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    scale = widened(low, high)
    return [
        Cell(code_map, scale, f"code {code + 1}", range_text(*limits(code_map)), _COLOURS[colours])
        for code_map in code_maps
    ]


def _over_epochs(notes: Mapping[str, str]) -> str:
    """One note for several epochs."""
    different = list(dict.fromkeys(notes.values()))
    if len(different) > 1:
        return "; ".join(f"{heading}: {text}" for heading, text in notes.items())
    return different[0] + (", epoch by epoch" if len(notes) > 1 else "")


def _in_rows(pairs: list[list[Cell]]) -> list[list[Cell]]:
    """Several pairs in each row."""
    rows = [sum(pairs[i : i + _PAIRS], []) for i in range(0, len(pairs), _PAIRS)]
    return _heading_once(rows)


def _heading_once(rows: list[list[Cell]]) -> list[list[Cell]]:
    """Headings above the first row alone."""
    return rows[:1] + [[cell._replace(heading="") for cell in row] for row in rows[1:]]


def _images_text(view: Inspection, max_images: int) -> str:
    return count_text(max_images, len(view.inputs), "images")


def _epoch_text(epoch: Any) -> str:
    return epoch if isinstance(epoch, str) else f"epoch {epoch}"
