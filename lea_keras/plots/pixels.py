"""Pixels of a figure, for whatever takes no figures, such as TensorBoard; and the width of a text."""

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
_RESOLUTIONS = (72, DPI, 110, 120, 144, 150, 200, 300)  # in which pictures are saved and notebooks show them


def pixels(figure: "Figure") -> np.ndarray:
    """Draws a figure: uint8 [rows, columns, 3], at its own size and resolution."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """The width in inches, to whole pixels, of the longest line of a text; ``size`` in points.

    Letters are as wide as whole pixels, and so a text's width depends on the resolution that a figure is saved with:
    this is the largest over common ones.
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    font, widths = FontProperties(size=size, weight=weight), []
    for resolution in _RESOLUTIONS:
        renderer = RendererAgg(1, 1, resolution)
        for line in text.split("\n"):
            widths.append(renderer.get_text_width_height_descent(line, font, ismath=False)[0] / resolution)
    return math.ceil(max(widths) * DPI) / DPI
