"""The picture of what probes measured (thesis Fig. 5.4); ``lea_keras.plots`` has those of LEAs.

matplotlib is imported where a picture is drawn, so that importing the package stays cheap.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lea_keras.checks import fail
from lea_keras.plots import coinciding, palette
from lea_keras.plots.panels import LABEL_SIZE, LEGEND, panels
from lea_keras.plots.pixels import text_width
from lea_keras.probes import Probe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Marker and dashes of each line, by which it is told apart in grey print.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES = ("-", "--", "-.", (0, (4, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (6, 2)), (0, (3, 1)))
_STYLES = tuple(zip(palette.OF_LINES, _MARKERS, _DASHES, strict=True))
# In inches: the width of a layer and the least of all together, the height, and the room around.
_LAYER, _MINIMUM_WIDTH, _HEIGHT = 0.75, 4.5, 3.2
_LEFT, _RIGHT, _BOTTOM = 0.75, 1.05, 0.35
_TITLE_SIZE, _NOTE_SIZE, _LINE_WIDTH, _MARKER_SIZE = 11.0, 8.0, 1.5, 6.0  # points
_TITLE_LINE, _NOTE_LINE, _PAD = 0.19, 0.15, 0.12  # of title and note; and around them
_GAP, _GAP_OF_NOTE = 0.12, 0.04  # between plot and legend, and between title and note
_LETTER = 0.085  # the width of one in a name
_LEAN = 0.71  # what of a name's length lies in either direction at 45°
_DPI = 100


def equivariance(
    probes: Iterable[Probe], title: str = "Test accuracy of probes, layer by layer", note: str = ""
) -> "Figure":
    """Draws how well each factor can be read off the input and off each layer (thesis Fig. 5.4).

    One line per factor, from the input to the last layer. The faint line of the same colour is its chance level. A
    line that stays level shows a model equivariant to that factor; where it falls to chance, the layer dropped it. Of
    lines that coincide, those below are wide and pale.

    Args:
        probes: what ``lea_keras.probes.measure`` returned.
        title: above the plot.
        note: below the title, in smaller letters: on how many images probes were trained, for example.

    Returns:
        A figure whose size depends on the number of layers and the length of names and texts alone.

    Raises:
        ValueError: if there are no probes.
    """
    from matplotlib.lines import Line2D

    from lea_keras.plots.figure import Figure

    probes = list(probes)
    if not probes:
        raise fail("probes", "at least one", probes)
    layers = list(dict.fromkeys(probe.layer for probe in probes))
    factors = list(dict.fromkeys(probe.factor for probe in probes))
    labels = _BOTTOM + max(len(name) for name in layers) * _LETTER * _LEAN
    left = max(_LEFT, len(layers[0]) * _LETTER * _LEAN)  # the first name is not cut off
    right = _RIGHT + max(len(name) for name in [*factors, "chance"]) * _LETTER
    inner = max(_MINIMUM_WIDTH, len(layers) * _LAYER)
    texts = text_width(title, _TITLE_SIZE, "bold"), text_width(note, _NOTE_SIZE)
    notes = (1 + note.count("\n")) * _NOTE_LINE if note else 0.0
    top = 2 * _PAD + _GAP_OF_NOTE + (1 + title.count("\n")) * _TITLE_LINE + notes
    width, height = left + max(inner + right, max(texts) + _PAD), labels + _HEIGHT + top
    figure = Figure(figsize=(width, height), dpi=_DPI)
    axes = figure.add_axes((left / width, labels / height, inner / width, _HEIGHT / height))
    by_factor = {factor: [probe for probe in probes if probe.factor == factor] for factor in factors}
    courses = [
        ([layers.index(probe.layer) for probe in of_factor], [probe.accuracy for probe in of_factor])
        for of_factor in by_factor.values()
    ]
    levels = [([0], [of_factor[0].chance]) for of_factor in by_factor.values()]
    colours = [_STYLES[i % len(_STYLES)][0] for i in range(len(factors))]
    styles = coinciding.styles(courses, colours, _LINE_WIDTH, _MARKER_SIZE, span=1.0)
    of_levels = coinciding.styles(levels, colours, 1.0, 0.0, step=1.5, span=1.0)
    legend = []
    for i, factor in enumerate(factors):
        colour, marker, dashes = _STYLES[i % len(_STYLES)]
        look = {"color": colour, "marker": marker, "linestyle": dashes, "label": factor}
        level = {"color": colour, "linestyle": dashes, "linewidth": of_levels[i]["linewidth"], "alpha": 0.4}
        axes.axhline(levels[i][1][0], zorder=1, **level)
        axes.plot(*courses[i], clip_on=False, zorder=3, **look | styles[i])  # not clipped: whole markers at 0 and 1
        legend.append(Line2D([], [], linewidth=_LINE_WIDTH, markersize=_MARKER_SIZE, **look))
    legend.append(Line2D([], [], color="0.5", linewidth=1, alpha=0.6, label="chance"))
    axes.set(ylim=(0, 1), xlim=(-0.4, len(layers) - 0.6), ylabel="accuracy")
    axes.set_xticks(range(len(layers)), layers, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_title(title, fontsize=_TITLE_SIZE, weight="bold", loc="left", pad=72 * (_PAD + notes + _GAP_OF_NOTE))
    place = {"xycoords": "axes fraction", "xytext": (0, 72 * _PAD), "textcoords": "offset points"}
    axes.annotate(note, (0, 1), fontsize=_NOTE_SIZE, alpha=0.8, va="bottom", **place)
    axes.grid(axis="y", color="0.9", zorder=0)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        handles=legend,
        loc="upper left",
        bbox_to_anchor=(1 + _GAP / inner, 1),
        borderaxespad=0,
        frameon=False,
        handlelength=3.5,
    )
    return figure


def comparison(groups: Mapping[str, Sequence[Sequence[Probe]]], note: str = "") -> "Figure":
    """Draws the probes of several models, each of several runs, a panel per factor (thesis Fig. 5.4).

    Lines are medians over runs, bands all of them; test accuracy is solid, training accuracy dashed, where it is known.
    The grey line is the chance level. Layers stand by their depth, so that a pool and the LEA in its place share one.

    Args:
        groups: by the label of a model, of each of its runs what ``lea_keras.probes.measure`` returned; all models with
            as many layers.
        note: below the title.

    Returns:
        A figure.

    Raises:
        ValueError: if there are no groups, no runs, or models of different depths.
    """
    from matplotlib.lines import Line2D

    if not groups or not all(len(runs) and all(runs) for runs in groups.values()):
        raise fail("groups", "at least one model with one run of probes", dict(groups))
    layers = {label: list(dict.fromkeys(probe.layer for probe in runs[0])) for label, runs in groups.items()}
    if len({len(names) for names in layers.values()}) > 1:
        depths = {label: len(names) for label, names in layers.items()}
        raise fail("groups", "models with as many layers", depths)
    places = ["\n".join(dict.fromkeys(names)) for names in zip(*layers.values(), strict=True)]
    factors = list(dict.fromkeys(probe.factor for runs in groups.values() for probe in runs[0]))
    figure, drawn = panels(len(factors), legend_lines=len(groups), title_lines=1 + note.count("\n"), ticks=True)
    looks: dict[tuple[str, str], dict[str, Any]] = {
        (label, field): {"color": colour, "marker": marker, "linestyle": dashes}
        for (label, (colour, marker, _)) in zip(groups, _STYLES * len(groups), strict=False)
        for field, dashes in (("accuracy", "-"), ("train_accuracy", "--"))
    }
    for (_, field), look in looks.items():
        look |= {"markerfacecolor": "white"} if field == "train_accuracy" else {}
    for axes, factor in zip(drawn, factors, strict=True):
        courses = {}
        for label, field in looks:
            values = _accuracies(groups[label], layers[label], factor, field)
            if values is not None:
                courses[label, field] = values
        lines = [(range(len(places)), np.median(values, axis=0)) for values in courses.values()]
        colours = [looks[key]["color"] for key in courses]
        styles = coinciding.styles(lines, colours, _LINE_WIDTH, _MARKER_SIZE - 1, span=1.0)
        for (key, values), line, style in zip(courses.items(), lines, styles, strict=True):
            axes.fill_between(
                line[0], values.min(axis=0), values.max(axis=0), color=looks[key]["color"], alpha=0.2, lw=0
            )
            axes.plot(*line, clip_on=False, zorder=3, **looks[key] | style)
        level = next(probe.chance for runs in groups.values() for probe in runs[0] if probe.factor == factor)
        axes.axhline(level, color="0.5", linewidth=1, alpha=0.6, zorder=1)
        axes.set(ylim=(0, 1), xlim=(-0.4, len(places) - 0.6))
        axes.set_ylabel("accuracy", size=LABEL_SIZE)
        axes.set_xticks(range(len(places)), places, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_title(factor, size=10, weight="bold", parse_math=False)
    known = {key for key in looks if key[1] == "accuracy" or groups[key[0]][0][0].train_accuracy is not None}
    names = {"accuracy": "test", "train_accuracy": "training"}
    handles = [
        Line2D([], [], label=f"{label}, {names[field]}", linewidth=_LINE_WIDTH, markersize=_MARKER_SIZE - 1, **look)
        for (label, field), look in looks.items()
        if (label, field) in known
    ]
    chance = Line2D([], [], color="0.5", linewidth=1, alpha=0.6, label="chance")
    by_split = [*handles[::2], chance, *handles[1::2]] if len(handles) == len(looks) else [*handles, chance]
    figure.legend(handles=by_split, ncols=2, **LEGEND)  # a column for each split
    counts = sorted({len(runs) for runs in groups.values()})
    several = "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    text = "one run each" if counts[-1] == 1 else f"median of {several} runs, band: all of them"
    figure.suptitle(f"Accuracy of probes, layer by layer: {text}" + (f"\n{note}" if note else ""), size=LABEL_SIZE)
    return figure


def _accuracies(runs: Sequence[Sequence[Probe]], layers: Sequence[str], factor: str, field: str) -> np.ndarray | None:
    """[runs, layers], or None where they are not known."""
    by_run = [{probe.layer: getattr(probe, field) for probe in run if probe.factor == factor} for run in runs]
    values = [[of_run.get(layer) for layer in layers] for of_run in by_run]
    return None if any(None in of_run for of_run in values) else np.array(values, float)
