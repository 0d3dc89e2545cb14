"""Private hooks of Keras: what its public interface has no name for, each in one function, and named nowhere else."""

import concurrent.futures
from typing import Any

import keras


def sublayers(layer: keras.layers.Layer, recursive: bool = True) -> list[keras.layers.Layer]:
    """Returns the layers inside a layer, at any depth or just below it, in the order in which they were added."""
    return list(layer._flatten_layers(include_self=False, recursive=recursive))


def layers_of(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and all layers inside it."""
    return list(layer._flatten_layers())


def has_state(layer: keras.layers.Layer) -> bool:
    """Whether a layer itself has state that is not trained, such as moving averages or random seeds."""
    state = layer._non_trainable_variables if layer.quantization_mode is None else []
    return bool(state or layer._seed_generators)


def inputs_of_calls(layer: keras.layers.Layer) -> list[list[Any]]:
    """Returns, for every symbolic call of a layer, the Keras tensors that it was given."""
    return [list(node.input_tensors) for node in layer._inbound_nodes]


def origin(tensor: Any) -> tuple[Any, list[Any]]:
    """Returns the operation that made a Keras tensor, and the Keras tensors that it made it of."""
    operation, index, _ = tensor._keras_history
    return operation, list(operation._inbound_nodes[index].input_tensors)


def functional_graph(model: keras.Model) -> Any:
    """Returns the functional model that has a model's graph: inside a Sequential one, else the model itself; None in a
    Sequential model that is not built."""
    return getattr(model, "_functional", model)


def build_metrics(model: keras.Model, y: Any, y_pred: Any) -> None:
    """Builds the metrics that a model was compiled with by name, which Keras does when it first updates them.

    In a thread of its own, in which no graph is being traced: one in which variables are made is traced twice, and the
    second time takes as long as the first.
    """
    metrics = model._compile_metrics
    if metrics is not None and not metrics.built:
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            thread.submit(metrics.build, y, y_pred).result()
