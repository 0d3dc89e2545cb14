"""scikit-learn, where it is installed."""

import importlib
from typing import Any


def scikit_learn(module: str) -> Any:
    """A module of scikit-learn, such as "svm".

    Raises:
        ImportError: if it is not installed; the error says how to.
    """
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        hint = "pip install 'lea_keras[metrics]', or pip install scikit-learn"
        raise ImportError(f"This score needs scikit-learn: {hint}. Missing: {error.name or error}") from error
