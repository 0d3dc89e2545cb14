"""Pictures of targeted attacks: success rates by source and target class, and the images behind them."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lea_keras.checks import check_choice, check_positive_int, fail, is_integer
from lea_keras.plots.grid import Block, Cell, draw
from lea_keras.plots.panels import in_a_row
from lea_keras.plots.pixels import text_width
from lea_keras.plots.views import Drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lea_keras.robustness import Reconstructions

_KINDS = {
    "ignore_target": "Reconstructions taken for another class than the source's, in %",
    "target": "Reconstructions taken for the target's class, in %",
}
_COLOURS = "cividis"  # told apart by colour-blind readers, and in grey
# In inches: a cell, the gap between cells and means, room for what is around them.
_CELL, _MEANS, _LEFT, _TOP, _GAP, _MARGIN, _BAR = 0.36, 0.1, 0.5, 0.5, 0.3, 0.15, 0.16
_TITLE_SIZE, _NAME_SIZE, _TICK_SIZE, _VALUE_SIZE = 11.0, 9.0, 8.0, 7.5  # points
_DARK = 0.55  # of the scale, below which numbers are white
_DPI = 150


class _Matrix(NamedTuple):
    """One of the matrices: its title, its cells as shares, and the means of rows, columns and cells."""

    title: str
    cells: np.ndarray
    by_source: np.ndarray
    by_target: np.ndarray
    mean: float


def pairs(
    results: "Mapping[str, Reconstructions | np.ndarray]", kind: str = "ignore_target", title: str | None = None
) -> "Figure":
    """Draws matrices of success rates side by side, all on one scale of colours: sources in rows, targets in columns.

    Right of every row, below every column and in the corner are the unweighted means of what stands there.

    Args:
        results: by model, what ``robustness.evaluate_reconstructions`` returned, or its ``matrix()``: shares
            [classes, classes], NaN where there is none.
        kind: "ignore_target" or "target", of results.
        title: above all. None: what is shown.

    Returns:
        A figure whose size depends on the number of models and classes alone.

    Raises:
        ValueError: if there is nothing to draw, for matrices that differ in their size or have values outside [0, 1].
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from lea_keras.plots.figure import Figure

    check_choice("kind", kind, _KINDS)
    if not isinstance(results, Mapping):
        raise fail("results", "a dictionary of results by the names of models", type(results).__name__)
    matrices = [_matrix(name, result, kind) for name, result in results.items()]
    sizes = sorted({len(one.cells) for one in matrices})
    if len(sizes) != 1:
        raise fail("results", "those of at least one model, all of the same number of classes", sizes)
    (classes,) = sizes
    side = _LEFT + (classes + 1) * _CELL + _MEANS
    columns = in_a_row(len(matrices))
    rows = math.ceil(len(matrices) / columns)
    heading = _KINDS[kind] if title is None else title
    named = max(text_width(one.title, _NAME_SIZE, "bold") for one in matrices)
    panel = max(side, _LEFT + named) + _GAP
    width = 2 * _MARGIN + max(columns * panel + _BAR + 0.45, 1.03 * text_width(heading, _TITLE_SIZE, "bold"))
    height = 2 * _MARGIN + 0.3 + rows * (_TOP + side - _LEFT + _GAP)
    figure = Figure(figsize=(width, height), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # the unit is the inch, downwards
    axes.axis("off")
    axes.text(_MARGIN, _MARGIN, heading, fontsize=_TITLE_SIZE, weight="bold", va="top", parse_math=False)
    scale = ScalarMappable(Normalize(0, 100), _COLOURS)  # of all pictures, so that two of them compare
    for i, one in enumerate(matrices):
        left, top = _MARGIN + i % columns * panel, _MARGIN + 0.3 + i // columns * (_TOP + side - _LEFT + _GAP)
        _draw_matrix(axes, one, left, top, scale)
    place = (_MARGIN + columns * panel) / width, (_BAR / width, (classes * _CELL) / height)
    bottom = 1 - (_MARGIN + 0.3 + _TOP + classes * _CELL) / height
    bar = figure.colorbar(scale, figure.add_axes((place[0], bottom, *place[1])))
    bar.ax.tick_params(labelsize=_TICK_SIZE, length=3)
    return figure


def _matrix(name: str, result: Any, kind: str) -> _Matrix:
    cells = np.asarray(result if isinstance(result, np.ndarray) else result.matrix(kind), float)
    known = cells[np.isfinite(cells)]
    if cells.ndim != 2 or len(set(cells.shape)) != 1 or np.any((known < 0) | (known > 1)):
        raise fail("results", "square matrices of shares in [0, 1]", f"{name}: {cells.dtype} {cells.shape}")
    mean = float(np.mean(known)) if len(known) else math.nan
    return _Matrix(name, cells, _means(cells), _means(cells.T), mean)


def _means(cells: np.ndarray) -> np.ndarray:
    """Of rows, over what is known of each; NaN where nothing is."""
    known = np.isfinite(cells)
    return np.where(known.any(axis=1), np.where(known, cells, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1), np.nan)


def _draw_matrix(axes: "Axes", one: _Matrix, left: float, top: float, scale: Any) -> None:
    classes = len(one.cells)
    left, top = left + _LEFT, top + _TOP
    mean = "" if math.isnan(one.mean) else f", mean {100 * one.mean:.1f} %"
    text = {"ha": "center", "va": "center", "parse_math": False}
    axes.text(left, top - 0.4, one.title + mean, fontsize=_NAME_SIZE, weight="bold", va="center", parse_math=False)
    far = left + classes * _CELL + _MEANS, top + classes * _CELL + _MEANS
    for i in range(classes):
        axes.text(left + (i + 0.5) * _CELL, top - 0.12, str(i), fontsize=_TICK_SIZE, **text)
        axes.text(left - 0.12, top + (i + 0.5) * _CELL, str(i), fontsize=_TICK_SIZE, **text)
        for j in range(classes):
            corner = left + j * _CELL, top + i * _CELL
            _draw_value(axes, one.cells[i, j], corner, scale, "–" if i == j else "")
        _draw_value(axes, one.by_source[i], (far[0], top + i * _CELL), scale)
        _draw_value(axes, one.by_target[i], (left + i * _CELL, far[1]), scale)
    _draw_value(axes, one.mean, far, scale)
    axes.text(left + classes * _CELL / 2, top - 0.26, "target", fontsize=_TICK_SIZE, color="0.35", **text)
    middle = top + classes * _CELL / 2
    axes.text(left - 0.3, middle, "source", fontsize=_TICK_SIZE, color="0.35", rotation=90, **text)
    axes.text(far[0] + _CELL / 2, top - 0.12, "mean", fontsize=_TICK_SIZE, color="0.35", **text)
    axes.text(left - 0.22, far[1] + _CELL / 2, "mean", fontsize=_TICK_SIZE, color="0.35", **text)


def _draw_value(axes: "Axes", value: float, corner: tuple[float, float], scale: Any, missing: str = "") -> None:
    """A cell with its number; one without stays grey."""
    from matplotlib.patches import Rectangle

    known = math.isfinite(value)
    colour = scale.to_rgba(100 * value) if known else "0.92"
    axes.add_patch(Rectangle(corner, _CELL, _CELL, facecolor=colour, edgecolor="white", linewidth=0.6))
    shade = "white" if known and scale.norm(100 * value) < _DARK else "0.1"
    text = f"{100 * value:.0f}" if known else missing
    middle = corner[0] + _CELL / 2, corner[1] + _CELL / 2
    axes.text(*middle, text, fontsize=_VALUE_SIZE, color=shade, ha="center", va="center", parse_math=False)


def adversarials(
    model: Any,
    images: Any,
    result: "Reconstructions",
    shown: int | Sequence[int] = 10,
    bounds: tuple[float, float] = (0, 1),
    name: str = "Latent attack",
) -> "Figure":
    """Draws sources, their adversarials and targets, each above its reconstruction, one pair in a column.

    Args:
        model: that was attacked, as ``robustness.evaluate_reconstructions`` takes it.
        images: that were given to it, [n, rows, columns, channels].
        result: what it returned, with its adversarials (``keep_images=True``).
        shown: places of pairs among the records; or how many, as different in their classes as can be, with as large a
            share of successes (ignore-target) as there is **(chosen)**.
        bounds: as there.
        name: begins the title.

    Returns:
        A figure; above every column the classes of its pair, below the adversarial's reconstruction what the judge
        takes it for.

    Raises:
        ValueError: for a result without adversarials or pairs, other places than there are, or fewer images than were
            attacked.
    """
    from lea_keras.robustness.reconstructing import Reconstructor
    from lea_keras.robustness.success import typical_pairs

    records = result.records
    if result.adversarials is None or not records:
        raise fail("result", "one with adversarials (keep_images=True)", f"one without, of {len(records)} pairs")
    if isinstance(shown, Sequence | np.ndarray) and not isinstance(shown, str):
        places = list(shown)
        if not places or not all(is_integer(place) and 0 <= place < len(records) for place in places):
            raise fail("shown", f"places from 0 to {len(records) - 1}", shown)
    else:
        places = typical_pairs(records, min(check_positive_int("shown", shown), len(records)))
    images = np.asarray(images, "float32")
    if len(images) <= (last := max(max(record.source, record.target) for record in records)):
        raise fail("images", f"those that were attacked, more than {last}", f"{len(images)} images")
    chosen = [records[place] for place in places]
    sources, targets = (images[[getattr(r, end) for r in chosen]] for end in ("source", "target"))
    rows = {"source": sources, "adversarial": result.adversarials[places], "target": targets}
    reconstructor = Reconstructor(model, images.shape[1:], bounds)
    drawable = Drawable(np.asarray(bounds, "float32").reshape(1, 2, 1, 1) * np.ones(images.shape[-1], "float32"))
    lines, labels = [], []
    for label, of_row in rows.items():
        headings = [f"{r.source_class} → {r.target_class}" if label == "source" else "" for r in chosen]
        captions = [f"judged {r.predicted_after}" if label == "adversarial" else "" for r in chosen]
        cells = zip(of_row, headings, strict=True)
        lines.append([Cell(drawable.picture(image), drawable.scale, heading) for image, heading in cells])
        cells = zip(reconstructor.reconstructions(of_row), captions, strict=True)
        lines.append([Cell(drawable.picture(image), drawable.scale, caption=caption) for image, caption in cells])
        labels += [label, "reconstruction"]
    success = result.mean()
    rates = f"{100 * success.ignore_target:.1f} % not taken for the source's class, {100 * success.target:.1f} % for "
    return draw([Block(f"{name}: {len(chosen)} of {len(records)} pairs", lines, labels, side=0.75, gap=0.06,
                       note=f"of all pairs, mean of cells: {rates}the target's")])  # fmt: skip
