"""Refusal of HDF5 files of whole models, where they would lose state without a word.

Such a file holds weights and the main optimizer. It has neither the state of seed generators, which VAEs draw noise and
count steps with, nor further optimizers. ``.keras`` and ``.weights.h5`` files have both.
"""

import os
from typing import Any

import keras

from lea_keras.checks import fail

_ALLOWED = "a `.keras` file: HDF5 would lose {} without a word"


def check_filepath(filepath: Any, state: str) -> None:
    """Raises ``ValueError`` for the path of an HDF5 file.

    Args:
        filepath: where a whole model is to be saved.
        state: what would be lost.
    """
    if str(filepath).endswith((".h5", ".hdf5")):
        raise fail("filepath", _ALLOWED.format(state), os.fspath(filepath))


def check_format(state: str) -> None:
    """Raises ``ValueError`` where a config is wanted for an HDF5 file, whichever function of Keras asks for it.

    Args:
        state: what would be lost.
    """
    # Keras says nowhere what it is about to write, but in HDF5 models do not note where their layers' classes are from.
    probe = keras.Sequential([keras.layers.Identity(name="layer")], name="model")
    if "module" not in probe.get_config()["layers"][0]:
        raise fail("filepath", _ALLOWED.format(state), "HDF5")
