"""Learning rates of all optimizers of a model, for logs."""

from typing import Any

import keras
import numpy as np

from lea_keras.training.optimizer import SubsetOptimizer


class LearningRates(keras.callbacks.Callback):
    """Adds the current learning rates to the logs of every epoch, and so to what ``fit`` returns.

    "learning_rate" is the main optimizer's, under the name that Keras' own callbacks give it, and
    "<LEA>_learning_rate" that of every LEA whose rate differs from it.
    """

    model: keras.Model  # set by Keras before any of its calls

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs |= current_rates(self.model)


def current_rates(model: keras.Model) -> dict[str, float]:
    """The learning rates of a compiled model, by the names of ``LearningRates``."""
    if isinstance(model.optimizer, SubsetOptimizer):
        return model.optimizer.learning_rates([lea.name for lea in model.lea_layers])
    return {"learning_rate": float(np.asarray(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))}
