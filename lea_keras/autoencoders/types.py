"""The four autoencoder types (thesis sections 2.4 and 3.3.2).

A type is what happens between encoder and decoder: how features become a code, and which loss that code is trained on.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from lea_keras import losses
from lea_keras.autoencoders.base import Autoencoder
from lea_keras.checks import check_choice, check_number, check_positive_int, check_seed, fail
from lea_keras.saving import check_format
from lea_keras.version import PACKAGE

CODE_MAPS = ("mean", "sample", "sample_in_training")
SELECTIONS = ("value", "magnitude")


@keras.saving.register_keras_serializable(PACKAGE)
class StandardAutoencoder(Autoencoder):
    """The standard autoencoder: encoder → linear dense to the code, loss RL (2.4.1, Eq. 3.2).

    Arguments, shapes and errors are those of ``Autoencoder``.
    """


@keras.saving.register_keras_serializable(PACKAGE)
class KSparseAutoencoder(Autoencoder):
    """The k-sparse autoencoder: of each code the k largest values are kept, the rest are zero (2.4.3, Eq. 2.22).

    Largest, not largest in magnitude, unless ``select`` says so. Outside training ⌊a·k⌋ values are kept, at most all.
    Among equal values those with the smaller index stay **(chosen)**.

    A variable that is never among the k in training learns nothing, and may be kept outside training all the same where
    a > 1: one such can spoil a reconstruction. ``LEAModel`` therefore reports the number of ``dead_codes``. To begin
    with a larger k, as A. Makhzani and B. Frey do ("k-Sparse Autoencoders", 2014), keeps variables alive.

    Args:
        code_length: variables of a code.
        k: values kept in training, 1 to code_length.
        a: at least 1.
        k_start: values kept at the beginning of training, from k to code_length. None: k.
        k_steps: optimisation steps over which they fall linearly to k, rounded up **(chosen)**; 0: none.
        select: "value": the largest are kept; "magnitude": those farthest from 0, as principal components ask for,
            whose signs mean nothing.
        **kwargs: those of ``Autoencoder``.

    Raises:
        ValueError: for k larger than the code, a below 1, k_start without k_steps or outside its range, another
            ``select``, or as in ``Autoencoder``.
    """

    sparse = True

    def __init__(
        self,
        code_length: int = 10,
        k: int = 5,
        a: float = 1.3,
        k_start: int | None = None,
        k_steps: int = 0,
        select: str = "value",
        **kwargs: Any,
    ) -> None:
        super().__init__(code_length=code_length, **kwargs)
        self.select = check_choice("select", select, SELECTIONS)
        self.k = check_positive_int("k", k)
        if self.k > self.code_length:
            raise fail("k", f"at most the code length, {self.code_length}", k)
        self.a = check_number("a", a, minimum=1.0)
        self.k_start = None if k_start is None else check_positive_int("k_start", k_start)
        self.k_steps = check_positive_int("k_steps", k_steps, minimum=0)
        if self.k_start is not None and not self.k <= self.k_start <= self.code_length:
            raise fail("k_start", f"from k, {self.k}, to the code length, {self.code_length}", k_start)
        if (self.k_start is None) != (not self.k_steps):
            raise fail("k_steps", "above 0 with k_start, and left out without it", k_steps)
        self.clock = None if self.k_start is None else keras.random.SeedGenerator(0)  # as in VariationalAutoencoder

    @property
    def inference_k(self) -> int:
        """⌊a·k⌋, at most code_length, with a as the decimal number that was written: 1.16·25 is 29, not 28.99…"""
        return min(math.floor(Fraction(repr(self.a)) * self.k), self.code_length)

    @property
    def current_k(self) -> Any:
        """How many values the next optimisation step keeps, float32 scalar tensor."""
        if self.clock is None or self.k_start is None:
            return ops.convert_to_tensor(self.k, "float32")
        return ops.ceil(self.k_start - losses.ramp(self.clock.state[1], self.k_start - self.k, self.k_steps))

    def strengths(self, codes: Any) -> Any:
        """Returns what the largest are chosen by: codes [n, code_length] or their magnitudes, as ``select`` says."""
        return ops.abs(codes) if self.select == "magnitude" else codes

    def draw_noise(self, count: Any, training: bool) -> Any:
        """Returns how many values of each code are kept, [count, 1], while that changes; nothing is random."""
        return ops.ones((count, 1)) * self.current_k if training and self.clock is not None else None

    def encode_features(self, features: Any, noise: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        codes = self.code(features)
        most = self.inference_k if not training else self.k if noise is None else self.k_start
        indices = ops.top_k(self.strengths(codes), most)[1]  # [n, most], the largest first
        places = ops.one_hot(indices, self.code_length, dtype=codes.dtype)  # [n, most, code_length]
        if training and noise is not None:
            are_kept = ops.arange(most, dtype=noise.dtype) < noise  # [n, most]
            places = places * ops.cast(are_kept, codes.dtype)[..., None]
        return codes * ops.sum(places, axis=1), {}  # [n, code_length]

    def representation(self, windows: Any) -> Any:
        """The code before the selection **(chosen)**: [n, wh, ww, c] → [n, code_length]."""
        return ops.cast(self.code(self.features(windows)), self.compute_dtype)

    def advance(self, training: bool, first: bool) -> Any:
        if training and first and self.clock is not None:
            self.clock.next()

    def generators(self) -> dict[str, keras.random.SeedGenerator]:
        return {} if self.clock is None else {"clock": self.clock}

    def get_config(self) -> dict[str, Any]:
        if self.clock is not None:
            check_format("the number of its steps")
        schedule = {} if self.k_start is None else {"k_start": self.k_start, "k_steps": self.k_steps}
        return super().get_config() | {"k": self.k, "a": self.a, "select": self.select} | schedule


@keras.saving.register_keras_serializable(PACKAGE)
class VariationalAutoencoder(Autoencoder):
    """The variational autoencoder: two linear heads, mean μ and logarithmic standard deviation (2.4.4).

    z = μ + σ ⊙ ε (Eq. 2.23) is what the decoder sees while training; otherwise it sees μ **(chosen)**. What the codes
    handed on are, the thesis does not say: ``code_maps``. Loss `beta`·KL + RL with KL of Eq. 2.24,
    which has no ½ inside. `beta` is the β of Eq. 2.26. The literature's KL has the ½, so that its β is twice as large:

    ===============  ======  ==============
    objective        `beta`  literature's β
    ===============  ======  ==============
    VAE (Eq. 2.25)   0.5     1
    Eq. 2.26, β = 1  1       2
    β-VAE with 4     2       4
    ===============  ======  ==============

    Args:
        code_length: variables of a code.
        beta: weight of KL, at least 0.
        warmup_steps: optimisation steps over which beta rises linearly from 0; 0: none. Outside training beta is the
            final one **(chosen)**, so that test losses of different epochs compare.
        code_maps: what is handed on to what follows, and what ``encode`` returns: "mean": μ **(chosen)**, with which
            classifiers on code maps are best by far (README); "sample": z, also outside training; "sample_in_training":
            z while training and μ otherwise, so that codes which carry nothing are noise while what follows is trained,
            and nothing when it is tested.
        seed: int for the noise ε, or None.
        **kwargs: those of ``Autoencoder``.

    Raises:
        ValueError: for a negative beta or warmup_steps, an unknown code_maps, or as in ``Autoencoder``.
    """

    measure_names = ("rl", "rln", "kl")
    averaged = ("rl", "kl")

    def __init__(
        self,
        code_length: int = 10,
        beta: float = 0.5,
        warmup_steps: int = 0,
        code_maps: str = "mean",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(code_length=code_length, **kwargs)
        self.code_maps = check_choice("code_maps", code_maps, CODE_MAPS)
        self.beta = check_number("beta", beta)
        self.warmup_steps = check_positive_int("warmup_steps", warmup_steps, minimum=0)
        self.seed = seed
        self.noise = keras.random.SeedGenerator(seed)
        # A seed generator's state is (seed, draws): its second entry counts optimisation steps. Keras keeps such state
        # apart from weights, so that the parameter counts stay those of Table 3.1, on every backend.
        self.clock = keras.random.SeedGenerator(0)

    @property
    def gaussians(self) -> int:
        """How many variables of a code are Gaussian: all."""
        return self.code_length

    @property
    def step(self) -> Any:
        """Optimisation steps done so far, an integer scalar tensor."""
        return self.clock.state[1]

    def build_code(self, features_shape: tuple[Any, ...]) -> None:
        self.mean = layers.Dense(self.gaussians, dtype=self.dtype_policy, name="mean")
        self.log_std = layers.Dense(self.gaussians, dtype=self.dtype_policy, name="log_std")
        self.mean.build(features_shape)
        self.log_std.build(features_shape)

    def posterior(self, features: Any) -> tuple[Any, Any]:
        """Mean μ and logarithmic standard deviation of the code: [n, features] → two of [n, code_length]."""
        halves = ops.split(self.outputs(features, (self.mean, self.log_std)), 2, axis=-1)  # of [n, 2·code_length]
        return halves[0], halves[1]

    def outputs(self, features: Any, heads: Sequence[layers.Dense]) -> Any:
        """What linear heads make of features, side by side: [n, features] → [n, all units]."""
        if any(head.quantization_mode for head in heads):  # features are not multiplied by the kernels
            return ops.concatenate([head(features) for head in heads], axis=-1)
        # One matrix product for all heads: their gradients, as large as the features, then need not be added up.
        features = ops.cast(features, heads[0].compute_dtype)
        kernel, bias = (
            ops.concatenate([ops.cast(weight, features.dtype) for weight in weights], axis=-1)
            for weights in ([head.kernel for head in heads], [head.bias for head in heads])
        )
        return ops.matmul(features, kernel) + bias

    def statistics(self, features: Any) -> tuple[Any, Any, Any]:
        """What is to be known of each code variable, [n, code_length] each, float32 or wider: the code without noise,
        its variance in units of the prior's, near 1 where it says nothing, and its KL (Eq. 2.24) from the prior."""
        mean, log_std = losses.widen(*self.posterior(features))
        return mean, ops.exp(2.0 * log_std), losses.code_divergences(mean, log_std)

    def sample(self, count: int = 1, seed: int = 0) -> Any:
        """Decoded codes of the prior, the same on every backend: [count, wh, ww, c]. It must be built."""
        codes = self.draw_prior(np.random.default_rng(check_seed(seed)), check_positive_int("count", count))
        return self.decode(ops.convert_to_tensor(codes))

    def draw_prior(self, random: np.random.Generator, count: int) -> np.ndarray:
        """Draws codes of the prior, N(0, I): [count, code_length], float32."""
        return random.standard_normal((count, self.gaussians), np.float32)

    def draw_noise(self, count: Any, training: bool) -> Any:
        if not training and self.code_maps != "sample":
            return None
        return keras.random.normal((count, self.gaussians), dtype="float32", seed=self.noise)

    def encode_features(self, features: Any, noise: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        codes, _, measures = self._codes(features, noise, training)
        return codes, measures

    def codes_of(self, features: Any, noise: Any, training: bool) -> tuple[Any, Any, dict[str, Any]]:
        if type(self).encode_features is not VariationalAutoencoder.encode_features:
            return super().codes_of(features, noise, training)
        return self._codes(features, noise, training)

    def _codes(self, features: Any, noise: Any, training: bool) -> tuple[Any, Any, dict[str, Any]]:
        mean, log_std = self.posterior(features)
        measures = {"kl": losses.window_divergences(mean, log_std)}
        if noise is None:
            return mean, mean, measures
        wide_mean, log_std, noise = losses.widen(mean, log_std, noise)  # exp overflows float16 early
        sample = ops.cast(wide_mean + ops.exp(log_std) * noise, mean.dtype)
        return mean if self.code_maps == "mean" else sample, sample if training else mean, measures

    def representation(self, windows: Any) -> Any:
        """The mean μ, whatever ``code_maps`` is: [n, wh, ww, c] → [n, code_length]."""
        return ops.cast(self.posterior(self.features(windows))[0], self.compute_dtype)

    def loss(self, means: dict[str, Any], step: Any) -> tuple[Any, dict[str, Any]]:
        penalty, measures = self.penalty(means["kl"], step)
        return penalty + means[self.fit_measure], measures

    def penalty(self, kl: Any, step: Any) -> tuple[Any, dict[str, Any]]:
        """What is added to RL or NLL, and measures of it; ``step`` is None outside training."""
        beta = self.beta if step is None else losses.ramp(step, self.beta, self.warmup_steps, kl.dtype)
        return beta * kl, {}

    def advance(self, training: bool, first: bool) -> Any:
        if not training:
            return None
        return self.clock.next()[1] if first else ops.maximum(self.step - 1, 0)

    def generators(self) -> dict[str, keras.random.SeedGenerator]:
        return {"noise": self.noise, "clock": self.clock}

    def get_config(self) -> dict[str, Any]:
        check_format("the state of its noise and the number of its steps")
        return super().get_config() | {
            "beta": self.beta,
            "warmup_steps": self.warmup_steps,
            "code_maps": self.code_maps,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Autoencoder":
        return super().from_config(
            {"code_maps": "sample_in_training"} | config
        )  # what there was before it was a choice


@keras.saving.register_keras_serializable(PACKAGE)
class CapacityControlledAutoencoder(VariationalAutoencoder):
    """The capacity-controlled VAE: ``γ·|KL − C| + RL`` while training, C rising linearly from 0 (2.4.6, Eq. 2.27).

    KL is the mean over the batch, of whose distance from C the absolute value is taken **(chosen)**: Eq. 2.27 does not
    say whether mean or absolute value comes first. Outside training its loss is that of the plain VAE, Eq. 2.25
    **(chosen)**: section 3.3.2 names Eq. 2.24, which is no loss. C advances once per optimisation step and is saved and
    restored with the weights. C counts KL as Eq. 2.24 does: it is twice the literature's.

    Args:
        code_length: variables of a code.
        gamma: γ, at least 0.
        capacity: C at the end, at least 0, in units of KL as Eq. 2.24 defines it.
        capacity_steps: optimisation steps until C is there; 0: from the start. The default is about the 25 epochs of
            CIFAR-10 that appendix A.1 takes most often **(chosen)**.
        code_maps: as in ``VariationalAutoencoder``.
        seed: int for the noise ε, or None.
        **kwargs: those of ``Autoencoder``.

    Raises:
        ValueError: for a negative gamma, capacity or capacity_steps, or as in ``Autoencoder``.
    """

    measure_names = ("rl", "rln", "kl", "capacity")
    linear = False

    def __init__(
        self,
        code_length: int = 10,
        gamma: float = 10.0,
        capacity: float = 25.0,
        capacity_steps: int = 10_000,
        code_maps: str = "mean",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("beta", "warmup_steps"):
            if name in kwargs:
                raise fail(name, "left out: gamma and capacity take its place in training", kwargs[name])
        super().__init__(code_length=code_length, code_maps=code_maps, seed=seed, **kwargs)
        self.gamma = check_number("gamma", gamma)
        self.capacity = check_number("capacity", capacity)
        self.capacity_steps = check_positive_int("capacity_steps", capacity_steps, minimum=0)

    @property
    def current_capacity(self) -> Any:
        """C for the next optimisation step, float32 scalar tensor."""
        return losses.ramp(self.step, self.capacity, self.capacity_steps)

    def penalty(self, kl: Any, step: Any) -> tuple[Any, dict[str, Any]]:
        capacity = losses.ramp(self.step if step is None else step, self.capacity, self.capacity_steps, kl.dtype)
        if step is None:
            return self.beta * kl, {"capacity": capacity}
        return losses.capacity_penalty(kl, capacity, self.gamma), {"capacity": capacity}

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {
            "gamma": self.gamma,
            "capacity": self.capacity,
            "capacity_steps": self.capacity_steps,
        }
        for key in ("beta", "warmup_steps"):
            del config[key]
        return config
