"""The heatmap of what models withstand (thesis Figs. 4.5, 5.7 and A.1), drawn from ``lea_keras.robustness``.

matplotlib is imported where a picture is drawn, so that importing the package stays cheap.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lea_keras.checks import check_choice, fail
from lea_keras.plots.pixels import text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

    from lea_keras.robustness import Summary

# Light to dark in lightness alone, and red to grey to blue: either is told apart by colour-blind readers.
_LIGHT_TO_DARK = ("#FBE3A2", "#F2B04E", "#D9722E", "#A63C2A", "#5E1F26", "#2A0C16")
_RED_GREY_BLUE = ("#B2182B", "#D98880", "#C9C9C9", "#7FAED3", "#2166AC")
# In inches: a cell, the largest circle in it and where its centre lies below the cell's upper edge; the room between
# cells and legend, around all, and for the title; and the parts of the legend.
_CELL_WIDTH, _CELL_HEIGHT, _CIRCLE, _CENTRE = 0.66, 0.80, 0.44, 0.28
_GAP, _MARGIN, _TITLE = 0.3, 0.12, 0.52
_BAR_WIDTH, _BAR_HEIGHT, _CIRCLES_HEIGHT, _LINE = 0.16, 1.25, 1.3, 0.24
_LEAN = math.sqrt(0.5)  # what of a name's length lies in either direction at 45°
_NAME_SIZE, _VALUE_SIZE, _LEGEND_SIZE, _TITLE_SIZE = 9.0, 7.0, 8.0, 11.0  # points
_DPI = 150

_NO_SUCCESS, _NO_BASELINE, _NOT_RUN = "no success", "no success against the baseline", "not run"
_MARKS = {_NO_SUCCESS: "x", _NO_BASELINE: "_", _NOT_RUN: "."}


class _Cell(NamedTuple):
    """What is drawn of one model and attack.

    Attributes:
        colour: the distance, raw or standardised; None where there is none.
        size: the circle's area, from 0 to 1 of the largest.
        distance: as text.
        success: as text.
        missing: one of ``_MARKS``, or "".
    """

    colour: float | None
    size: float
    distance: str
    success: str
    missing: str = ""


class _Style(NamedTuple):
    """What differs between the two kinds of heatmaps."""

    colours: "Colormap"
    norm: "Normalize"
    ticks: dict[float, str]
    title: tuple[str, str]
    of_colours: str
    of_sizes: str
    sizes: tuple[tuple[str, float], ...]
    extend: str
    explained: dict[str, str]


def heatmap(
    summaries: Mapping[str, Sequence["Summary"]],
    baseline: str | None = None,
    title: str | None = None,
    *,
    standardise: str = "spread",
    colours: str = "logarithmic",
) -> "Figure":
    """Draws how far models are from being fooled, and how often they are: models in rows, attacks in columns.

    Without a baseline, the colour is the mean perturbation distance of the successful attacks, darker for larger ones,
    and the circle's area is the success rate: smaller and darker circles are better (Figs. 4.5 and A.1).

    With one, both are standardised on it, attack by attack, as ``standardised`` says. Colours go from red over grey,
    where they are the same, to blue for larger distances, which are better; smaller circles are better, too (Fig. 5.7).
    The baseline itself is not drawn. Nothing falls relatively below −100 %, so that scale ends at ±100 % at most, and
    what lies above has the last colour and size; its value is printed like all others.

    Values are printed under every circle: the distance, and the success rate below it. Where there is no distance, a
    mark says why.

    Args:
        summaries: by model, what ``Robustness.summary()`` returned; attacks keep the order in which they come.
        baseline: the model that the others are compared with; None: no comparison.
        title: above the picture. None: what it shows.
        standardise: "spread" or "relative", as in ``standardised``; only with a baseline.
        colours: of raw distances: "logarithmic" **(chosen)**, since attacks differ by orders of magnitude, or "linear"
            from 0, as the thesis' seem to be (appendix A.2).

    Returns:
        A figure whose size depends on the number of models and attacks and the length of names alone.

    Raises:
        ValueError: if there is nothing to draw, the baseline is not among the models, or some summaries are of our
            attacks and some of those of foolbox 1.8.
    """
    from lea_keras.plots.figure import Figure

    models = list(summaries)
    attacks = list(dict.fromkeys(summary.attack for of_model in summaries.values() for summary in of_model))
    if not attacks:
        raise fail("summaries", "those of at least one model and attack", summaries)
    semantics = sorted({summary.semantics for of_model in summaries.values() for summary in of_model})
    if len(semantics) > 1:
        raise fail("summaries", "all of the same semantics, which cannot be compared with others", semantics)
    check_choice("standardise", standardise, STANDARDISATIONS)
    check_choice("colours", colours, ("logarithmic", "linear"))
    found = {(model, summary.attack): summary for model in models for summary in summaries[model]}
    if baseline is not None:
        models.remove(check_choice("baseline", baseline, models))
        if not models:
            raise fail("summaries", "those of at least one model beside the baseline", list(summaries))
    if baseline is None:
        cells = {(model, attack): _raw(found.get((model, attack))) for model in models for attack in attacks}
        style = _raw_style([cell.colour for cell in cells.values() if cell.colour is not None], colours)
    else:
        cells, style = _standardised(found, models, attacks, baseline, _SCALES[standardise])
    heading, better = style.title
    heading += " (foolbox 1.8)" if semantics == ["foolbox18"] else ""
    heading = heading if title is None else title

    marks = list(dict.fromkeys(cell.missing for cell in cells.values() if cell.missing))
    left = _MARGIN + max(
        max(text_width(model, _NAME_SIZE) for model in models) + 0.12,
        # Names of attacks lean to the left, beyond the column that they belong to.
        *(text_width(attack, _NAME_SIZE) * _LEAN - (i + 0.5) * _CELL_WIDTH for i, attack in enumerate(attacks)),
    )
    inner, rows = len(attacks) * _CELL_WIDTH, len(models) * _CELL_HEIGHT
    legend = [style.of_colours, style.of_sizes, *(f"      {style.explained[mark]}" for mark in marks)]
    inner += _GAP + max(1.45, *(text_width(line, _LEGEND_SIZE) for line in legend))
    inner = max(inner, *(text_width(heading, _TITLE_SIZE, "bold") - left, text_width(better, _NAME_SIZE) - left))
    names = max(text_width(attack, _NAME_SIZE) for attack in attacks) * _LEAN + 0.2
    of_legend = 0.25 + _BAR_HEIGHT + _CIRCLES_HEIGHT + _LINE * len(marks)
    # A little more than the widths of the letters, which depend on the resolution.
    width, height = left + 1.03 * inner + 2 * _MARGIN, 2 * _MARGIN + _TITLE + max(rows + names, of_legend)
    figure = Figure(figsize=(width, height), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # the unit is the inch, downwards
    axes.axis("off")
    axes.text(_MARGIN, _MARGIN, heading, fontsize=_TITLE_SIZE, weight="bold", va="top")
    axes.text(_MARGIN, _MARGIN + 0.22, better, fontsize=_NAME_SIZE, color="0.35", va="top")
    _draw_grid(axes, models, attacks, left, _MARGIN + _TITLE)
    for (model, attack), cell in cells.items():
        x = left + (attacks.index(attack) + 0.5) * _CELL_WIDTH
        _draw_cell(axes, cell, x, _MARGIN + _TITLE + models.index(model) * _CELL_HEIGHT, style)
    _draw_legend(figure, axes, style, marks, left + len(attacks) * _CELL_WIDTH + _GAP, _MARGIN + _TITLE)
    return figure


def _raw(summary: "Summary | None") -> _Cell:
    if summary is None or summary.success_rate is None:
        return _Cell(None, 0.0, "", "", _NOT_RUN)
    success = f"{100 * summary.success_rate:.0f} %"
    if summary.mean_distance is None:
        return _Cell(None, 0.0, "", success, _NO_SUCCESS)
    return _Cell(summary.mean_distance, summary.success_rate, _short(summary.mean_distance), success)


def _standardised(
    found: Mapping[tuple[str, str], "Summary"],
    models: Sequence[str],
    attacks: Sequence[str],
    baseline: str,
    scale: "_Scale",
) -> tuple[dict[tuple[str, str], _Cell], _Style]:
    """Cells of all models but the baseline, and how they are drawn."""
    values: dict[tuple[str, str], tuple[float | None, float | None]] = {}
    for attack in attacks:
        there = {model: found[model, attack] for model in (*models, baseline) if (model, attack) in found}
        columns = [
            standardised({name: getattr(summary, column) for name, summary in there.items()}, baseline, scale.name)
            for column in ("success_rate", "mean_distance")
        ]
        values |= {(model, attack): (columns[0][model], columns[1][model]) for model in there if model in models}
    successes = [success for success, _ in values.values() if success is not None]
    of_sizes = scale.largest if math.isfinite(scale.largest) else max(map(abs, successes), default=1.0) or 1.0

    def cell(model: str, attack: str) -> _Cell:
        summaries = found.get((model, attack)), found.get((baseline, attack))
        if any(summary is None or summary.success_rate is None for summary in summaries):
            return _Cell(None, 0.0, "", "", _NOT_RUN)
        success, distance = values[model, attack]
        if success is None or found[baseline, attack].mean_distance is None:
            return _Cell(None, 0.0, "", "" if success is None else scale.write(success), _NO_BASELINE)
        if distance is None:
            return _Cell(None, 0.0, "", scale.write(success), _NO_SUCCESS)
        return _Cell(distance, _area(success, of_sizes), scale.write(distance), scale.write(success))

    cells = {(model, attack): cell(model, attack) for model in models for attack in attacks}
    drawn = [drawn.colour for drawn in cells.values() if drawn.colour is not None]
    return cells, _standardised_style(drawn, of_sizes, baseline, scale)


def standardised(values: Mapping[str, float | None], baseline: str, how: str = "spread") -> dict[str, float | None]:
    """Standardises the values of models, of one attack, on those of a baseline (thesis section 4.6).

    Args:
        values: by model, a success rate or a distance; None where there is none.
        baseline: the model that the others are compared with.
        how: "spread": (x − b) / σ, b being the baseline's value and σ = √ mean (x − b)², the standard deviation about
            it, over all models that have a value but the baseline **(chosen)**; 0 where all are equal **(chosen)**. The
            thesis takes Eq. 2.14 with the baseline's value in place of the mean, "also" in the deviation. "relative":
            (x − b) / b.

    Returns:
        By model; None where the model or the baseline has no value, or, for "relative", that of the baseline is 0.

    Raises:
        ValueError: for another way, or a baseline that is not among the models.
    """
    check_choice("how", how, STANDARDISATIONS)
    of_baseline = values[check_choice("baseline", baseline, values)]
    if of_baseline is None or how == "relative" and not of_baseline:
        return dict.fromkeys(values)
    differences = {name: None if value is None else value - of_baseline for name, value in values.items()}
    if how == "relative":
        unit = of_baseline
    else:
        squares = [d**2 for name, d in differences.items() if d is not None and name != baseline]
        unit = math.sqrt(sum(squares) / len(squares)) if any(squares) else 1.0
    return {name: None if difference is None else difference / unit for name, difference in differences.items()}


def _area(success: float, limit: float) -> float:
    """From −limit over 0, half, to the limit, all; what is above looks the same."""
    return (1 + max(-1.0, min(success / limit, 1.0))) / 2


def _short(distance: float) -> str:
    """ "0.012", "1.2e-5"."""
    if distance >= 0.001 or distance == 0:
        return f"{distance:.2g}"
    mantissa, exponent = f"{distance:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _sigmas(value: float) -> str:
    """ "+1.2 σ", with the typographic minus, and without a sign where it rounds to 0."""
    rounded = round(value, 1)
    return f"{rounded:+.1f} σ".replace("-", "\u2212") if rounded else "0 σ"


def _percent(value: float) -> str:
    """ "+12 %", with the typographic minus, and without a sign where it rounds to 0."""
    rounded = round(100 * value)
    return f"{rounded:+d} %".replace("-", "\u2212") if rounded else "0 %"


class _Scale(NamedTuple):
    """One way to standardise: its name, how a value is written, where the scale ends, and what the title says."""

    name: str
    write: Callable[[float], str]
    largest: float
    title: str


_SCALES = {
    "spread": _Scale("spread", _sigmas, math.inf, "in standard deviations about"),
    "relative": _Scale("relative", _percent, 1.0, "relative to"),
}
STANDARDISATIONS = tuple(_SCALES)


def _raw_style(distances: list[float], colours: str) -> _Style:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

    positive = [distance for distance in distances if distance > 0] or [1.0]
    low, high = min(positive), max(positive)
    norm: Normalize = Normalize(0, high, clip=True)
    if colours == "linear":
        ticks = [high * i / 4 for i in range(5)] if distances else []
    elif high < 1.1 * low:  # one value, or nearly: in the middle of the scale
        low, high, ticks = low / 3, high * 3, [math.sqrt(low * high)] if distances else []
    else:
        ticks = [low * (high / low) ** (i / 4) for i in range(5)]
    if colours == "logarithmic":
        norm = LogNorm(low, high, clip=True)
    return _Style(
        LinearSegmentedColormap.from_list("light_to_dark", _LIGHT_TO_DARK),
        norm,
        {tick: _short(tick) for tick in ticks},
        ("Perturbation distance and success rate of attacks", "smaller and darker circles are better"),
        "mean distance (MSE), upper number",
        "success rate, lower number",
        (("25 %", 0.25), ("50 %", 0.5), ("100 %", 1.0)),
        "neither",
        {_NO_SUCCESS: "no adversarial found", _NOT_RUN: "not attacked"},
    )


def _standardised_style(distances: list[float], of_sizes: float, baseline: str, scale: _Scale) -> _Style:
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    largest = max(map(abs, distances), default=1.0)
    limit = min(max(largest, 0.05), scale.largest)
    sizes = {share: share * of_sizes for share in (-0.5, 0, 1)}
    return _Style(
        LinearSegmentedColormap.from_list("red_grey_blue", _RED_GREY_BLUE),
        Normalize(-limit, limit, clip=True),
        {share * limit: scale.write(share * limit) for share in (-1, -0.5, 0, 0.5, 1)},
        (f"Perturbation distance and success rate {scale.title} {baseline}", "smaller and bluer circles are better"),
        "mean distance, upper number",
        "success rate, lower number",
        tuple(
            (("\u2265 " if share == scale.largest else "") + scale.write(value), _area(share, 1.0))
            for share, value in sizes.items()
        ),
        "max" if largest > limit else "neither",
        {
            _NO_SUCCESS: "no adversarial found",
            _NO_BASELINE: f"none found against {baseline}",
            _NOT_RUN: "not attacked",
        },
    )


def _draw_grid(axes: "Axes", models: list[str], attacks: list[str], left: float, top: float) -> None:
    right, bottom = left + len(attacks) * _CELL_WIDTH, top + len(models) * _CELL_HEIGHT
    line = {"color": "0.88", "linewidth": 0.7, "zorder": 0}
    for i in range(len(attacks) + 1):
        axes.plot([left + i * _CELL_WIDTH] * 2, [top, bottom], **line)
    for i in range(len(models) + 1):
        axes.plot([left, right], [top + i * _CELL_HEIGHT] * 2, **line)
    for i, model in enumerate(models):
        axes.text(left - 0.08, top + (i + 0.5) * _CELL_HEIGHT, model, fontsize=_NAME_SIZE, ha="right", va="center")
    for i, attack in enumerate(attacks):
        x = left + (i + 0.55) * _CELL_WIDTH
        leaning = {"rotation": 45, "ha": "right", "va": "top", "rotation_mode": "anchor"}
        axes.text(x, bottom + 0.05, attack, fontsize=_NAME_SIZE, **leaning)


def _draw_cell(axes: "Axes", cell: _Cell, x: float, top: float, style: _Style) -> None:
    centre = top + _CENTRE
    if cell.missing:
        _draw_mark(axes, cell.missing, x, centre)
    elif cell.colour is not None:
        _draw_circle(axes, x, centre, cell.size, style.colours(style.norm(cell.colour)))
    shared = {"fontsize": _VALUE_SIZE, "ha": "center", "va": "center"}
    axes.text(x, top + _CELL_HEIGHT - 0.22, cell.distance, color="0.1", **shared)
    axes.text(x, top + _CELL_HEIGHT - 0.09, cell.success, color="0.4", **shared)


def _draw_circle(axes: "Axes", x: float, y: float, area: float, colour: Any) -> None:
    from matplotlib.patches import Circle

    radius = max(_CIRCLE / 2 * math.sqrt(area), 0.015)  # a dot at least: there is a success
    axes.add_patch(Circle((x, y), radius, facecolor=colour, edgecolor="0.35", linewidth=0.4))


def _draw_mark(axes: "Axes", missing: str, x: float, y: float) -> None:
    axes.plot([x], [y], marker=_MARKS[missing], color="0.45", markersize=6, markeredgewidth=1.2, linestyle="none")


def _draw_legend(figure: "Figure", axes: "Axes", style: _Style, marks: list[str], left: float, top: float) -> None:
    """Colour bar, circles, and the marks that occur, below each other."""
    from matplotlib.cm import ScalarMappable

    width, height = figure.get_size_inches()
    text = {"fontsize": _LEGEND_SIZE, "va": "center"}
    axes.text(left, top + 0.06, style.of_colours, **text)
    top += 0.25
    place = (left / width, 1 - (top + _BAR_HEIGHT) / height, _BAR_WIDTH / width, _BAR_HEIGHT / height)
    bar = figure.colorbar(ScalarMappable(style.norm, style.colours), figure.add_axes(place), extend=style.extend)
    bar.minorticks_off()
    bar.set_ticks(list(style.ticks), labels=list(style.ticks.values()))
    bar.ax.tick_params(labelsize=_LEGEND_SIZE, length=3)
    top += _BAR_HEIGHT + 0.3
    axes.text(left, top, style.of_sizes, **text)
    x, y = left + 0.1, top + 0.36
    for label, area in style.sizes:
        radius = _CIRCLE / 2 * math.sqrt(area)
        _draw_circle(axes, x + radius, y, area, "0.8")
        axes.text(x + radius, y + 0.32, label, fontsize=_LEGEND_SIZE, ha="center", va="center")
        x += 2 * radius + 0.24
    y += 0.66
    for mark in marks:
        _draw_mark(axes, mark, left + 0.1, y)
        axes.text(left + 0.28, y, style.explained[mark], **text)
        y += _LINE
