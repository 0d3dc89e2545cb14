"""The pictures of the data sheet of `parts`: images, part maps, edge maps, and what windows see.

python -m experiments.parts_pictures docs/pictures
"""

import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lea_keras.data import parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVELS = ("64×64, grey", "128×128, colour", "part maps", "edge maps", "windows, 8×8")
#: Of the background and of parts 1 to 5; of Okabe and Ito.
_PART_COLOURS = ("#ffffff", "#000000", "#e69f00", "#56b4e9", "#009e73", "#cc79a7")


def draw(first: int = parts.TRAIN_SIZE) -> "Figure":
    """Draws one image of each class, the first from a number on, on every level of its labels."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    numbers = np.arange(first, first + 200)
    classes = parts.labels_from_indices(numbers).scenes[:, 0]
    chosen = numbers[[np.flatnonzero(classes == label)[0] for label in range(len(parts.CLASSES))]]
    labels = parts.labels_from_indices(chosen)
    shown = [parts.draw(labels)[..., 0], parts.draw(labels, 128, colour=True), parts.part_maps(labels, 128)]
    shown.append(parts.edge_maps(labels, 128))
    windows = parts.factors_of_windows(labels, 8)
    figure = Figure(figsize=(12, 9.3))
    axes = figure.subplots(len(_LEVELS), len(chosen), gridspec_kw={"hspace": 0.06, "wspace": 0.06})
    of_parts = {"cmap": ListedColormap(_PART_COLOURS), "vmin": -0.5, "vmax": 5.5}
    looks = [{"cmap": "gray", "vmin": 0, "vmax": 255}, {}, of_parts]
    looks += [{"cmap": "twilight", "vmin": 0, "vmax": np.pi}, of_parts]
    drawn = []
    for row, (level, look) in enumerate(zip(_LEVELS, looks, strict=True)):
        for column, one in enumerate(axes[row]):
            pixels = shown[row][column] if row < len(shown) else windows.part[column]
            pixels = np.ma.masked_invalid(pixels) if pixels.dtype == np.float32 else pixels
            drawn.append(one.imshow(pixels, extent=(0, 64, 64, 0), interpolation="nearest", **look))
            one.set(xticks=[], yticks=[], xlim=(4, 60), ylim=(60, 4))
            if level == "edge maps":
                one.set_facecolor("0.6")  # which no orientation has
            if not row:
                one.set_title(parts.CLASSES[column], fontsize=10)
        axes[row][0].set_ylabel(level, fontsize=10)
    for column, one in enumerate(axes[-1]):
        _arrows(one, windows, column)
    bar = figure.colorbar(drawn[2 * len(chosen)], ax=list(axes[2]), fraction=0.012, pad=0.01, ticks=range(6))
    bar.set_ticklabels(["none", "1, key", "2", "3", "4", "5"])
    bar = figure.colorbar(drawn[3 * len(chosen)], ax=list(axes[3]), fraction=0.012, pad=0.01)
    bar.set_ticks([0, np.pi / 4, np.pi / 2, 3 * np.pi / 4, np.pi], labels=["—", "╱", "|", "╲", "—"])
    for row in (0, 1, 4):  # as wide as those with a bar
        figure.colorbar(drawn[0], ax=list(axes[row]), fraction=0.012, pad=0.01).ax.set_visible(False)
    return figure


def _arrows(axes: object, windows: parts.WindowFactors, column: int) -> None:
    """From the middle of each part of which a window sees half, where its window says that it points."""
    sees = windows.visible[column] >= 0.5
    lines, columns = np.nonzero(sees)
    x = 8 * columns + 4 + windows.offset_x[column][sees]
    y = 8 * lines + 4 + windows.offset_y[column][sees]
    turn = windows.orientation[column][sees] * np.pi / 12
    look = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.018, "headwidth": 4, "headlength": 4}
    axes.quiver(x, y, 9 * np.cos(turn), -9 * np.sin(turn), color="#d55e00", **look)  # type: ignore[attr-defined]


def main(argv: Sequence[str]) -> int:
    """Draws the picture into a folder; returns the exit status."""
    if len(argv) != 2 or not pathlib.Path(argv[1]).is_dir():
        print("parts_pictures: give the folder to draw into", file=sys.stderr)
        return 1
    draw().savefig(pathlib.Path(argv[1]) / "parts.png", dpi=80, bbox_inches="tight", metadata={"Software": None})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
