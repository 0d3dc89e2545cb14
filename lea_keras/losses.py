"""Losses of autoencoders (thesis sections 2.4 and 3.1.1), pure functions, and the thesis' loss of classifiers.

Sums run over the values of a window or the variables of a code, means over windows. Everything is computed in float32,
in which half precision neither overflows nor rounds away, or in float64 where an argument has it **(chosen)**: "float32
or wider" below.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from lea_keras.checks import check_above_zero, fail
from lea_keras.version import PACKAGE

_TF1_EPSILON = 1e-7  # of ``tf.losses.log_loss``, where probabilities are given
_MOST_PAIRED = 1024  # codes of which every pair is looked at
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


def window_distances(windows: Any, reconstructions: Any) -> Any:
    """Mean absolute error of each window, over its values (Eq. 2.19).

    Args:
        windows: [n, wh, ww, c], or any shape whose first axis counts windows.
        reconstructions: the same shape.

    Returns:
        [n], at least 0, float32 or wider. Their mean is MAE.
    """
    windows, reconstructions = widen(windows, reconstructions)
    return ops.mean(ops.abs(reconstructions - windows), axis=tuple(range(1, len(windows.shape))))


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
    return ops.sum(code_divergences(mean, log_std), axis=1)


def kl_divergence(mean: Any, log_std: Any) -> Any:
    """KL of each code variable from the standard Gaussian, mean over windows (Eq. 2.24, which has no ½ inside).

    Args:
        mean: μ, [n, code_length].
        log_std: log σ, [n, code_length].

    Returns:
        [code_length], each at least 0, float32 or wider: mean over windows of μ² + σ² − log σ² − 1. Their sum is KL.
    """
    return window_mean(code_divergences(mean, log_std))


def code_divergences(mean: Any, log_std: Any) -> Any:
    """KL of each code variable of each window, the summands of ``window_divergences``: two of [n, code_length] → the
    same shape, float32 or wider."""
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


def maximum_mean_discrepancy(codes: Any, bandwidth: float | None = None) -> Any:
    """MMD² of the law of codes, q, from the standard Gaussian, p, estimated without bias.

    E k(z, z') + E k(p, p') − 2·E k(z, p) with the kernel k(a, b) = exp(−‖a − b‖²/h²). With such a kernel and prior the
    last two are known: (1 + 4/h²)^(−d/2), and the mean of ``prior_similarities``. Nothing is drawn from the prior. Only
    the first is estimated, by ``pair_similarity``. What that leaves out, a code beside itself, would raise it by 0.0056
    for 64 codes of 4 variables that do follow the prior, where MMD² is 0.

    Args:
        codes: z, [n, code_length].
        bandwidth: h, above 0. None: the code length **(chosen)**.

    Returns:
        Scalar, float32 or wider, which may be below 0; 0 for fewer than two codes **(chosen)**.
    """
    (codes,) = widen(codes)
    similarity, pairs = pair_similarity(codes, bandwidth)
    estimate = similarity + prior_similarity(codes.shape[1], bandwidth)
    estimate = estimate - 2.0 * window_mean(prior_similarities(codes, bandwidth))
    return ops.where(pairs > 0, estimate, ops.zeros_like(estimate))


def pair_similarity(codes: Any, bandwidth: float | None = None) -> tuple[Any, Any]:
    """E k(z, z') of two independent codes, as the mean over all ordered pairs of different ones (a U-statistic).

    Of more than 1024 codes, at most that many are taken, one out of every stretch of equal length **(chosen)**. Its
    place there moves on from stretch to stretch: in a LEA a fixed stride that divides the number of an image's windows
    would see the same places of all images, and no others.

    Args:
        codes: [n, code_length].
        bandwidth: as in ``maximum_mean_discrepancy``.

    Returns:
        The mean and the number of pairs, scalars, float32 or wider; both 0 for fewer than two codes.
    """
    codes = _some(widen(codes)[0])
    codes = codes - ops.stop_gradient(window_mean(codes))  # distances are the same, and rounded less
    squares = ops.sum(ops.square(codes), axis=1)
    products: Any = ops.matmul(codes, ops.transpose(codes))  # [m, m]
    distances = squares[:, None] + squares[None, :] - 2.0 * products
    similarities = ops.exp(-ops.maximum(distances, 0.0) / _squared(bandwidth, codes.shape[1]))
    count = ops.cast(ops.shape(codes)[0], codes.dtype)
    pairs = count * (count - 1.0)
    return (ops.sum(similarities) - ops.trace(similarities)) / ops.maximum(pairs, 1.0), pairs


def prior_similarities(codes: Any, bandwidth: float | None = None) -> Any:
    """E k(z, p) of each code and a draw from the standard Gaussian: (1 + 2/h²)^(−d/2)·exp(−‖z‖²/(h² + 2)).

    Args:
        codes: z, [n, code_length].
        bandwidth: as in ``maximum_mean_discrepancy``.

    Returns:
        [n], float32 or wider.
    """
    (codes,) = widen(codes)
    length = codes.shape[1]
    squared = _squared(bandwidth, length)
    of_codes: Any = ops.exp(-ops.sum(ops.square(codes), axis=1) / (squared + 2.0))
    return of_codes * (1.0 + 2.0 / squared) ** (-length / 2)


def prior_similarity(code_length: int, bandwidth: float | None = None) -> float:
    """E k(p, p') of two draws from the standard Gaussian: (1 + 4/h²)^(−d/2)."""
    return (1.0 + 4.0 / _squared(bandwidth, code_length)) ** (-code_length / 2)


def _squared(bandwidth: float | None, code_length: int) -> float:
    return (code_length if bandwidth is None else check_above_zero("bandwidth", bandwidth)) ** 2.0


def _some(codes: Any) -> Any:
    """At most ``_MOST_PAIRED`` codes, spread evenly."""
    count = ops.shape(codes)[0]
    stride = (count + _MOST_PAIRED - 1) // _MOST_PAIRED
    if isinstance(stride, int) and stride <= 1:
        return codes
    stride = ops.maximum(stride, 1)
    starts = ops.arange(count // stride, dtype="int32")
    # Multiples of the golden ratio come nowhere twice, and everywhere equally often.
    fractions = ops.take(np.float32(np.arange(_MOST_PAIRED) * 0.6180339887498949 % 1.0), starts, axis=0)
    shifts = ops.cast(fractions * ops.cast(stride, "float32"), "int32")
    return ops.take(codes, starts * stride + shifts, axis=0)


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
