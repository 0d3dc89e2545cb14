"""What the reference models share: input, pooling or LEA, the fully connected end, and compiling."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

import lea_keras
from models.configs import RunConfig

HIDDEN_UNITS = 1024


def make_autoencoder(config: RunConfig, steps_per_epoch: int) -> keras.Layer:
    """Returns the autoencoder that a configuration describes.

    Args:
        config: of the run.
        steps_per_epoch: turns ``capacity_epochs`` into optimisation steps.
    """
    shared = {
        "code_length": config.code_length,
        "encoder": config.encoder,
        "decoder": config.decoder,
        "kernels": config.kernels,
        "kernel_size": config.kernel_size,
    }
    if config.autoencoder == "standard":
        return lea_keras.StandardAutoencoder(**shared)
    if config.autoencoder == "k_sparse":
        return lea_keras.KSparseAutoencoder(k=config.k, a=config.a, **shared)
    if config.autoencoder == "vae":
        return lea_keras.VariationalAutoencoder(beta=config.beta, **shared)
    return lea_keras.CapacityControlledAutoencoder(
        gamma=config.gamma,
        capacity=config.capacity,
        capacity_steps=config.capacity_epochs * steps_per_epoch,
        **shared,
    )


def lea(config: RunConfig, steps_per_epoch: int, name: str = "lea") -> keras.Layer:
    """Returns one LEA with zero padding, as all LEAs of the thesis have it (section A.1)."""
    return lea_keras.LocallyEmbeddedAutoencoder(
        window_size=config.window_size,
        autoencoder=make_autoencoder(config, steps_per_epoch),
        strides=config.strides,
        padding="same",
        loss_weight=config.lea_weight,
        chunk_windows=config.chunk_windows,
        name=name,
    )


def max_pool(config: RunConfig, name: str = "pool") -> keras.Layer:
    """Returns the max-pooling layer with the same windows."""
    return keras.layers.MaxPooling2D(config.window_size, config.strides, padding="same", name=name)


def image_input(image_shape: tuple[int, int, int]) -> Any:
    """Returns the symbolic images [b, rows, columns, channels]."""
    return keras.Input(image_shape, name="image")


def classifier(features: Any, classes: int) -> Any:
    """Dense 1024 → dense classes, as all models end.

    The softmax is left to the loss: logits are numerically better there, and attacks on the model need them.
    """
    hidden = keras.layers.Flatten(name="flatten")(features)
    hidden = keras.layers.Dense(HIDDEN_UNITS, activation="relu", name="hidden")(hidden)
    # float32 whatever the policy: half precision is too coarse for a log loss.
    return keras.layers.Dense(classes, dtype="float32", name="logits")(hidden)


def compile_model(model: keras.Model, config: RunConfig) -> None:
    """Compiles a model for its main task: log loss on logits, accuracy, Adam (thesis section A.1)."""
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile="auto" if config.jit_compile is None else config.jit_compile,
    )


@contextlib.contextmanager
def precision(config: RunConfig) -> Iterator[None]:
    """Layers made or loaded inside compute as ``config.mixed_precision`` says; the former policy returns afterwards."""
    before = keras.mixed_precision.dtype_policy()
    policy = "float32" if config.mixed_precision == "none" else f"mixed_{config.mixed_precision}"
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)
