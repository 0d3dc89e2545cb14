"""Encoders and decoders of windows (thesis section 3.3.1). Any encoder goes with any decoder but ``tied.TiedDecoder``.

They are Keras layers that adapt to the window they are built for. Hidden layers are ReLU with bias, kernels
Glorot-uniform, biases zero; the decoders' last layer is linear (3.1.2). ``activation`` is there for studies that need
another one, for example ``"linear"`` to compare with PCA.

The coders of the thesis have one hidden dense layer, and convolutions as many as the window's size asks for. ``units``
and ``filters`` say how many there are and how wide they are; no dense layer at all, ``units=()``, makes an encoder
"fc", with the code behind it, and a decoder "fc" linear.
"""

import itertools
import math
from typing import Any, cast

import keras
from keras import layers, ops

from lea_keras.autoencoders.decoder import Decoder as Decoder
from lea_keras.autoencoders.stacks import DATA_FORMAT, ConvolutionArguments, DenseArguments
from lea_keras.autoencoders.stacks import conv_reductions as conv_reductions
from lea_keras.autoencoders.stacks import reduced_size as reduced_size
from lea_keras.autoencoders.tied import TiedDecoder as TiedDecoder
from lea_keras.checks import check_choice, fail
from lea_keras.losses import wide_dtype
from lea_keras.version import PACKAGE
from lea_keras.windows import grid


