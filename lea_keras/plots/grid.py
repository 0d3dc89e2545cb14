"""Layout of small pictures in rows with texts around them; what the pictures show is the business of the callers.

All is drawn into one axes whose unit is the inch: an axes for each picture would take most of the time.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lea_keras.plots.pixels import DPI, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "gray"
DIVERGING = "RdBu_r"  # blue over white to red, which colour-blind readers tell apart

# In points: sizes of letters. In inches: the room for a line of each, and between things. All are whole pixels, so that
# pictures and their frames fall on the same ones.
_TITLE_SIZE, _HEADING_SIZE, _CAPTION_SIZE = 11.0, 8.0, 7.0
_TITLE_ROOM, _LINE, _GROUP_GAP, _MARGIN, _PAD = 0.23, 0.14, 0.22, 0.15, 0.04
_BAR_HEIGHT, _BAR_SHADES = 0.09, 64
_SOFT = 0.8  # opacity of all but titles and headings: dark grey on white, and light grey where a style is dark


class Cell(NamedTuple):
    """One picture.

    Attributes:
        picture: values [h, w], or colours in [0, 1] [h, w, 3].
        limits: which values are black and white, or the ends of other colours.
        heading: above the picture, one or two lines.
        caption: below the picture, lines.
        colours: of values, the name of a matplotlib colour map.
    """

    picture: np.ndarray
    limits: tuple[float, float]
    heading: str = ""
    caption: str = ""
    colours: str = GREY


class Block(NamedTuple):
    """Rows of pictures under a title.

    Attributes:
        title: above them.
        rows: of cells; they may differ in length.
        labels: to the left of the rows; empty or one for each.
        group: after so many columns comes a wider gap; 0: nowhere.
        side: the longer side of every picture, in inches.
        gap: between columns, in inches.
        note: a line below the title, in smaller letters.
        bars: columns below which a colour bar is drawn, that of the column's first picture.
    """

    title: str
    rows: list[list[Cell]]
    labels: list[str] | tuple[()] = ()
    group: int = 0
    side: float = 1.0
    gap: float = 0.14
    note: str = ""
    bars: range = range(0)


def draw(blocks: list[Block]) -> "Figure":
    """Draws blocks one below the other.

    Args:
        blocks: at least one.

    Returns:
        A figure as wide as its widest row or title; the pictures' channels do not change its size.
    """
    from lea_keras.plots.figure import Figure

    width = 2 * _MARGIN + max(_block_width(block) for block in blocks)
    height = 2 * _MARGIN + sum(_block_height(block) for block in blocks) + (len(blocks) - 1) * _MARGIN
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.suppressComposite = True  # in a PDF, too, every picture stays one
    axes = figure.add_axes((0, 0, 1, 1))
    top = height - _MARGIN
    for block in blocks:
        _draw_block(axes, block, top)
        top -= _block_height(block) + _MARGIN
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure


def _size(picture: np.ndarray, side: float) -> tuple[float, float]:
    """Width and height of a picture in inches."""
    rows, columns = picture.shape[:2]
    longer = max(rows, columns)
    return max(round(side * columns / longer, 2), 0.01), max(round(side * rows / longer, 2), 0.01)


def _room(texts: list[str], lines: int = 0) -> float:
    """The room for some texts, each of at most so many lines or of those that they have; 0 where all are empty."""
    lines = lines or 1 + max(text.count("\n") for text in texts)
    return lines * _LINE + _PAD if any(texts) else 0.0


def _row_heights(row: list[Cell], side: float) -> tuple[float, float, float]:
    """Room for headings, pictures and captions of a row."""
    pictures = max(_size(cell.picture, side)[1] for cell in row)
    headings = _room([cell.heading for cell in row], 2)
    return headings, pictures, _room([cell.caption for cell in row])


def _block_height(block: Block) -> float:
    rows = sum(sum(_row_heights(row, block.side)) + _PAD for row in block.rows)
    return _TITLE_ROOM + _room([block.note], 1) + rows + (_PAD + _BAR_HEIGHT + _room(["bar"]) if block.bars else 0.0)


def _label_width(block: Block) -> float:
    return max((text_width(label, _HEADING_SIZE) for label in block.labels), default=-_PAD) + _PAD


def _left(block: Block, column: int) -> float:
    """How far a column begins from the left end of the first."""
    groups = column // block.group if block.group else 0
    return column * (block.side + block.gap) + groups * _GROUP_GAP


def _block_width(block: Block) -> float:
    last = max(len(row) for row in block.rows) - 1
    texts = text_width(block.title, _TITLE_SIZE, "bold"), text_width(block.note, _HEADING_SIZE)
    return max(_label_width(block) + _left(block, last) + block.side, *texts)


def _draw_block(axes: "Axes", block: Block, top: float) -> None:
    axes.text(_MARGIN, top, block.title, size=_TITLE_SIZE, weight="bold", va="top", parse_math=False)
    top -= _TITLE_ROOM
    if block.note:
        axes.text(_MARGIN, top, block.note, size=_HEADING_SIZE, alpha=_SOFT, va="top", parse_math=False)
        top -= _room([block.note], 1)
    first = _MARGIN + _label_width(block)
    for i, row in enumerate(block.rows):
        headings, pictures, captions = _row_heights(row, block.side)
        top -= headings
        if block.labels:
            middle = top - pictures / 2
            axes.text(_MARGIN, middle, block.labels[i], size=_HEADING_SIZE, va="center", parse_math=False)
        for column, cell in enumerate(row):
            _draw_cell(axes, cell, first + _left(block, column), top, block.side)
        top -= pictures + captions + _PAD
    for column in block.bars:
        _draw_bar(axes, block.rows[0][column], first + _left(block, column), top - _PAD, block.side)


def _draw_bar(axes: "Axes", cell: Cell, left: float, top: float, side: float) -> None:
    """The colours of a picture's values from the lowest to the highest, with these two below them."""
    edges = left + np.linspace(0, side, _BAR_SHADES + 1)
    low, high = cell.limits
    shades = np.linspace(low, high, _BAR_SHADES)[None]
    axes.pcolormesh(edges, [top - _BAR_HEIGHT, top], shades, cmap=cell.colours, vmin=low, vmax=high)
    _draw_frame(axes, (left, top - _BAR_HEIGHT), side, _BAR_HEIGHT)
    text = range_text(low, high)
    place = left + side / 2, top - _BAR_HEIGHT - _PAD
    axes.text(*place, text, size=_CAPTION_SIZE, ha="center", va="top", alpha=_SOFT, parse_math=False)


