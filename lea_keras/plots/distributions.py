"""Distributions of the values of inputs and reconstructions."""

from typing import TYPE_CHECKING, Any

from lea_keras.plots import palette
from lea_keras.plots.panels import LABEL_SIZE, LEGEND, panels
from lea_keras.plots.views import Source, names, resolve, with_decoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def histograms(source: Source, images: Any = None) -> "Figure":
    """Draws how the values of every LEA's inputs and reconstructions are distributed (thesis section 4.2).

    The inputs are an area, the reconstructions a line, so that both are seen where they overlap. What is drawn is the
    share of values in each bin, on a logarithmic scale: outliers, which the comparison is about, are few. Of LEAs
    without a trained decoder only the inputs are drawn.

    Args:
        source: a model with LEA layers, nested or not, or what ``lea_keras.inspect`` returned, or a part of that.
        images: with a model, a batch of its inputs.

    Returns:
        A figure with one panel per LEA.

    Raises:
        ValueError: for an argument outside what is said above, or without any LEA.
    """
    views = resolve(source, images)
    figure, drawn = panels(len(views), legend_lines=1)
    for axes, view, name in zip(drawn, views, names(views), strict=True):
        counts = view.histograms
        total = max(counts.inputs.sum(), 1)
        axes.stairs(counts.inputs / total, counts.edges, fill=True, color=palette.PALE_BLUE, label="input")
        if with_decoder([view]):
            shares = counts.reconstructions / total
            axes.stairs(shares, counts.edges, color=palette.BLACK, linewidth=1.2, label="reconstruction")
        # From half a value up: a bin with a single one is seen, one with none is empty.
        axes.set(yscale="log", ylim=(0.5 / total, 1.5))
        axes.set_xlabel("value", size=LABEL_SIZE)
        axes.set_ylabel("share of values", size=LABEL_SIZE)
        axes.set_title(name, size=10, weight="bold", parse_math=False)
    handles, labels = max((axes.get_legend_handles_labels() for axes in drawn), key=lambda found: len(found[0]))
    figure.legend(handles, labels, ncols=2, **LEGEND)
    return figure
