"""Layers: what happens to images, in a model's forward pass."""

from lea_keras.layers.lea import LocallyEmbeddedAutoencoder

__all__ = ["LocallyEmbeddedAutoencoder"]