def _draw_frame(axes: "Axes", corner: tuple[float, float], width: float, height: float) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor="0.6", linewidth=0.5))


def range_text(low: float, high: float) -> str:
    """A range of values as it is printed below a picture."""
    return f"{low + 0.0:.2g} … {high + 0.0:.2g}"  # the sum makes 0 of −0


def _draw_cell(axes: "Axes", cell: Cell, left: float, top: float, side: float) -> None:
    width, height = _size(cell.picture, side)
    middle = left + side / 2
    corner = (round(middle - width / 2, 2), top - height)
    axes.imshow(
        cell.picture,
        cmap=cell.colours,
        vmin=cell.limits[0],
        vmax=cell.limits[1],
        extent=(corner[0], corner[0] + width, corner[1], top),
        origin="upper",
        aspect="auto",
        interpolation="auto",  # blurs only where pixels would otherwise come out at unequal sizes
    )
    _draw_frame(axes, corner, width, height)
    text = {"ha": "center", "linespacing": 1.1, "parse_math": False}
    if cell.heading:
        axes.text(middle, top + _PAD, cell.heading, size=_HEADING_SIZE, va="bottom", **text)
    if cell.caption:
        axes.text(middle, corner[1] - _PAD, cell.caption, size=_CAPTION_SIZE, va="top", alpha=_SOFT, **text)
