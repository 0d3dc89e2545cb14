"""The network of which robustness is certified, and one with a LEA for its first convolution.

E. Wong and J. Z. Kolter, "Provable defenses against adversarial examples via the convex outer adversarial polytope"
(arXiv:1711.00851, 2018): two convolutions of 4×4, stride 2, with 16 and 32 filters, and two dense layers of 100 and 10,
with ReLUs between them; Adam at 1e-3, batches of 50, ε rising from 0.05 to 0.1.

Departures: none in the network of 166,406 parameters; "same" padding of 28 rows is the authors' one of 1. The LEA is
ours **(chosen)**: windows of the convolution's size and stride, as many hidden values, and codes as long, as it has
filters.
"""

import keras
from keras import layers

import lea_keras


def polytope_network(image_shape: tuple[int, int, int] = (28, 28, 1), classes: int = 10) -> keras.Model:
    """Builds the convolutional network for MNIST and Fashion-MNIST.

    Args:
        image_shape: (rows, columns, channels).
        classes: number of logits.

    Returns:
        A Sequential model; 166,406 parameters with the defaults.
    """
    first = layers.Conv2D(16, 4, strides=2, padding="same", activation="relu")
    return keras.Sequential([keras.Input(image_shape), first, *_rest(classes)], name="polytope_network")


def polytope_lea(image_shape: tuple[int, int, int] = (28, 28, 1), classes: int = 10) -> lea_keras.LEAModel:
    """Builds the same network with a LEA in place of the first convolution, for all optimisations of ``LEAModel``.

    Args:
        image_shape: (rows, columns, channels).
        classes: number of logits.
    """
    autoencoder = lea_keras.StandardAutoencoder(16, encoder="fc", decoder="fc", units=(16,))
    inputs = values = keras.Input(image_shape)
    values = lea_keras.LocallyEmbeddedAutoencoder(4, autoencoder, strides=2, name="lea")(values)
    for layer in _rest(classes):
        values = layer(values)
    return lea_keras.LEAModel(inputs, values, name="polytope_lea")


def _rest(classes: int) -> list[layers.Layer]:
    return [
        layers.Conv2D(32, 4, strides=2, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(100, activation="relu"),
        layers.Dense(classes, name="logits"),
    ]
