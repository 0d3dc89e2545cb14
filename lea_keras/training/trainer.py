"""What the training steps of all backends have in common: the losses of a phase, and gradients taken on the way."""

from collections.abc import Sequence
from typing import Any

import keras

from lea_keras.layers.lea import Use
from lea_keras.training.schedule import JOINT, MAIN, Phase, Step, total

Objectives = dict[str | int, Any]


def losses(
    model: Any, batch: tuple[Any, Any, Any], y_pred: Any, uses: Sequence[Use], phase: Phase, replicas: int = 1
) -> tuple[Any, Objectives]:
    """What a phase's steps minimise.

    Args:
        model: a compiled ``LEAModel``.
        batch: inputs, targets and sample weights.
        y_pred: the model's output; not needed in mode "local".
        uses: of LEAs in the phase's forward pass.
        phase: of ``model``.
        replicas: over how many of them gradients are summed.

    Returns:
        The main loss, None where there is none or in mode "local", and the objectives of those steps that have one,
        each scaled as its optimizer wishes.
    """
    found: Objectives = {i: model._lea_loss(uses, i, replicas) for i in range(len(model.lea_layers))}
    if phase.mode != "local":
        x, y, sample_weight = batch
        found[MAIN] = model._main_loss(x, y, y_pred, sample_weight, training=True)
        found[JOINT] = total(found.values())
    scaled = {
        step.objective: model._optimizer_of(step.objective).scale_loss(found[step.objective])
        for step in phase.steps
        if found[step.objective] is not None
    }
    return found.get(MAIN), scaled


def scales(model: Any, replicas: int = 1) -> dict[int, Any]:
    """By ``id`` of each LEA, what its loss is multiplied by before a forward pass takes gradients itself."""
    one = keras.ops.ones(())
    return {
        id(lea): model._optimizer_of(i).scale_loss(one * lea.loss_weight / replicas)
        for i, lea in enumerate(model.lea_layers)
    }


def taken_gradients(model: Any, step: Step, uses: Sequence[Use]) -> list[Any] | None:
    """The gradients of a step that the forward pass took itself, chunk by chunk, or None where it did not."""
    if step.objective in (MAIN, JOINT):
        return None
    lea = model.lea_layers[step.objective]
    taken = [use.gradients for use in uses if use.layer is lea and use.gradients is not None]
    return [total(gradients) for gradients in zip(*taken, strict=True)] if taken else None
