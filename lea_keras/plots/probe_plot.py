"""The picture of what probes measured (thesis Fig. 5.4); ``lea_keras.plots`` has those of LEAs.

matplotlib is imported where a picture is drawn, so that importing the package stays cheap.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lea_keras.checks import fail
from lea_keras.plots import coinciding, palette
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
