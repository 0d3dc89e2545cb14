"""Codes that are not learned: what a reconstruction objective has to be better than."""

from collections.abc import Iterator

import keras
import numpy as np

import lea_keras
from lea_keras.data import Dataset


def freeze(model: lea_keras.LEAModel, kind: str, images: Dataset) -> None:
    """Freezes the only LEA of a model, as it was initialised or with the components of its windows.

    Args:
        model: not compiled.
        kind: "random" or "pca".
        images: batches to take the components of.

    Raises:
        ValueError: for "pca" with an autoencoder that is not linear.
    """
    (lea,) = model.lea_layers
    if kind == "pca":
        lea_keras.pca.fit(lea.autoencoder, _windows(lea, images))
    lea.trainable = False


def _windows(lea: lea_keras.LocallyEmbeddedAutoencoder, images: Dataset) -> Iterator[np.ndarray]:
    """All windows of one batch after the other, [b·rows·columns, wh, ww, c]."""
    for batch, *_ in lea_keras.data.batches(images):
        cut = lea_keras.windows.extract_windows(batch, lea.window_size, lea.strides, lea.padding)
        windows = keras.ops.convert_to_numpy(cut)  # [b, rows, columns, wh, ww, c]
        yield windows.reshape(-1, *windows.shape[3:])
