"""Stacks of dense and of convolutional layers, of which coders consist, and their sizes (thesis Eqs. 3.3, 3.4)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from lea_keras.checks import check_positive_int, fail, is_integer

DATA_FORMAT = "channels_last"  # windows are always so, whatever Keras' setting


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


def check_sizes(argument: str, value: Any, least: int = 0) -> tuple[int, ...] | None:
    """Returns None or a tuple of positive ints.

    Args:
        argument: its public name.
        value: None, a tuple or a list.
        least: how many there must be.

    Raises:
        ValueError: for anything else.
    """
    if value is None:
        return None
    if (
        not isinstance(value, (tuple, list))
        or len(value) < least
        or not all(is_integer(size) and int(size) >= 1 for size in value)
    ):
        kind = "a tuple" if least else "a tuple, perhaps empty,"
        raise fail(argument, f"None or {kind} of positive integers, one per layer", value)
    return tuple(int(size) for size in value)


def check_depth(encoder: Any, decoder: Any, units: Any, filters: Any) -> None:
    """Raises ``ValueError`` where an autoencoder's ``units`` or ``filters`` are given to coders that do not take them.

    Args:
        encoder: as an autoencoder's argument.
        decoder: as an autoencoder's argument.
        units: of the dense layers, or None.
        filters: of the convolutions, or None.
    """
    for name, value in (("units", units), ("filters", filters)):
        if value is None:
            continue
        for argument, coder in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(coder, str):
                raise fail(name, f"left out where the {argument} is given as a layer, which has its own", value)
        if decoder == "sb":
            hint = "Give the encoder as a layer that has them."
            raise fail(name, 'left out where the decoder is "sb", whose layers are fixed', value, hint)
    if filters is not None and "conv" not in (encoder, decoder):
        raise fail("filters", 'left out where neither encoder nor decoder is "conv"', filters)


class DenseArguments:
    """Checks, holds and builds the dense layers of a coder, its argument ``units``."""

    activation: Any
    dtype_policy: Any  # of the layer that this class is a part of

    def _set_units(self, units: Any, activation: Any) -> None:
        self.units = check_sizes("units", units)
        self.activation = keras.activations.get(activation)

    def _units_config(self) -> dict[str, Any]:
        """The arguments, without ``units`` where that is the thesis' None: such a coder is that of earlier versions."""
        units = {} if self.units is None else {"units": list(self.units)}
        return {"activation": keras.activations.serialize(self.activation)} | units

    def _build_dense(self, units: Sequence[int], values: int) -> int:
        """Creates and builds a dense layer per entry for so many values; returns how many there are behind the last."""
        names = ["hidden"] if len(units) == 1 else [f"hidden_{i}" for i in range(len(units))]
        stack = [
            layers.Dense(size, self.activation, dtype=self.dtype_policy, name=name)
            for size, name in zip(units, names, strict=True)
        ]
        if len(stack) == 1:
            self.hidden = stack[0]  # under this name the weights of one are stored
        self.hidden_layers = stack
        for dense in stack:
            dense.build((None, values))
            values = dense.units
        return values


class ConvolutionArguments(DenseArguments):
    """Checks and holds the arguments that the convolutional coders share, and builds their convolutions."""

    filters: tuple[int, ...] | None = None
    conv_strides: int  # of those that have n convolutions

    def _set_arguments(self, kernels: int, kernel_size: int, activation: Any, units: Any = None) -> None:
        self.kernels = check_positive_int("kernels", kernels)
        self.kernel_size = check_positive_int("kernel_size", kernel_size)
        self._set_units(units, activation)

    def _set_depth(self, conv_strides: int, filters: Any) -> None:
        self.conv_strides = check_positive_int("conv_strides", conv_strides, minimum=2)
        self.filters = check_sizes("filters", filters, least=1)

    def _arguments_config(self) -> dict[str, Any]:
        filters = {} if self.filters is None else {"filters": list(self.filters)}
        return self._units_config() | {"kernels": self.kernels, "kernel_size": self.kernel_size} | filters

    def _sizes(self, window_size: tuple[int, int]) -> list[tuple[int, int]]:
        """(rows, columns) of the window and of what each convolution makes of it."""
        if self.filters is None:
            count = conv_reductions(window_size, self.kernel_size, self.conv_strides)
        else:
            count = len(self.filters)
        sizes = [window_size]
        for _ in range(count):
            rows, columns = (-(-size // self.conv_strides) for size in sizes[-1])
            sizes.append((rows, columns))
        return sizes

    def _build_convolutions(
        self, cls: type, filters: Sequence[int], shapes: Sequence[tuple[Any, ...]], linear: bool = False
    ) -> None:
        """Creates and builds strided layers.

        Args:
            cls: ``Conv2D`` or ``Conv2DTranspose``.
            filters: of each.
            shapes: of what each takes.
            linear: whether the last one has no activation; it is then the reconstruction.
        """
        self.convolutions = [
            cls(
                count,
                self.kernel_size,
                self.conv_strides,
                padding="same",
                activation=None if linear and i == len(filters) - 1 else self.activation,
                data_format=DATA_FORMAT,
                dtype=self.dtype_policy,
                name="reconstruction" if linear and i == len(filters) - 1 else f"convolution_{i}",
            )
            for i, count in enumerate(filters)
        ]
        for convolution, shape in zip(self.convolutions, shapes, strict=True):
            convolution.build(shape)
