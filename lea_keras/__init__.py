"""The Locally Embedded Autoencoder (LEA) for Keras 3."""

import importlib
from typing import Any

from lea_keras.environment import import_matplotlib

import_matplotlib()  # before Keras does

# ruff: noqa: E402
from lea_keras import coders, data, losses, maps, metrics, sprites, windows
from lea_keras.autoencoder import Autoencoder
from lea_keras.autoencoders import (
    CapacityControlledAutoencoder,
    KSparseAutoencoder,
    StandardAutoencoder,
    VariationalAutoencoder,
)
from lea_keras.export import export_encoder
from lea_keras.layer import LocallyEmbeddedAutoencoder
from lea_keras.maps import inspect
from lea_keras.model import LEAModel
from lea_keras.version import __version__

__all__ = [
    "Autoencoder",
    "CapacityControlledAutoencoder",
    "KSparseAutoencoder",
    "LEAModel",
    "LocallyEmbeddedAutoencoder",
    "StandardAutoencoder",
    "VariationalAutoencoder",
    "__version__",
    "coders",
    "data",
    "export_encoder",
    "inspect",
    "losses",
    "maps",
    "metrics",
    "sprites",
    "windows",
]

# Loaded with their first use: they bring what only some users need.
_LATER = ("callbacks", "plots", "probe_plot", "probes", "robustness", "robustness_plot")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"lea_keras.{name}")
    raise AttributeError(f"module 'lea_keras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
