"""The fully connected autoencoder of a thesis that was drafted and not finished.

M. Sevkovych, "On variational autoencoders: theory and applications", draft of a master's thesis, 2023, section 2.3 and
its Algorithm 1. It calls the network linear, as it consists of dense layers; but its hidden layers are not.

The draft trains it on MNIST with the squared error summed over pixels, Adam at 3e-4, batches of 256 and 1000 epochs.
Departures, where it is silent: the decoder mirrors the encoder, hidden layers are ReLU, code and output linear
**(chosen)**. An activation on every layer, as its definitions have it, would leave no code a negative value.
"""

from typing import Any

import lea_keras


def dense_autoencoder(
    image_shape: tuple[int, int, int] = (28, 28, 1),
    *,
    code_length: int = 3,
    units: tuple[int, ...] = (128, 64, 12),
    **arguments: Any,
) -> lea_keras.LEAModel:
    """Builds the autoencoder 784-128-64-12-3 and back.

    Args:
        image_shape: (rows, columns, channels).
        code_length: variables of the bottleneck.
        units: of the encoder's hidden layers; the decoder has them in reverse.
        **arguments: of ``lea_keras.StandardAutoencoder``; ``likelihood="bernoulli"`` for the draft's other loss.

    Returns:
        An ``image_autoencoder``, with the defaults of 219,891 parameters.
    """
    return lea_keras.image_autoencoder("standard", image_shape, code_length=code_length, units=units, **arguments)
