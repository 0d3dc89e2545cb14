"""Constraints on weights: balls of the ℓ1 norm, which bound how far a perturbation grows from layer to layer."""

from typing import Any

import keras
from keras import ops

from lea_keras.checks import check_above_zero
from lea_keras.version import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class L1Ball(keras.constraints.Constraint):
    """Puts the weights of every neuron back into the ℓ1 ball: Σ|w| ≤ radius.

    Weights outside go to the nearest point of the ball (Euclidean projection), which makes the smallest of them exactly
    0; scaling would not. Those inside stay as they are. A neuron's weights are a column of a dense kernel [in, out] and
    ``kernel[..., i]`` of a convolution's; not so in transposed and depthwise convolutions, whose kernels have their
    axes in another order. For dense layers and convolutions::

        keras.layers.Dense(1000, "relu", kernel_constraint=lea_keras.constraints.L1Ball(5.0))

    With it on every layer, ``lea_keras.robustness.perturbation_bound`` is at most epsilon times the product of the
    radii, up to rounding. The rule is Theorem 2's of S. Gopalakrishnan et al. (arXiv:1810.10625, 2018); that projection
    imposes it is **(chosen)**.

    Args:
        radius: of the ball, above 0.

    Raises:
        ValueError: for another radius.
    """

    def __init__(self, radius: float) -> None:
        self.radius = check_above_zero("radius", radius)

    def __call__(self, w: Any) -> Any:
        w = ops.convert_to_tensor(w)
        magnitudes = ops.reshape(ops.abs(w), (-1, w.shape[-1]))  # [weights of a neuron, neurons]
        sums = ops.cumsum(ops.flip(ops.sort(magnitudes, axis=0), axis=0), axis=0)  # of the largest 1, 2, … weights
        counts = ops.arange(1, magnitudes.shape[0] + 1, dtype=w.dtype)[:, None]
        # What is taken off: of all (Σ − radius) / count the largest, and nothing where none is above 0.
        excess = ops.maximum(ops.max((sums - self.radius) / counts, axis=0), 0.0)  # [neurons]
        return ops.sign(w) * ops.maximum(ops.abs(w) - excess, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {"radius": self.radius}
