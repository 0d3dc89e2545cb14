"""Parts of a training step that all backends share: the scope and the losses of a phase, and gradients taken in it."""

from collections.abc import Sequence
from typing import Any

import keras

from lea_keras.autoencoders.base import Report
from lea_keras.layers.scope import Scope, forward_pass
from lea_keras.training.schedule import JOINT, MAIN, Phase, Step, total

Objectives = dict[str | int, Any]


def open_pass(model: Any, mode: str, before: Scope | None = None, replicas: int = 1) -> Any:
    """Returns the context of a forward pass of a training, test or prediction step, which yields its ``Scope``.

    Args:
        model: a compiled ``LEAModel``.
        mode: of the phase; "objectives" to test, "codes" to predict.
        before: the scope of the phase before, where this one goes on with it.
        replicas: over how many of them gradients are summed.
    """
    options: dict[str, Any] = {"blockwise": bool(getattr(model, "jit_compile", False)), "before": before}
    if mode == "local":
        options["scales"] = _scales(model, replicas)
    return forward_pass(mode, **options)


def losses(
    model: Any, batch: tuple[Any, Any, Any], y_pred: Any, reports: Sequence[Report], phase: Phase, replicas: int = 1
) -> tuple[Any, Objectives]:
    """What a phase's steps minimise.

    Args:
        model: a compiled ``LEAModel``.
        batch: inputs, targets and sample weights.
        y_pred: the model's output; not needed in mode "local".
        reports: of LEAs in the phase's forward pass.
        phase: of ``model``.
        replicas: over how many of them gradients are summed.

    Returns:
        The main loss, None where there is none or in mode "local", and the objectives of those steps that have one,
        each scaled as its optimizer wishes.
    """
    objectives: Objectives = {i: model._lea_loss(reports, i, replicas) for i in range(len(model.lea_layers))}
    if phase.mode != "local":
        x, y, sample_weight = batch
        objectives[MAIN] = model._main_loss(x, y, y_pred, sample_weight, training=True)
        objectives[JOINT] = total(objectives.values())
    scaled = {
        step.objective: model._optimizer_of(step.objective).scale_loss(objectives[step.objective])
        for step in phase.steps
        if objectives[step.objective] is not None
    }
    return objectives.get(MAIN), scaled


def _scales(model: Any, replicas: int = 1) -> dict[int, Any]:
    """By ``id`` of each LEA, what its loss is multiplied by before a forward pass takes gradients itself."""
    one = keras.ops.ones(())
    return {
        id(lea): model._optimizer_of(i).scale_loss(one * lea.loss_weight / replicas)
        for i, lea in enumerate(model.lea_layers)
    }


def taken_gradients(model: Any, step: Step, reports: Sequence[Report]) -> list[Any] | None:
    """The gradients of a step that the forward pass took itself, chunk by chunk, or None where it did not."""
    if step.objective in (MAIN, JOINT):
        return None
    lea = model.lea_layers[step.objective]
    taken = [report.gradients for report in reports if report.layer is lea and report.gradients is not None]
    return [total(gradients) for gradients in zip(*taken, strict=True)] if taken else None
