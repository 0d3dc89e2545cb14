"""Measures of reconstructed windows (thesis chapter 4): functions of windows and their reconstructions.

All of them compute in float32, or in float64 where an argument has it ("float32 or wider" below), in eager mode, graphs
and under XLA. The classes are Keras metrics, for more windows than fit into one call.
"""

from typing import Any

import keras
from keras import ops

from lea_keras.checks import check_above_zero, check_positive_int
from lea_keras.losses import (
    kl_divergence,
    maximum_mean_discrepancy,
    pair_similarity,
    prior_similarities,
    prior_similarity,
    reconstruction_loss,
    wide_dtype,
    widen,
    window_distances,
    window_errors,
    window_mean,
)
from lea_keras.version import PACKAGE
from lea_keras.windows import extremes

__all__ = [
    "AggregatedMMD",
    "DeadCodes",
    "KLDivergence",
    "NormalizedReconstructionLoss",
    "ReconstructionLoss",
    "kl_divergence",
    "maximum_mean_discrepancy",
    "mean_absolute_error",
    "normalized_reconstruction_loss",
    "reconstruction_confidence",
    "reconstruction_loss",
]


def mean_absolute_error(windows: Any, reconstructions: Any) -> Any:
    """MAE: the mean over windows and their values of the absolute difference (Eq. 2.19), in units of the values.

    It weighs large errors less than RL does. Autoencoders with ``mae=True`` report it; ``keras.metrics.
    MeanAbsoluteError`` is the same over several updates.

    Args:
        windows: [n, wh, ww, c], or any shape whose first axis counts windows.
        reconstructions: the same shape.

    Returns:
        Scalar, at least 0, float32 or wider; 0 without windows.
    """
    return window_mean(window_distances(windows, reconstructions))


def normalized_reconstruction_loss(windows: Any, reconstructions: Any) -> Any:
    """RLN: the mean squared error in units of the windows' range of values (Eq. 4.1).

    Minimum and maximum are taken over all windows given. It does not change when windows and reconstructions are
    scaled and shifted together, and so compares LEAs at different depths.

    Args:
        windows: [n, wh, ww, c], or any shape whose first axis counts windows.
        reconstructions: the same shape.

    Returns:
        Scalar, at least 0, float32 or wider, never NaN for finite inputs; 0 without windows. Where the windows are
        constant their range is 0 and Eq. 4.1 divides by it: then a reproduced value counts 0, and any other its square
        in units of float32's rounding of the constant **(chosen)**.
    """
    windows, reconstructions = widen(windows, reconstructions)
    squares = ops.square((reconstructions - windows) / _span(*extremes(windows)))
    return ops.mean(window_mean(squares))


def normalized(rl: Any, values: int, smallest: Any, largest: Any) -> Any:
    """RLN (Eq. 4.1) from RL (Eq. 3.2).

    Args:
        rl: the mean over windows of their summed squared error, scalar.
        values: how many values a window has.
        smallest: of all windows' values, scalar.
        largest: of all windows' values, scalar.

    Returns:
        Scalar, as ``normalized_reconstruction_loss``.
    """
    rl, smallest, largest = widen(rl, smallest, largest)
    span = _span(smallest, largest)
    return rl / values / span / span


def _span(smallest: Any, largest: Any) -> Any:
    """max − min, but never below float32's rounding of the values: dividing by less would blow up noise."""
    rounding = ops.maximum(ops.abs(smallest), ops.abs(largest)) * 1.2e-7
    return ops.maximum(largest - smallest, ops.maximum(rounding, 1e-18))  # whose square is still a number


def reconstruction_confidence(windows: Any, reconstructions: Any, largest: Any = None) -> Any:
    """Confidence of each window: 1 − RLᵢ / max RL, so that the worst window has 0 (Eq. 4.4).

    Args:
        windows: [n, wh, ww, c], or any shape whose first axis counts windows.
        reconstructions: the same shape.
        largest: max RL, a scalar of at least 0, where it is known of more windows than these. None: of these.

    Returns:
        [n] in [0, 1], float32 or wider: 1 where a window is reproduced without error, and 0 where its error is
        ``largest`` or more.
    """
    errors = window_errors(windows, reconstructions)
    worst = extremes(errors)[1] if largest is None else ops.cast(largest, errors.dtype)
    confidence = 1.0 - errors / ops.where(worst == 0, 1.0, worst)
    # XLA multiplies by 1/worst instead, which brings the worst window's share next to 1, not always to it.
    return ops.where(errors >= worst, ops.cast(errors == 0, errors.dtype), confidence)


class _Accumulated(keras.metrics.Metric):
    """A Keras metric made of sums, float32 or wider whatever Keras' ``floatx`` or the metric's own dtype."""

    count: keras.Variable

    def _add(self, name: str, shape: tuple[int, ...] = (), initializer: Any = "zeros") -> Any:
        return self.add_variable(shape=shape, initializer=initializer, dtype=wide_dtype(self.dtype), name=name)

    def _add_count(self, counts: Any) -> None:
        self.count.assign_add(ops.cast(counts, self.count.dtype))


