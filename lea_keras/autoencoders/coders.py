"""Encoders and decoders of windows (thesis section 3.3.1). Any encoder goes with any decoder.

They are Keras layers that adapt to the window they are built for. Hidden layers are ReLU with bias, kernels
Glorot-uniform, biases zero; the decoders' last layer is linear (3.1.2). ``activation`` is there for studies that need
another one, for example ``"linear"`` to compare with PCA.
"""

from typing import Any, cast

import keras
from keras import layers, ops

from lea_keras.checks import check_choice, check_positive_int, fail
from lea_keras.losses import wide_dtype
from lea_keras.version import PACKAGE

_DATA_FORMAT = "channels_last"  # windows are always so, whatever Keras' setting


def conv_reductions(window_size: tuple[int, int], kernel_size: int, strides: int) -> int:
    """n: how many convolutions it takes until the window is smaller than the kernel (Eq. 3.3).

    Counted in whole numbers, since the logarithm of Eq. 3.3 rounds wrongly at exact powers. A window that is not
    square takes as many as its longer need **(chosen)**.

    Args:
        window_size: (rows, columns) of the window.
        kernel_size: k.
        strides: s, at least 2.
    """

    def along(size: int) -> int:
        if kernel_size > size:
            return 0
        count = 1
        while kernel_size * strides ** (count - 1) < size:
            count += 1
        return count

    return max(along(size) for size in window_size)


