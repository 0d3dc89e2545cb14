"""Callbacks: checkpoints, a stop at NaN, the time that is left, and what LEAs learn as seen in TensorBoard."""

from lea_keras.callbacks.checkpoints import (
    CHECKPOINT_FOLDER,
    METRICS_FILE,
    MODEL_FILE,
    RunCheckpoint,
    checkpoint_damage,
    checkpoint_path,
    last_checkpoint,
    publish_model,
    read_metrics,
    write_atomically,
)
from lea_keras.callbacks.learning_rates import LearningRates
from lea_keras.callbacks.progress import TimeLeft, clock
from lea_keras.callbacks.stopping import NaNLossError, StopOnNaN
from lea_keras.callbacks.tensorboard import CapacityReadout, LEAPictures

__all__ = [
    "CHECKPOINT_FOLDER",
    "METRICS_FILE",
    "MODEL_FILE",
    "CapacityReadout",
    "LEAPictures",
    "LearningRates",
    "NaNLossError",
    "RunCheckpoint",
    "StopOnNaN",
    "TimeLeft",
    "checkpoint_damage",
    "checkpoint_path",
    "clock",
    "last_checkpoint",
    "publish_model",
    "read_metrics",
    "write_atomically",
]