@keras.saving.register_keras_serializable(PACKAGE)
class ReconstructionLoss(_Accumulated):
    """RL (Eq. 3.2) over all windows of all updates; ``update_state(windows, reconstructions)`` as the function."""

    def __init__(self, name: str = "rl", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.errors = self._add("errors")
        self.count = self._add("count")

    def update_state(self, windows: Any, reconstructions: Any) -> None:
        errors = window_errors(windows, reconstructions)
        self.errors.assign_add(ops.sum(errors))
        self._add_count(ops.size(errors))

    def result(self) -> Any:
        return self.errors / ops.maximum(self.count, 1.0)


@keras.saving.register_keras_serializable(PACKAGE)
class NormalizedReconstructionLoss(_Accumulated):
    """RLN (Eq. 4.1) over all windows of all updates, in units of the range of values of *all* of them.

    Its mean over batches, as a model reports it while training, uses each batch's own range.
    """

    def __init__(self, name: str = "rln", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.squares = self._add("squares")
        self.count = self._add("count")
        self.smallest = self._add("smallest", initializer=_constant(float("inf")))
        self.largest = self._add("largest", initializer=_constant(float("-inf")))

    def update_state(self, windows: Any, reconstructions: Any) -> None:
        windows, reconstructions = widen(windows, reconstructions)
        self.squares.assign_add(ops.sum(ops.square(reconstructions - windows)))
        self._add_count(ops.size(windows))
        smallest, largest = extremes(windows)
        self.smallest.assign(ops.minimum(self.smallest, smallest))
        self.largest.assign(ops.maximum(self.largest, largest))

    def result(self) -> Any:
        span = ops.where(self.count > 0, _span(self.smallest.value, self.largest.value), 1.0)
        return self.squares / ops.maximum(self.count, 1.0) / span / span

    def reset_state(self) -> None:
        self.squares.assign(0.0)
        self.count.assign(0.0)
        self.smallest.assign(float("inf"))
        self.largest.assign(float("-inf"))


@keras.saving.register_keras_serializable(PACKAGE)
class KLDivergence(_Accumulated):
    """KL of each code variable (Eq. 2.24, per summand) over all windows of all updates.

    ``update_state(mean, log_std)`` as ``kl_divergence``; ``result()`` is [code_length]; near 0: nothing encoded.

    Args:
        code_length: variables of a code.
        name: as in Keras.
        **kwargs: Keras' own.
    """

    def __init__(self, code_length: int, name: str = "kl", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.code_length = check_positive_int("code_length", code_length)
        self.divergences = self._add("divergences", (self.code_length,))
        self.count = self._add("count")

    def update_state(self, mean: Any, log_std: Any) -> None:
        divergences = kl_divergence(mean, log_std)
        count = ops.cast(ops.shape(mean)[0], divergences.dtype)
        self.divergences.assign_add(divergences * count)
        self._add_count(count)

    def result(self) -> Any:
        return self.divergences / ops.maximum(self.count, 1.0)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"code_length": self.code_length}


@keras.saving.register_keras_serializable(PACKAGE)
class AggregatedMMD(_Accumulated):
    """MMD² of the law of all codes, the aggregated posterior, from the standard Gaussian, over all updates.

    ``update_state(codes)``, [n, code_length]; ``result()`` is a scalar, 0 before any two codes came together. It is
    ``maximum_mean_discrepancy`` with E k(z, p) as the mean over all codes of all updates, and E k(z, z') as that over
    the pairs *within* each update, at most 1024 codes of it; so memory does not grow. That is without bias where the
    codes of an update are independent draws from all data. Updates that are sorted, by class for example, hold codes
    that are more alike, and give more: shuffle first. In a LEA the windows of an image are alike, too, the less the
    more images there are in an update.

    Args:
        code_length: variables of a code.
        bandwidth: as in ``lea_keras.losses.maximum_mean_discrepancy``.
        name: as in Keras.
        **kwargs: Keras' own.
    """

    def __init__(self, code_length: int, bandwidth: float | None = None, name: str = "mmd", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.code_length = check_positive_int("code_length", code_length)
        self.bandwidth = None if bandwidth is None else check_above_zero("bandwidth", bandwidth, "None")
        self.of_pairs, self.pairs = self._add("of_pairs"), self._add("pairs")
        self.of_prior, self.count = self._add("of_prior"), self._add("count")

    def update_state(self, codes: Any) -> None:
        (codes,) = widen(codes)
        similarity, pairs = pair_similarity(codes, self.bandwidth)
        self.of_pairs.assign_add(ops.cast(similarity * pairs, self.of_pairs.dtype))
        self.pairs.assign_add(ops.cast(pairs, self.pairs.dtype))
        of_prior = ops.sum(prior_similarities(codes, self.bandwidth))
        self.of_prior.assign_add(ops.cast(of_prior, self.of_prior.dtype))
        self._add_count(ops.shape(codes)[0])

    def result(self) -> Any:
        estimate = self.of_pairs / ops.maximum(self.pairs, 1.0) + prior_similarity(self.code_length, self.bandwidth)
        estimate = estimate - 2.0 * self.of_prior / ops.maximum(self.count, 1.0)
        return ops.where(self.pairs > 0, estimate, ops.zeros_like(estimate))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"code_length": self.code_length, "bandwidth": self.bandwidth}


def _constant(value: float) -> keras.initializers.Initializer:
    return keras.initializers.Constant(value)


@keras.saving.register_keras_serializable(PACKAGE)
class DeadCodes(keras.metrics.Metric):
    """The number of code variables that were 0 in every code so far, as those that a k-sparse code never selects.

    Before the first code, all of them.

    Args:
        code_length: variables of a code.
        name: as in ``keras.metrics.Metric``.
        dtype: as in ``keras.metrics.Metric``.
    """

    def __init__(self, code_length: int, name: str = "dead_codes", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.code_length = check_positive_int("code_length", code_length)
        self.uses = self.add_weight(shape=(self.code_length,), initializer="zeros", name="uses", dtype="float32")

    def update_state(self, codes: Any) -> None:
        """Takes codes in: [n, code_length]."""
        self.uses.assign_add(ops.cast(ops.count_nonzero(codes, axis=0), "float32"))

    def result(self) -> Any:
        """Returns the number, a scalar."""
        return ops.cast(ops.sum(ops.cast(ops.equal(self.uses, 0.0), "int32")), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"code_length": self.code_length}
