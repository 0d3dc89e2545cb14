"""Small models and data that the tests of layer, model and saving share."""

import keras
import numpy as np
from backends import BACKEND
from keras import layers

import lea_keras
from lea_keras import autoencoders

TYPES = tuple(autoencoders.AUTOENCODERS)
OPTIMIZATIONS = ("joint", "independent", "alternate")
IMAGE_SHAPE = (8, 8, 1)
CLASSES = 3
# Window size, strides and padding, for images of 9×7.
GRIDS = {
    "overlap": ((4, 3), (2, 1), "same"),
    "gaps": ((2, 2), (3, 3), "same"),
    "valid": ((3, 2), (2, 3), "valid"),
    "one_window": ((9, 7), (9, 7), "same"),
    "larger_than_the_image": ((12, 9), (5, 4), "same"),
}
# Whether a few small steps take less time one operation after another than traced and compiled as one.
EAGERLY = BACKEND == "tensorflow"


def make_autoencoder(kind="standard", **arguments):
    """A small autoencoder; the VAEs get a seed of their own."""
    if "vae" in kind:
        arguments = {"seed": 7} | arguments
    if kind in ("capacity_vae", "joint_vae"):
        arguments = {"capacity_steps": 10} | arguments
    if kind == "info_vae":
        arguments = {"lambda_": 3.0} | arguments
    if kind == "k_sparse":
        arguments = {"k": 2} | arguments
    return autoencoders.get(kind, **({"code_length": 4} | arguments))


def make_lea(
    kind="standard",
    window_size=4,
    strides=2,
    name="lea",
    loss_weight=1.0,
    chunk_windows=None,
    padding="same",
    **arguments,
):
    return lea_keras.LocallyEmbeddedAutoencoder(
        window_size,
        make_autoencoder(kind, **arguments),
        strides=strides,
        padding=padding,
        name=name,
        loss_weight=loss_weight,
        chunk_windows=chunk_windows,
    )


def make_graph(kind="standard", leas=2, loss_weight=1.0, **arguments):
    """Inputs and outputs of conv – LEA – conv – LEA – dense, the second convolution and LEA only if ``leas`` is 2."""
    inputs = keras.Input(IMAGE_SHAPE)
    maps = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv_1")(inputs)
    maps = make_lea(kind, name="lea_1", loss_weight=loss_weight, **arguments)(maps)
    if leas == 2:
        maps = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv_2")(maps)
        maps = make_lea(kind, 2, None, name="lea_2", loss_weight=loss_weight, **arguments)(maps)
    return inputs, layers.Dense(CLASSES, activation="softmax", dtype="float32")(layers.Flatten()(maps))


def make_model(optimization="alternate", kind="standard", seed=0, **arguments):
    """The graph above as a ``LEAModel``, or as a plain ``keras.Model`` for ``optimization=None``."""
    keras.utils.set_random_seed(seed)
    inputs, outputs = make_graph(kind, **arguments)
    if optimization is None:
        return keras.Model(inputs, outputs)
    return lea_keras.LEAModel(inputs, outputs, optimization=optimization)


def make_data(samples=16, seed=0):
    """Random images [samples, 8, 8, 1] in [0, 1] and one-hot labels [samples, 3]."""
    rng = np.random.default_rng(seed)
    images = rng.random((samples, *IMAGE_SHAPE)).astype("float32")
    return images, np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, samples)]


def compile_model(model, optimizer=None, **arguments):
    """Compiles with an optimizer that has state; Adam's step is twice as much to trace."""
    defaults = {"loss": "categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(optimizer=optimizer or keras.optimizers.SGD(1e-3, momentum=0.9), **(defaults | arguments))
    return model


def fit(model, epochs=1, samples=16, **arguments):
    """Trains without shuffling, in batches of 8, and returns the history's dict."""
    images, labels = make_data(samples)
    defaults = {"batch_size": 8, "epochs": epochs, "verbose": 0, "shuffle": False}
    return model.fit(images, labels, **(defaults | arguments)).history


def steps(model, epochs=1, samples=16, batch_size=8):
    """As ``fit``, without its pipeline of data and its callbacks, which take as long as a small step, and with the
    losses and metrics of every batch in place of their means."""
    images, labels = make_data(samples)
    parts = [slice(start, start + batch_size) for start in range(0, samples, batch_size)] * epochs
    logs = [model.train_on_batch(images[part], labels[part], return_dict=True) for part in parts]
    return {name: [float(log[name]) for log in logs] for name in logs[0]}


def weights_by_path(model):
    """The model's weights as arrays, by their paths without the model's own name."""
    return {weight.path.split("/", 1)[-1]: np.array(weight) for weight in model.weights}


def same_weights(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))