def reduced_size(window_size: tuple[int, int], kernel_size: int, strides: int) -> tuple[int, int]:
    """f: the size that is left after the convolutions, per side (Eq. 3.4)."""
    factor = strides ** conv_reductions(window_size, kernel_size, strides)
    rows, columns = (-(-size // factor) for size in window_size)
    return rows, columns


class _ConvolutionArguments:
    """Checks and holds the arguments that the three convolutional coders share."""

    conv_strides: int  # of those that have n convolutions
    dtype_policy: Any  # of the layer that this class is a part of

    def _set_arguments(self, kernels: int, kernel_size: int, activation: Any) -> None:
        self.kernels = check_positive_int("kernels", kernels)
        self.kernel_size = check_positive_int("kernel_size", kernel_size)
        self.activation = keras.activations.get(activation)

    def _arguments_config(self) -> dict[str, Any]:
        return {
            "kernels": self.kernels,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(self.activation),
        }

    def _build_convolutions(self, cls: type, size: tuple[int, int], shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Creates and builds the n layers that lead from the window's size to f, or back; returns the last shape."""
        self.convolutions = [
            cls(
                self.kernels,
                self.kernel_size,
                self.conv_strides,
                padding="same",
                activation=self.activation,
                data_format=_DATA_FORMAT,
                dtype=self.dtype_policy,
                name=f"convolution_{i}",
            )
            for i in range(conv_reductions(size, self.kernel_size, self.conv_strides))
        ]
        for convolution in self.convolutions:
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
        return shape


@keras.saving.register_keras_serializable(PACKAGE)
class FullyConnectedEncoder(layers.Layer):
    """Encoder "fc": the flat window of N values → dense 2N.

    Input [n, wh, ww, c], output [n, 2N] with N = wh·ww·c.

    Args:
        activation: of the dense layer.
        **kwargs: Keras' own (name, dtype, …).
    """

    def __init__(self, activation: Any = "relu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def build(self, windows_shape: Any) -> None:
        values = _values(windows_shape)
        self.hidden = layers.Dense(2 * values, self.activation, dtype=self.dtype_policy, name="hidden")
        self.hidden.build((None, values))

    def call(self, windows: Any) -> Any:
        return self.hidden(_flatten(windows))

    def compute_output_shape(self, windows_shape: Any) -> tuple[Any, ...]:
        return (windows_shape[0], 2 * _values(windows_shape))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"activation": keras.activations.serialize(self.activation)}


@keras.saving.register_keras_serializable(PACKAGE)
class ConvolutionalEncoder(_ConvolutionArguments, layers.Layer):
    """Encoder "conv": n convolutions with zero padding, then flat → dense K·f·f (Eqs. 3.3, 3.4).

    Input [n, wh, ww, c], output [n, K·f·f]. A kernel larger than the window leaves the dense layer alone (n = 0).

    Args:
        kernels: K, filters of every convolution.
        kernel_size: k. The thesis' text says 4; its Table 3.1 comes out with 3.
        conv_strides: s, at least 2: with stride 1 the window would never shrink.
        activation: of all layers.
        **kwargs: Keras' own (name, dtype, …).
    """

    def __init__(
        self,
        kernels: int = 32,
        kernel_size: int = 4,
        conv_strides: int = 2,
        activation: Any = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set_arguments(kernels, kernel_size, activation)
        self.conv_strides = check_positive_int("conv_strides", conv_strides, minimum=2)

    def build(self, windows_shape: Any) -> None:
        size = tuple(windows_shape[1:3])
        shape = self._build_convolutions(layers.Conv2D, size, tuple(windows_shape))
        rows, columns = reduced_size(size, self.kernel_size, self.conv_strides)
        self.hidden = layers.Dense(
            self.kernels * rows * columns, self.activation, dtype=self.dtype_policy, name="hidden"
        )
        self.hidden.build((None, _values(shape)))

    def call(self, windows: Any) -> Any:
        for convolution in self.convolutions:
            windows = convolution(windows)
        return self.hidden(_flatten(windows))

    def compute_output_shape(self, windows_shape: Any) -> tuple[Any, ...]:
        rows, columns = reduced_size(tuple(windows_shape[1:3]), self.kernel_size, self.conv_strides)
        return (windows_shape[0], self.kernels * rows * columns)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self._arguments_config() | {"conv_strides": self.conv_strides}


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


@keras.saving.register_keras_serializable(PACKAGE)
class FullyConnectedDecoder(Decoder):
    """Decoder "fc": code → dense 2N → linear dense N, with N = wh·ww·c.

    Args:
        activation: of the hidden layer.
        **kwargs: Keras' own (name, dtype, …).
    """

    def __init__(self, activation: Any = "relu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def build_layers(self, codes_shape: tuple[Any, ...]) -> None:
        values = _values(self.windows_shape)
        self.hidden = layers.Dense(2 * values, self.activation, dtype=self.dtype_policy, name="hidden")
        self.reconstruction = layers.Dense(values, dtype=self.dtype_policy, name="reconstruction")
        self.hidden.build(codes_shape)
        self.reconstruction.build((None, 2 * values))

    def call(self, codes: Any) -> Any:
        flat = self.reconstruction(self.hidden(codes))  # [n, wh·ww·c]
        return ops.reshape(flat, (-1, *self.windows_shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"activation": keras.activations.serialize(self.activation)}


@keras.saving.register_keras_serializable(PACKAGE)
class ConvolutionalDecoder(_ConvolutionArguments, Decoder):
    """Decoder "conv": code → dense K·f·f → n transposed convolutions → flat → linear dense N.

    The last dense layer is there also where the size already fits: that is what Table 3.1 counts.

    Args:
        kernels: K, filters of every transposed convolution.
        kernel_size: k. The thesis' text says 4; its Table 3.1 comes out with 3.
        conv_strides: s, at least 2.
        activation: of all layers but the last.
        **kwargs: Keras' own (name, dtype, …).
    """

    def __init__(
        self,
        kernels: int = 32,
        kernel_size: int = 4,
        conv_strides: int = 2,
        activation: Any = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set_arguments(kernels, kernel_size, activation)
        self.conv_strides = check_positive_int("conv_strides", conv_strides, minimum=2)

    def build_layers(self, codes_shape: tuple[Any, ...]) -> None:
        size = self.windows_shape[1:3]
        self.start_shape = (*reduced_size(size, self.kernel_size, self.conv_strides), self.kernels)
        self.hidden = layers.Dense(
            _values((None, *self.start_shape)), self.activation, dtype=self.dtype_policy, name="hidden"
        )
        self.hidden.build(codes_shape)
        shape = self._build_convolutions(layers.Conv2DTranspose, size, (None, *self.start_shape))
        self.reconstruction = layers.Dense(_values(self.windows_shape), dtype=self.dtype_policy, name="reconstruction")
        self.reconstruction.build((None, _values(shape)))

    def call(self, codes: Any) -> Any:
        maps = ops.reshape(self.hidden(codes), (-1, *self.start_shape))  # [n, f, f, K]
        for convolution in self.convolutions:
            maps = convolution(maps)
        flat = self.reconstruction(_flatten(maps))  # [n, wh·ww·c]
        return ops.reshape(flat, (-1, *self.windows_shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self._arguments_config() | {"conv_strides": self.conv_strides}


@keras.saving.register_keras_serializable(PACKAGE)
class SpatialBroadcastDecoder(_ConvolutionArguments, Decoder):
    """Decoder "sb": the code tiled over the window, x and y in [−1, 1] beside it, then three stride-1 convolutions.

    Two hidden convolutions of K filters and a linear one of c filters (Watters et al., 2019; thesis 2.4.2, 3.3.1).
    A side of one pixel has the coordinate −1 **(chosen)**, where linspace starts.

    Args:
        kernels: K.
        kernel_size: k. The thesis' text says 4; its Table 3.1 comes out with 3.
        activation: of the two hidden convolutions.
        **kwargs: Keras' own (name, dtype, …).
    """

    def __init__(self, kernels: int = 32, kernel_size: int = 4, activation: Any = "relu", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_arguments(kernels, kernel_size, activation)

    def build_layers(self, codes_shape: tuple[Any, ...]) -> None:
        def convolution(filters: int, activation: Any, name: str) -> layers.Layer:
            return layers.Conv2D(
                filters,
                self.kernel_size,
                padding="same",
                activation=activation,
                data_format=_DATA_FORMAT,
                dtype=self.dtype_policy,
                name=name,
            )

        rows, columns, channels = self.windows_shape[1:]
        self.convolutions = [
            convolution(self.kernels, self.activation, "convolution_0"),
            convolution(self.kernels, self.activation, "convolution_1"),
            convolution(channels, None, "reconstruction"),
        ]
        depth = codes_shape[-1] + 2
        for layer in self.convolutions:
            layer.build((None, rows, columns, depth))
            depth = layer.filters

    def call(self, codes: Any) -> Any:
        rows, columns = self.windows_shape[1:3]
        tiles = ops.tile(codes[:, None, None, :], (1, rows, columns, 1))  # [n, wh, ww, code_length]
        dtype = wide_dtype(codes.dtype)
        y, x = (ops.linspace(-1.0, 1.0, size, dtype=dtype) for size in (rows, columns))
        grids = ops.meshgrid(y, x, indexing="ij")
        coordinates = ops.cast(ops.stack([grids[1], grids[0]], axis=-1), codes.dtype)  # [wh, ww, 2]
        coordinates = ops.broadcast_to(coordinates, (ops.shape(codes)[0], rows, columns, 2))
        maps = ops.concatenate([tiles, coordinates], axis=-1)  # [n, wh, ww, code_length + 2]
        for layer in self.convolutions:
            maps = layer(maps)
        return maps

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self._arguments_config()


ENCODERS = {"fc": FullyConnectedEncoder, "conv": ConvolutionalEncoder}
DECODERS = {"fc": FullyConnectedDecoder, "conv": ConvolutionalDecoder, "sb": SpatialBroadcastDecoder}


def get_encoder(identifier: Any, **arguments: Any) -> layers.Layer:
    """Returns an encoder from a name ("fc", "conv"), a layer or a layer's config.

    Args:
        identifier: what to take.
        **arguments: `kernels`, `kernel_size`, `conv_strides`, for a name; an encoder takes those that it knows.
    """
    return _get("encoder", ENCODERS, identifier, arguments)


def get_decoder(identifier: Any, **arguments: Any) -> layers.Layer:
    """Returns a decoder from a name ("fc", "conv", "sb"), a layer or a layer's config; see ``get_encoder``."""
    return _get("decoder", DECODERS, identifier, arguments)


_TAKES = {
    FullyConnectedEncoder: (),
    FullyConnectedDecoder: (),
    ConvolutionalEncoder: ("kernels", "kernel_size", "conv_strides"),
    ConvolutionalDecoder: ("kernels", "kernel_size", "conv_strides"),
    SpatialBroadcastDecoder: ("kernels", "kernel_size"),
}


def _get(argument: str, registry: dict[str, type], identifier: Any, arguments: dict[str, Any]) -> layers.Layer:
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, layers.Layer):
        return identifier
    if not isinstance(identifier, str):
        raise fail(argument, f"one of {tuple(registry)}, a Keras layer or its config", identifier)
    cls = registry[check_choice(argument, identifier, registry)]
    dtype = {"dtype": arguments["dtype"]} if "dtype" in arguments else {}
    return cls(name=argument, **dtype, **{key: arguments[key] for key in _TAKES[cls]})


def unbuilt_config(layer: layers.Layer) -> dict[str, Any]:
    """A layer's config without the shapes it was built for, so that what holds it decides them anew."""
    config = cast("dict[str, Any]", keras.saving.serialize_keras_object(layer))  # a layer's is never anything else
    config.pop("build_config", None)
    return config


def _values(shape: Any) -> int:
    """How many values one window, or one stack of maps, holds: all axes but the first."""
    product = 1
    for size in shape[1:]:
        product *= size
    return product


def _flatten(maps: Any) -> Any:
    return ops.reshape(maps, (-1, _values(maps.shape)))  # [n, h, w, c] -> [n, h·w·c]
