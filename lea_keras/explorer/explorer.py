"""``lea_keras.explore``: turn a code and see what changes."""

import html
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from lea_keras.checks import check_path, check_positive_int, fail
from lea_keras.explorer.page import overhead, page
from lea_keras.explorer.tiles import Explored, data_of, explored
from lea_keras.inspection import inspect
from lea_keras.plots.views import names, with_decoder

HEIGHT = 860  # pixels of the page in a notebook (chosen)

Ranges = Mapping[int, tuple[float, float]] | Mapping[str, Mapping[int, tuple[float, float]]]


class Explorer:
    """A page on which codes are moved: shown by Jupyter and Colab, or saved as a file.

    Attributes:
        html: the page, one text that needs nothing else.
        notes: by LEA, what the page leaves out for lack of room, in sentences; it says so itself.
    """

    def __init__(self, html: str, notes: Mapping[str, list[str]]) -> None:
        self.html = html
        self.notes = dict(notes)

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Writes the page to a file, which any browser opens, and returns its path.

        Raises:
            ValueError: for something that is no path.
            OSError: if it cannot be written.
        """
        file = pathlib.Path(check_path("path", path, "the path of a file"))
        file.write_text(self.html, encoding="utf-8")
        return file

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that several in one notebook, and the notebook itself, do not meet."""
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" title="LEA explorer" width="100%" '
            f'height="{HEIGHT}" style="border: 0"></iframe>'
        )


def explore(
    model: keras.Model,
    images: Any,
    ranges: Ranges | None = None,
    steps: int = 9,
    max_images: int = 8,
    max_bytes: int = 2_000_000,
    live: bool = False,
) -> Explorer:
    """Makes a page that shows what each code of a LEA stands for (the interface of section 5.1, for every window).

    Choose an image, click a window (or use the arrow keys), move one of its codes: the decoded window and the merged
    image change. Strips show the whole traversal of each code at once. A whole-image autoencoder has one window.
    Windows are decoded beforehand, one code moved and the others as the image has them, so that the page needs no
    server, no network and no model; moving a code resets the others. Pixels are in 8 bits of the range from black to
    white: that of the inputs, as ``lea_keras.plots`` draws them.

    Codes are μ for the variational types. They are ordered by KL (variational types: nats as Eq. 2.24 counts them) or
    by variance, over all windows of all images given; sliders go from their 1st to their 99th percentile **(chosen)**.
    LEAs without a trained decoder (loss weight 0) are left out.

    Args:
        model: a built or callable model with LEA layers, at any depth.
        images: a batch of its inputs, as ``lea_keras.inspect`` takes it. The more, the better percentiles are.
        ranges: of code values, by numbers of codes from 0, as ``{0: (-3, 3), 4: (-1.1, 0.7)}``; where the model has
            several LEAs, such mappings by their names. Code 0 is called code 1 on the page, as in pictures.
        steps: values of each code, at least 2.
        max_images: the page has the first so many of the images.
        max_bytes: the page is at most so large. Where there is no room, these go, in this order: images whose windows
            alone take over 60 % of it; steps, to five; codes that say least, while there is not room for one window an
            image; windows whose inputs are flattest. The page says what is left out.
        live: whether to return, instead of the page alone, an explorer whose codes the running model decodes, several
            at once. It needs ipywidgets; ``html`` and ``save`` are as without.

    Returns:
        The explorer.

    Raises:
        ValueError: for an argument outside what is said above, without any LEA that has a trained decoder, or if
            max_bytes are too few for one image.
        ImportError: with ``live``, if ipywidgets are not installed.
    """
    steps = check_positive_int("steps", steps, minimum=2)
    max_images = check_positive_int("max_images", max_images)
    max_bytes = check_positive_int("max_bytes", max_bytes)
    if live:
        from lea_keras.explorer import widget

        widget.import_ipywidgets()
    views = inspect(model, images)
    decoded = with_decoder(views)
    if not decoded:
        allowed = "a model with a LEA that has a trained decoder, that is a loss_weight above 0"
        raise fail("model", allowed, [view.layer.name for view in views], "These are its LEAs.")
    of_leas = _by_name(ranges, list(dict.fromkeys(view.layer.name for view in decoded)))
    leas = [
        explored(view, name, of_leas.get(view.layer.name)) for view, name in zip(decoded, names(decoded), strict=True)
    ]
    data = _within(leas, min(max_images, len(decoded[0].inputs)), steps, max_bytes)
    left_out = [view.layer.name for view in views if not view.layer.loss_weight]
    for lea in data:
        lea["notes"] += [f"Left out, without a trained decoder: {', '.join(left_out)}."] if left_out else []
    explorer = Explorer(page(data), {lea["name"]: lea["notes"] for lea in data})
    return widget.LiveExplorer(explorer, leas, max_images) if live else explorer


def _within(leas: list[Explored], images: int, steps: int, max_bytes: int) -> list[dict[str, Any]]:
    """The page's data, in the room that there is."""
    try:
        return data_of(leas, images, steps, max_bytes - overhead() - 1000 * len(leas))  # notes and names
    except ValueError as error:
        raise ValueError(f"{str(error).partition(' Received')[0]} Received: max_bytes={max_bytes}") from None


def _by_name(ranges: Any, layers: list[str]) -> dict[str, Any]:
    """Ranges by names of layers."""
    if ranges is None:
        return {}
    if not isinstance(ranges, Mapping):
        raise fail("ranges", "a mapping from numbers of codes to (low, high)", ranges)
    if ranges and all(isinstance(key, str) for key in ranges):
        if not set(ranges) <= set(layers) or not all(isinstance(value, Mapping) for value in ranges.values()):
            raise fail("ranges", f"mappings from numbers of codes to (low, high), by names of LEAs, {layers}", ranges)
        return dict(ranges)
    if len(layers) > 1:
        raise fail("ranges", f"mappings by names of LEAs, {layers}, where there are several", ranges)
    return dict.fromkeys(layers, ranges)
