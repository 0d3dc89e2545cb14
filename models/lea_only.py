"""``lea_only`` and ``decoder_free``: one LEA right on the image, then fc – fc, trained jointly.

S. Penhouët, "Semi-supervised Learning with Locally Embedded Autoencoder", master's thesis, Tübingen 2019, sections
4.7 and 5.6: windows of 8×8 with stride 4, code length 10, zero padding, ReLU; τ = 1 and λ as given (Eq. 5.3).
``decoder_free`` is ``lea_only`` with λ = 0: its decoder is neither run nor trained.

Departures: the last layer returns logits, the softmax being in the loss.
"""

import keras

from models import pool
from models.configs import RunConfig


def lea_only(config: RunConfig, image_shape: tuple[int, int, int], classes: int, steps_per_epoch: int) -> keras.Model:
    """Builds ``lea_only``; see ``models.registry.build``. The layers are those of ``lea_fc``."""
    return pool.lea_fc(config, image_shape, classes, steps_per_epoch)


def decoder_free(
    config: RunConfig, image_shape: tuple[int, int, int], classes: int, steps_per_epoch: int
) -> keras.Model:
    """Builds ``decoder_free``; see ``models.registry.build``. λ = 0 is checked in the configuration."""
    return lea_only(config, image_shape, classes, steps_per_epoch)
