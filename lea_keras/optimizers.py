"""Optimizers that Keras has not."""

from typing import Any

import keras
from keras import ops

from lea_keras.checks import check_number, fail
from lea_keras.version import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class CoupledAdam(keras.optimizers.Adam):
    """Adam with *coupled* weight decay: ``l2``·θ is added to the gradient of every variable θ before the moments.

    This is what D. Kingma and J. Ba's Adam makes of the penalty ``l2/2``·Σθ² in the loss, and what PyTorch's
    ``Adam(weight_decay=…)`` does. Keras' ``Adam(weight_decay=…)`` and ``AdamW`` are decoupled (I. Loshchilov and
    F. Hutter, 2019): they subtract from θ beside the step, and are something else. All variables that the optimizer
    trains are pulled to 0, biases included, and in a ``LEAModel`` those of each LEA by its own optimizer, in every
    ``optimization``; gradients are clipped and averaged before that **(chosen)**, as in PyTorch.

    Args:
        learning_rate: as in ``keras.optimizers.Adam``.
        l2: at least 0; 0: Adam.
        **kwargs: those of ``keras.optimizers.Adam``, but ``weight_decay``.

    Raises:
        ValueError: for a negative l2, a ``weight_decay``, or as in ``keras.optimizers.Adam``.
    """

    def __init__(self, learning_rate: Any = 0.001, l2: float = 0.0, **kwargs: Any) -> None:
        if kwargs.get("weight_decay") is not None:
            hint = "Keras' weight decay is decoupled; l2 is coupled."
            raise fail("weight_decay", "left out", kwargs["weight_decay"], hint)
        super().__init__(learning_rate, **kwargs)
        self.l2 = check_number("l2", l2)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Takes Adam's step with the gradient of loss and penalty."""
        if self.l2:
            gradient = ops.convert_to_tensor(gradient)  # an embedding's may be of some rows only
            value: Any = ops.cast(variable, gradient.dtype)
            gradient = gradient + self.l2 * value
        super().update_step(gradient, variable, learning_rate)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Is refused: what it is told is not part of the configuration, and lost with every copy and when saved."""
        raise ValueError(
            "CoupledAdam pulls all variables to 0. For some of them alone give their layers "
            f"keras.regularizers.L2(l2 / 2), which is the same with plain Adam. Received: {var_list or var_names}"
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"l2": self.l2}
