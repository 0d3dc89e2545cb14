"""The four autoencoder types (thesis sections 2.4 and 3.3.2): encoder × code × decoder.

A type is what happens between encoder and decoder: how features become a code, and which loss that code is trained on.
Inputs, codes and reconstructions are unrestricted and linear (3.1.2); there is no batch normalisation.
"""

import inspect
import math
from fractions import Fraction
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from lea_keras import coders, losses, metrics
from lea_keras.checks import check_choice, check_number, check_positive_int, fail
from lea_keras.version import PACKAGE


class Parts(NamedTuple):
    """What an autoencoder makes of windows, before anything is averaged over them.

    Attributes:
        codes: [n, code_length], in the compute dtype.
        reconstructions: [n, wh, ww, c], in the compute dtype; None if nothing was decoded.
        measures: float32 [n] by name: "rl" (Eq. 4.3) if something was decoded, "kl" (Eq. 2.24) for the VAEs.
    """

    codes: Any
    reconstructions: Any
    measures: dict[str, Any]


class Objective(NamedTuple):
    """What an autoencoder makes of a batch of windows.

    Attributes:
        codes: [n, code_length], in the compute dtype.
        reconstructions: [n, wh, ww, c], in the compute dtype; None where a layer went through its windows in chunks.
        loss: what is trained on, float32 scalar.
        measures: float32 scalars by name: "rl" (Eq. 3.2) and "rln" (Eq. 4.1) for every type, "kl" (Eq. 2.24) for the
            VAEs, "capacity" (C of Eq. 2.27) for the capacity-controlled one.
    """

    codes: Any
    reconstructions: Any
    loss: Any
    measures: dict[str, Any]


