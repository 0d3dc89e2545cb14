"""Sources of the pictures: inspections, given or made, and the part of their values that a picture can show."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from lea_keras.autoencoders.base import Autoencoder
from lea_keras.autoencoders.code_search import check_built
from lea_keras.checks import fail
from lea_keras.inspection import Inspection, inspect
from lea_keras.layers.lea import LocallyEmbeddedAutoencoder, find_leas
from lea_keras.plots.grid import range_text

Source = keras.Model | Inspection | Sequence[Inspection]
_SOURCES = "a model (with `images`), an inspection or a list of inspections, as lea_keras.inspect returns them"


def lea_layers(model: keras.Model) -> list[LocallyEmbeddedAutoencoder]:
    """The LEA layers inside a model, nested ones too, in the order in which they were added."""
    return find_leas(model)


def autoencoder_of(model: Any) -> Autoencoder:
    """The built autoencoder that a picture is drawn from: itself, or that of the only LEA in a model.

    Raises:
        ValueError: if there is none, or more than one.
    """
    autoencoder = unwrapped(model)
    if not isinstance(autoencoder, Autoencoder):
        leas = find_leas(model) if isinstance(model, keras.Model) else []
        received = f"a model with the LEAs {[lea.name for lea in leas]}"
        received = received if isinstance(model, keras.Model) else type(model).__name__
        raise fail("model", "an autoencoder, or a model with one LEA", received)
    check_built(autoencoder)
    return autoencoder


def unwrapped(autoencoder: Any) -> Any:
    """An autoencoder, also where a model with one LEA is given in its place; anything else as it is."""
    leas = find_leas(autoencoder) if isinstance(autoencoder, keras.Model) else []
    return leas[0].autoencoder if len(leas) == 1 else autoencoder


def resolve(source: Any, images: Any = None) -> list[Inspection]:
    """The inspections that a picture is drawn from.

    Raises:
        ValueError: if there are none, or ``images`` does not come with a model and only with it.
    """
    if isinstance(source, keras.Model):
        if images is None:
            raise fail("images", "a batch of images where a model is given", images)
        views = inspect(source, images)
        if not views:
            layers = [layer.name for layer in source.layers]
            raise ValueError(f"Argument `source` must have LEA layers. Received: a model with the layers {layers}")
        return views
    if images is not None:
        raise fail("images", "left out where inspections are given", type(images).__name__)
    if isinstance(source, Inspection):
        return [source]
    if not isinstance(source, (list, tuple)) or not source or not all(isinstance(view, Inspection) for view in source):
        raise fail(
            "source", _SOURCES, [] if isinstance(source, (list, tuple)) and not source else type(source).__name__
        )
    return list(source)


def with_decoder(views: Sequence[Inspection]) -> list[Inspection]:
    """Those inspections whose LEA has a trained decoder, which at a loss weight of 0 it has not."""
    return [view for view in views if view.layer.loss_weight]


def resolve_with_decoder(source: Any, images: Any = None) -> list[Inspection]:
    """As ``resolve``, without the LEAs that have no trained decoder.

    Raises:
        ValueError: as in ``resolve``, or if no LEA is left.
    """
    views = resolve(source, images)
    if not with_decoder(views):
        leas = [view.layer.name for view in views]
        raise ValueError(
            "Argument `source` must have a LEA with a trained decoder, that is with a loss_weight above 0. "
            f"Received: the LEAs {leas}"
        )
    return with_decoder(views)


def names(views: Sequence[Inspection]) -> list[str]:
    """A name for each inspection: its layer's, and from a layer's second use on also which use it is."""
    found: list[str] = []
    for i, view in enumerate(views):
        use = 1 + sum(former.layer is view.layer for former in views[:i])
        found.append(view.layer.name if use == 1 else f"{view.layer.name} (use {use})")
    return found


def title(view: Inspection, name: str) -> str:
    """The name of a LEA and its windows."""
    size, strides = ("×".join(str(n) for n in pair) for pair in (view.layer.window_size, view.layer.strides))
    return f"{name}: windows {size}, strides {strides}"


def note(view: Inspection) -> str:
    """What confidence is relative to."""
    if view.largest is not None:
        return f"confidence: relative to the split's worst window, whose squared error is {view.largest:.3g}"
    count = len(view.inputs)
    return f"confidence: relative to the worst window of {f'these {count} images' if count > 1 else 'this image'}"


class Drawable:
    """The inputs of a LEA, and whatever has their shape, as pictures.

    One channel is grey, three with values in [0, 1] are colours; of any others the mean over the channels is drawn.

    Attributes:
        range: the smallest and the largest input.
        heading: what is drawn of inputs.
        scale: which values of pictures are black and white: the same for all images.
    """

    def __init__(self, inputs: np.ndarray) -> None:
        self.range = limits(inputs)
        channels = inputs.shape[-1]
        self._colours = channels == 3 and self.range[0] >= 0 and self.range[1] <= 1
        self.heading = "input" if self._colours or channels == 1 else f"input, mean of\n{channels} channels"
        self.scale = widened(*limits(self._values(inputs)))

    def picture(self, values: np.ndarray) -> np.ndarray:
        """[h, w] or [h, w, 3] of values [h, w, c]; colours are clipped to the inputs' range."""
        return np.clip(values, *self.range) if self._colours else self._values(values)

    def caption(self, values: np.ndarray) -> str:
        """The range of a picture of values [h, w, c] before any were clipped to the inputs' range, and if some are."""
        text, (low, high) = range_text(*limits(self._values(values))), limits(values)
        return text if self.range[0] <= low and high <= self.range[1] else f"{text}\nclipped"

    def clipping(self, values: np.ndarray) -> str:
        """A note about values [..., c] that are drawn clipped; empty if none are."""
        low, high = limits(values)
        if self.range[0] <= low and high <= self.range[1]:
            return ""
        return f"clipped: to the inputs' range, {range_text(*self.range)}"

    def _values(self, values: np.ndarray) -> np.ndarray:
        return values if self._colours else np.mean(values, axis=-1)


def limits(values: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest value."""
    return float(np.min(values)), float(np.max(values))


def widened(low: float, high: float) -> tuple[float, float]:
    """A scale from the smallest to the largest value on which these differ even where they are one.

    A single value in [0, 1] is shown on that range, any other in the middle, between 0 and its double **(chosen)**.
    """
    if low < high:
        return low, high
    return (0.0, 1.0) if 0 <= low <= 1 else (min(2 * low, 0.0), max(2 * low, 0.0))


def count_text(shown: int, count: int, what: str) -> str:
    """Says in a title how much of something is drawn; nothing where it is all."""
    return f", first {shown} of {count} {what}" if shown < count else ""
