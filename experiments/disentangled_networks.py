"""Scores of networks that the engine trained on sprites, for the study ``disentanglement``."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from experiments import disentangling
from experiments.config import RunConfig
from experiments.whole_networks import MODEL_FILE
from lea_keras import disentanglement, probes
from lea_keras.utils import write_atomically

FILE = "disentanglement.json"


def measure(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Measures the codes of a network of whole images and stores all scores beside it.

    Args:
        folder: of the network.
        config: the seed of the data.
        options: ``image_size``; ``samples``, test images; ``values`` of a factor at most; ``trees`` and ``boosted``, of
            the boosters of DCI and the samples that they are fitted on.
    """
    model: Any = keras.models.load_model(folder / MODEL_FILE, compile=False)
    images, labels = probes.sprites_data("test", options["samples"], config.data_seed, image_size=options["image_size"])
    factors = np.stack([disentangling.coarser(column, options["values"]) for column in labels.values()], axis=1)
    own = {"dci": {"trees": options["trees"], "limit": options["boosted"]}}
    found = disentanglement.measure(codes(model, images), factors, options=own, bootstrap=0)
    stored = {name: disentangling.plain(score) for name, score in found.items()}
    write_atomically(folder / FILE, json.dumps({"factors": list(labels), "scores": stored}, indent=2) + "\n")


def codes(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Of whole images, [n, d]."""
    (maps,) = disentangling.code_maps(model, images).values()
    return maps[:, 0, 0]
