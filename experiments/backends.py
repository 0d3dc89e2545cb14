"""The backend that a command line runs Keras on: said before Keras is imported, which cannot change it afterwards.

Nothing here imports Keras.
"""

import os
import sys

from experiments import extras
from experiments.config import BACKENDS, RunConfig, checks

VARIABLE = "KERAS_BACKEND"  # which Keras reads when it is imported


def default() -> str:
    """The backend of a new run where no flag names one: the user's ``KERAS_BACKEND``, else TensorFlow.

    Raises:
        ValueError: one line, if the variable names something else.
    """
    name = os.environ.get(VARIABLE) or RunConfig.backend
    if name not in BACKENDS:
        raise ValueError(
            f"The environment variable {VARIABLE} must be one of {BACKENDS}, or --backend be given. "
            f"Received: {VARIABLE}={checks.show(name)}"
        )
    return name


def use(name: str) -> None:
    """Makes Keras run on a backend.

    Args:
        name: of ``BACKENDS``.

    Raises:
        ValueError: one line, if it is not installed, or if this process has imported Keras on another one.
    """
    checks.check_choice("backend", name, BACKENDS)
    if "keras" in sys.modules:
        running = sys.modules["keras"].backend.backend()
        if running != name:
            raise checks.fail("backend", f"{running!r}, on which Keras runs in this process already", name)
    elif not extras.is_installed(name):
        others = [f", or choose --backend={other}" for other in BACKENDS if extras.is_installed(other)]
        raise ValueError(f"The backend {name} is not installed: pip install {name}{''.join(others)}")
    else:
        os.environ[VARIABLE] = name


def use_any() -> None:
    """Makes Keras run on what is there, for work that computes nothing with it: the user's choice if it is installed.

    Raises:
        ValueError: one line, if no backend is installed.
    """
    if "keras" in sys.modules:
        return
    wanted = os.environ.get(VARIABLE)
    installed = [name for name in BACKENDS if extras.is_installed(name)]
    use(wanted if wanted in installed else next(iter(installed), RunConfig.backend))
