"""Filters of linear encoders: what each code variable weighs the pixels of a window with."""

import math
from typing import TYPE_CHECKING

import keras
import numpy as np

from lea_keras.autoencoders.base import Autoencoder
from lea_keras.checks import check_positive_int, fail
from lea_keras.plots.decoded import to_numpy
from lea_keras.plots.grid import DIVERGING, Block, Cell, draw
from lea_keras.plots.views import autoencoder_of, count_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE, _GAP = 0.5, 0.04  # inches


def filters(model: keras.Model | Autoencoder, max_filters: int = 100, name: str | None = None) -> "Figure":
    """Draws the weights with which a linear encoder makes each code variable, as pictures of its windows.

    One picture for each code variable, a row of Wᵀ in z = Wᵀx + b (A. Makhzani and B. Frey, "k-Sparse
    Autoencoders", 2014, Fig. 1); for the variational types of the mean, and of logits. All
    are on one scale around 0: red weights are
    above, blue ones below. Of windows with more than one channel, the mean over the channels is drawn.

    Args:
        model: a built autoencoder with an encoder that only flattens windows, such as ``encoder="fc", units=()`` or
            ``keras.layers.Flatten()``; or a model with one LEA that has such an autoencoder.
        max_filters: of longer codes only so many are drawn; the title says so.
        name: begins the title. None: the autoencoder's own.

    Returns:
        A figure of pictures in a square; the last row may be shorter.

    Raises:
        ValueError: for another encoder, or an argument outside what is said above.
    """
    autoencoder = autoencoder_of(model)
    max_filters = check_positive_int("max_filters", max_filters)
    shape = autoencoder.windows_shape[1:]
    if autoencoder.encoder.weights or autoencoder.features_length != math.prod(shape):
        allowed = 'one whose encoder is linear: encoder="fc" with units=(), or keras.layers.Flatten()'
        received = f"{autoencoder.name} with {type(autoencoder.encoder).__name__} of {autoencoder.features_length}"
        raise fail("model", allowed, f"{received} features")
    heads = [getattr(autoencoder, name) for name in ("code", "mean", "logits") if hasattr(autoencoder, name)]
    kernel = np.concatenate([to_numpy(head.kernel) for head in heads], axis=-1)[:, :max_filters]  # [wh·ww·c, filters]
    pictures = np.mean(kernel.T.reshape(-1, *shape), axis=-1)  # [filters, wh, ww]
    largest = float(np.max(np.abs(pictures))) or 1.0
    cells = [Cell(picture, (-largest, largest), colours=DIVERGING) for picture in pictures]
    columns = math.ceil(math.sqrt(len(cells)))
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    title = f"{name or autoencoder.name}: filters{count_text(len(cells), autoencoder.code_length, 'codes')}"
    note = f"blue {-largest:.2g}, white 0, red {largest:.2g}"
    if shape[-1] > 1:
        note += f", mean of {shape[-1]} channels"
    return draw([Block(title, rows, side=_SIDE, gap=_GAP, note=note)])
