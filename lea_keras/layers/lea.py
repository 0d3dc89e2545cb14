"""The locally embedded autoencoder as a Keras layer (thesis chapter 3)."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from lea_keras import autoencoders
from lea_keras.autoencoders import coders
from lea_keras.autoencoders.base import Objective
from lea_keras.checks import check_choice, check_number, fail
from lea_keras.layers import chunking
from lea_keras.layers.strips import lay_strips
from lea_keras.version import PACKAGE
from lea_keras.windows import check_window_fits, check_windowing, extract_windows, grid, sides, value_range

PASS_MODES = ("codes", "objectives", "local", "inspect")

_threads = threading.local()  # under MirroredStrategy each replica traces in a thread of its own


class Use(NamedTuple):
    """One use of a LEA layer in a forward pass.

    Attributes:
        layer: the layer.
        objective: what its autoencoder made of the windows.
        images: the layer's input, [b, h, w, c] whatever the data format.
        grid: (rows, columns) of windows; the objective's first axis is b·rows·columns.
        gradients: of the scaled loss with respect to the layer's trainable variables, where the layer went through its
            windows in chunks in mode "local"; else None.
    """

    layer: "LocallyEmbeddedAutoencoder"
    objective: Objective
    images: Any
    grid: tuple[Any, Any]
    gradients: list[Any] | None = None


class Encoded(NamedTuple):
    """What an encoder made of windows.

    Attributes:
        windows: [n, wh, ww, c].
        features: [n, features].
    """

    windows: Any
    features: Any


class _PassIsOver(BaseException):
    """Ends a forward pass whose remaining layers are not needed. No ``Exception``: Keras rewrites those."""


class ForwardPass:
    """What LEA layers do during one forward pass of a model that handles their objectives itself.

    Args:
        mode: "codes": encode only. "objectives": compute the objectives too, with gradients flowing freely. "local":
            the same, but no gradient leaves a LEA for what comes before its windows. "inspect": the objectives of all
            LEAs, those with a loss weight of 0 too.
        until: the pass is over with this use of a LEA that has an objective; None: with the model's output.
        keep: layers whose encoded windows are kept.
        encoded: by ``id`` of a layer, of each of its uses what an earlier pass kept; it is not encoded again.
        scale: by ``id`` of a layer, what to multiply its loss by before ``Use.gradients`` are taken; 1 if absent.

    Attributes:
        count: how many LEAs with an objective were called.
        uses: every use of a LEA whose objective was computed, in the order of the calls.
        kept: by ``id`` of a layer in ``keep``, of each of its uses the windows and features.
    """

    def __init__(
        self,
        mode: str,
        *,
        until: int | None = None,
        keep: Sequence[layers.Layer] = (),
        encoded: Mapping[int, Sequence[Encoded]] | None = None,
        scale: Mapping[int, Any] | None = None,
    ) -> None:
        self.mode = check_choice("mode", mode, PASS_MODES)
        self.until = until
        self.count = 0
        self.uses: list[Use] = []
        self.kept: dict[int, list[Encoded]] = {id(layer): [] for layer in keep}
        self.encoded = {key: list(values) for key, values in (encoded or {}).items()}
        self.scale = dict(scale or {})


@contextlib.contextmanager
def forward_pass(mode: str, **options: Any) -> Iterator[ForwardPass]:
    """Inside this context LEA layers report to the ``ForwardPass`` yielded and register no loss with ``add_loss``.

    Args:
        mode: as in ``ForwardPass``.
        **options: as in ``ForwardPass``. With ``until``, the body ends where the pass is over.
    """
    outer = getattr(_threads, "forward_pass", None)
    _threads.forward_pass = ForwardPass(mode, **options)
    try:
        yield _threads.forward_pass
    except _PassIsOver:
        pass
    finally:
        _threads.forward_pass = outer


@keras.saving.register_keras_serializable(PACKAGE)
class LocallyEmbeddedAutoencoder(layers.Layer):
    """Encodes every window of its input with one small shared autoencoder and returns the codes as code maps.

    It stands where a pooling layer stands and has that layer's grid of windows. Only code maps are returned; the
    autoencoder's own loss, times ``loss_weight``, is registered with ``add_loss``, so that an ordinary ``keras.Model``
    trains it jointly with the main task (Eq. 5.3); it is computed in float32 or wider and registered in Keras'
    ``floatx``, the dtype of main losses. ``lea_keras.LEAModel`` also trains independently and alternately.

    On JAX a plain ``keras.Model`` loses what a layer has registered in earlier uses, so that a LEA that is used twice
    needs a ``LEAModel``; and a plain subclassed one must pass ``training`` to its layers (Keras 3.15).

    Input [b, h, w, c], output [b, rows, columns, code_length] ([b, c, h, w] and [b, code_length, rows, columns] if
    channels come first); h and w may be unknown.

    Args:
        window_size: int or pair (rows, columns), in pixels.
        autoencoder: an autoencoder, a name ("standard", "k_sparse", "vae", "capacity_vae"; with default arguments) or
            the config of one. By name it takes the layer's dtype policy, otherwise it computes in its own; code maps
            are cast to the layer's **(chosen)**.
        strides: int or pair (rows, columns), in pixels. None: the window size, as in Keras' pooling layers.
        padding: "same" (zero padding, the thesis' choice) or "valid".
        loss_weight: λ of Eq. 5.3, at least 0. It weighs this LEA's objective in every optimisation **(chosen)**; with
            Adam, which ignores the scale of a loss, it matters only jointly. At 0 the decoder is neither run nor
            trained: the Decoder-free baseline of section 4.7.
        data_format: "channels_last", "channels_first" or None for Keras' setting.
        chunk_windows: how many windows to work on at once. None: on all. A number: on the whole rows of windows that it
            has room for, at least one. "auto": as many as fit the last cache of the CPU, or a sensible part of a GPU's
            memory. Results are the same but for rounding; memory beyond input and code maps depends on the chunk
            alone. In the alternate LEA step nothing is computed twice for it. Wherever a gradient goes through the
            encoder to earlier layers, every chunk is encoded (and, jointly, decoded) once more on the way back instead
            of being kept; where only codes are asked for, "auto" does so from 512 MiB on **(chosen)**. Encoder and
            decoder must be without state of their own (batch normalisation, dropout).
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
        chunk_windows: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window_size, self.strides, self.padding, self.data_format = check_windowing(
            window_size, strides, padding, data_format
        )
        self.loss_weight = check_number("loss_weight", loss_weight)
        self.chunk_windows = chunking.check_chunk_windows(chunk_windows)
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
        if self.chunk_windows is not None:
            self._check_stateless()
        self.input_spec = layers.InputSpec(ndim=4, axes={channel_axis: channels})

    def call(self, images: Any, training: bool = False) -> Any:
        if self.data_format == "channels_first":
            images = ops.transpose(images, (0, 2, 3, 1))  # [b, c, h, w] -> [b, h, w, c]
        rows, columns = self._grid(images)
        current = getattr(_threads, "forward_pass", None)
        if current is None:
            codes = self._encode_and_add_loss(images, training)
        elif current.mode == "codes" or not (self.loss_weight or current.mode == "inspect"):
            codes = self._encode(images, training, current)
        else:
            codes = self._use(images, (rows, columns), training, current)
        code_maps = ops.reshape(codes, (-1, rows, columns, self.code_length))
        if self.data_format == "channels_first":
            code_maps = ops.transpose(code_maps, (0, 3, 1, 2))  # [b, code_length, rows, columns]
        return ops.cast(code_maps, self.compute_dtype)  # the autoencoder may have a dtype policy of its own

    def _grid(self, images: Any) -> tuple[Any, Any]:
        """(rows, columns) of windows in images [b, h, w, c]: ints where they are known."""
        return tuple(
            grid(size, window, stride, self.padding).count
            for size, window, stride in zip(sides(images)[1:3], self.window_size, self.strides, strict=True)
        )

    def _windows(self, images: Any) -> Any:
        """Windows [n, wh, ww, c] of images [b, h, w, c]."""
        windows = extract_windows(images, self.window_size, self.strides, self.padding, "channels_last")
        return ops.reshape(windows, (-1, *windows.shape[3:]))  # [b, rows, columns, …] -> [b·rows·columns, wh, ww, c]

    def _chunked(self, images: Any, training: bool, variables: Sequence[keras.Variable]) -> chunking.Chunked:
        if training and any(variable.overwrite_with_gradient for variable in variables):
            # Scales that training in float8 hands on as gradients, which must not be summed over chunks.
            raise fail("chunk_windows", "None to train an autoencoder quantised to float8", self.chunk_windows)
        size = self.chunk_windows
        size = chunking.automatic(self.autoencoder) if size == "auto" else size
        strips = lay_strips(images, self.window_size, self.strides, self.padding, size)
        return chunking.Chunked(self.autoencoder, images, strips, training, variables)

    def _encode(self, images: Any, training: bool, current: ForwardPass | None = None) -> Any:
        """Codes [n, code_length] of images [b, h, w, c]."""
        if current is not None and self.loss_weight:
            current.count += 1
        if self._encodes_in_chunks(images):
            of_decoder = {id(variable) for variable in self.autoencoder.decoder.variables}
            mine = [variable for variable in self.trainable_variables if id(variable) not in of_decoder]
            # Between passes of a training step that only encodes, encoders stay fixed.
            return self._chunked(images, training, mine if current is None or current.mode != "codes" else ()).codes()
        windows = self._windows(images)
        if current is None or id(self) not in current.kept:
            return self.autoencoder.encode(windows, training)
        features = self.autoencoder.features(windows, training)
        current.kept[id(self)].append(Encoded(windows, features))
        noise = self.autoencoder.draw_noise(ops.shape(windows)[0], training)
        # Only the phase that goes on with the features asks for gradients of what is before them.
        return ops.stop_gradient(self.autoencoder.encode_features(features, noise, training)[0])

    def _encodes_in_chunks(self, images: Any) -> bool:
        """Whether encoding alone is worth chunks, whose way back encodes once more."""
        rows, columns = self._grid(images)
        if self.chunk_windows == "auto":
            return chunking.is_large(self.autoencoder, images, rows * columns)
        return self.chunk_windows is not None

    def _objective(
        self, images: Any, training: bool, first: bool, chunked: bool = True, encoded: Encoded | None = None
    ) -> Objective:
        if self.chunk_windows is not None and chunked:
            return self._chunked(images, training, self.trainable_variables).objective(first)
        limits = value_range(images, self.window_size, self.strides, self.padding)
        windows, features = encoded or (self._windows(images), None)
        return self.autoencoder.objective(windows, training, first, features=features, limits=limits)

    def _use(self, images: Any, size: tuple[Any, Any], training: bool, current: ForwardPass) -> Any:
        """Codes [n, code_length]; the objective is reported to the forward pass."""
        first, gradients = all(use.layer is not self for use in current.uses), None
        if current.mode != "local":
            objective = self._objective(images, training, first, chunked=current.mode != "inspect")
        elif self.chunk_windows is not None:
            chunked = self._chunked(images, training, self.trainable_variables)
            objective, gradients = chunked.local(first, current.scale.get(id(self), 1.0))
        elif id(self) in current.encoded:
            objective = self._objective(images, training, first, encoded=current.encoded[id(self)].pop(0))
        else:
            objective = self._objective(ops.stop_gradient(images), training, first)
        current.uses.append(Use(self, objective, images, size, gradients))
        current.count += 1
        if current.count == current.until:
            raise _PassIsOver
        return objective.codes

    def _encode_and_add_loss(self, images: Any, training: bool) -> Any:
        """Codes [n, code_length] of images [b, h, w, c]; the weighted objective is registered the Keras way."""
        if not self.loss_weight:
            return self._encode(images, training)
        # Keras clears losses at the start of every outermost call: where our last one still stands, this is a second
        # use of the layer in the same forward pass.
        first = all(loss is not self._last_loss for loss in self.losses)
        objective = self._objective(images, training, first)
        # Where Keras adds losses up they must have its dtype.
        self._last_loss = ops.cast(self.loss_weight * objective.loss, keras.config.floatx())
        self.add_loss(self._last_loss)
        return objective.codes

    def _check_stateless(self) -> None:
        for coder in (self.autoencoder.encoder, self.autoencoder.decoder):
            for part in coder._flatten_layers():
                state = part._non_trainable_variables if part.quantization_mode is None else []
                if state or part._seed_generators:
                    allowed = "None for an encoder or decoder with state of its own, which chunks would change"
                    raise fail("chunk_windows", allowed, self.chunk_windows, f"Layer {part.name!r} has some.")

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
            "chunk_windows": self.chunk_windows,
        }
