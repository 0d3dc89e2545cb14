"""Schedule of the three optimisations (thesis section 3.1.1): which objective trains which variables, in which order.

This is the only place that says so. ``LEAModel`` reads it; how a gradient is taken and applied is the backend's.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import keras

from lea_keras.losses import wide_dtype

MAIN = "main"
JOINT = "joint"

OPTIMIZATIONS = ("joint", "independent", "alternate")


class Step(NamedTuple):
    """One optimizer's step.

    Attributes:
        objective: "main", "joint" (main plus all weighted LEA losses, Eq. 5.3) or the index of a LEA.
        variables: the variables that may move. Those that the objective does not depend on stay as they are.
    """

    objective: str | int
    variables: list[Any]


class Phase(NamedTuple):
    """A forward pass and the steps taken from it, all of whose gradients belong to the values before the first step.

    Attributes:
        mode: of the forward pass, see ``lea_keras.layers.scope.forward_pass``.
        steps: in order.
    """

    mode: str
    steps: list[Step]


def plan(
    optimization: str,
    main_variables: list[Any],
    lea_variables: list[list[Any]],
    influences: dict[str | int, list[Any]] | None = None,
) -> list[Phase]:
    """The phases of one training step.

    Args:
        optimization: "joint", "independent" or "alternate".
        main_variables: trainable variables that belong to no LEA.
        lea_variables: trainable variables of each LEA.
        influences: for "independent" the variables on which each objective depends, so that its optimizer holds state
            for no others. None: all of them, of which those without a gradient stay as they are.
    """
    leas = range(len(lea_variables))
    everything = main_variables + [variable for subset in lea_variables for variable in subset]
    if optimization == "joint":
        return [Phase("objectives", [Step(JOINT, everything)])]
    if optimization == "independent":
        influences = influences or dict.fromkeys([MAIN, *leas], everything)
        return [Phase("objectives", [Step(name, influences[name]) for name in (MAIN, *leas)])]
    # The main loss runs back through the encoders, which stay fixed. A LEA's loss stays within it: neither earlier
    # main layers nor an earlier LEA move for it, which summing the losses over all LEA variables would get wrong.
    return [
        Phase("codes", [Step(MAIN, main_variables)]),
        Phase("local", [Step(i, lea_variables[i]) for i in leas]),
    ]


def total(losses: Iterable[Any]) -> Any:
    """The sum of those losses that are not None, in the wider of their dtypes, or None where there are none."""
    losses = [loss for loss in losses if loss is not None]
    if len({str(loss.dtype) for loss in losses}) > 1:  # a main loss has Keras' ``floatx``, a LEA's its own
        dtype = wide_dtype(*(loss.dtype for loss in losses))
        losses = [keras.ops.cast(loss, dtype) for loss in losses]
    return sum(losses[1:], losses[0]) if losses else None
