"""The Locally Embedded Autoencoder (LEA) for Keras 3."""

import importlib
from typing import TYPE_CHECKING, Any

from lea_keras.environment import import_matplotlib

import_matplotlib()  # before Keras does

# ruff: noqa: E402
from lea_keras import (
    autoencoders,
    constraints,
    data,
    inspection,
    layers,
    losses,
    metrics,
    moved,
    optimizers,
    training,
    windows,
)
from lea_keras.autoencoders import (
    Autoencoder,
    CapacityControlledAutoencoder,
    InfoAutoencoder,
    JointAutoencoder,
    KSparseAutoencoder,
    StandardAutoencoder,
    VariationalAutoencoder,
    coders,
    optimize_codes,
)
from lea_keras.data import sprites
from lea_keras.export import export_encoder
from lea_keras.inspection import inspect
from lea_keras.layers import LocallyEmbeddedAutoencoder
from lea_keras.training import LEAModel
from lea_keras.version import __version__
from lea_keras.whole_image import image_autoencoder

__all__ = [
    "Autoencoder",
    "CapacityControlledAutoencoder",
    "InfoAutoencoder",
    "JointAutoencoder",
    "KSparseAutoencoder",
    "LEAModel",
    "LocallyEmbeddedAutoencoder",
    "StandardAutoencoder",
    "VariationalAutoencoder",
    "__version__",
    "autoencoders",
    "coders",
    "constraints",
    "data",
    "export_encoder",
    "image_autoencoder",
    "inspect",
    "inspection",
    "layers",
    "losses",
    "metrics",
    "optimize_codes",
    "optimizers",
    "sprites",
    "training",
    "windows",
]

# Loaded with their first use: they bring what only some users need.
_LATER = ("callbacks", "explorer", "pca", "plots", "probes", "robustness")
_FUNCTIONS_LATER = {"explore": "explorer"}


if TYPE_CHECKING:
    from lea_keras import callbacks as callbacks
    from lea_keras import explorer as explorer
    from lea_keras import pca as pca
    from lea_keras import plots as plots
    from lea_keras import probes as probes
    from lea_keras import robustness as robustness
    from lea_keras.explorer import explore as explore
else:  # a type checker that saw this function would take any name for one of the package's

    def __getattr__(name: str) -> Any:
        if name in _LATER or name in moved.MOVED:
            return importlib.import_module(f"lea_keras.{name}")
        if name in _FUNCTIONS_LATER:
            return getattr(importlib.import_module(f"lea_keras.{_FUNCTIONS_LATER[name]}"), name)
        raise AttributeError(f"module 'lea_keras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_FUNCTIONS_LATER})