@keras.saving.register_keras_serializable(PACKAGE)
class FullyConnectedEncoder(DenseArguments, layers.Layer):
    """Encoder "fc": the flat window of N values → dense 2N, or as many dense layers as ``units`` has entries.

    Input [n, wh, ww, c], output [n, features]: 2N with N = wh·ww·c, or the last of ``units``, or N without any.

    Args:
        activation: of the dense layers.
        units: of each dense layer, the first one at the window. None: (2N,). (): the flat window is what is returned.
        **kwargs: Keras' own (name, dtype, …).

    Raises:
        ValueError: for ``units`` other than that.
    """

    def __init__(self, activation: Any = "relu", units: tuple[int, ...] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_units(units, activation)

    def build(self, windows_shape: Any) -> None:
        values = _values(windows_shape)
        self._build_dense((2 * values,) if self.units is None else self.units, values)

    def call(self, windows: Any) -> Any:
        return _through(self.hidden_layers, _flatten(windows))

    def compute_output_shape(self, windows_shape: Any) -> tuple[Any, ...]:
        values = _values(windows_shape)
        return (windows_shape[0], 2 * values if self.units is None else (values, *self.units)[-1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self._units_config()


@keras.saving.register_keras_serializable(PACKAGE)
class ConvolutionalEncoder(ConvolutionArguments, layers.Layer):
    """Encoder "conv": n convolutions with zero padding, then flat → dense K·f·f (Eqs. 3.3, 3.4).

    Input [n, wh, ww, c], output [n, features]: K·f·f, or the last of ``units``. A kernel larger than the window leaves
    the dense layer alone (n = 0).

    Args:
        kernels: K, filters of every convolution.
        kernel_size: k. The thesis' text says 4; its Table 3.1 comes out with 3.
        conv_strides: s, at least 2: with stride 1 the window would never shrink.
        activation: of all layers.
        filters: of each convolution, at least one. None: K of each of n. With them K is that of the last, and f what is
            left of the window behind it.
        units: of each dense layer behind the convolutions. None: (K·f·f,). (): the flat maps are what is returned.
        **kwargs: Keras' own (name, dtype, …).

    Raises:
        ValueError: for an argument outside what is said above.
    """

    def __init__(
        self,
        kernels: int = 32,
        kernel_size: int = 4,
        conv_strides: int = 2,
        activation: Any = "relu",
        filters: tuple[int, ...] | None = None,
        units: tuple[int, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set_arguments(kernels, kernel_size, activation, units)
        self._set_depth(conv_strides, filters)

    def build(self, windows_shape: Any) -> None:
        shapes = self._shapes(windows_shape)
        self._build_convolutions(layers.Conv2D, [shape[-1] for shape in shapes[1:]], shapes[:-1])
        self._build_dense(self._units(shapes), _values(shapes[-1]))

    def call(self, windows: Any) -> Any:
        return _through(self.hidden_layers, _flatten(_through(self.convolutions, windows)))

    def compute_output_shape(self, windows_shape: Any) -> tuple[Any, ...]:
        shapes = self._shapes(windows_shape)
        return (windows_shape[0], (_values(shapes[-1]), *self._units(shapes))[-1])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self._arguments_config() | {"conv_strides": self.conv_strides}

    def _shapes(self, windows_shape: Any) -> list[tuple[Any, ...]]:
        """Of the windows and of the maps behind each convolution."""
        sizes = self._sizes(tuple(windows_shape[1:3]))
        filters = (self.kernels,) * (len(sizes) - 1) if self.filters is None else self.filters
        return [(None, *size, channels) for size, channels in zip(sizes, (windows_shape[3], *filters), strict=True)]

    def _units(self, shapes: list[tuple[Any, ...]]) -> tuple[int, ...]:
        if self.units is not None:
            return self.units
        _, rows, columns, _ = shapes[-1]
        return ((self.kernels if self.filters is None else self.filters[-1]) * rows * columns,)


@keras.saving.register_keras_serializable(PACKAGE)
class FullyConnectedDecoder(DenseArguments, Decoder):
    """Decoder "fc": code → dense 2N, or as ``units`` says → linear dense N, with N = wh·ww·c.

    Args:
        activation: of the hidden layers.
        units: of each hidden layer, the first one at the code. None: (2N,). (): the linear layer alone.
        **kwargs: Keras' own (name, dtype, …).

    Raises:
        ValueError: for ``units`` other than that.
    """

    def __init__(self, activation: Any = "relu", units: tuple[int, ...] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_units(units, activation)

    def build_layers(self, codes_shape: tuple[Any, ...]) -> None:
        values = _values(self.windows_shape)
        hidden = self._build_dense((2 * values,) if self.units is None else self.units, codes_shape[-1])
        self.reconstruction = layers.Dense(values, dtype=self.dtype_policy, name="reconstruction")
        self.reconstruction.build((None, hidden))

    def call(self, codes: Any) -> Any:
        flat = self.reconstruction(_through(self.hidden_layers, codes))  # [n, wh·ww·c]
        return ops.reshape(flat, (-1, *self.windows_shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self._units_config()


@keras.saving.register_keras_serializable(PACKAGE)
class ConvolutionalDecoder(ConvolutionArguments, Decoder):
    """Decoder "conv": code → dense K·f·f → n transposed convolutions → flat → linear dense N.

    The last dense layer is there also where the size already fits: that is what Table 3.1 counts. With ``filters`` it
    is not there **(chosen)**: the last transposed convolution is linear and has the window's channels, and each is
    cropped to the size that the encoder's maps have there, as the adjoint of the encoder's convolution is.

    Args:
        kernels: K, filters of every transposed convolution.
        kernel_size: k. The thesis' text says 4; its Table 3.1 comes out with 3.
        conv_strides: s, at least 2.
        activation: of all layers but the last.
        filters: of the maps that each transposed convolution takes, in the order of the decoder: the encoder's in
            reverse **(chosen)**. (64, 32) begins with 64 maps, of which come 32, and of these the window's channels.
            None: K of each of n.
        units: of dense layers between the code and dense K·f·f, the first one at the code. None: as ().
        **kwargs: Keras' own (name, dtype, …).

    Raises:
        ValueError: for an argument outside what is said above.
    """

    def __init__(
        self,
        kernels: int = 32,
        kernel_size: int = 4,
        conv_strides: int = 2,
        activation: Any = "relu",
        filters: tuple[int, ...] | None = None,
        units: tuple[int, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._set_arguments(kernels, kernel_size, activation, units)
        self._set_depth(conv_strides, filters)

    def build_layers(self, codes_shape: tuple[Any, ...]) -> None:
        _, rows, columns, channels = self.windows_shape
        sizes = self._sizes((rows, columns))[::-1]  # from the maps that the dense layers make to the window
        filters = (self.kernels,) * (len(sizes) - 1) if self.filters is None else self.filters
        self.start_shape = (*sizes[0], (*filters, self.kernels)[0])
        self._build_dense((*(self.units or ()), math.prod(self.start_shape)), codes_shape[-1])
        shapes = [(None, *size, count) for size, count in zip(sizes, filters, strict=False)]
        if self.filters is None:
            self._build_convolutions(layers.Conv2DTranspose, filters, shapes)
            enlarged = math.prod(self.start_shape) * self.conv_strides ** (2 * len(filters))  # n times s in both sides
            self.reconstruction = layers.Dense(
                _values(self.windows_shape), dtype=self.dtype_policy, name="reconstruction"
            )
            self.reconstruction.build((None, enlarged))
        else:
            self._build_convolutions(layers.Conv2DTranspose, (*filters[1:], channels), shapes, linear=True)
            self._crops = [self._crop(*pair) for pair in itertools.pairwise(sizes)]

    def call(self, codes: Any) -> Any:
        maps = ops.reshape(_through(self.hidden_layers, codes), (-1, *self.start_shape))  # [n, f, f, K]
        if self.filters is None:
            flat = self.reconstruction(_flatten(_through(self.convolutions, maps)))  # [n, wh·ww·c]
            return ops.reshape(flat, (-1, *self.windows_shape[1:]))
        for convolution, (rows, columns) in zip(self.convolutions, self._crops, strict=True):
            maps = convolution(maps)[:, rows, columns]
        return maps

    def _crop(self, size: tuple[int, int], wanted: tuple[int, int]) -> list[slice]:
        """The rows and columns that are kept of what a transposed convolution makes of maps of a size: the pixels that
        the convolution of maps of the ``wanted`` size would see."""
        slices = []
        for small, large in zip(size, wanted, strict=True):
            whole, own = (
                grid(side, self.kernel_size, self.conv_strides, "same") for side in (small * self.conv_strides, large)
            )
            first = own.before - whole.before
            slices.append(slice(first, first + large))
        return slices

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self._arguments_config() | {"conv_strides": self.conv_strides}


@keras.saving.register_keras_serializable(PACKAGE)
class SpatialBroadcastDecoder(ConvolutionArguments, Decoder):
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
                data_format=DATA_FORMAT,
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
DECODERS = {
    "fc": FullyConnectedDecoder,
    "conv": ConvolutionalDecoder,
    "sb": SpatialBroadcastDecoder,
    "tied": TiedDecoder,
}


def get_encoder(identifier: Any, **arguments: Any) -> layers.Layer:
    """Returns an encoder from a name ("fc", "conv"), a layer or a layer's config.

    Args:
        identifier: what to take.
        **arguments: `kernels`, `kernel_size`, `conv_strides`, `units`, `filters`, for a name; an encoder takes those
            that it knows.
    """
    return _get("encoder", ENCODERS, identifier, arguments)


def get_decoder(identifier: Any, **arguments: Any) -> layers.Layer:
    """Returns a decoder from a name ("fc", "conv", "sb", "tied"), a layer or a layer's config; see ``get_encoder``."""
    return _get("decoder", DECODERS, identifier, arguments)


_OF_CONVOLUTIONS = ("kernels", "kernel_size", "conv_strides", "filters", "units")
_TAKES = {
    FullyConnectedEncoder: ("units",),
    FullyConnectedDecoder: ("units",),
    ConvolutionalEncoder: _OF_CONVOLUTIONS,
    ConvolutionalDecoder: _OF_CONVOLUTIONS,
    SpatialBroadcastDecoder: ("kernels", "kernel_size"),
    TiedDecoder: (),
}


def _get(argument: str, registry: dict[str, type], identifier: Any, arguments: dict[str, Any]) -> layers.Layer:
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, layers.Layer):
        return identifier
    if not isinstance(identifier, str):
        raise fail(argument, f"one of {tuple(registry)}, a Keras layer or its config", identifier)
    cls = registry[check_choice(argument, identifier, registry)]
    return cls(name=argument, **{key: arguments[key] for key in ("dtype", *_TAKES[cls]) if key in arguments})


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


def _through(stack: list[Any], values: Any) -> Any:
    for layer in stack:
        values = layer(values)
    return values


def _flatten(maps: Any) -> Any:
    return ops.reshape(maps, (-1, _values(maps.shape)))  # [n, h, w, c] -> [n, h·w·c]
