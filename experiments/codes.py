"""Codes that are not learned: what a reconstruction objective has to be better than."""

from collections.abc import Iterable, Iterator

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
        batches = (batch for batch, *_ in lea_keras.data.batches(images))
        lea_keras.pca.fit(lea.autoencoder, windows_of(lea, batches))
    lea.trainable = False


def windows_of(lea: lea_keras.LocallyEmbeddedAutoencoder, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """All windows that a LEA cuts out of one batch after the other, [b·rows·columns, wh, ww, c]."""
    for batch in images:
        cut = lea_keras.windows.extract_windows(batch, lea.window_size, lea.strides, lea.padding)
        windows = keras.ops.convert_to_numpy(cut)  # [b, rows, columns, wh, ww, c]
        yield windows.reshape(-1, *windows.shape[3:])