class Autoencoder(layers.Layer):
    """What the four types share; not for use on its own.

    As a Keras layer it maps windows [n, wh, ww, c] to their reconstructions. ``encode``, ``decode`` and ``objective``
    build it where that has not happened yet.

    Args:
        code_length: variables of a code.
        encoder: "fc", "conv", a Keras layer [n, wh, ww, c] → [n, features], or its config.
        decoder: "fc", "conv", "sb", a ``lea_keras.coders.Decoder`` or other Keras layer [n, code_length] →
            [n, wh, ww, c], or its config.
        kernels: K, filters of encoder and decoder given as "conv" or "sb".
        kernel_size: k of encoder and decoder given as "conv" or "sb".
        conv_strides: s of encoder and decoder given as "conv".
        **kwargs: Keras' own (name, dtype, …).

    Raises:
        ValueError: for an argument outside what is said above.
    """

    # All measures of an objective, and those that are means over windows.
    measure_names = ("rl", "rln")
    averaged = ("rl",)
    # Whether the loss is linear in those means, so that its slopes are known before them.
    linear = True

    def __init__(
        self,
        code_length: int = 10,
        encoder: Any = "fc",
        decoder: Any = "fc",
        kernels: int = 32,
        kernel_size: int = 4,
        conv_strides: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.code_length = check_positive_int("code_length", code_length)
        self.kernels = check_positive_int("kernels", kernels)
        self.kernel_size = check_positive_int("kernel_size", kernel_size)
        self.conv_strides = check_positive_int("conv_strides", conv_strides, minimum=2)
        arguments = {
            "kernels": self.kernels,
            "kernel_size": self.kernel_size,
            "conv_strides": self.conv_strides,
            "dtype": self.dtype_policy,
        }
        self._encoder_name = encoder if isinstance(encoder, str) else None
        self._decoder_name = decoder if isinstance(decoder, str) else None
        self.encoder = coders.get_encoder(encoder, **arguments)
        self.decoder = coders.get_decoder(decoder, **arguments)

    def build(self, windows_shape: Any) -> None:
        windows_shape = (None, *windows_shape[1:])
        if len(windows_shape) != 4 or None in windows_shape[1:]:
            raise fail("windows_shape", "(n, rows, columns, channels), all known but n", windows_shape)
        self.windows_shape = windows_shape
        if not self.encoder.built:
            self.encoder.build(windows_shape)
        features_shape = tuple(self.encoder.compute_output_shape(windows_shape))
        if len(features_shape) != 2:
            raise fail("encoder", "a layer that returns flat features [n, features]", features_shape)
        self.build_code((None, features_shape[-1]))
        codes_shape = (None, self.code_length)
        if isinstance(self.decoder, coders.Decoder):
            if not self.decoder.built:
                self.decoder.build(codes_shape, windows_shape)
        elif not self.decoder.built:
            self.decoder.build(codes_shape)
        reconstructions_shape = tuple(self.decoder.compute_output_shape(codes_shape))
        if reconstructions_shape[1:] != windows_shape[1:]:
            raise fail("decoder", f"a layer that returns windows {windows_shape}", reconstructions_shape)

    def build_code(self, features_shape: tuple[Any, ...]) -> None:
        """Creates and builds the linear layer from features to codes."""
        self.code = layers.Dense(self.code_length, dtype=self.dtype_policy, name="code")
        self.code.build(features_shape)

    def draw_noise(self, count: Any, training: bool) -> Any:
        """The noise of ``count`` codes, float32 [count, code_length], or None where a code takes none."""
        del count, training

    def encode_features(self, features: Any, noise: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        """Returns the codes [n, code_length] of features and what is measured of each, float32 [n] by name."""
        del noise, training
        return self.code(features), {}

    def loss(self, means: dict[str, Any], step: Any) -> tuple[Any, dict[str, Any]]:
        """Returns what is trained on, a float32 scalar, and further measures.

        Args:
            means: over windows, by name, of all ``averaged``.
            step: optimisation steps done so far; None outside training.
        """
        del step
        return means["rl"], {}

    def advance(self, training: bool, first: bool) -> Any:
        """Counts an optimisation step and returns how many there were before it; None outside training, or where
        nothing depends on it. Arguments as in ``objective``."""
        del training, first

    def encode(self, windows: Any, training: bool = False) -> Any:
        """Codes of windows.

        Args:
            windows: [n, wh, ww, c].
            training: as in Keras; see each type for what it changes.

        Returns:
            [n, code_length].
        """
        return self.encode_features(
            self.features(windows, training), self.draw_noise(ops.shape(windows)[0], training), training
        )[0]

    def decode(self, codes: Any) -> Any:
        """Windows of codes: [n, code_length] → [n, wh, ww, c]. The autoencoder must be built."""
        if not self.built:
            raise ValueError(f"Autoencoder `{self.name}` must be built before it decodes: encode windows first.")
        return self.decoder(codes)

    def call(self, windows: Any, training: bool = False) -> Any:
        return self.decode(self.encode(windows, training))

    def features(self, windows: Any, training: bool = False) -> Any:
        """What the encoder makes of windows, before the code: [n, wh, ww, c] → [n, features]."""
        self._ensure_built(windows)
        return self.encoder(windows, **self._training(self.encoder, training))

    def measure(self, windows: Any, noise: Any, training: bool, *, features: Any = None, decode: bool = True) -> Parts:
        """Encodes and decodes windows and measures each of them.

        Args:
            windows: [n, wh, ww, c].
            noise: from ``draw_noise``.
            training: as in Keras.
            features: of these windows, where they are known already.
            decode: whether to reconstruct the windows.
        """
        features = self.features(windows, training) if features is None else features
        codes, measures = self.encode_features(features, noise, training)
        if not decode:
            return Parts(codes, None, measures)
        reconstructions = self.decoder(codes, **self._training(self.decoder, training))
        return Parts(codes, reconstructions, {"rl": losses.window_errors(windows, reconstructions)} | measures)

    def conclude(self, means: dict[str, Any], limits: tuple[Any, Any], step: Any) -> tuple[Any, dict[str, Any]]:
        """Returns the loss and all measures of windows.

        Args:
            means: over windows, by name, of all ``averaged``.
            limits: the least and the largest value of all windows.
            step: from ``advance``.
        """
        loss, more = self.loss(means, step)
        values = math.prod(self.windows_shape[1:])
        return loss, means | {"rln": metrics.normalized(means["rl"], values, *limits)} | more

    def objective(
        self,
        windows: Any,
        training: bool = False,
        first: bool = True,
        *,
        features: Any = None,
        limits: tuple[Any, Any] | None = None,
    ) -> Objective:
        """Encodes and decodes windows and computes the loss to train on.

        Args:
            windows: [n, wh, ww, c].
            training: as in Keras.
            first: whether this is the first objective of its optimisation step, so that what counts steps (capacity,
                warm-up) moves on once a step, however often the autoencoder is used in it.
            features: of these windows, where they are known already.
            limits: their least and largest value, where those are known already.

        Returns:
            Codes, reconstructions, loss and measures.
        """
        self._ensure_built(windows)
        noise = self.draw_noise(ops.shape(windows)[0], training)
        parts = self.measure(windows, noise, training, features=features)
        means = {name: ops.mean(parts.measures[name]) for name in self.averaged}
        limits = (ops.min(windows), ops.max(windows)) if limits is None else limits
        loss, measures = self.conclude(means, limits, self.advance(training, first))
        return Objective(parts.codes, parts.reconstructions, loss, measures)

    def compute_output_shape(self, windows_shape: Any) -> tuple[Any, ...]:
        return tuple(windows_shape)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "code_length": self.code_length,
            "encoder": self._encoder_name or coders.unbuilt_config(self.encoder),
            "decoder": self._decoder_name or coders.unbuilt_config(self.decoder),
            "kernels": self.kernels,
            "kernel_size": self.kernel_size,
            "conv_strides": self.conv_strides,
        }

    def _ensure_built(self, windows: Any) -> None:
        if not self.built:
            self.build(tuple(windows.shape))

    @staticmethod
    def _training(coder: layers.Layer, training: bool) -> dict[str, bool]:
        """An encoder or decoder of the user's own may contain dropout or the like; ours take no such argument."""
        takes_it = "training" in inspect.signature(coder.call).parameters
        return {"training": training} if takes_it else {}


@keras.saving.register_keras_serializable(PACKAGE)
class StandardAutoencoder(Autoencoder):
    """The standard autoencoder: encoder → linear dense to the code, loss RL (2.4.1, Eq. 3.2).

    Arguments, shapes and errors are those of ``Autoencoder``.
    """


@keras.saving.register_keras_serializable(PACKAGE)
class KSparseAutoencoder(Autoencoder):
    """The k-sparse autoencoder: of each code the k largest values are kept, the rest are zero (2.4.3, Eq. 2.22).

    Largest, not largest in magnitude. Outside training ⌊a·k⌋ values are kept, at most all. Among equal values those
    with the smaller index stay **(chosen)**.

    Args:
        code_length: variables of a code.
        k: values kept in training, 1 to code_length.
        a: at least 1.
        **kwargs: those of ``Autoencoder``.

    Raises:
        ValueError: for k larger than the code, a below 1, or as in ``Autoencoder``.
    """

    def __init__(self, code_length: int = 10, k: int = 5, a: float = 1.3, **kwargs: Any) -> None:
        super().__init__(code_length=code_length, **kwargs)
        self.k = check_positive_int("k", k)
        if self.k > self.code_length:
            raise fail("k", f"at most the code length, {self.code_length}", k)
        self.a = check_number("a", a, minimum=1.0)

    @property
    def inference_k(self) -> int:
        """⌊a·k⌋, at most code_length, with a as the decimal number that was written: 1.16·25 is 29, not 28.99…"""
        return min(math.floor(Fraction(repr(self.a)) * self.k), self.code_length)

    def encode_features(self, features: Any, noise: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        codes = self.code(features)
        kept = self.k if training else self.inference_k
        _, indices = ops.top_k(codes, kept)  # [n, kept]
        mask = ops.sum(ops.one_hot(indices, self.code_length, dtype=codes.dtype), axis=1)  # [n, code_length]
        return codes * mask, {}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"k": self.k, "a": self.a}


@keras.saving.register_keras_serializable(PACKAGE)
class VariationalAutoencoder(Autoencoder):
    """The variational autoencoder: two linear heads, mean μ and logarithmic standard deviation (2.4.4).

    z = μ + σ ⊙ ε while training (Eq. 2.23), z = μ otherwise **(chosen)**. Loss `beta`·KL + RL with KL of Eq. 2.24,
    which has no ½ inside: the default 0.5 is Eq. 2.25, and β of the literature is 2·`beta` (Eq. 2.26).

    Args:
        code_length: variables of a code.
        beta: weight of KL, at least 0.
        warmup_steps: optimisation steps over which beta rises linearly from 0; 0: none. Outside training beta is the
            final one **(chosen)**, so that test losses of different epochs compare.
        seed: int for the noise ε, or None.
        **kwargs: those of ``Autoencoder``.

    Raises:
        ValueError: for a negative beta or warmup_steps, or as in ``Autoencoder``.
    """

    measure_names = ("rl", "rln", "kl")
    averaged = ("rl", "kl")

    def __init__(
        self,
        code_length: int = 10,
        beta: float = 0.5,
        warmup_steps: int = 0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(code_length=code_length, **kwargs)
        self.beta = check_number("beta", beta)
        self.warmup_steps = check_positive_int("warmup_steps", warmup_steps, minimum=0)
        self.seed = seed
        self.noise = keras.random.SeedGenerator(seed)
        # A seed generator's state is (seed, draws): its second entry counts optimisation steps. Keras keeps such state
        # apart from weights, so that the parameter counts stay those of Table 3.1, on every backend.
        self.clock = keras.random.SeedGenerator(0)

    @property
    def step(self) -> Any:
        """Optimisation steps done so far, an integer scalar tensor."""
        return self.clock.state[1]

    def build_code(self, features_shape: tuple[Any, ...]) -> None:
        self.mean = layers.Dense(self.code_length, dtype=self.dtype_policy, name="mean")
        self.log_std = layers.Dense(self.code_length, dtype=self.dtype_policy, name="log_std")
        self.mean.build(features_shape)
        self.log_std.build(features_shape)

    def posterior(self, features: Any) -> tuple[Any, Any]:
        """Mean μ and logarithmic standard deviation of the code: [n, features] → two of [n, code_length]."""
        # One matrix product for both heads: their gradients, as large as the features, then need not be added up.
        features = ops.cast(features, self.mean.compute_dtype)
        kernel, bias = (
            ops.concatenate([ops.cast(weight, features.dtype) for weight in weights], axis=-1)
            for weights in ((self.mean.kernel, self.log_std.kernel), (self.mean.bias, self.log_std.bias))
        )
        return tuple(ops.split(ops.matmul(features, kernel) + bias, 2, axis=-1))  # [n, 2·code_length]

    def draw_noise(self, count: Any, training: bool) -> Any:
        if not training:
            return None
        return keras.random.normal((count, self.code_length), dtype="float32", seed=self.noise)

    def encode_features(self, features: Any, noise: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        mean, log_std = self.posterior(features)
        measures = {"kl": losses.window_divergences(mean, log_std)}
        if noise is None:
            return mean, measures
        # In float32: exp overflows float16 early.
        codes = ops.cast(mean, "float32") + ops.exp(ops.cast(log_std, "float32")) * noise
        return ops.cast(codes, mean.dtype), measures

    def loss(self, means: dict[str, Any], step: Any) -> tuple[Any, dict[str, Any]]:
        penalty, measures = self.penalty(means["kl"], step)
        return penalty + means["rl"], measures

    def penalty(self, kl: Any, step: Any) -> tuple[Any, dict[str, Any]]:
        """What is added to RL, and measures of it; ``step`` is None outside training."""
        beta = self.beta if step is None else losses.ramp(step, self.beta, self.warmup_steps)
        return beta * kl, {}

    def advance(self, training: bool, first: bool) -> Any:
        if not training:
            return None
        return self.clock.next()[1] if first else ops.maximum(self.step - 1, 0)

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["noise"] = self.noise.state
        store["clock"] = self.clock.state

    def load_own_variables(self, store: Any) -> None:
        self.noise.state.assign(store["noise"])
        self.clock.state.assign(store["clock"])
        super().load_own_variables({key: store[key] for key in store.keys() if key not in ("noise", "clock")})

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"beta": self.beta, "warmup_steps": self.warmup_steps, "seed": self.seed}


@keras.saving.register_keras_serializable(PACKAGE)
class CapacityControlledAutoencoder(VariationalAutoencoder):
    """The capacity-controlled VAE: γ·|KL − C| + RL while training, C rising linearly from 0 (2.4.6, Eq. 2.27).

    Outside training its loss is that of the plain VAE, Eq. 2.25. C advances once per optimisation step and is saved
    and restored with the weights.

    Args:
        code_length: variables of a code.
        gamma: γ, at least 0.
        capacity: C at the end, at least 0, in units of KL as Eq. 2.24 defines it.
        capacity_steps: optimisation steps until C is there; 0: from the start. The default is about the 25 epochs of
            CIFAR-10 that appendix A.1 takes most often **(chosen)**.
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
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("beta", "warmup_steps"):
            if name in kwargs:
                raise fail(name, "left out: gamma and capacity take its place in training", kwargs[name])
        super().__init__(code_length=code_length, seed=seed, **kwargs)
        self.gamma = check_number("gamma", gamma)
        self.capacity = check_number("capacity", capacity)
        self.capacity_steps = check_positive_int("capacity_steps", capacity_steps, minimum=0)

    @property
    def current_capacity(self) -> Any:
        """C for the next optimisation step, float32 scalar tensor."""
        return losses.ramp(self.step, self.capacity, self.capacity_steps)

    def penalty(self, kl: Any, step: Any) -> tuple[Any, dict[str, Any]]:
        if step is None:
            return self.beta * kl, {"capacity": self.current_capacity}
        capacity = losses.ramp(step, self.capacity, self.capacity_steps)
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


AUTOENCODERS = {
    "standard": StandardAutoencoder,
    "k_sparse": KSparseAutoencoder,
    "vae": VariationalAutoencoder,
    "capacity_vae": CapacityControlledAutoencoder,
}


def get(identifier: Any, **arguments: Any) -> Autoencoder:
    """Returns an autoencoder from a name, an autoencoder or its config.

    Args:
        identifier: "standard", "k_sparse", "vae", "capacity_vae", an object, or what ``keras.saving`` made of one.
        **arguments: for the constructor, where a name is given.

    Raises:
        ValueError: if it is none of these; it names the nearest name.
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Autoencoder):
        return identifier
    if not isinstance(identifier, str):
        raise fail("autoencoder", f"one of {tuple(AUTOENCODERS)}, an autoencoder or its config", identifier)
    return AUTOENCODERS[check_choice("autoencoder", identifier, AUTOENCODERS)](**arguments)
