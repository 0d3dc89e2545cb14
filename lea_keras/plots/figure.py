"""The figure that all pictures are: matplotlib's, which also shows itself in notebooks.

This module imports matplotlib, so it is imported where a picture is drawn.
"""

import io

import matplotlib.figure


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows where a cell ends in it, with or without ``%matplotlib inline``.

    matplotlib's own shows itself only where pyplot made it or where that command has taught the notebook to draw
    figures. Where it has, its way is taken and this one is not asked, so that a figure is never shown twice.
    """

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
