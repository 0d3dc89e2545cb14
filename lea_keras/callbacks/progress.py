"""Time that the rest of a training takes."""

import contextlib
import time
from typing import Any

import keras

from lea_keras import utils
from lea_keras.utils import Progress, clock, repeating, say

__all__ = ["TimeLeft", "clock"]


class TimeLeft(keras.callbacks.Callback):
    """Prints before each epoch but the first about how long the rest takes, if each epoch takes as long as the last.

    Where no progress bar of Keras shows it (``fit(…, verbose=2)`` or 0), a line every half minute also says how many
    batches of an epoch are done, in training and in validation. It reads no loss, so that no step waits for it.

    Args:
        every: seconds from one such line to the next. None: half a minute.
    """

    params: dict[str, Any]  # set by Keras before any of its calls

    def __init__(self, every: float | None = None) -> None:
        super().__init__()
        self.every = every
        self._started: float | None = None
        self._progress = self._tested = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._started = self._progress = self._tested = None

    # Not at the end of an epoch: Keras' progress bar has not closed its line then.
    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.monotonic()
        epochs = self.params["epochs"]
        if self._started is not None:
            seconds = (now - self._started) * (epochs - epoch)
            say(1, f"{epoch} of {epochs} epochs done, about {clock(seconds)} left")
        self._started, self._tested, self._title = now, None, f"Epoch {epoch + 1} of {epochs}"
        self._progress = self._new_progress(self.params.get("steps"), "batches done")

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._progress = self._tested = None

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._progress is not None:  # in ``fit``
            self._tested = self._new_progress(None, "batches of the validation done")

    # At the beginning of a batch, where Keras hands no losses over, which every step would have to wait for.
    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._progress is not None:
            self._progress.update(batch)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._tested is not None:
            self._tested.update(batch)

    def meanwhile(self) -> contextlib.AbstractContextManager[None]:
        """With ``fit`` inside, the line is also said within a batch, as where the first step is compiled for minutes.

        It is not without this, since Keras tells no callback that ``fit`` has failed.
        """
        return repeating(self._tick, utils.SECONDS if self.every is None else self.every)

    def _tick(self) -> None:
        current = self._tested or self._progress
        if current is not None:
            current.tick()

    def _new_progress(self, total: int | None, done: str) -> Progress | None:
        if self.params.get("verbose") in (1, "auto"):
            return None
        return Progress(self._title, total, done, every=self.every, in_place=False, begins_slowly=True)
