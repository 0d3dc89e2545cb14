"""The picture of what probes measured (thesis Fig. 5.4); ``lea_keras.plots`` has those of LEAs.

matplotlib is imported where a picture is drawn, so that importing the package stays cheap.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lea_keras.checks import fail
from lea_keras.probes import Probe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers tell apart; markers and dashes do the same in grey.
_STYLES = (
    ("#0072B2", "o", "-"),
    ("#D55E00", "s", "--"),
    ("#009E73", "^", "-."),
    ("#CC79A7", "D", (0, (4, 1, 1, 1, 1, 1))),
    ("#E69F00", "v", (0, (1, 1))),
    ("#56B4E9", "P", (0, (6, 2))),
    ("#000000", "X", (0, (3, 1))),
)
# In inches: the width of a layer and the least of all together, the height, and the room around.
_LAYER, _MINIMUM_WIDTH, _HEIGHT = 0.75, 4.5, 3.2
_LEFT, _RIGHT, _BOTTOM, _TOP = 0.75, 1.05, 0.35, 0.45
_GAP = 0.12  # between plot and legend
_LETTER = 0.085  # the width of one in a name
_LEAN = 0.71  # what of a name's length lies in either direction at 45°
_DPI = 100


def equivariance(probes: Iterable[Probe], title: str = "Test accuracy of probes, layer by layer") -> "Figure":
    """Draws how well each factor can be read off the input and off each layer (thesis Fig. 5.4).

    One line per factor, from the input to the last layer. The faint line of the same colour is its chance level. A
    line that stays level shows a model equivariant to that factor; where it falls to chance, the layer dropped it.

    Args:
        probes: what ``lea_keras.probes.measure`` returned.
        title: above the plot.

    Returns:
        A figure whose size depends on the number of layers and the length of names alone.

    Raises:
        ValueError: if there are no probes.
    """
    from matplotlib.figure import Figure

    probes = list(probes)
    if not probes:
        raise fail("probes", "at least one", probes)
    layers = list(dict.fromkeys(probe.layer for probe in probes))
    factors = list(dict.fromkeys(probe.factor for probe in probes))
    labels = _BOTTOM + max(len(name) for name in layers) * _LETTER * _LEAN
    left = max(_LEFT, len(layers[0]) * _LETTER * _LEAN)  # the first name is not cut off
    right = _RIGHT + max(len(name) for name in [*factors, "chance"]) * _LETTER
    inner = max(_MINIMUM_WIDTH, len(layers) * _LAYER)
    width, height = left + inner + right, labels + _HEIGHT + _TOP
    figure = Figure(figsize=(width, height), dpi=_DPI)
    axes = figure.add_axes((left / width, labels / height, inner / width, _HEIGHT / height))
    for i, factor in enumerate(factors):
        colour, marker, dashes = _STYLES[i % len(_STYLES)]
        own = [probe for probe in probes if probe.factor == factor]
        places = [layers.index(probe.layer) for probe in own]
        axes.axhline(own[0].chance, color=colour, linewidth=1, alpha=0.4, linestyle=dashes, zorder=1)
        axes.plot(
            places,
            [probe.accuracy for probe in own],
            color=colour,
            marker=marker,
            linestyle=dashes,
            markersize=6,
            label=factor,
            clip_on=False,  # whole markers at 0 and 1
            zorder=3,
        )
    axes.plot([], [], color="0.5", linewidth=1, alpha=0.6, label="chance")
    axes.set(ylim=(0, 1), xlim=(-0.4, len(layers) - 0.6), ylabel="accuracy")
    axes.set_xticks(range(len(layers)), layers, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_title(title, fontsize=11, weight="bold", loc="left")
    axes.grid(axis="y", color="0.9", zorder=0)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        loc="upper left", bbox_to_anchor=(1 + _GAP / inner, 1), borderaxespad=0, frameon=False, handlelength=3.5
    )
    return figure
