"""Base class of all autoencoders of windows: encoder × code × decoder (thesis section 3.3.2).

Inputs, codes and reconstructions are unrestricted and linear (3.1.2); there is no batch normalisation.
"""

import inspect
import math
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from lea_keras import hooks, losses, metrics
from lea_keras.autoencoders import coders, likelihoods, quantization
from lea_keras.autoencoders.stacks import check_depth, check_sizes
from lea_keras.checks import check_choice, check_positive_int, fail
from lea_keras.windows import extremes

_PARTS = ("encoder", "code", "mean", "log_std", "logits", "decoder")  # that may be frozen by themselves


class Report(NamedTuple):
    """What an autoencoder makes of a batch of windows; the LEA layer that hands it on adds itself and its windows.

    Attributes:
        codes: [n, code_length], in the compute dtype.
        reconstructions: [n, wh, ww, c], in the compute dtype; None if nothing was decoded, or chunk by chunk.
        measures: by name, float32 or wider (see ``lea_keras.losses``): of every window, [n], where ``measure`` returns
            them; of ``objective`` scalars: "rl" (Eq. 3.2) and "rln" (Eq. 4.1) for every type, "nll" with a Bernoulli
            likelihood, "kl" (Eq. 2.24) for the VAEs, "capacity" (C of Eq. 2.27) for the capacity-controlled one, and
            what a type adds.
        loss: what is trained on, a scalar, float32 or wider; None where windows are not averaged yet.
        gradients: of the scaled loss, for the trainable variables, where these were taken chunk by chunk; else None.
        features: [n, features], where the encoder's own output is kept for a later pass; else None.
        layer: the LEA layer.
        windows: its windows (``lea_keras.windows.Windows``), with the images that they were cut from.
        codes_to_decode: the codes that were decoded, [n, code_length], in the compute dtype; None if nothing was.
    """

    codes: Any
    reconstructions: Any
    measures: dict[str, Any]
    loss: Any = None
    gradients: list[Any] | None = None
    features: Any = None
    layer: Any = None
    windows: Any = None
    codes_to_decode: Any = None


