"""From a configuration to its model."""

from collections.abc import Callable

import keras

from models import cnn, lea_only, pool
from models.configs import RunConfig

BUILDERS: dict[str, Callable[[RunConfig, tuple[int, int, int], int, int], keras.Model]] = {
    "classic": cnn.classic,
    "cnn_lea": cnn.cnn_lea,
    "pool_fc": pool.pool_fc,
    "lea_fc": pool.lea_fc,
    "lea_only": lea_only.lea_only,
    "decoder_free": lea_only.decoder_free,
}


def build(config: RunConfig, image_shape: tuple[int, int, int], classes: int, steps_per_epoch: int) -> keras.Model:
    """Builds a reference model, not compiled (``models.parts.compile_model`` does that).

    Args:
        config: names the model and holds its hyperparameters.
        image_shape: (rows, columns, channels).
        classes: number of outputs.
        steps_per_epoch: of the training, for the capacity schedule.

    Returns:
        A functional model from images [b, rows, columns, channels] to logits [b, classes]: a ``lea_keras.LEAModel`` if
        it has LEAs, otherwise a ``keras.Model``.
    """
    return BUILDERS[config.model](config, image_shape, classes, steps_per_epoch)
