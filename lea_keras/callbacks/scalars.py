"""Metrics and learning rates of every epoch for TensorBoard, on every backend."""

import os
import pathlib
from typing import Any

import keras

from lea_keras.callbacks.events import EventFile
from lea_keras.callbacks.learning_rates import current_rates
from lea_keras.checks import check_path


class EpochScalars(keras.callbacks.Callback):
    """Writes what ``keras.callbacks.TensorBoard(log_dir, write_graph=False)`` writes, which needs TensorFlow for it.

    Below ``train`` every epoch's training metrics and learning rate (and that of every LEA which differs), below
    ``validation`` the validation metrics without their "val_", each as ``epoch_<name>`` with the epoch from 0 as its
    step; below ``validation`` these once more, as ``evaluation_<name>_vs_iterations``, with the optimizer's steps.

    Args:
        log_dir: TensorBoard's folder.
        description: of the validation metrics, for TensorBoard to show beside their curves: whose data they are of.

    Raises:
        ValueError: for a ``log_dir`` that is no path, or a URL.
        OSError: from ``fit``, if a file cannot be written; it names the file.
    """

    model: keras.Model  # set by Keras before any of its calls

    def __init__(self, log_dir: str | os.PathLike[str], description: str | None = None) -> None:
        super().__init__()
        self.log_dir = pathlib.Path(check_path("log_dir", log_dir))
        self.description = description
        self._begin()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not logs:
            return
        for name, value in logs.items():
            if name.startswith("val_"):
                self._validation.scalar(f"epoch_{name.removeprefix('val_')}", value, epoch, self.description)
            else:
                self._train.scalar(f"epoch_{name}", value, epoch)
        for name, rate in current_rates(self.model).items():
            if name not in logs:  # another callback may have put it there
                self._train.scalar(f"epoch_{name}", rate, epoch)
        self._train.flush()
        self._validation.flush()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        steps = int(self.model.optimizer.iterations)
        for name, value in (logs or {}).items():
            self._validation.scalar(f"evaluation_{name}_vs_iterations", value, steps, self.description)
        self._validation.flush()

    def _begin(self) -> None:
        self._train, self._validation = EventFile(self.log_dir / "train"), EventFile(self.log_dir / "validation")
