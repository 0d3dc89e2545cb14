"""Losses of autoencoders (thesis sections 2.4 and 3.1.1), pure functions, and the thesis' loss of classifiers.

Sums run over the values of a window or the variables of a code, means over windows. Everything is computed in float32,
in which half precision neither overflows nor rounds away, or in float64 where an argument has it **(chosen)**: "float32
or wider" below.
"""

from typing import Any

import keras
from keras import ops

from lea_keras.checks import fail
from lea_keras.version import PACKAGE

_TF1_EPSILON = 1e-7  # of ``tf.losses.log_loss``, where probabilities are given
_NOWHERE = -1e30  # a logit that counts nothing, in float32, whose gradient is no NaN as that of an infinite one is


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


def window_cross_entropies(windows: Any, logits: Any) -> Any:
    """Summed binary cross-entropy of each window: −log likelihood of its values under Bernoulli distributions.

    Σ −x·log p − (1 − x)·log(1 − p) with p = sigmoid(logit), exact however large the logits are. For values x that are
    neither 0 nor 1 the least is not 0, but their entropy, where p = x. It is on the scale of KL: with beta = 0.5 the
    VAE's loss is the negative evidence lower bound. Divided by the number of values it is the usual mean over pixels.

    Args:
        windows: in [0, 1], [n, wh, ww, c], or any shape whose first axis counts windows.
        logits: the same shape.

    Returns:
        [n], at least 0, float32 or wider.
    """
    windows, logits = widen(windows, logits)
    entropies = ops.binary_crossentropy(windows, logits, from_logits=True)
    return ops.sum(entropies, axis=tuple(range(1, len(windows.shape))))


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
    """``γ·|KL − C|``, what holds the KL divergence at the capacity C (Eq. 2.27).

    Args:
        kl: KL, scalar.
        capacity: C, scalar, in nats of Eq. 2.24 (twice the usual ones).
        gamma: γ.

    Returns:
        Scalar, at least 0, float32 or wider.
    """
    kl, capacity = widen(kl, capacity)
    return ops.abs(kl - capacity) * gamma


@keras.saving.register_keras_serializable(PACKAGE)
class LogLoss(keras.losses.Loss):
    """The log loss of Eq. 2.21: of each class the binary cross-entropy of its probability, averaged over the classes.

    −1/C Σ_i [y_i·log p_i + (1 − y_i)·log(1 − p_i)], p the softmax of the logits. That is what TensorFlow 1's
    ``tf.losses.log_loss`` computed of a softmax's output. At chance, p_i = 1/C, it is 0.6365 for three classes and
    0.3251 for ten, where the categorical cross-entropy, −Σ_i y_i·log p_i, is 1.0986 and 2.3026.

    Args:
        from_logits: whether predictions are logits, of which it is exact however large they are. Otherwise they are
            probabilities, to which 1e-7 is added in the logarithms, as TensorFlow 1 did.
        reduction: as in ``keras.losses.Loss``.
        name: of the loss.
        dtype: as in ``keras.losses.Loss``.

    Raises:
        ValueError: when called with fewer than two classes, or labels that are not one-hot.
    """

    def __init__(
        self,
        from_logits: bool = True,
        reduction: str = "sum_over_batch_size",
        name: str = "log_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = bool(from_logits)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each sample: [b, …, classes] twice → [b, …]."""
        y_true, y_pred = widen(y_true, y_pred)
        if len(y_pred.shape) < 1 or y_pred.shape[-1] is None or y_pred.shape[-1] < 2:
            raise fail("y_pred", "logits or probabilities [b, …, classes] of at least two classes", tuple(y_pred.shape))
        if len(y_true.shape) != len(y_pred.shape) or y_true.shape[-1] not in (None, y_pred.shape[-1]):
            allowed = f"one-hot labels of the shape of the predictions, {tuple(y_pred.shape)}"
            raise fail("y_true", allowed, tuple(y_true.shape))
        if self.from_logits:
            log_of_all, log_of_others = _log_probabilities(y_pred)
        else:
            log_of_all, log_of_others = ops.log(y_pred + _TF1_EPSILON), ops.log(1 - y_pred + _TF1_EPSILON)
        return -ops.mean(y_true * log_of_all + (1 - y_true) * log_of_others, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"from_logits": self.from_logits}


def _log_probabilities(logits: Any) -> tuple[Any, Any]:
    """log p and log(1 − p) of the softmax p of logits [b, …, classes].

    The top class may have a p of 1 to all its digits: it is held against all others together, as one of two classes.
    Any other class has at most the top one's share, so that taking its own off the whole loses nothing.
    """
    logits = logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))  # of large ones, digits would be lost
    is_top = ops.one_hot(ops.argmax(logits, axis=-1), logits.shape[-1], dtype=logits.dtype) > 0
    whole = ops.logsumexp(logits, axis=-1, keepdims=True)
    lead = logits - ops.logsumexp(ops.where(is_top, _NOWHERE, logits), axis=-1, keepdims=True)
    own_share = ops.where(is_top, 0.0, ops.exp(logits - whole))
    log_of_all = ops.where(is_top, -ops.softplus(-lead), logits - whole)
    return log_of_all, ops.where(is_top, -ops.softplus(lead), ops.log1p(-own_share))
