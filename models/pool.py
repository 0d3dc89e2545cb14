"""``pool_fc`` and ``lea_fc``: one max-pool or one LEA right on the image, then fc – fc.

S. Penhouët, "Semi-supervised Learning with Locally Embedded Autoencoder", master's thesis, Tübingen 2019, section
4.7: windows next to each other without overlap (stride = window size), zero padding, ReLU; ``lea_fc`` is trained
alternately, so that its code is learned from the reconstruction alone (section 5.3).

Departures: the last layer returns logits, the softmax being in the loss. The thesis trains many window sizes for 100
epochs with a learning rate of 1e-4; the named configurations have windows of 8×8 and 1e-3 **(chosen)**, with which a
few epochs suffice.
"""

import keras

import lea_keras
from models import parts
from models.configs import RunConfig


def pool_fc(config: RunConfig, image_shape: tuple[int, int, int], classes: int, steps_per_epoch: int) -> keras.Model:
    """Builds ``pool_fc``; see ``models.registry.build``."""
    del steps_per_epoch
    images = parts.image_input(image_shape)
    return keras.Model(images, parts.classifier(parts.max_pool(config)(images), classes), name=config.model)


def lea_fc(config: RunConfig, image_shape: tuple[int, int, int], classes: int, steps_per_epoch: int) -> keras.Model:
    """Builds ``lea_fc``; see ``models.registry.build``."""
    images = parts.image_input(image_shape)
    logits = parts.classifier(parts.lea(config, steps_per_epoch)(images), classes)
    return lea_keras.LEAModel(images, logits, optimization=config.optimization, name=config.model)
