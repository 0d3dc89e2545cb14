"""Inference by encoders alone (``export_encoder``) over plain convolutions, and what it gains over the original."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

import lea_keras
from benchmarks import backend
from benchmarks.settings import Settings
from benchmarks.table import Goal, Row
from benchmarks.timing import compare, median

CODE_LENGTH = 10
BATCHES = 8  # in one call of predict, whose own cost would hide what is measured in a single one
GOAL = Goal(at_most=1.1)


class Map(NamedTuple):
    """Feature maps and the LEA on them."""

    size: int
    channels: int
    window_size: int
    strides: int
    batch: int

    def __str__(self) -> str:
        shape = f"{self.size}×{self.size}×{self.channels}, batch {self.batch}"
        return f"{self.window_size}×{self.window_size} windows, stride {self.strides}, on {shape}"


# Both LEAs of cnn_lea on 64×64 images, the first on 28×28, and that of lea_only.
MAPS = [Map(64, 32, 4, 2, 8), Map(32, 64, 4, 2, 8), Map(28, 32, 4, 2, 32), Map(64, 1, 8, 4, 64)]
TOY = [Map(8, 2, 4, 2, 2)]


def rows(settings: Settings) -> list[Row]:
    """Each model as a graph, and by way of ``predict``."""
    return [row for case in (TOY if settings.toy else MAPS) for row in _rows(settings, case)]


def original(case: Map) -> lea_keras.LEAModel:
    """A model that is a LEA with an fc VAE."""
    inputs = keras.Input((case.size, case.size, case.channels))
    autoencoder = lea_keras.VariationalAutoencoder(CODE_LENGTH)
    lea = lea_keras.LocallyEmbeddedAutoencoder(case.window_size, autoencoder, strides=case.strides)
    return lea_keras.LEAModel(inputs, lea(inputs))


def plain(case: Map) -> keras.Model:
    """The convolutions that one would write by hand."""
    features = 2 * case.window_size**2 * case.channels
    return keras.Sequential(
        [
            keras.Input((case.size, case.size, case.channels)),
            keras.layers.Conv2D(features, case.window_size, case.strides, padding="same", activation="relu"),
            keras.layers.Conv2D(CODE_LENGTH, 1),
        ]
    )


def _rows(settings: Settings, case: Map) -> list[Row]:
    models = {"original": original(case), "plain": plain(case)}
    models["export"] = lea_keras.export_encoder(models["original"])
    images = backend.images(case.batch, case.size, case.channels)
    expected, got = (models[name].predict(images, verbose=0) for name in ("original", "export"))
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max() + 1e-6)
    found = []
    graphs = {name: _graph(model, images) for name, model in models.items()}
    many = np.tile(images, (BATCHES, 1, 1, 1))
    predictions = {name: _predict(model, many, case.batch) for name, model in models.items()}
    for how, functions, turns in (("graph", graphs, 61), (f"predict, {BATCHES} batches", predictions, 15)):
        times = settings.measure(f"{case}, {how}", functions, turns=turns)
        beside = f"export: {1e3 * median(times, 'export'):.2f} ms"
        goal = GOAL if how == "graph" else None
        found.append(Row(f"export, {case}, {how}", "plain Conv2Ds", compare(times, "export", "plain"), goal, beside))
        found.append(
            Row(f"original, {case}, {how}", "export", compare(times, "original", "export"), None, "what it gains")
        )
    return found


def _graph(model: keras.Model, images: np.ndarray) -> Callable[[], None]:
    graph = backend.compiled(lambda x: model.predict_step((x,)))
    tensor = keras.ops.convert_to_tensor(images)
    return lambda: backend.wait(graph(tensor))


def _predict(model: keras.Model, images: np.ndarray, batch: int) -> Callable[[], Any]:
    return lambda: model.predict(images, batch_size=batch, verbose=0)
