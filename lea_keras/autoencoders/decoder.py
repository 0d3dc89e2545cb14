"""Base class of decoders."""

from typing import Any

from keras import layers


class Decoder(layers.Layer):
    """What all decoders share: they are built for codes *and* windows, ``build(codes_shape, windows_shape)``.

    Input [n, code_length], output [n, wh, ww, c], linear and unbounded. Inside an autoencoder the autoencoder builds
    them; on its own a decoder must be built by hand before its first call.
    """

    def build(self, codes_shape: Any, windows_shape: Any) -> None:
        self.windows_shape: tuple[Any, ...] = (None, *windows_shape[1:])
        self.build_layers((None, codes_shape[-1]))

    def build_layers(self, codes_shape: tuple[Any, ...]) -> None:
        """Creates and builds the sublayers for codes of this shape and ``self.windows_shape``."""
        raise NotImplementedError

    def compute_output_shape(self, codes_shape: Any) -> tuple[Any, ...]:
        return (codes_shape[0], *self.windows_shape[1:])
