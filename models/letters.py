"""The network that turns the image of a letter into one of its counterpart in another alphabet.

"Solution of 4. Assignment", exercise 2 (course work, 2018): a convolutional encoder-decoder from Cyrillic to Latin
letters of 28×28 pixels. What comes out is not what goes in, so that it trains as any Keras model does: ``compile`` with
``squared_error`` and ``fit`` with the pairs of ``lea_keras.data.class_pairs``.

Departures: the document names neither optimiser nor rate, batch or epochs, and its letters are not public; shapes are
what data sets have **(chosen)**. Its table is silent on the share of units dropped, 0.5 **(chosen)**; on the shape in
which the fifth layer is normalised, that of maps **(chosen)**; on PReLU's slope, shared over space, from 0.25
**(chosen)**; and on what follows the last layer, nothing **(chosen)**. Normalisation, slope and dropout of the code are
the decoder's here, so that the code is what the autoencoder's linear layer says; nothing is computed otherwise.
"""

from typing import Any

import keras
from keras import layers

import lea_keras
from lea_keras.version import PACKAGE

_SLOPE = 0.25


@keras.saving.register_keras_serializable(PACKAGE)
def squared_error(targets: Any, images: Any) -> Any:
    """Returns the summed squared error of each image, two of [b, rows, columns, channels] → [b]; models that are
    compiled with it load."""
    return lea_keras.losses.window_errors(targets, images)


def letter_network(
    image_shape: tuple[int, int, int] = (28, 28, 1),
    *,
    code_length: int = 512,
    filters: tuple[int, int] = (32, 64),
    dropout: float = 0.5,
    name: str = "letters",
) -> keras.Model:
    """Builds the encoder-decoder, an autoencoder with coders of its own, which is ``model.get_layer("autoencoder")``.

    Args:
        image_shape: (rows, columns, channels), sides divisible by four.
        code_length: units of the layer between encoder and decoder.
        filters: of the two convolutions; the decoder has them in reverse.
        dropout: the share of the code's units that are dropped in training.
        name: of the model.

    Returns:
        A model from images [b, rows, columns, channels] to images of that shape. With the defaults its layers have
        3,867,921 weights and biases, and normalisation and slopes 2,115 more that are trained.

    Raises:
        ValueError: for an image whose sides four does not divide.
    """
    if len(image_shape) != 3 or len(filters) != 2:
        raise ValueError(
            "Arguments `image_shape` and `filters` must be (rows, columns, channels) and a pair. "
            f"Received: image_shape={image_shape}, filters={filters}"
        )
    rows, columns, channels = image_shape
    if rows % 4 or columns % 4:
        raise ValueError(f"Argument `image_shape` must have sides that 4 divides. Received: image_shape={image_shape}")
    encoder = keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(filters[0], 3, 2, padding="same", name="conv_1"),
            *_activation(over_maps=True),
            layers.Conv2D(filters[1], 3, 2, padding="same", name="conv_2"),
            *_activation(over_maps=True),
            layers.Flatten(),
        ],
        name="encoder",
    )
    start = (rows // 4, columns // 4, filters[1])
    decoder = keras.Sequential(
        [
            keras.Input((code_length,)),
            *_activation(),
            layers.Dropout(dropout),
            layers.Dense(start[0] * start[1] * start[2], name="dense_1"),
            layers.Reshape(start),  # [b, rows/4, columns/4, filters]
            *_activation(over_maps=True),
            layers.Conv2DTranspose(filters[0], 3, 2, padding="same", name="deconv_1"),
            *_activation(over_maps=True),
            layers.Conv2DTranspose(channels, 3, 2, padding="same", name="deconv_2"),
            *_activation(over_maps=True),
            layers.Flatten(),
            layers.Dense(rows * columns * channels, name="dense_2"),
            layers.Reshape(image_shape),
        ],
        name="decoder",
    )
    autoencoder = lea_keras.StandardAutoencoder(code_length, encoder=encoder, decoder=decoder, name="autoencoder")
    return keras.Sequential([keras.Input(image_shape, name="image"), autoencoder], name=name)


def judged(model: keras.Model, classifier: keras.Model, name: str = "judged_letters") -> keras.Model:
    """Builds what is trained for the target "classifier": images to a frozen classifier's answer to what is drawn.

    Args:
        model: that draws; it is trained, and not copied.
        classifier: of the second alphabet, from images to logits. Frozen here, and called as in inference.
        name: of the model.
    """
    classifier.trainable = False
    images = keras.Input(model.input_shape[1:], name="image")
    return keras.Model(images, classifier(model(images), training=False), name=name)


def _activation(over_maps: bool = False) -> list[Any]:
    """What follows layers: normalisation of the batch, then ReLU with a slope that is learned, of maps by channel."""
    slope = layers.PReLU(
        alpha_initializer=keras.initializers.Constant(_SLOPE), shared_axes=[1, 2] if over_maps else None
    )
    return [layers.BatchNormalization(), slope]
