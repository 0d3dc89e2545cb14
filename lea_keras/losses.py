"""Losses of autoencoders (thesis sections 2.4 and 3.1.1): pure functions.

Sums run over the values of a window or the variables of a code, means over windows. Everything is computed in float32,
in which half precision neither overflows nor rounds away, or in float64 where an argument has it **(chosen)**: "float32
or wider" below.
"""

from typing import Any

import keras
from keras import ops


def wide_dtype(*dtypes: Any) -> str:
    """The dtype in which values of these dtypes are summed up and trained on: "float64" if one is, else "float32"."""
    # Keras' result_type has no float64 on JAX, not even where JAX has it.
    return "float64" if any(keras.backend.standardize_dtype(dtype) == "float64" for dtype in dtypes) else "float32"


def widen(*values: Any) -> tuple[Any, ...]:
    """Tensors of these values, all cast to the ``wide_dtype`` of theirs."""
    tensors: list[Any] = [ops.convert_to_tensor(value) for value in values]
    dtype = wide_dtype(*(tensor.dtype for tensor in tensors))
    return tuple(ops.cast(tensor, dtype) for tensor in tensors)


def window_errors(windows: Any, reconstructions: Any) -> Any:
    """Summed squared error of each window (Eq. 4.3).

    Args:
        windows: [n, wh, ww, c], or any shape whose first axis counts windows.
        reconstructions: the same shape.

    Returns:
        [n], at least 0, float32 or wider.
    """
    windows, reconstructions = widen(windows, reconstructions)
    difference = reconstructions - windows
    # The gradient of a square, 2·difference, takes two runs through memory, which costs as much as all the rest here.
    # That of a product with a constant takes one, and its factor of 2 belongs on the small sums.
    halves = ops.sum(difference * ops.stop_gradient(difference), axis=tuple(range(1, len(difference.shape))))
    return halves * 2.0 - ops.stop_gradient(halves)


def window_mean(values: Any) -> Any:
    """Mean over the first axis, which counts windows: [n, …] → […]; 0 where there are none **(chosen)**."""
    values = ops.convert_to_tensor(values)
    if values.shape[0]:
        return ops.mean(values, axis=0)
    count = ops.cast(ops.maximum(ops.shape(values)[0], 1), values.dtype)
    return ops.sum(values, axis=0) / count


def reconstruction_loss(windows: Any, reconstructions: Any) -> Any:
    """RL: the mean over windows of the summed squared error (Eq. 3.2).

    Args:
        windows: [n, wh, ww, c], or any shape whose first axis counts windows.
        reconstructions: the same shape.

    Returns:
        Scalar, at least 0, float32 or wider; 0 without windows.
    """
    return window_mean(window_errors(windows, reconstructions))


def window_divergences(mean: Any, log_std: Any) -> Any:
    """KL of the code of each window from the standard Gaussian (Eq. 2.24, which has no ½ inside).

    Args:
        mean: μ, [n, code_length].
        log_std: log σ, [n, code_length].

    Returns:
        [n], each at least 0, float32 or wider: Σ μ² + σ² − log σ² − 1 over the code's variables. Their mean is KL.
    """
    return ops.sum(_divergences(mean, log_std), axis=1)


def kl_divergence(mean: Any, log_std: Any) -> Any:
    """KL of each code variable from the standard Gaussian, mean over windows (Eq. 2.24, which has no ½ inside).

    Args:
        mean: μ, [n, code_length].
        log_std: log σ, [n, code_length].

    Returns:
        [code_length], each at least 0, float32 or wider: mean over windows of μ² + σ² − log σ² − 1. Their sum is KL.
    """
    return window_mean(_divergences(mean, log_std))


def _divergences(mean: Any, log_std: Any) -> Any:
    mean, log_std = widen(mean, log_std)
    return ops.square(mean) + ops.exp(2.0 * log_std) - 2.0 * log_std - 1.0


def ramp(step: Any, final: float, steps: int, dtype: str = "float32") -> Any:
    """Rises linearly from 0 at step 0 to ``final`` at step ``steps`` and stays there (thesis section 3.3.2).

    Args:
        step: optimisation steps done so far, a scalar.
        final: the value at the end.
        steps: how many steps the rise takes; 0: ``final`` from the start.
        dtype: of the result.

    Returns:
        Scalar.
    """
    if not steps:
        return ops.convert_to_tensor(final, dtype)
    return ops.minimum(ops.cast(step, dtype) / steps, 1.0) * final


def capacity_penalty(kl: Any, capacity: Any, gamma: float) -> Any:
    """γ·|KL − C|, what holds the KL divergence at the capacity C (Eq. 2.27).

    Args:
        kl: KL, scalar.
        capacity: C, scalar, in nats of Eq. 2.24 (twice the usual ones).
        gamma: γ.

    Returns:
        Scalar, at least 0, float32 or wider.
    """
    kl, capacity = widen(kl, capacity)
    return ops.abs(kl - capacity) * gamma
