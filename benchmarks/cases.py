"""The models that are measured."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras

import lea_keras
from benchmarks import backend
from benchmarks.settings import Settings
from experiments import networks
from experiments.config import CONFIGS

CLASSES = 10


class Case(NamedTuple):
    """What a step of ``cnn_lea`` or ``classic`` works on.

    Attributes:
        size: pixels of an image's side.
        batch: images.
        filters: of the two convolutions.
    """

    size: int
    batch: int
    filters: tuple[int, int] = (32, 64)

    def __str__(self) -> str:
        return f"{self.size}×{self.size}×1, batch {self.batch}"

    @property
    def leas(self) -> list[tuple[int, int]]:
        """Windows, and values in a window, of both LEAs (4×4 windows, stride 2)."""
        sides = (self.size // 2, self.size // 4)
        return [(self.batch * side**2, 16 * channels) for side, channels in zip(sides, self.filters, strict=True)]


def cases(settings: Settings) -> list[Case]:
    """The sizes at which steps are held against their matrix products."""
    return [Case(8, 2, (4, 4))] if settings.toy else [Case(64, 8), Case(28, 32)]


def cnn(
    case: Case,
    name: str = "cnn_lea",
    *,
    optimization: str = "alternate",
    chunk_windows: int | str | None = None,
    xla: bool = False,
) -> keras.Model:
    """``cnn_lea`` or ``classic`` as ``train.py`` makes and compiles it."""
    config = CONFIGS[name].replace(filters=case.filters, optimization=optimization, jit_compile=xla)
    keras.utils.set_random_seed(0)
    model = networks.build(config, (case.size, case.size, 1), CLASSES, steps_per_epoch=1)
    if isinstance(model, lea_keras.LEAModel):
        for lea in model.lea_layers:
            lea.chunk_windows = chunk_windows  # no flag of train.py; read whenever a layer is called
    networks.compile_model(model, config)
    return model


def compiled_step(case: Sequence, chunk_windows: int | str | None = None) -> Callable[[], dict[str, float]]:
    """A step of ``cnn_lea`` compiled by XLA, whatever the backend; for a ``Worker``, who asks in JSON.

    Args:
        case: the fields of a ``Case``.
        chunk_windows: as in ``cnn``.
    """
    case = Case(*case)
    return step(cnn(case, chunk_windows=chunk_windows, xla=True), case)


def step(model: keras.Model, case: Case) -> Callable[[], dict[str, float]]:
    """A training step on one batch that stays in memory."""
    batch = backend.images(case.batch, case.size), backend.one_hot(case.batch, CLASSES)
    return backend.training_step(model, batch)
