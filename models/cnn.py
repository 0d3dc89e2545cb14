"""``classic`` and ``cnn_lea``: conv 5×5 – pool – conv 3×3 – pool – fc – fc, with max-pools or with LEAs.

S. Penhouët, "Semi-supervised Learning with Locally Embedded Autoencoder", master's thesis, Tübingen 2019, section
4.7: convolutions of stride one with ReLU and zero padding; max-pools of 2×2 with stride 2 in ``classic``, LEAs of 4×4
with stride 2 and code length 10 in ``cnn_lea`` (section A.1), trained alternately.

Departures: the thesis does not say how many filters the convolutions have; they are 32 and 64 here **(chosen)**. The
last layer returns logits, the softmax being in the loss.
"""

from typing import Any

import keras

import lea_keras
from models import parts
from models.configs import RunConfig


def classic(config: RunConfig, image_shape: tuple[int, int, int], classes: int, steps_per_epoch: int) -> keras.Model:
    """Builds ``classic``; see ``models.registry.build``."""
    del steps_per_epoch
    images = parts.image_input(image_shape)
    reducers = [parts.max_pool(config, f"pool_{i}") for i in (1, 2)]
    return keras.Model(images, _stack(images, reducers, config, classes), name=config.model)


def cnn_lea(config: RunConfig, image_shape: tuple[int, int, int], classes: int, steps_per_epoch: int) -> keras.Model:
    """Builds ``cnn_lea``; see ``models.registry.build``."""
    images = parts.image_input(image_shape)
    reducers = [parts.lea(config, steps_per_epoch, f"lea_{i}") for i in (1, 2)]
    logits = _stack(images, reducers, config, classes)
    return lea_keras.LEAModel(images, logits, optimization=config.optimization, name=config.model)


def _stack(images: Any, reducers: list[keras.Layer], config: RunConfig, classes: int) -> Any:
    features = images
    for i, (filters, kernel_size, reduce) in enumerate(zip(config.filters, (5, 3), reducers, strict=True), start=1):
        convolution = keras.layers.Conv2D(filters, kernel_size, padding="same", activation="relu", name=f"conv_{i}")
        features = reduce(convolution(features))
    return parts.classifier(features, classes)
