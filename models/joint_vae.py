"""The networks of an attack on disentangled autoencoders of digits, and the judge of what these reconstruct.

S. Sootla, "Investigating the Robustness of Disentangled Variational Autoencoders to Adversarial Examples" (MSc report,
University College London, 2018), on E. Dupont's JointVAE (2018).

Departures: the report's text has no architecture; what is here is what its author trained, in which some layers differ
from those of his final report. Weights begin as elsewhere in this package (Glorot) **(chosen)**; theirs were uniform.
Heads give log σ in place of log σ². KL, γ and capacities are counted as in ``lea_keras.JointAutoencoder``, twice the
nats: ``gamma=15`` and ``capacity=10`` are the report's 30 and 5. The capacity of the categorical variable is clipped at
what it can hold **(chosen)**, the code at test is the likeliest class and no draw **(chosen)**, and colours are
Bernoulli pixels, too, where the author has a squared error **(chosen)**.

He trains on all of MNIST at 32×32 in batches of 64 for 100,000 steps by Adam at 1e-4, with ε = 1e-8; the JointVAE as it
is here by default; the VAE with ``gamma=0.5, capacity=0.0, discrete_capacity=0.0``; and that VAE again by
``lea_keras.optimizers.CoupledAdam(1e-4, l2=0.5, epsilon=1e-8)``. The judge has SGD at 0.01 with momentum 0.5 and ten
epochs of 64.
"""

from typing import Any

import keras
from keras import layers

import lea_keras

_FILTERS = {32: (32, 32, 64), 64: (32, 32, 64, 64)}  # of the encoder, by rows and columns


def joint_vae(
    image_shape: tuple[int, int, int] = (32, 32, 1),
    *,
    autoencoder: str = "joint_vae",
    code_length: int = 20,
    **arguments: Any,
) -> lea_keras.LEAModel:
    """Builds the autoencoder: three convolutions of 4×4 with stride 2, a dense layer of 128, the heads, the reverse.

    Args:
        image_shape: (rows, columns, channels), 32×32 or, with one convolution more on either side, 64×64.
        autoencoder: "joint_vae", or another of its kind to compare with, such as "vae".
        code_length: entries of the code; of the JointVAE's 20 ten are those of one categorical variable.
        **arguments: of the autoencoder.

    Returns:
        An ``image_autoencoder``. With the defaults its encoder has 180,992 parameters, the heads 3,870 and the decoder
        184,513: 369,375 in all.

    Raises:
        ValueError: for images of another size, or as in ``image_autoencoder``.
    """
    options = {
        "likelihood": "bernoulli",
        "encoder": "conv",
        "decoder": "conv",
        "kernel_size": 4,
        "filters": _filters(image_shape),
        "units": (128,),
    }
    return lea_keras.image_autoencoder(autoencoder, image_shape, code_length=code_length, **options | arguments)


def _filters(image_shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(image_shape) != 3 or image_shape[0] != image_shape[1] or image_shape[0] not in _FILTERS:
        raise ValueError(
            f"Argument `image_shape` must be (32, 32, channels) or (64, 64, channels). Received: {image_shape=}"
        )
    return _FILTERS[image_shape[0]]


def reconstruction_judge(
    image_shape: tuple[int, int, int] = (32, 32, 1), classes: int = 10, *, name: str = "judge"
) -> keras.Model:
    """Builds the classifier that says what a reconstruction shows: two convolutions of 5×5, two dense layers.

    Its dropout, of whole maps and of units, is for training alone; the author's judge judges with it.

    Args:
        image_shape: (rows, columns, channels), at least 16×16.
        classes: number of outputs.
        name: of the model.

    Returns:
        A model from images [b, rows, columns, channels] to logits [b, classes], with the defaults of 30,840 parameters.
    """
    images = keras.Input(image_shape, name="image")
    maps = layers.Conv2D(10, 5, name="conv_1")(images)
    maps = layers.ReLU(name="relu_1")(layers.MaxPooling2D(2, name="pool_1")(maps))
    maps = layers.SpatialDropout2D(0.5, name="dropout_1")(layers.Conv2D(20, 5, name="conv_2")(maps))
    maps = layers.ReLU(name="relu_2")(layers.MaxPooling2D(2, name="pool_2")(maps))
    hidden = layers.Dense(50, "relu", name="hidden")(layers.Flatten(name="flat")(maps))
    logits = layers.Dense(classes, name="logits")(layers.Dropout(0.5, name="dropout_2")(hidden))
    return keras.Model(images, logits, name=name)
