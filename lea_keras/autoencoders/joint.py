"""The JointVAE: a variational autoencoder with Gaussian and categorical codes, each at a capacity of its own.

E. Dupont, "Learning Disentangled Joint Continuous and Discrete Representations", 2018; with the settings under which
S. Sootla, "Robustness of disentangled VAEs to adversarial examples" (2018), attacks it.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from lea_keras import losses
from lea_keras.autoencoders import categorical
from lea_keras.autoencoders.types import CapacityControlledAutoencoder
from lea_keras.checks import check_above_zero, check_number, check_positive_int, fail, is_integer
from lea_keras.version import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class JointAutoencoder(CapacityControlledAutoencoder):
    """The JointVAE: ``RL + γ·|KL_z − C_z| + γ·|KL_c − C_c|``, one γ, both capacities rising linearly from 0.

    A code is [z, c]: first Gaussian variables z, then categorical variables c side by side, each with an entry for
    every class. Three linear heads give the mean μ and the logarithmic standard deviation of z and the logits a of c.

    - While training, the decoder sees z = μ + σ ⊙ ε and the Concrete (Gumbel-softmax) sample softmax((a + g) / T), g
      being Gumbel noise.
    - Otherwise it sees μ and, one-hot, the likeliest class of every variable **(chosen)**: nothing is drawn.
    - What is handed on says ``code_maps``. "mean" are μ and the one-hot classes, in training, too; as those are steps
      of the logits, their gradient is that of softmax(a) (straight through) **(chosen)**.

    KL_z is Eq. 2.24, "kl" among the measures. KL_c, "discrete_kl", is the closed form against the uniform prior,
    2·Σ q·log(q·K) with q = softmax(a), and not the KL of the Concrete sample. **Both are in this package's units, twice
    the nats**, and so are the capacities: γ = 30 and C = 5 of the literature are ``gamma=15`` and ``capacity=10``. KL_c
    cannot exceed 2·Σ log K; there C_c stops, too, "discrete_capacity" among the measures, so that the penalty can
    reach 0 **(chosen)**, as in the first author's code.

    The absolute values are of batch means. Outside training the loss is RL + ½·(KL_z + KL_c), as in
    ``CapacityControlledAutoencoder``; with a Bernoulli likelihood, where NLL takes the place of RL, that is the
    negative evidence lower bound. ``gamma=0.5, capacity=0, discrete_capacity=0`` trains on it, too: the plain VAE.

    Args:
        code_length: entries of a code, Gaussian variables and classes of categorical ones together.
        categories: classes of the categorical variable at the end of the code, or of several: 10 or (10, 5), at least 2
            each; (): none. At least one entry is left to a Gaussian variable. None: one variable that takes half of
            the code, rounded up; none in codes of fewer than 3 **(chosen)**.
        temperature: T of the Concrete distribution, above 0. Above 1/(K − 1) the density of a sample can have an inner
            mode.
        gamma: γ, at least 0.
        capacity: C_z at the end, at least 0.
        discrete_capacity: C_c at the end, at least 0; more than KL_c can be is clipped on the way.
        capacity_steps: optimisation steps until both are there; 0: from the start.
        code_maps: as in ``VariationalAutoencoder``, c being treated as z.
        seed: int for all noise, or None.
        **kwargs: those of ``Autoencoder``.

    Raises:
        ValueError: for an argument outside what is said above, or as in ``Autoencoder``.
    """

    measure_names = ("rl", "rln", "kl", "discrete_kl", "capacity", "discrete_capacity")
    averaged = ("rl", "kl", "discrete_kl")

    def __init__(
        self,
        code_length: int = 20,
        categories: int | tuple[int, ...] | None = None,
        temperature: float = 0.1,
        gamma: float = 15.0,
        capacity: float = 10.0,
        discrete_capacity: float = 10.0,
        capacity_steps: int = 100_000,
        code_maps: str = "mean",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(code_length, gamma, capacity, capacity_steps, code_maps, seed, **kwargs)
        self.categories = check_categories(categories, self.code_length)
        self.temperature = check_above_zero("temperature", temperature)
        self.discrete_capacity = check_number("discrete_capacity", discrete_capacity)

    @property
    def gaussians(self) -> int:
        """How many variables at the beginning of a code are Gaussian."""
        return self.code_length - sum(self.categories)

    @property
    def current_discrete_capacity(self) -> Any:
        """C_c for the next optimisation step, float32 scalar tensor."""
        return self._discrete_capacity(self.step, "float32")

    def build_code(self, features_shape: tuple[Any, ...]) -> None:
        super().build_code(features_shape)
        if self.categories:
            self.logits = layers.Dense(sum(self.categories), dtype=self.dtype_policy, name="logits")
            self.logits.build(features_shape)

    def distributions(self, features: Any) -> tuple[Any, Any, Any]:
        """Mean μ and logarithmic standard deviation of z, [n, gaussians] each, and logits of c, [n, Σ K]."""
        heads = (self.mean, self.log_std, self.logits) if self.categories else (self.mean, self.log_std)
        outputs = self.outputs(features, heads)  # [n, 2·gaussians + Σ K]
        parts: Any = ops.split(outputs, [self.gaussians, 2 * self.gaussians], axis=-1)
        return parts[0], parts[1], parts[2]

    def posterior(self, features: Any) -> tuple[Any, Any]:
        """Mean μ and logarithmic standard deviation of z: [n, features] → two of [n, gaussians]."""
        return self.distributions(features)[:2]

    def representation(self, windows: Any) -> Any:
        """The mean μ and the raw logits, side by side: [n, wh, ww, c] → [n, code_length]."""
        mean, _, logits = self.distributions(self.features(windows))
        return ops.cast(ops.concatenate([mean, logits], axis=-1), self.compute_dtype)

    def statistics(self, features: Any) -> tuple[Any, Any, Any]:
        """As in ``VariationalAutoencoder``, of an entry of c by the class: the code is one-hot; the variance that of
        the probability q, q·(1 − q), in units of the prior's; KL the variable's by equal parts **(chosen)**."""
        if not self.categories:
            return super().statistics(features)
        mean, log_std, logits = losses.widen(*self.distributions(features))
        sizes = np.repeat(self.categories, self.categories).astype("float32")  # [Σ K], of the entry's variable
        q = categorical.probabilities(logits, self.categories)
        divergences = categorical.divergences(logits, self.categories)  # [n, choices]
        of_entries = ops.repeat(divergences, np.array(self.categories), axis=-1) / sizes
        parts = (
            (mean, categorical.one_hot(logits, self.categories)),
            (ops.exp(2.0 * log_std), q * (1.0 - q) * sizes**2 / (sizes - 1.0)),
            (losses.code_divergences(mean, log_std), of_entries),
        )
        codes, variances, divergences = (ops.concatenate(part, axis=-1) for part in parts)
        return codes, variances, divergences

    def draw_prior(self, random: np.random.Generator, count: int) -> np.ndarray:
        classes = [np.eye(size, dtype="float32")[random.integers(size, size=count)] for size in self.categories]
        return np.concatenate([super().draw_prior(random, count), *classes], axis=-1)

    def draw_noise(self, count: Any, training: bool) -> Any:
        noise = super().draw_noise(count, training)
        if noise is None or not self.categories:
            return noise
        return ops.concatenate([noise, categorical.gumbel((count, sum(self.categories)), self.noise)], axis=-1)

    def _codes(self, features: Any, noise: Any, training: bool) -> tuple[Any, Any, dict[str, Any]]:
        mean, log_std, logits = self.distributions(features)
        measures = {
            "kl": losses.window_divergences(mean, log_std),
            "discrete_kl": ops.sum(categorical.divergences(logits, self.categories), axis=-1),
        }
        likeliest = ops.cast(categorical.one_hot(logits, self.categories), mean.dtype)
        certain = ops.concatenate([mean, likeliest], axis=-1)
        if noise is None:
            return certain, certain, measures
        of_z, of_c = noise[:, : self.gaussians], noise[:, self.gaussians :]
        wide_mean, log_std, of_z = losses.widen(mean, log_std, of_z)  # exp overflows float16 early
        z = wide_mean + ops.exp(log_std) * of_z
        c = categorical.concrete(logits, of_c, self.categories, self.temperature)
        sample = ops.concatenate([ops.cast(z, mean.dtype), ops.cast(c, mean.dtype)], axis=-1)
        return certain if self.code_maps == "mean" else sample, sample if training else certain, measures

    def loss(self, means: dict[str, Any], step: Any) -> tuple[Any, dict[str, Any]]:
        loss, measures = super().loss(means, step)
        kl = means["discrete_kl"]
        capacity = self._discrete_capacity(self.step if step is None else step, kl.dtype)
        penalty = self.beta * kl if step is None else losses.capacity_penalty(kl, capacity, self.gamma)
        return loss + penalty, measures | {"discrete_capacity": capacity}

    def _discrete_capacity(self, step: Any, dtype: str) -> Any:
        capacity = losses.ramp(step, self.discrete_capacity, self.capacity_steps, dtype)
        return ops.minimum(capacity, categorical.largest_divergence(self.categories))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "categories": self.categories,
            "temperature": self.temperature,
            "discrete_capacity": self.discrete_capacity,
        }


def check_categories(categories: Any, code_length: int) -> tuple[int, ...]:
    """Returns the numbers of classes of all categorical variables, or raises ``ValueError``."""
    if categories is None:
        half = (code_length + 1) // 2
        return (half,) if 2 <= half < code_length else ()
    sizes = (categories,) if is_integer(categories) else categories
    if not isinstance(sizes, (tuple, list)) or not all(is_integer(size) and size >= 2 for size in sizes):
        raise fail("categories", "an integer of at least 2, or several of them", categories)
    if sum(sizes) >= code_length:
        raise fail("categories", f"below the code length, {code_length}, in total", categories)
    return tuple(check_positive_int("categories", size, minimum=2) for size in sizes)
