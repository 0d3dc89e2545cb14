"""Autoencoders of windows: what happens in one window (thesis sections 2.4, 3.3.1 and 3.3.2).

``base`` is what all types share, ``coders`` are the encoders and decoders that any type can have, ``types`` the four
types of the thesis. ``get`` makes one from its name; ``optimize_codes`` looks for codes by way of the decoder alone.
"""

from lea_keras.autoencoders.base import Autoencoder
from lea_keras.autoencoders.code_search import optimize_codes
from lea_keras.autoencoders.types import (
    AUTOENCODERS,
    CODE_MAPS,
    CapacityControlledAutoencoder,
    KSparseAutoencoder,
    StandardAutoencoder,
    VariationalAutoencoder,
    get,
)

__all__ = [
    "AUTOENCODERS",
    "CODE_MAPS",
    "Autoencoder",
    "CapacityControlledAutoencoder",
    "KSparseAutoencoder",
    "StandardAutoencoder",
    "VariationalAutoencoder",
    "get",
    "optimize_codes",
]
