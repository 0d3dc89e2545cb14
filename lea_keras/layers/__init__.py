"""Layers: what happens to images, in a model's forward pass."""

from lea_keras.layers.lea import LocallyEmbeddedAutoencoder
from lea_keras.layers.pooling import MinPooling2D

__all__ = ["LocallyEmbeddedAutoencoder", "MinPooling2D"]