class Autoencoder(layers.Layer):
    """Base of all types, and of your own.

    As a Keras layer it maps windows [n, wh, ww, c] to their reconstructions. ``encode``, ``decode`` and ``objective``
    build it where that has not happened yet. Codes and reconstructions have its compute dtype, also where an encoder or
    decoder given as a layer has another dtype policy.

    A type of your own overrides what it does differently, and registers itself with Keras to be saved:

    - ``loss(means, step)``: what is trained on, from means over windows, of which ``means[self.fit_measure]`` is how
      well they are reconstructed;
    - ``extra_measures(windows, features, codes)``: what else is measured of each window and comes to ``loss`` as a
      mean, if ``averaged`` has its name; ``measure_names`` has the names of all that is reported;
    - ``batch_measures(codes)``: what is measured of all codes of a batch together and comes to ``loss`` beside the
      means. A LEA with such a type cannot work in chunks;
    - ``draw_noise(count, training)``: all that is random about so many windows, so that chunks change nothing about it;
    - ``corrupt(windows, noise)``: the windows that are encoded in order to be reconstructed. The codes that a LEA hands
      on are those of the windows as they are;
    - ``encode_features(features, noise, training)``, with ``build_code``: from features to codes. A type that leaves
      these two alone encodes as usual and can be exported.

    Args:
        code_length: variables of a code.
        encoder: "fc", "conv", a Keras layer [n, wh, ww, c] → [n, features], or its config. Layers are built by calling
            them.
        decoder: "fc", "conv", "sb", a ``lea_keras.coders.Decoder`` or other Keras layer [n, code_length] →
            [n, wh, ww, c], or its config; or, with the encoder "fc" and not in VAEs, "tied": the encoder's kernels
            transposed (``lea_keras.coders.TiedDecoder``).
        kernels: K, filters of encoder and decoder given as "conv" or "sb".
        kernel_size: k of encoder and decoder given as "conv" or "sb".
        conv_strides: s of encoder and decoder given as "conv".
        units: of the hidden dense layers of encoder and decoder given as "fc" or "conv", the encoder's first one first;
            the decoder has them in reverse. (): none, with which "fc" is linear. None: the thesis', as in ``coders``.
        filters: of the convolutions of encoder and decoder given as "conv", likewise. None: ``kernels`` of each.
        likelihood: "gaussian": trained on RL. "bernoulli": the decoder's outputs are logits, of which ``decode`` and
            all reconstructions are the sigmoid, and trained is on "nll", the summed cross-entropy of a window's values,
            which must lie in [0, 1] (checked where they are known, that is eagerly). RL, RLN and confidence stay
            squared errors of the reconstructions **(chosen)**.
        mae: whether the mean absolute error of reconstructions (Eq. 2.19) is reported, too, as "mae". It is not trained
            on.
        **kwargs: Keras' own (name, dtype, …).

    Raises:
        ValueError: for an argument outside what is said above.
    """

    # All measures of an objective, and those that are means over windows; "nll" comes to both where there is one.
    measure_names = ("rl", "rln")
    averaged = ("rl",)
    # Whether codes have zeros, so that it is of interest which variables are never anything else.
    sparse = False
    # Whether the loss is linear in those means, so that its slopes are known before them.
    linear = True

    def __init__(
        self,
        code_length: int = 10,
        encoder: str | layers.Layer | dict[str, Any] = "fc",
        decoder: str | layers.Layer | dict[str, Any] = "fc",
        kernels: int = 32,
        kernel_size: int = 4,
        conv_strides: int = 2,
        units: tuple[int, ...] | None = None,
        filters: tuple[int, ...] | None = None,
        likelihood: str = "gaussian",
        mae: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.code_length = check_positive_int("code_length", code_length)
        self.kernels = check_positive_int("kernels", kernels)
        self.kernel_size = check_positive_int("kernel_size", kernel_size)
        self.conv_strides = check_positive_int("conv_strides", conv_strides, minimum=2)
        self.likelihood = check_choice("likelihood", likelihood, likelihoods.LIKELIHOODS)
        if self.fit_measure not in self.averaged:
            self.measure_names = (*self.measure_names, self.fit_measure)
            self.averaged = (*self.averaged, self.fit_measure)
        self.mae = bool(mae)
        if self.mae:
            self.measure_names, self.averaged = (*self.measure_names, "mae"), (*self.averaged, "mae")
        self.units = check_sizes("units", units)
        self.filters = check_sizes("filters", filters, least=1)
        check_depth(encoder, decoder, self.units, self.filters)
        depth = {"units": self.units, "filters": self.filters}
        mirrored = {name: sizes and sizes[::-1] for name, sizes in depth.items()}
        arguments = {
            "kernels": self.kernels,
            "kernel_size": self.kernel_size,
            "conv_strides": self.conv_strides,
            "dtype": self.dtype_policy,
        }
        self._quantization: dict[str, Any] = {}
        self._frozen: list[str] = []  # parts, once they are built
        self._encoder_name = encoder if isinstance(encoder, str) else None
        self._decoder_name = decoder if isinstance(decoder, str) else None
        # Of any class: a subclass reads what its own coders have and other layers have not.
        self.encoder: Any = coders.get_encoder(encoder, **arguments, **depth)
        self.decoder: Any = coders.get_decoder(decoder, **arguments, **mirrored)
        if isinstance(self.decoder, coders.TiedDecoder):
            self._check_tied()

    @property
    def fit_measure(self) -> str:
        """The name of the measure by which reconstructions are trained: "rl", or "nll" with a Bernoulli likelihood."""
        return likelihoods.LIKELIHOODS[self.likelihood]

    def build(self, windows_shape: Any) -> None:
        windows_shape = (None, *windows_shape[1:])
        if len(windows_shape) != 4 or None in windows_shape[1:]:
            raise fail("windows_shape", "(n, rows, columns, channels), all known but n", windows_shape)
        self.windows_shape: tuple[Any, ...] = windows_shape
        features_shape = self._shape_after(self.encoder, windows_shape)
        if len(features_shape) != 2 or features_shape[1] is None:
            raise fail("encoder", "a layer that returns flat features [n, features]", features_shape)
        self.features_length = features_shape[1]
        self.build_code(features_shape)
        codes_shape = (None, self.code_length)
        if isinstance(self.decoder, coders.TiedDecoder):
            self.decoder.tie(self.encoder.hidden_layers, self.code)
        if isinstance(self.decoder, coders.Decoder) and not self.decoder.built:
            self.decoder.build(codes_shape, windows_shape)
        reconstructions_shape = self._shape_after(self.decoder, codes_shape)
        if reconstructions_shape[1:] != windows_shape[1:]:
            raise fail("decoder", f"a layer that returns windows {windows_shape}", reconstructions_shape)
        quantization.quantize_parts(self, self._quantization)
        # What was frozen before it was there has not been told; to set what is set already does nothing in TensorFlow.
        for path in self._frozen if self.trainable else self._parts():
            self._part(path).trainable = False

    def _parts(self) -> list[str]:
        return [name for name in _PARTS if hasattr(self, name)]

    def _part(self, path: str) -> layers.Layer:
        """The layer of a path such as "encoder" or, the second layer inside it, "encoder.1"."""
        name, _, place = path.partition(".")
        part = getattr(self, name)
        return hooks.sublayers(part)[int(place)] if place else part

    def _frozen_parts(self) -> list[str]:
        """Paths of all that is frozen by itself, and not with what it is in."""
        found = []
        for name in self._parts():
            part = getattr(self, name)
            inside = [] if not part.trainable else hooks.sublayers(part)
            found += [] if part.trainable else [name]
            found += [f"{name}.{place}" for place, layer in enumerate(inside) if not layer.trainable]
        return found

    def _check_tied(self) -> None:
        kind = type(self).__name__
        if not isinstance(self.encoder, coders.FullyConnectedEncoder):
            allowed = 'another than "tied" with this encoder: only that of the encoder "fc" has kernels to transpose'
            raise fail("decoder", allowed, "tied", f"The encoder is {type(self.encoder).__name__}.")
        if type(self).build_code is not Autoencoder.build_code:
            allowed = f'another than "tied" for {kind}, whose code does not come from one kernel'
            raise fail("decoder", allowed, "tied")

    def _shape_after(self, coder: layers.Layer, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """The shape of what a coder returns. A call builds it with all that is inside it, which ``build`` may not."""
        return tuple(coder(keras.KerasTensor(shape, self.compute_dtype)).shape)

    def build_code(self, features_shape: tuple[Any, ...]) -> None:
        """Creates and builds the linear layer from features to codes."""
        self.code = layers.Dense(self.code_length, dtype=self.dtype_policy, name="code")
        self.code.build(features_shape)

    def draw_noise(self, count: Any, training: bool) -> Any:
        """Draws the noise of ``count`` windows: one tensor [count, …], or None where nothing is random."""
        del count, training

    def corrupt(self, windows: Any, noise: Any) -> Any:
        """Returns what is encoded in place of windows [n, wh, ww, c] to reconstruct them; ``noise`` is never None."""
        del noise
        return windows

    def encode_features(self, features: Any, noise: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        """Returns codes [n, code_length] of features and what is measured of each, [n] by name, float32 or wider."""
        del noise, training
        return self.code(features), {}

    def codes_of(self, features: Any, noise: Any, training: bool) -> tuple[Any, Any, dict[str, Any]]:
        """Returns the codes that are handed on, those that are decoded, both [n, code_length], and what is measured of
        each window. Where a type does not say otherwise they are the same."""
        codes, measures = self.encode_features(features, noise, training)
        return codes, codes, measures

    def extra_measures(self, windows: Any, features: Any, codes: Any) -> dict[str, Any]:
        """Returns what else is measured of each window, [n] by name.

        Args:
            windows: as they were encoded, [n, wh, ww, c].
            features: of these windows, [n, features].
            codes: of these features, [n, code_length].
        """
        del windows, features, codes
        return {}

    def batch_measures(self, codes: Any) -> dict[str, Any]:
        """Returns what is measured of all codes of a batch together, scalars by name.

        Args:
            codes: those that are decoded, [n, code_length], n may be 0.
        """
        del codes
        return {}

    def loss(self, means: dict[str, Any], step: Any) -> tuple[Any, dict[str, Any]]:
        """Returns what is trained on, a scalar, float32 or wider, and further measures.

        Args:
            means: over windows, by name, of all ``averaged``, and the ``batch_measures``.
            step: optimisation steps done so far; None outside training.
        """
        del step
        return means[self.fit_measure], {}

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
        features, noise = self.features(windows, training), self.draw_noise(ops.shape(windows)[0], training)
        return ops.cast(self.encode_features(features, noise, training)[0], self.compute_dtype)

    def representation(self, windows: Any) -> Any:
        """What stands for windows without noise, and what an attacker of the code aims at: [n, wh, ww, c] →
        [n, code_length], outside training, in the compute dtype.

        Its entries are differentiable in the windows wherever the encoder is: the code, and where a type makes that by
        drawing or selecting, what it draws or selects from.
        """
        return self.encode(windows)

    def decode(self, codes: Any) -> Any:
        """Windows of codes: [n, code_length] → [n, wh, ww, c]. The autoencoder must be built."""
        if not self.built:
            raise ValueError(f"Autoencoder `{self.name}` must be built before it decodes: encode windows first.")
        return ops.cast(likelihoods.means(self.likelihood, self.decoder(codes)), self.compute_dtype)

    def call(self, windows: Any, training: bool = False) -> Any:
        return self.decode(self.encode(windows, training))

    def features(self, windows: Any, training: bool = False) -> Any:
        """What the encoder makes of windows, before the code: [n, wh, ww, c] → [n, features]."""
        self._ensure_built(windows)
        return self.encoder(windows, **self._training(self.encoder, training))

    def measure(self, windows: Any, noise: Any, training: bool, *, features: Any = None, decode: bool = True) -> Report:
        """Encodes and decodes windows and measures each of them.

        Args:
            windows: [n, wh, ww, c].
            noise: from ``draw_noise``.
            training: as in Keras.
            features: of these windows, where they are known already.
            decode: whether to reconstruct the windows.
        """
        features = self.features(windows, training) if features is None else features
        codes, codes_to_decode, measures = self.codes_of(features, noise, training)
        encoded = windows
        if noise is not None and type(self).corrupt is not Autoencoder.corrupt:
            encoded = self.corrupt(windows, noise)
            features = self.features(encoded, training)
            _, codes_to_decode, measures = self.codes_of(features, noise, training)
        measures = measures | self.extra_measures(encoded, features, codes_to_decode)
        codes, reconstructions = ops.cast(codes, self.compute_dtype), None
        if decode:
            codes_to_decode = ops.cast(codes_to_decode, self.compute_dtype)
            outputs = self.decoder(codes_to_decode, **self._training(self.decoder, training))
            reconstructions = ops.cast(likelihoods.means(self.likelihood, outputs), self.compute_dtype)
            measures = likelihoods.measures(self.likelihood, windows, outputs, reconstructions) | measures
            if self.mae:
                measures["mae"] = losses.window_distances(windows, reconstructions)
        # Windows, encoder and decoder may each have a dtype of their own; their measures are added up.
        dtype = losses.wide_dtype(windows.dtype, self.compute_dtype)
        measures = {name: ops.cast(values, dtype) for name, values in measures.items()}
        return Report(codes, reconstructions, measures, codes_to_decode=codes_to_decode if decode else None)

    def conclude(self, means: dict[str, Any], limits: tuple[Any, Any], step: Any) -> tuple[Any, dict[str, Any]]:
        """Returns the loss and all measures of windows.

        Args:
            means: over windows, by name, of all ``averaged``, and the ``batch_measures``.
            limits: the least and the largest value of all windows.
            step: from ``advance``.
        """
        likelihoods.check_inputs(self.likelihood, limits)
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
    ) -> Report:
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
        report = self.measure(windows, noise, training, features=features)
        means = {name: losses.window_mean(report.measures[name]) for name in self.averaged}
        of_batch = self.batch_measures(report.codes_to_decode)
        means |= {name: ops.cast(value, means["rl"].dtype) for name, value in of_batch.items()}
        limits = extremes(windows) if limits is None else limits
        loss, measures = self.conclude(means, limits, self.advance(training, first))
        return report._replace(loss=loss, measures=measures)

    def compute_output_shape(self, windows_shape: Any) -> tuple[Any, ...]:
        return tuple(windows_shape)

    def generators(self) -> dict[str, keras.random.SeedGenerator]:
        """Returns what has a state beside the weights, by the names under which that is saved with them."""
        return {}

    def save_own_variables(self, store: Any) -> None:
        quantization.check_restorable(self)
        super().save_own_variables(store)
        for name, generator in self.generators().items():
            store[name] = generator.state

    def load_own_variables(self, store: Any) -> None:
        generators = self.generators()
        for name, generator in generators.items():
            generator.state.assign(store[name])
        weights = {key: store[key] for key in store.keys() if key not in generators} if generators else store
        super().load_own_variables(weights)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Autoencoder":
        config = dict(config)
        parts, frozen = config.pop("quantization", {}), config.pop("frozen", [])
        autoencoder = super().from_config(config)
        autoencoder._quantization, autoencoder._frozen = parts, frozen
        return autoencoder

    def get_config(self) -> dict[str, Any]:
        parts = quantization.parts_config(self) if self.built else self._quantization
        frozen = self._frozen
        if self.built and self.trainable:
            frozen = self._frozen_parts()
        return (
            super().get_config()
            | ({"quantization": parts} if parts else {})
            | ({"frozen": frozen} if frozen else {})
            | ({} if self.units is None else {"units": list(self.units)})
            | ({} if self.filters is None else {"filters": list(self.filters)})
            | ({} if self.likelihood == "gaussian" else {"likelihood": self.likelihood})
            | ({"mae": True} if self.mae else {})
            | {
                "code_length": self.code_length,
                "encoder": self._encoder_name or coders.unbuilt_config(self.encoder),
                "decoder": self._decoder_name or coders.unbuilt_config(self.decoder),
                "kernels": self.kernels,
                "kernel_size": self.kernel_size,
                "conv_strides": self.conv_strides,
            }
        )

    def _ensure_built(self, windows: Any) -> None:
        shape = tuple(windows.shape)
        if not self.built:
            self.build(shape)
        fits = len(shape) == 4 and all(
            size in (None, side) for size, side in zip(shape[1:], self.windows_shape[1:], strict=True)
        )
        if not fits:
            raise fail("windows", f"of the shape {self.windows_shape} that the autoencoder was built for", shape)

    @staticmethod
    def _training(coder: layers.Layer, training: bool) -> dict[str, bool]:
        """An encoder or decoder of the user's own may contain dropout or the like; ours take no such argument."""
        takes_it = "training" in inspect.signature(coder.call).parameters
        return {"training": training} if takes_it else {}
