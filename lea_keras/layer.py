"""The locally embedded autoencoder as a Keras layer (thesis chapter 3)."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from lea_keras import autoencoders, coders
from lea_keras.checks import check_choice, check_number, fail
from lea_keras.version import PACKAGE
from lea_keras.windows import check_window_fits, check_windowing, extract_windows, grid

PASS_MODES = ("codes", "objectives", "local", "inspect")

_threads = threading.local()  # under MirroredStrategy each replica traces in a thread of its own


class Use(NamedTuple):
    """One use of a LEA layer in a forward pass.

    Attributes:
        layer: the layer.
        objective: what its autoencoder made of the windows.
        images: the layer's input, [b, h, w, c] whatever the data format.
        grid: (rows, columns) of windows; the objective's first axis is b·rows·columns.
    """

    layer: "LocallyEmbeddedAutoencoder"
    objective: autoencoders.Objective
    images: Any
    grid: tuple[Any, Any]


class ForwardPass:
    """What LEA layers do during one forward pass of a model that handles their objectives itself.

    Attributes:
        mode: "codes": encode only. "objectives": compute the objectives too, with gradients flowing freely. "local":
            the same, but no gradient leaves a LEA for what comes before its windows. "inspect": the objectives of all
            LEAs, those with a loss weight of 0 too.
        uses: every use of a LEA whose objective was computed, in the order of the calls.
    """

    def __init__(self, mode: str) -> None:
        self.mode = check_choice("mode", mode, PASS_MODES)
        self.uses: list[Use] = []


@contextlib.contextmanager
def forward_pass(mode: str) -> Iterator[ForwardPass]:
    """Inside this context LEA layers report to the ``ForwardPass`` yielded and register no loss with ``add_loss``."""
    outer = getattr(_threads, "forward_pass", None)
    _threads.forward_pass = ForwardPass(mode)
    try:
        yield _threads.forward_pass
    finally:
        _threads.forward_pass = outer


@keras.saving.register_keras_serializable(PACKAGE)
class LocallyEmbeddedAutoencoder(layers.Layer):
    """Encodes every window of its input with one small shared autoencoder and returns the codes as code maps.

    It stands where a pooling layer stands and has that layer's grid of windows. Only code maps are returned; the
    autoencoder's own loss, times ``loss_weight``, is registered with ``add_loss``, so that an ordinary ``keras.Model``
    trains it jointly with the main task (Eq. 5.3). ``lea_keras.LEAModel`` also trains independently and alternately.

    Input [b, h, w, c], output [b, rows, columns, code_length] ([b, c, h, w] and [b, code_length, rows, columns] if
    channels come first); h and w may be unknown.

    Args:
        window_size: int or pair (rows, columns), in pixels.
        autoencoder: an autoencoder, a name ("standard", "k_sparse", "vae", "capacity_vae"; with default arguments) or
            the config of one.
        strides: int or pair (rows, columns), in pixels. None: the window size, as in Keras' pooling layers.
        padding: "same" (zero padding, the thesis' choice) or "valid".
        loss_weight: λ of Eq. 5.3, at least 0. It weighs this LEA's objective in every optimisation **(chosen)**; with
            Adam, which ignores the scale of a loss, it matters only jointly. At 0 the decoder is neither run nor
            trained: the Decoder-free baseline of section 4.7.
        data_format: "channels_last", "channels_first" or None for Keras' setting.
        **kwargs: Keras' own (name, dtype, …).

    Raises:
        ValueError: for an argument outside what is said above; when built, for an input that is not of rank 4, whose
            channels are unknown, or that is smaller than a window under "valid".
    """

    def __init__(
        self,
        window_size: int | tuple[int, int],
        autoencoder: Any = "standard",
        strides: int | tuple[int, int] | None = None,
        padding: str = "same",
        loss_weight: float = 1.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window_size, self.strides, self.padding, self.data_format = check_windowing(
            window_size, strides, padding, data_format
        )
        self.loss_weight = check_number("loss_weight", loss_weight)
        dtype = {"dtype": self.dtype_policy} if isinstance(autoencoder, str) else {}
        self.autoencoder = autoencoders.get(autoencoder, **dtype)
        self._last_loss = None

    @property
    def code_length(self) -> int:
        """Variables of a code, which is the number of code maps."""
        return self.autoencoder.code_length

    def build(self, images_shape: Any) -> None:
        images_shape = tuple(images_shape)
        if len(images_shape) != 4:
            raise fail("inputs", "of rank 4, [batch, rows, columns, channels]", images_shape)
        channel_axis = 1 if self.data_format == "channels_first" else 3
        channels = images_shape[channel_axis]
        if channels is None:
            raise fail("inputs", "of a known number of channels", images_shape)
        check_window_fits(self.window_size, self.padding, self._spatial(images_shape))
        windows_shape = (None, *self.window_size, channels)
        if not self.autoencoder.built:
            self.autoencoder.build(windows_shape)
        elif self.autoencoder.windows_shape != windows_shape:
            raise fail("autoencoder", f"new or built for windows {windows_shape}", self.autoencoder.windows_shape)
        if not self.loss_weight:
            self.autoencoder.decoder.trainable = False
        self.input_spec = layers.InputSpec(ndim=4, axes={channel_axis: channels})

    def call(self, images: Any, training: bool = False) -> Any:
        windows = extract_windows(images, self.window_size, self.strides, self.padding, self.data_format)
        rows, columns = (
            static if static is not None else dynamic
            for static, dynamic in zip(windows.shape[1:3], ops.shape(windows)[1:3], strict=True)
        )
        windows = ops.reshape(windows, (-1, *windows.shape[3:]))  # [b·rows·columns, wh, ww, c]
        current = getattr(_threads, "forward_pass", None)
        if current is None:
            codes = self._encode_and_add_loss(windows, training)
        elif current.mode == "codes" or not (self.loss_weight or current.mode == "inspect"):
            codes = self.autoencoder.encode(windows, training)
        else:
            if current.mode == "local":
                windows = ops.stop_gradient(windows)
            first = all(use.layer is not self for use in current.uses)
            objective = self.autoencoder.objective(windows, training, first)
            if self.data_format == "channels_first":
                images = ops.transpose(images, (0, 2, 3, 1))  # [b, c, h, w] -> [b, h, w, c]
            current.uses.append(Use(self, objective, images, (rows, columns)))
            codes = objective.codes
        code_maps = ops.reshape(codes, (-1, rows, columns, self.code_length))
        if self.data_format == "channels_first":
            code_maps = ops.transpose(code_maps, (0, 3, 1, 2))  # [b, code_length, rows, columns]
        return code_maps

    def _encode_and_add_loss(self, windows: Any, training: bool) -> Any:
        """Codes of windows [n, wh, ww, c]; the weighted objective is registered the Keras way."""
        if not self.loss_weight:
            return self.autoencoder.encode(windows, training)
        # Keras clears losses at the start of every outermost call: where our last one still stands, this is a second
        # use of the layer in the same forward pass.
        first = all(loss is not self._last_loss for loss in self.losses)
        objective = self.autoencoder.objective(windows, training, first)
        self._last_loss = self.loss_weight * objective.loss
        self.add_loss(self._last_loss)
        return objective.codes

    def _spatial(self, images_shape: Any) -> tuple[Any, Any]:
        return tuple(images_shape[2:4] if self.data_format == "channels_first" else images_shape[1:3])

    def compute_output_shape(self, images_shape: Any) -> tuple[Any, ...]:
        rows, columns = (
            None if size is None else grid(size, window, stride, self.padding).count
            for size, window, stride in zip(self._spatial(images_shape), self.window_size, self.strides, strict=True)
        )
        if self.data_format == "channels_first":
            return (images_shape[0], self.code_length, rows, columns)
        return (images_shape[0], rows, columns, self.code_length)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "window_size": self.window_size,
            "autoencoder": coders.unbuilt_config(self.autoencoder),
            "strides": self.strides,
            "padding": self.padding,
            "loss_weight": self.loss_weight,
            "data_format": self.data_format,
        }
