"""Dependencies of a model's objectives, read off its structure: on which variables, and what no step changes."""

from typing import Any

import keras

from lea_keras.hooks import inputs_of_calls, origin
from lea_keras.layers.lea import LocallyEmbeddedAutoencoder
from lea_keras.layers.scope import forward_pass
from lea_keras.training.schedule import MAIN, total


def influences(model: Any) -> dict[str | int, list[keras.Variable]] | None:
    """The variables on which each objective of a ``LEAModel`` depends, from a trial trace.

    Returns:
        Trainable variables by objective (see ``training.schedule.Step``); None for a subclassed model, which does not
        know its inputs when it is compiled or loaded.
    """
    if not hasattr(model, "inputs"):
        return None
    if keras.backend.backend() == "jax":
        return _from_jaxpr(model)
    return _from_tape(model)


def _objectives(model: Any, x: Any) -> dict[str | int, Any]:
    """All objectives of one forward pass, unweighted; None for a LEA without one."""
    with forward_pass("inspect") as current:
        outputs = model(x, training=True)
    parts = [*keras.tree.flatten(outputs), *model.losses]
    objectives: dict[str | int, Any] = {MAIN: total(keras.ops.sum(keras.ops.cast(part, "float32")) for part in parts)}
    for i, lea in enumerate(model.lea_layers):
        objectives[i] = total(report.loss for report in current.reports if report.layer is lea and lea.loss_weight)
    return objectives


def _from_tape(model: Any) -> dict[str | int, list[keras.Variable]]:
    import tensorflow as tf

    variables, found = model.trainable_variables, {}

    def trace(x: Any) -> None:
        with tf.GradientTape(persistent=True) as tape:
            objectives = _objectives(model, x)
        for name, objective in objectives.items():
            values = [variable.value for variable in variables]
            gradients = [None] * len(values) if objective is None else tape.gradient(objective, values)
            found[name] = [v for v, gradient in zip(variables, gradients, strict=True) if gradient is not None]

    specs = keras.tree.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), model.input)

    def on_replicas(x: Any) -> None:
        model.distribute_strategy.run(trace, args=(x,))

    tf.function(on_replicas, autograph=False).get_concrete_function(specs)  # traced, never run
    return found


def _from_jaxpr(model: Any) -> dict[str | int, list[keras.Variable]] | None:
    """What is left of the trainable variables once everything that an objective does not need is gone."""
    import jax
    from jax.interpreters import partial_eval

    inputs = keras.tree.flatten(model.input)
    if any(None in tensor.shape[1:] for tensor in inputs):
        return None
    x = [jax.ShapeDtypeStruct((tensor.shape[0] or 1, *tensor.shape[1:]), tensor.dtype) for tensor in inputs]
    variables, names = model.trainable_variables, []

    def trace(values: Any, x: Any) -> list[Any]:
        mapping = zip(variables, values, strict=True)
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True):
            objectives = _objectives(model, keras.tree.pack_sequence_as(model.input, x))
        names.extend(name for name, objective in objectives.items() if objective is not None)
        return [objective for objective in objectives.values() if objective is not None]

    jaxpr = jax.make_jaxpr(trace)([variable.value for variable in variables], x).jaxpr
    found = {name: [] for name in (MAIN, *range(len(model.lea_layers)))}
    for i, name in enumerate(names):
        _, used = partial_eval.dce_jaxpr(jaxpr, [i == j for j in range(len(names))])
        found[name] = [variable for variable, needed in zip(variables, used, strict=False) if needed]
    return found


def at_the_front(model: keras.Model) -> list[LocallyEmbeddedAutoencoder]:
    """The LEAs of a functional model whose windows no training step can change: nothing before them has weights,
    state or randomness. Empty for a subclassed model, whose structure is unknown."""
    if not hasattr(model, "inputs"):
        return []
    found = []
    for layer in model.layers:
        if isinstance(layer, LocallyEmbeddedAutoencoder) and layer.chunk_windows is None:
            if all(_is_fixed(tensor) for tensors in inputs_of_calls(layer) for tensor in tensors):
                found.append(layer)
    return found


def _is_fixed(tensor: Any) -> bool:
    operation, inputs = origin(tensor)
    return not getattr(operation, "variables", ()) and all(_is_fixed(earlier) for earlier in inputs)
