"""Networks of runs: from a configuration to its model, compiled as the thesis trains it."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras

import models
from experiments.config import RunConfig
from lea_keras.losses import LogLoss

#: By the name of a model: its builder, from (image_shape, classes, **options), and the options that runs give it.
BUILDERS: dict[str, tuple[Callable[..., keras.Model], tuple[str, ...]]] = {
    "classic": (models.classic, ("window_size", "strides", "filters", "pool")),
    "cnn_lea": (models.cnn_lea, ("window_size", "strides", "filters", "optimization")),
    "pool_fc": (models.pool_fc, ("window_size", "strides", "pool")),
    "lea_fc": (models.lea_fc, ("window_size", "strides", "optimization")),
    "lea_only": (models.lea_only, ("window_size", "strides", "optimization")),
    "decoder_free": (models.decoder_free, ("window_size", "strides", "optimization")),
    "autoencoder": (models.autoencoder, ("window_size", "strides", "optimization")),
}
_OF_AUTOENCODERS = {
    "standard": (),
    "k_sparse": ("k", "a"),
    "vae": ("beta", "code_maps"),
    "capacity_vae": ("gamma", "capacity", "code_maps"),
    "info_vae": ("alpha", "lambda_", "bandwidth", "code_maps"),
    "joint_vae": ("categories", "temperature", "gamma", "capacity", "discrete_capacity", "code_maps"),
}
_OF_ALL_AUTOENCODERS = ("code_length", "encoder", "decoder", "kernels", "kernel_size", "units", "coder_filters")
_OF_ALL_AUTOENCODERS += ("likelihood",)


#: By the name of a main loss: its maker.
LOSSES: dict[str, Callable[[], keras.losses.Loss]] = {
    "log_loss": LogLoss,
    "crossentropy": functools.partial(keras.losses.CategoricalCrossentropy, from_logits=True),
}


def build(config: RunConfig, image_shape: tuple[int, int, int], classes: int, steps_per_epoch: int) -> keras.Model:
    """Builds the model of a run, not compiled.

    Args:
        config: names the model and holds its hyperparameters.
        image_shape: (rows, columns, channels).
        classes: number of outputs.
        steps_per_epoch: of the training: turns numbers of epochs into numbers of optimisation steps.

    Returns:
        A functional model from images [b, rows, columns, channels] to logits [b, classes], or to code maps where there
        is no main task: a ``lea_keras.LEAModel`` if it has LEAs, otherwise a ``keras.Model``.
    """
    builder, names = BUILDERS[config.model]
    options = {name: getattr(config, name) for name in names}
    if "optimization" in names:
        options |= _lea_options(config, steps_per_epoch)
    outputs = {} if config.main_loss is None else {"classes": classes}
    return builder(image_shape, **outputs, name=config.model, **options)


def _lea_options(config: RunConfig, steps_per_epoch: int) -> dict[str, Any]:
    names = (*_OF_ALL_AUTOENCODERS, *_OF_AUTOENCODERS[config.autoencoder])
    options = {name: getattr(config, name) for name in names}
    if config.autoencoder in ("capacity_vae", "joint_vae"):
        options["capacity_steps"] = config.capacity_epochs * steps_per_epoch
    if config.autoencoder == "k_sparse":
        options["select"] = config.k_select
    if config.autoencoder == "k_sparse" and config.k_start is not None:
        options |= {"k_start": config.k_start, "k_steps": config.k_epochs * steps_per_epoch}
    if config.autoencoder == "vae":
        options["warmup_steps"] = config.warmup_epochs * steps_per_epoch
    shared = {"loss_weight": config.lea_weight, "chunk_windows": config.chunk_windows}
    return {"autoencoder": config.autoencoder, **shared, **options}


def compile_model(model: keras.Model, config: RunConfig) -> None:
    """Compiles a model for its main task, if it has one: loss on logits, accuracy, Adam (thesis section A.1)."""
    task = {}
    if config.main_loss is not None:
        accuracy = [keras.metrics.CategoricalAccuracy(name="accuracy")]
        metrics = "metrics" if config.labelled == 1 else "weighted_metrics"  # of samples with a label alone
        task = {"loss": LOSSES[config.main_loss](), metrics: accuracy}
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate, epsilon=config.adam_epsilon),
        jit_compile="auto" if config.jit_compile is None else config.jit_compile,
        **task,
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
