"""The steps of ``LEAModel`` on JAX: how gradients are taken and applied where all state is handed in and out."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from lea_keras.autoencoders import Objective
from lea_keras.layer import Use, forward_pass
from lea_keras.optimizations import JOINT, MAIN, Phase, Step, total


class _Values:
    """Current values of all variables during a step, by variable."""

    def __init__(self, *groups: tuple[Sequence[keras.Variable], Sequence[Any]]) -> None:
        self._variables = [variable for variables, _ in groups for variable in variables]
        pairs = ((v, value) for variables, values in groups for v, value in zip(variables, values, strict=True))
        self._values = {id(variable): value for variable, value in pairs}

    def of(self, variables: Sequence[keras.Variable]) -> list[Any]:
        return [self._values[id(variable)] for variable in variables]

    def set(self, variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
        self._values |= {id(variable): value for variable, value in zip(variables, values, strict=True)}

    def run(
        self, function: Callable[[], Any], variables: Sequence[keras.Variable] = (), values: Sequence[Any] = ()
    ) -> tuple[Any, list[Any]]:
        """Calls a function with these values, some replaced; returns its result and all values afterwards."""
        replaced = {id(variable): value for variable, value in zip(variables, values, strict=True)}
        mapping = [(variable, (self._values | replaced)[id(variable)]) for variable in self._variables]
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            result = function()
        return result, [scope.get_current_value(variable) for variable in self._variables]

    def move(self, values: Sequence[Any], kept: Callable[[keras.Variable], bool]) -> None:
        """Takes over what ``run`` returned, of those variables that are to be ``kept``."""
        for variable, value in zip(self._variables, values, strict=True):
            if kept(variable):
                self._values[id(variable)] = value


def optimizer_variables(model: Any) -> list[keras.Variable]:
    """Variables of all optimizers, the main one's first."""
    optimizers = [model.optimizer, *model.lea_optimizers] if model.optimizer is not None else []
    return [variable for optimizer in optimizers for variable in optimizer.variables]


def train_step(model: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
    """Takes one training step; as ``train_step`` of a ``keras.Model`` on JAX, returns metrics and the new state."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        optimizer_variables(model),
        model.metrics_variables,
    )
    values = _Values(*zip(groups, state, strict=True))
    y_pred, main_loss, uses, count = None, None, [], 0
    for phase in model._state.phases:
        if phase.mode == "local" and not count:
            continue  # no LEA has an objective
        results, updates = _phase(model, (x, y, sample_weight), values, phase, count)
        uses = results["uses"] or uses
        if phase.mode != "local":
            y_pred, main_loss, count = results["y_pred"], results["main_loss"], results["count"]
        for step, gradients in updates:
            optimizer = model._optimizer_of(step.objective)
            given = values.of(optimizer.variables), gradients, values.of(step.variables)
            weights, moments = optimizer.stateless_apply(*given)
            values.set(step.variables, weights)
            values.set(optimizer.variables, moments)
    logs, after = values.run(lambda: model._report(x, y, y_pred, sample_weight, main_loss, uses, 1))
    metrics = {id(variable) for variable in model.metrics_variables}
    values.move(after, lambda variable: id(variable) in metrics)
    return logs, tuple(values.of(group) for group in groups)


def _phase(
    model: Any, batch: tuple[Any, Any, Any], values: _Values, phase: Phase, count: int
) -> tuple[dict[str, Any], list[tuple[Step, list[Any]]]]:
    """Runs a phase's forward pass and takes the gradients of its steps; state that the pass moved is taken over."""
    import jax

    variables = list({id(v): v for step in phase.steps for v in step.variables}.values())

    def forward(*primals: Any) -> tuple[Any, Any]:
        (scaled, results), after = values.run(lambda: _objectives(model, *batch, phase, count), variables, primals)
        return scaled, (results, after)

    scaled, pull, (results, after) = jax.vjp(forward, *values.of(variables), has_aux=True)
    results["uses"] = [
        Use(model.lea_layers[index], Objective(None, None, loss, measures), None, None, gradients)
        for index, loss, measures, gradients in results["uses"]
    ]
    trained = {id(variable) for variable in model.trainable_variables}
    if phase.mode == "local":
        # State of main layers that the pass before moved, such as moving averages, must not move again.
        own = {id(variable) for lea in model.lea_layers for variable in lea.variables} - trained
        values.move(after, lambda v: id(v) in own or not keras.backend.is_float_dtype(v.dtype))
    else:
        values.move(after, lambda v: id(v) not in trained)
    updates = []
    for step in phase.steps:
        if str(step.objective) not in scaled or not step.variables:
            continue
        lea = None if step.objective in (MAIN, JOINT) else model.lea_layers[step.objective]
        taken = [use.gradients for use in results["uses"] if use.layer is lea and use.gradients is not None]
        if taken:
            gradients = [total(parts) for parts in zip(*taken, strict=True)]
        else:
            chosen = {name: keras.ops.cast(name == str(step.objective), one.dtype) for name, one in scaled.items()}
            by_variable = dict(zip(map(id, variables), pull(chosen), strict=True))
            gradients = [by_variable[id(variable)] for variable in step.variables]
        updates.append((step, gradients))
    return results, updates


def test_step(model: Any, state: Any, data: Any) -> tuple[dict[str, Any], Any]:
    """Measures a batch; as ``test_step`` of a ``keras.Model`` on JAX."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    groups = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    values = _Values(*zip(groups, state, strict=True))

    def run() -> dict[str, Any]:
        with forward_pass("objectives") as current:
            y_pred = model(x, training=False)
        main_loss = model._main_loss(x, y, y_pred, sample_weight, training=False)
        return model._report(x, y, y_pred, sample_weight, main_loss, current.uses, 1)

    logs, after = values.run(run)
    values.move(after, lambda variable: True)
    return logs, tuple(values.of(group) for group in groups)


def _objectives(model: Any, x: Any, y: Any, sample_weight: Any, phase: Phase, count: int) -> tuple[Any, Any]:
    """Scaled objectives of a phase's steps, by name as text, since JAX sorts them; and more of the forward pass."""
    scales = {}
    if phase.mode == "local":
        one = keras.ops.ones(())
        scales = {
            id(lea): model._optimizer_of(i).scale_loss(one * lea.loss_weight) for i, lea in enumerate(model.lea_layers)
        }
    y_pred = None
    with forward_pass(phase.mode, until=count if phase.mode == "local" else None, scale=scales) as current:
        y_pred = model(x, training=True)
    losses = {i: model._lea_loss(current.uses, i, 1) for i in range(len(model.lea_layers))}
    results = {"y_pred": y_pred, "count": current.count, "main_loss": None}
    if phase.mode != "local":
        results["main_loss"] = losses[MAIN] = model._main_loss(x, y, y_pred, sample_weight, training=True)
        losses[JOINT] = total(losses.values())
    results["uses"] = [
        (model.lea_layers.index(use.layer), use.objective.loss, use.objective.measures, use.gradients)
        for use in current.uses
    ]
    scaled = {
        str(step.objective): model._optimizer_of(step.objective).scale_loss(losses[step.objective])
        for step in phase.steps
        if losses[step.objective] is not None
    }
    return scaled, results
