"""Hyperparameters that a stored model has, read without Keras, against those of a run's configuration."""

import json
import pathlib
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from experiments.config import RunConfig, joined
from experiments.runs import CONFIG_FILE

_TYPES = {
    "StandardAutoencoder": "standard",
    "KSparseAutoencoder": "k_sparse",
    "VariationalAutoencoder": "vae",
    "CapacityControlledAutoencoder": "capacity_vae",
    "InfoAutoencoder": "info_vae",
    "JointAutoencoder": "joint_vae",
}
_POOLS = {"MaxPooling2D": "max", "AveragePooling2D": "average", "MinPooling2D": "min"}
_LOSSES = {"LogLoss": "log_loss", "CategoricalCrossentropy": "crossentropy"}
_POLICIES = {"float32": "none", "mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
# By the names of fields, those of arguments where an autoencoder's config has only what is not None.
_RENAMED = {"k_select": "select"}
_OPTIONAL = {"units": "units", "coder_filters": "filters"}
_OF_AUTOENCODERS = (
    "encoder",
    "decoder",
    "code_length",
    "kernels",
    "kernel_size",
    "k",
    "a",
    "k_start",
    "beta",
    "gamma",
    "capacity",
    "code_maps",
    "alpha",
    "lambda_",
    "bandwidth",
    "temperature",
    "discrete_capacity",
    "likelihood",
)


def check(model: pathlib.Path, config: RunConfig, path: pathlib.Path) -> None:
    """Raises one line if a configuration is not that of a model.

    Args:
        model: a whole ``.keras`` file.
        config: what it should have been made from.
        path: of the configuration, for the message.

    Raises:
        ValueError: one line that names every hyperparameter that differs, with both values.
    """
    try:
        with zipfile.ZipFile(model) as archive:
            found = dict(_hyperparameters(json.loads(archive.read("config.json"))))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"The model {model} cannot be loaded: the configuration in it is damaged") from None
    wrong = [
        f"{name} is {_shown(wanted)}, and {_shown(found[name])} in the model"
        for name, wanted in _wanted(config).items()
        if name in found
        and not _equal(found[name], wanted)
        and (name, wanted) != ("categories", None)  # what stands for this one only the model's class knows
    ]
    if wrong:
        raise ValueError(f"The configuration {path} is not that of the model {model}: {'; '.join(wrong)}")


def check_run(run_dir: pathlib.Path, config: RunConfig) -> None:
    """Raises one line if the configuration of a run is not that of its model, where there is a readable one."""
    model = run_dir / "model.keras"
    if zipfile.is_zipfile(model):
        check(model, config, run_dir / CONFIG_FILE)


def _wanted(config: RunConfig) -> dict[str, Any]:
    """The fields that a model has something of, in the forms in which it has them."""
    names = ("model", "autoencoder", "optimization", "loss", "lea_weight", "learning_rate", "adam_epsilon")
    names += ("mixed_precision", "chunk_windows")
    fields = {name: getattr(config, name) for name in (*names, *_OF_AUTOENCODERS, *_RENAMED)}
    strides = config.window_shape if config.strides is None else config.strides
    sizes = {"window_size": config.window_shape, "strides": strides}
    fields |= {name: _pair(size) for name, size in sizes.items()}
    fields |= {"filters": config.filters, "pool": config.pool, "categories": config.categories}
    return fields | {name: _joined(getattr(config, name)) for name in _OPTIONAL}


def _hyperparameters(stored: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values; of layers that are alike in all reference models, those of the last one."""
    config = stored["config"]
    yield "model", config["name"]
    if "optimization" in config:
        yield "optimization", config["optimization"]
    yield from _of_compilation(stored.get("compile_config") or {})
    filters = []
    for layer in config["layers"]:
        kind, of_layer = layer["class_name"], layer["config"]
        if kind == "Conv2D":
            filters.append(of_layer["filters"])
        elif kind in _POOLS:
            yield "pool", _POOLS[kind]
            yield "window_size", _pair(of_layer["pool_size"])
            yield "strides", _pair(of_layer["strides"])
        elif kind == "LocallyEmbeddedAutoencoder":
            yield from _of_lea(of_layer)
        if of_layer.get("name") == "hidden":
            policy = of_layer.get("dtype")
            name = policy["config"]["name"] if isinstance(policy, Mapping) else policy
            if name in _POLICIES:
                yield "mixed_precision", _POLICIES[name]
    if filters:
        yield "filters", tuple(filters)


def _of_compilation(compiled: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    loss = compiled.get("loss")
    if isinstance(loss, Mapping) and loss.get("class_name") in _LOSSES:
        yield "loss", _LOSSES[loss["class_name"]]
    optimizer = (compiled.get("optimizer") or {}).get("config", {})
    while isinstance(optimizer, Mapping) and "inner_optimizer" in optimizer:  # of what scales losses in half precision
        optimizer = optimizer["inner_optimizer"]["config"]
    for field, name in (("learning_rate", "learning_rate"), ("adam_epsilon", "epsilon")):
        if isinstance(optimizer, Mapping) and isinstance(optimizer.get(name), float):
            yield field, optimizer[name]


def _of_lea(layer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "window_size", _pair(layer["window_size"])
    yield "strides", _pair(layer["window_size"] if layer["strides"] is None else layer["strides"])
    yield "lea_weight", layer["loss_weight"]
    if "chunk_windows" in layer:
        yield "chunk_windows", layer["chunk_windows"]
    autoencoder = layer["autoencoder"]
    yield "autoencoder", _TYPES.get(autoencoder["class_name"], autoencoder["class_name"])
    told = {"likelihood": "gaussian"} | autoencoder["config"]
    for name in _OF_AUTOENCODERS:
        if name in told:
            yield name, told[name]
    if "categories" in told:
        yield "categories", _sizes(told["categories"])
    for name, argument in _RENAMED.items():
        if argument in told:
            yield name, told[argument]
    for name, argument in _OPTIONAL.items():
        yield name, _joined(autoencoder["config"].get(argument))


def _pair(size: Any) -> tuple[int, int]:
    sizes = _sizes(size)
    return sizes if isinstance(sizes, tuple) else (sizes, sizes)


def _sizes(sizes: Any) -> Any:
    if isinstance(sizes, Mapping):  # how Keras writes tuples inside of what it serialises
        sizes = sizes["config"]["value"] if "config" in sizes else sizes["items"]
    return tuple(sizes) if isinstance(sizes, (list, tuple)) else sizes


def _joined(sizes: Any) -> str | None:
    """Layers' sizes as a flag has them: all of them, where windows of two equal sizes are shown by one."""
    return None if sizes is None else joined(tuple(sizes))


def _equal(found: Any, wanted: Any) -> bool:
    """Whether values are the same; an optimizer keeps its rate in single precision."""
    if isinstance(found, float) and isinstance(wanted, float):
        return abs(found - wanted) <= 1e-6 * abs(wanted)
    return found == wanted


def _shown(value: Any) -> str:
    """As a flag has it: 4 for (4, 4), and 4,6 for (4, 6)."""
    if isinstance(value, tuple):
        return ",".join(map(str, value[:1] if len(set(value)) == 1 else value))
    return f"{value:.7g}" if isinstance(value, float) else str(value)
