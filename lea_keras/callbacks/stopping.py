"""A stop at the first loss that is no number."""

import math
from typing import Any

import keras


class NaNLossError(ArithmeticError):
    """A loss became NaN or infinite.

    Attributes:
        epoch: in which epoch, the first being 1.
        loss: the name of the loss, as in the logs.
        value: what it was.
    """

    def __init__(self, epoch: int, loss: str, value: float) -> None:
        super().__init__(f"Training stopped in epoch {epoch}: {loss} became {value}")
        self.epoch = epoch
        self.loss = loss
        self.value = value


class StopOnNaN(keras.callbacks.Callback):
    """Ends training where a loss is NaN or infinite: the main one, the total or any LEA's.

    Keras' ``TerminateOnNaN`` looks at the total only and, unless told to raise, lets the epoch end, so that other
    callbacks store the spoilt model. This one looks at every loss, after every batch and after validation, and raises.
    Put it before the callbacks that store something.

    Raises:
        NaNLossError: from ``fit``, naming epoch and loss.
    """

    # Keras then calls it from a thread of its own, which waits for the losses in place of the next training step; the
    # error reaches ``fit`` a few batches later, at the latest at the end of the epoch.
    async_safe = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._check(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # The weights of the last step are seen by the validation alone.
        self._check(logs)

    def _check(self, logs: dict[str, Any] | None) -> None:
        for name, value in (logs or {}).items():
            if (name == "loss" or name.endswith("_loss")) and not math.isfinite(value):
                raise NaNLossError(self._epoch + 1, name, float(value))
