"""How long the rest takes."""

import time
from typing import Any

import keras


class TimeLeft(keras.callbacks.Callback):
    """Prints before each epoch but the first about how long the rest takes, if each epoch takes as long as the last."""

    def __init__(self) -> None:
        super().__init__()
        self._started: float | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._started = None

    # Not at the end of an epoch: Keras' progress bar has not closed its line then.
    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.monotonic()
        if self._started is not None:
            epochs = self.params["epochs"]
            seconds = (now - self._started) * (epochs - epoch)
            print(f"{epoch} of {epochs} epochs done, about {clock(seconds)} left", flush=True)
        self._started = now


def clock(seconds: float) -> str:
    """ "1:02:03" or, below an hour, "02:03"."""
    seconds = round(seconds)
    minutes, hours = seconds // 60 % 60, seconds // 3600
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes:02}:{seconds % 60:02}"
