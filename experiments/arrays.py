"""Data sets as arrays, and what models make of arrays: for studies that train networks of their own."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

import lea_keras.data
from experiments.config import RunConfig

_BATCH = 500
_FEW = 8  # steps


class Images(NamedTuple):
    """Images [n, h, w, c] and their classes [n]."""

    images: np.ndarray
    labels: np.ndarray

    def where(self, chosen: Any) -> "Images":
        """Those that a mask, indices or a slice choose."""
        return Images(self.images[chosen], self.labels[chosen])


def load(config: RunConfig, name: str, split: str, limit: int | None, image_size: int | None) -> Images:
    """Loads a split of a data set, in its order.

    Args:
        config: where the data are, and the seed that chooses under ``limit``.
        name: as all others in ``lea_keras.data.load``.
        split: "train" or "test".
        limit: how many; None: all.
        image_size: rows and columns; None: the data set's own.
    """
    data = lea_keras.data.load(
        name,
        split,
        batch_size=_BATCH,
        limit=limit,
        image_size=image_size,
        shuffle=False,
        seed=config.data_seed,
        data_dir=config.data_dir,
        download=config.download,
    )
    images, labels = (np.concatenate(parts) for parts in zip(*lea_keras.data.batches(data), strict=True))
    return Images(images, np.argmax(labels, axis=1))


def computed(function: Callable[..., Any], inputs: np.ndarray) -> np.ndarray:
    """What a layer, a model or a method of one makes of inputs outside training; nothing is traced for it."""
    trains = {"training": False} if isinstance(function, keras.layers.Layer) else {}
    parts = [inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH)]
    return np.concatenate([np.asarray(ops.convert_to_numpy(function(part, **trains))) for part in parts])


def few_steps(images: np.ndarray, batch_size: int, epochs: int) -> bool:
    """Whether training has so few steps that they take less time than to trace one: ``compile(run_eagerly=)``."""
    return -(-len(images) // batch_size) * epochs <= _FEW
