"""Autoencoders of whole images as models: one LEA with one window (thesis section 3.3.3)."""

from typing import Any

import keras

from lea_keras import autoencoders
from lea_keras.checks import check_positive_int, fail
from lea_keras.layers.lea import LocallyEmbeddedAutoencoder
from lea_keras.training.model import LEAModel


def image_autoencoder(
    autoencoder: str | autoencoders.Autoencoder | dict[str, Any],
    image_shape: tuple[int, int, int],
    *,
    name: str = "image_autoencoder",
    **arguments: Any,
) -> LEAModel:
    """Builds an autoencoder of whole images, to be compiled without a loss.

    Its layer "lea" is a LEA whose only window is the image::

        model = lea_keras.image_autoencoder("vae", (28, 28, 1), code_length=2, units=(512, 128))
        model.compile("adam")
        model.fit(images)
        codes = model.predict(images)
        reconstructions = model.get_layer("lea").autoencoder.decode(codes)

    Args:
        autoencoder: a name ("standard", "k_sparse", "vae", "capacity_vae", "info_vae", "joint_vae"), an autoencoder, or
            the config of one.
        image_shape: (rows, columns, channels), whatever Keras' data format.
        name: of the model.
        **arguments: of the autoencoder, where that is a name.

    Returns:
        A model from images [b, rows, columns, channels] to codes [b, code_length].

    Raises:
        ValueError: for another shape, for arguments of an autoencoder that has its own, or as an autoencoder raises it.
    """
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
        raise fail("image_shape", "(rows, columns, channels)", image_shape)
    rows, columns, channels = (check_positive_int("image_shape", size) for size in image_shape)
    if arguments and not isinstance(autoencoder, str):
        first = next(iter(arguments))
        raise fail(first, "left out where the autoencoder is no name, but has its own", arguments[first])
    lea = LocallyEmbeddedAutoencoder(
        (rows, columns),
        autoencoders.get(autoencoder, **arguments),
        padding="valid",
        data_format="channels_last",
        name="lea",
    )
    images = keras.Input((rows, columns, channels), name="image")
    codes = keras.layers.Reshape((lea.code_length,), name="codes")(lea(images))  # [b, 1, 1, code_length] before
    return LEAModel(images, codes, optimization="joint", name=name)
