"""Autoencoders of windows: what happens in one window (thesis sections 2.4, 3.3.1 and 3.3.2).

``base`` is what all types share, ``coders`` are the encoders and decoders that any type can have, ``types`` the four
types of the thesis, ``info`` the InfoVAE, ``joint`` the JointVAE, with the ``categorical`` codes of its. ``get`` makes
one from its name; ``optimize_codes`` looks for codes by way of the decoder alone.
"""

from typing import Any

import keras

from lea_keras.autoencoders.base import Autoencoder
from lea_keras.autoencoders.code_search import optimize_codes
from lea_keras.autoencoders.info import InfoAutoencoder
from lea_keras.autoencoders.joint import JointAutoencoder
from lea_keras.autoencoders.types import (
    CODE_MAPS,
    CapacityControlledAutoencoder,
    KSparseAutoencoder,
    StandardAutoencoder,
    VariationalAutoencoder,
)
from lea_keras.checks import check_choice, fail

__all__ = [
    "AUTOENCODERS",
    "CODE_MAPS",
    "Autoencoder",
    "CapacityControlledAutoencoder",
    "InfoAutoencoder",
    "JointAutoencoder",
    "KSparseAutoencoder",
    "StandardAutoencoder",
    "VariationalAutoencoder",
    "get",
    "optimize_codes",
]

AUTOENCODERS = {
    "standard": StandardAutoencoder,
    "k_sparse": KSparseAutoencoder,
    "vae": VariationalAutoencoder,
    "capacity_vae": CapacityControlledAutoencoder,
    "info_vae": InfoAutoencoder,
    "joint_vae": JointAutoencoder,
}


def get(identifier: Any, **arguments: Any) -> Autoencoder:
    """Returns an autoencoder from a name, an autoencoder or its config.

    Args:
        identifier: "standard", "k_sparse", "vae", "capacity_vae", "info_vae", "joint_vae", an object, or what
            ``keras.saving`` made of one.
        **arguments: for the constructor, where a name is given.

    Raises:
        ValueError: if it is none of these; it names the nearest name.
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Autoencoder):
        return identifier
    if not isinstance(identifier, str):
        raise fail("autoencoder", f"one of {tuple(AUTOENCODERS)}, an autoencoder or its config", identifier)
    return AUTOENCODERS[check_choice("autoencoder", identifier, AUTOENCODERS)](**arguments)
