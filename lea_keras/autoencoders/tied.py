"""Decoder that has no kernels of its own: it takes the encoder's, transposed (A. Makhzani and B. Frey, "k-Sparse
Autoencoders", 2014).
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from lea_keras.autoencoders.decoder import Decoder
from lea_keras.checks import fail
from lea_keras.version import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class TiedDecoder(Decoder):
    """Decoder "tied": the encoder "fc" backwards, with its kernels transposed and biases of its own.

    The code's kernel comes first and the encoder's hidden ones, with its activation, in reverse. Without hidden layers,
    ``units=()``, code and window are z = x·W + b and x̂ = z·Wᵀ + b'. A kernel is one variable, which the encoder owns:
    it is trained on both its uses, and stored once.

    Args:
        **kwargs: Keras' own (name, dtype, …).

    Raises:
        ValueError: when built, without an encoder "fc" and an autoencoder that has one code layer, or by a second
            autoencoder; when called, if a kernel is quantised, whose values Keras no longer has.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # In a function, in which Keras does not find them: they are layers of the encoder, not of this one.
        self._sources: Callable[[], list[layers.Dense]] | None = None

    def tie(self, hidden: list[layers.Dense], code: layers.Dense) -> None:
        """Takes the layers whose kernels this decoder reads, before it is built.

        Args:
            hidden: the encoder's dense layers, built, the first one at the window.
            code: from their features to codes, built.
        """
        if self._sources is not None:
            raise fail("decoder", "a TiedDecoder that no other autoencoder has", self.name)
        sources = [code, *hidden[::-1]]
        self._sources = lambda: sources

    def build_layers(self, codes_shape: tuple[Any, ...]) -> None:
        del codes_shape
        # In the order of their use: of the hidden layers, and of the reconstruction.
        self.biases: list[Any] = [
            self.add_weight(shape=(source.kernel.shape[0],), initializer="zeros", name=f"bias_{i}")
            for i, source in enumerate(self._tied())
        ]

    def call(self, codes: Any) -> Any:
        values, sources = codes, self._tied()
        for source, bias in zip(sources, self.biases, strict=True):
            if source.quantization_mode is not None:
                hint = f"Layer {source.name!r} is quantised as {source.quantization_mode}."
                raise fail("decoder", 'another than "tied" where layers are quantised', "tied", hint)
            kernel = ops.cast(source.kernel, self.compute_dtype)
            values = ops.matmul(values, ops.transpose(kernel)) + ops.cast(bias, self.compute_dtype)
            if source is not sources[-1]:
                values = sources[-1].activation(values)
        return ops.reshape(values, (-1, *self.windows_shape[1:]))

    def _tied(self) -> list[layers.Dense]:
        if self._sources is None:
            raise fail("decoder", "a TiedDecoder inside an autoencoder, which ties it to its encoder", self.name)
        return self._sources()
