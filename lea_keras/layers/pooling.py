"""Pooling that Keras has no layer for."""

from typing import Any

import keras
from keras import layers

from lea_keras.version import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class MinPooling2D(layers.MaxPooling2D):
    """The smallest value of every window: −max(−x). Arguments and shapes are those of ``keras.layers.MaxPooling2D``.

    As with that layer, the padding of "same" counts for nothing.
    """

    def call(self, inputs: Any) -> Any:
        return -super().call(-inputs)
