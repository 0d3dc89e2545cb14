"""Categorical codes: choices side by side, each of them one-hot, or relaxed while it is trained.

The relaxation is the Concrete or Gumbel-softmax distribution (C. Maddison et al., 2017; E. Jang et al., 2017). Pure
functions but for ``gumbel``; all compute in float32 or wider, see ``lea_keras.losses``. ``sizes`` are the numbers of
classes of the choices, whose logits, noise and codes stand one after the other on the last axis, K in total.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from lea_keras.losses import widen

_EDGE = 1e-7  # by which uniform draws keep away from 0 and 1 (chosen)


def gumbel(shape: tuple[Any, ...], seed: keras.random.SeedGenerator) -> Any:
    """Standard Gumbel noise −log(−log u), float32, finite: u is clipped to [1e-7, 1 − 1e-7] **(chosen)**."""
    uniform = keras.random.uniform(shape, dtype="float32", seed=seed)
    return -ops.log(-ops.log(ops.clip(uniform, _EDGE, 1.0 - _EDGE)))


def concrete(logits: Any, noise: Any, sizes: Sequence[int], temperature: float) -> Any:
    """Samples of the Concrete distribution: softmax((logits + noise) / temperature) of each choice.

    Args:
        logits: [n, K].
        noise: standard Gumbel, [n, K].
        sizes: as above.
        temperature: above 0; towards 0 samples become one-hot.

    Returns:
        [n, K], of each choice positive and 1 in total.
    """
    logits, noise = widen(logits, noise)
    return _of_each(lambda part: ops.softmax(part / temperature, axis=-1), logits + noise, sizes)


def one_hot(logits: Any, sizes: Sequence[int]) -> Any:
    """The likeliest class of each choice, [n, K] → [n, K] of zeros and ones, the first one among equals.

    It is a step function of the logits, through which nothing would flow back. Its gradient is that of the
    probabilities softmax(logits) instead (straight through) **(chosen)**.
    """

    def of_one(part: Any) -> Any:
        soft = ops.softmax(part, axis=-1)
        hard = ops.one_hot(ops.argmax(part, axis=-1), part.shape[-1], dtype=part.dtype)
        return hard + (soft - ops.stop_gradient(soft))

    return _of_each(of_one, widen(logits)[0], sizes)


def probabilities(logits: Any, sizes: Sequence[int]) -> Any:
    """softmax of each choice, [n, K] → [n, K]."""
    return _of_each(lambda part: ops.softmax(part, axis=-1), widen(logits)[0], sizes)


def divergences(logits: Any, sizes: Sequence[int]) -> Any:
    """KL of each choice from the uniform distribution over its k classes, in closed form: 2·Σ q·log(q·k).

    Twice the nats, as Eq. 2.24 counts the KL of Gaussian codes. It is not that of the relaxed sample.

    Args:
        logits: [n, K], of which q is the softmax.
        sizes: as above.

    Returns:
        [n, choices], each from 0, for equal logits, to 2·log k, where one class has all.
    """

    def of_one(part: Any) -> Any:
        log_q: Any = ops.log_softmax(part, axis=-1)
        kl: Any = ops.sum(ops.exp(log_q) * (log_q + math.log(part.shape[-1])), axis=-1, keepdims=True)
        return 2.0 * kl

    return _of_each(of_one, widen(logits)[0], sizes)


def largest_divergence(sizes: Sequence[int]) -> float:
    """The most that all choices together can have: 2·Σ log k, in the units of ``divergences``."""
    return 2.0 * sum(math.log(size) for size in sizes)


def _of_each(function: Callable[[Any], Any], values: Any, sizes: Sequence[int]) -> Any:
    """What a function makes of the part of each choice, side by side; values [n, 0] as they are without any."""
    if not sizes:
        return values
    parts: Any = [values]
    if len(sizes) > 1:
        parts = ops.split(values, list(itertools.accumulate(sizes))[:-1], axis=-1)
    return ops.concatenate([function(part) for part in parts], axis=-1)
