"""Networks of the documents beside the thesis, trained as those say, with plain ``compile`` and ``fit``."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

import models
from experiments import arrays
from experiments.arrays import Images
from experiments.config import RunConfig
from lea_keras.utils import write_atomically

MODEL_FILE, RESULTS_FILE = "model.keras", "network.json"
_SIZE = 500  # images that are measured at a time


def load(config: RunConfig, options: Mapping[str, Any], split: str) -> Images:
    """Images and classes of a split, as the options of ``train`` say."""
    limit = options["limit"] if split == "train" else options["test_limit"]
    return arrays.load(config, options["dataset"], split, limit, options["image_size"])


def train(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Trains a network of ``models`` and stores it, in place of a run.

    Args:
        folder: of the model.
        config: seed, backend and folder of the data.
        options: ``network`` and ``arguments``, a function of ``models`` and what it is given; ``dataset``,
            ``image_size``, ``limit`` and ``test_limit``; ``optimizer`` and ``learning_rate``, by Keras' name;
            ``epochs`` and ``batch_size``.
    """
    keras.utils.set_random_seed(config.seed)
    images, _ = load(config, options, "train")
    model = getattr(models, options["network"])(images.shape[1:], **_tuples(options["arguments"]))
    optimizer = {"class_name": options["optimizer"], "config": {"learning_rate": options["learning_rate"]}}
    model.compile(keras.optimizers.get(optimizer))
    history = model.fit(images, batch_size=options["batch_size"], epochs=options["epochs"], verbose=0)
    tested = measure(model, load(config, options, "test")[0])
    last = {name: values[-1] for name, values in history.history.items()}
    write_atomically(folder / RESULTS_FILE, json.dumps({"train": last, "test": tested}, indent=2, default=float) + "\n")
    temporary = folder / f"new_{MODEL_FILE}"
    model.save(temporary)
    temporary.replace(folder / MODEL_FILE)


def measure(model: keras.Model, images: np.ndarray) -> dict[str, float]:
    """What the autoencoder reports of images, by names such as "rl"; means over batches, as long as their parts."""
    totals: dict[str, float] = {}
    autoencoder = model.get_layer("lea").autoencoder
    for batch in np.array_split(images, -(-len(images) // _SIZE)):
        for name, value in autoencoder.objective(keras.ops.convert_to_tensor(batch)).measures.items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(batch) / len(images)
    return totals


def _tuples(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as functions take them: what JSON made a list of is a tuple again."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
