"""Keras' backend without the notices that are of no use to who trains or evaluates a run."""

import contextlib
import gc
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

from experiments.config import load_alone

_environment = load_alone("environment")


def quiet_import(name: str, look_for_devices: bool = True) -> ModuleType:
    """Imports what imports Keras; what goes to the standard error meanwhile is shown only if the import fails.

    Libraries are taken out of the garbage collector's way: looking through them took most of a second every time that
    Keras' ``clear_session`` asks for it, twice for every run of a series.

    ``TF_CPP_MIN_LOG_LEVEL`` alone is not enough: some notices come before TensorFlow looks at it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), 2)
        try:
            _environment.import_matplotlib()  # or else Keras could not be imported in any environment
            new = name not in sys.modules
            module = importlib.import_module(name)
            if new:
                gc.freeze()
            if look_for_devices:
                _look_for_devices(sys.modules["keras"].backend.backend())
            return module
        except BaseException:
            notices.seek(0)
            with contextlib.suppress(OSError):  # or nobody would hear of the failure itself
                os.write(original, notices.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def _look_for_devices(backend: str) -> None:
    """Does at once what a backend does at first use: look for a GPU, and say so at length where there is none."""
    if backend == "tensorflow":
        sys.modules["tensorflow"].config.list_physical_devices("GPU")
    else:
        sys.modules["jax"].devices()


@contextlib.contextmanager
def many_models() -> Iterator[None]:
    """Inside, TensorFlow does not warn that similar functions are traced again, as they must be for every new model."""

    def keep(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
