"""The three combinations of encoder and decoder at the sizes of Table 3.2 of the thesis, trained without windows.

One LEA with one window as large as the image, without a main loss: 28×28×1 (Fashion-MNIST, batches of 128), codes of
10, 32 kernels of size 3, with which the parameters are those of the table.
"""

from typing import Any

import keras

import lea_keras
from benchmarks import backend
from benchmarks.settings import Settings
from benchmarks.table import Goal, Row
from benchmarks.timing import compare, median

# Minutes for 800 epochs and milliseconds per parameter, Table 3.2.
THESIS = {
    "vae": {"conv": (151, 0.35), "fc": (126, 3.01), "sb": (114, 131.40)},
    "standard": {"conv": (153, 0.36), "fc": (125, 3.00), "sb": (112, 129.92)},
}
COMBINATIONS = {"fc": ("fc", "fc"), "conv": ("conv", "conv"), "sb": ("conv", "sb")}
KINDS = {"vae": lea_keras.VariationalAutoencoder, "standard": lea_keras.StandardAutoencoder}
BASE = "sb"


def model(kind: str, combination: str, size: int = 28) -> lea_keras.LEAModel:
    """A whole-image autoencoder of the thesis' section 3.3.3, compiled."""
    encoder, decoder = COMBINATIONS[combination]
    autoencoder = KINDS[kind](10, encoder=encoder, decoder=decoder, kernels=32, kernel_size=3)
    images = keras.Input((size, size, 1))
    built = lea_keras.LEAModel(images, lea_keras.LocallyEmbeddedAutoencoder(size, autoencoder)(images))
    built.compile(keras.optimizers.Adam(1e-4), loss=None, jit_compile=False)
    return built


def plain(size: int = 28) -> keras.Model:
    """The layers of the standard fc/fc autoencoder and its loss, without this package."""
    values = size * size
    images = keras.Input((size, size, 1))
    hidden = keras.layers.Dense(2 * values, activation="relu")(keras.layers.Flatten()(images))
    hidden = keras.layers.Dense(2 * values, activation="relu")(keras.layers.Dense(10)(hidden))
    outputs = keras.layers.Reshape((size, size, 1))(keras.layers.Dense(values)(hidden))
    built = keras.Model(images, outputs)
    built.compile(keras.optimizers.Adam(1e-4), loss=_reconstruction_loss, jit_compile=False)
    return built


def _reconstruction_loss(true: Any, predicted: Any) -> Any:
    return keras.ops.sum(keras.ops.square(true - predicted), axis=(1, 2, 3))


def rows(settings: Settings) -> list[Row]:
    """Time of a step of each combination, and per parameter, over that of the spatial broadcast decoder; and of one
    over its layers in plain Keras."""
    size, batch = (8, 2) if settings.toy else (28, 128)
    images = backend.images(batch, size)
    functions = {
        "this package": backend.training_step(model("standard", "fc", size), images),
        "plain": backend.training_step(plain(size), (images, images)),
    }
    what = f"standard, fc/fc, {size}×{size}×1, batch {batch}"
    times = settings.measure(what, functions, turns=31)
    ratio = compare(times, "this package", "plain")
    found = [
        Row(what, "the same layers in plain Keras", ratio, Goal(at_most=1.1), "with RL and RLN, which Keras' has not")
    ]
    for kind in ("vae",) if settings.toy else KINDS:
        models = {name: model(kind, name, size) for name in COMBINATIONS}
        functions = {name: backend.training_step(one, backend.images(batch, size)) for name, one in models.items()}
        times = settings.measure(f"{kind}, {size}×{size}×1, batch {batch}", functions, turns=15)
        per_parameter = {name: median(times, name) / models[name].count_params() for name in models}
        minutes, each = ({name: values[i] for name, values in THESIS[kind].items()} for i in (0, 1))
        for name, one in models.items():
            beside = f"{one.count_params():,} parameters; thesis {minutes[name] / minutes[BASE]:.2f}".replace(",", " ")
            if name != BASE:
                ours, theirs = per_parameter[name] / per_parameter[BASE], each[name] / each[BASE]
                beside += f"; time per parameter {ours:.2g}, thesis {theirs:.2g}"
            what = f"{kind}, {'/'.join(COMBINATIONS[name])}, {size}×{size}×1, batch {batch}"
            found.append(Row(what, "/".join(COMBINATIONS[BASE]), compare(times, name, BASE), None, beside))
    return found
