"""The steps of ``LEAModel`` on TensorFlow: how gradients are taken and applied."""

from typing import Any

import keras

from lea_keras.hooks import build_metrics
from lea_keras.layers.scope import Scope
from lea_keras.training import trainer
from lea_keras.training.schedule import Phase


def train_step(model: Any, data: Any) -> dict[str, Any]:
    """Takes one training step and returns the metrics, as ``keras.Model.train_step``."""
    import tensorflow as tf

    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if not model.built:
        model(x, training=False)  # a subclassed model is built by its first call
    if model._plan is None:
        model._make_plan()
    model.optimizer.follow()
    replicas = model.distribute_strategy.num_replicas_in_sync
    front = model._plan.front
    y_pred, main_loss, reports, before, tape = None, None, [], None, None
    for phase in model._plan.phases:
        # Where a later phase goes on with what an earlier one encoded, one tape sees both.
        if tape is None or not front:
            persistent = bool(front) or len(phase.steps) > 1
            tape = tf.GradientTape(persistent=persistent, watch_accessed_variables=False)
        with tape:
            watched = [variable for step in phase.steps for variable in step.variables]
            if phase.mode == "codes":
                watched += [variable for lea in front for variable in lea.trainable_variables]
            tape.watch([variable.value for variable in {id(v): v for v in watched}.values()])
            outputs, current = _forward(model, x, phase, before)
            main, scaled = trainer.losses(model, (x, y, sample_weight), outputs, current.reports, phase, replicas)
        if phase.mode != "local":
            y_pred, before, main_loss = outputs, current, main
        reports = current.reports or reports
        updates = []
        for step in phase.steps:
            if step.objective in scaled and step.variables:
                gradients = trainer.taken_gradients(model, step, current.reports)
                if gradients is None:
                    values = [variable.value for variable in step.variables]
                    gradients = tape.gradient(scaled[step.objective], values)  # None where it depends on no such value
                pairs = [(g, v) for g, v in zip(gradients, step.variables, strict=True) if g is not None]
                updates.append((model._optimizer_of(step.objective), pairs))
        for optimizer, pairs in updates:
            if pairs:
                optimizer.apply_gradients(pairs)
    _build_metrics(model, y, y_pred)
    return model._report(x, y, y_pred, sample_weight, main_loss, reports, replicas)


def test_step(model: Any, data: Any) -> dict[str, Any]:
    """Measures a batch and returns the metrics, as ``keras.Model.test_step``."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if not model.built:
        model(x, training=False)
    model._make_reports()
    with trainer.open_pass(model, "objectives") as current:
        y_pred = model(x, training=False)
    main_loss = model._main_loss(x, y, y_pred, sample_weight, training=False)
    replicas = model.distribute_strategy.num_replicas_in_sync
    _build_metrics(model, y, y_pred)
    return model._report(x, y, y_pred, sample_weight, main_loss, current.reports, replicas)


def _build_metrics(model: Any, y: Any, y_pred: Any) -> None:
    import tensorflow as tf

    if not tf.executing_eagerly() and not tf.distribute.has_strategy():  # where there is one, Keras has built them
        build_metrics(model, y, y_pred)


def _forward(model: Any, x: Any, phase: Phase, before: Scope | None) -> tuple[Any, Scope]:
    """Outputs of the forward pass of a phase, and what the LEAs did in it, given the same of the phase before."""
    if phase.mode != "local":
        with trainer.open_pass(model, phase.mode) as current:
            if phase.mode == "codes":
                current.keep(model._plan.front)
            return model(x, training=True), current
    if not before.count:
        return None, Scope()
    # The pass ends with the last LEA. State of main layers that the pass before moved, such as moving averages, must
    # not move again; random seeds and the LEAs' own state go on.
    replicas = model.distribute_strategy.num_replicas_in_sync
    with keras.StatelessScope() as state, trainer.open_pass(model, phase.mode, before, replicas) as current:
        model(x, training=True)
    of_leas = {id(v) for lea in model.lea_layers for v in lea.variables}
    for variable in model.variables:
        value = state.get_current_value(variable)
        if value is not None and (id(variable) in of_leas or not keras.backend.is_float_dtype(variable.dtype)):
            variable.assign(value)
    return None, current
