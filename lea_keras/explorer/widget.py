"""The explorer whose codes a running model decodes, with ipywidgets."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from lea_keras.explorer.codes import decode
from lea_keras.explorer.explorer import Explorer
from lea_keras.explorer.tiles import Explored, Pixels

SIDE = 240  # pixels of the largest side of a picture on the screen, about (chosen)


def import_ipywidgets() -> Any:
    """Returns the module ipywidgets.

    Raises:
        ImportError: one line, if it is not there.
    """
    try:
        import ipywidgets  # pyright: ignore[reportMissingImports]
    except ImportError:
        hint = "pip install 'lea_keras[notebook]'"
        raise ImportError(f"lea_keras.explore(…, live=True) needs ipywidgets: {hint}") from None
    return ipywidgets


class LiveExplorer(Explorer):
    """An explorer that Jupyter and Colab show as widgets; several codes move at once.

    Attributes:
        widget: all of it, an ipywidgets box.
        sliders: of the window chosen, by code, numbered from 0.
    """

    def __init__(self, explorer: Explorer, leas: Sequence[Explored], max_images: int) -> None:
        super().__init__(explorer.html, explorer.notes)
        self._leas = list(leas)
        self._images = max_images
        self._widgets = widgets = import_ipywidgets()
        self.lea = widgets.Dropdown(options=[(lea.name, i) for i, lea in enumerate(leas)], description="LEA")
        self.image, self.row, self.column = (
            widgets.BoundedIntText(value=1, min=1, description=name) for name in ("image", "row", "column")
        )
        self.reset = widgets.Button(description="Reset")
        self.pictures = {name: widgets.Image(format="png") for name in ("input", "merged", "window")}
        self._box = widgets.VBox()
        self.sliders: dict[int, Any] = {}
        labelled = [widgets.VBox([widgets.Label(name), picture]) for name, picture in self.pictures.items()]
        places = widgets.HBox([self.lea, self.image, self.row, self.column, self.reset])
        self.widget = widgets.VBox([places, widgets.HBox(labelled), self._box])
        self.lea.observe(lambda _: self._choose_lea(), "value")
        for place in (self.image, self.row, self.column):
            place.observe(lambda _: self._choose_window(), "value")
        self.reset.on_click(lambda _: self._choose_window())
        self._choose_lea()

    def codes(self) -> np.ndarray:
        """[code_length], of the window chosen as its sliders are."""
        lea, place = self._chosen()
        codes = lea.codes.maps[place].copy()
        for code, slider in self.sliders.items():
            if slider.value != slider.own:
                codes[code] = slider.value
        return codes

    def window(self) -> np.ndarray:
        """[wh, ww, c], what the model decodes of ``codes``."""
        return decode(self._chosen()[0].view.layer.autoencoder, self.codes()[None])[0]

    def _chosen(self) -> tuple[Explored, tuple[int, int, int]]:
        return self._leas[self.lea.value], (self.image.value - 1, self.row.value - 1, self.column.value - 1)

    def _choose_lea(self) -> None:
        lea = self._leas[self.lea.value]
        images, rows, columns = lea.codes.maps.shape[:3]
        for place, most in ((self.image, min(images, self._images)), (self.row, rows), (self.column, columns)):
            place.max = most
        self._pixels = Pixels(lea.view.inputs)
        self._choose_window()

    def _choose_window(self) -> None:
        lea, place = self._chosen()
        self.sliders = {}
        for code in lea.codes.order:
            own = float(lea.codes.maps[place][code])
            low, high = lea.ranges[code]
            unit = " nats" if lea.codes.measure == "KL" else ""
            text = f"code {code + 1} ({lea.codes.measure} {lea.codes.measures[code]:.3g}{unit})"
            slider = self._widgets.FloatSlider(
                value=own, min=min(low, own), max=max(high, own), step=(high - low) / 100, description=text,
                style={"description_width": "initial"}, layout={"width": "32em"}
            )  # fmt: skip
            slider.own = slider.value
            slider.observe(lambda _: self._draw(), "value")
            self.sliders[code] = slider
        self._box.children = list(self.sliders.values())
        self._draw()

    def _draw(self) -> None:
        lea, (image, row, column) = self._chosen()
        window, view = self.window(), lea.view
        windows = view.windows[image : image + 1].copy()
        windows[0, row, column] = window
        merged = view._replace(inputs=view.inputs[image : image + 1], windows=windows).unclipped[0]
        for name, values in (("input", view.inputs[image]), ("merged", merged), ("window", window)):
            self.pictures[name].value = _png(self._pixels(values))

    def _ipython_display_(self) -> None:
        from IPython.display import display  # pyright: ignore[reportMissingImports]

        display(self.widget)


def _png(pixels: np.ndarray) -> bytes:
    """A picture uint8 [h, w, 1 or 3], magnified."""
    from PIL import Image

    times = max(1, SIDE // max(pixels.shape[:2]))
    pixels = pixels.repeat(times, axis=0).repeat(times, axis=1)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return file.getvalue()
