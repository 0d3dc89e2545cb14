"""The locally embedded autoencoder as a Keras layer (thesis chapter 3)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from lea_keras import autoencoders
from lea_keras.autoencoders import coders
from lea_keras.autoencoders.base import Report
from lea_keras.checks import check_number, fail
from lea_keras.hooks import has_state, layers_of, sublayers
from lea_keras.layers import chunking, scope
from lea_keras.version import PACKAGE
from lea_keras.windows import Windows, check_window_fits, check_windowing, grid


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
        autoencoder: an autoencoder, a name ("standard", "k_sparse", "vae", "capacity_vae", "info_vae", "joint_vae";
            with default arguments) or the config of one. By name it takes the layer's dtype policy, otherwise it
            computes in its own; code maps are cast to the layer's **(chosen)**.
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
            decoder must be without state of their own (batch normalisation, dropout). With a type whose objective is
            no mean over windows ("info_vae") "auto" takes all windows, and a number is refused.
        **kwargs: Keras' own (name, dtype, …).

    Raises:
        ValueError: for an argument outside what is said above; when built, for an input that is not of rank 4, whose
            channels are unknown, or that is smaller than a window under "valid".
    """

    def __init__(
        self,
        window_size: int | tuple[int, int],
        autoencoder: str | autoencoders.Autoencoder | dict[str, Any] = "standard",
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
        if isinstance(self.chunk_windows, int) and not chunking.divides(self.autoencoder):
            kind = type(self.autoencoder).__name__
            allowed = f'None or "auto" with {kind}, whose objective is not a mean over windows'
            raise fail("chunk_windows", allowed, chunk_windows)
        self._last_loss = None

    @property
    def _chunk_windows(self) -> int | str | None:
        """``chunk_windows``; None where chunks would change the objective."""
        return self.chunk_windows if chunking.divides(self.autoencoder) else None

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
        if self._chunk_windows is not None:
            self._check_stateless()
        self.input_spec = layers.InputSpec(ndim=4, axes={channel_axis: channels})

    def call(self, images: Any, training: bool = False) -> Any:
        if self.data_format == "channels_first":
            images = ops.transpose(images, (0, 2, 3, 1))  # [b, c, h, w] -> [b, h, w, c]
        around = scope.current()
        current = scope.Scope(decode=True) if around is None else around
        windows = Windows(images, self.window_size, self.strides, self.padding, current.blockwise)
        if not (current.decode and (self.loss_weight or current.inspect)):
            codes = self._encode(windows, training, current)
        elif around is None:
            codes = self._add_loss(self._measure(windows, training, self._is_first(), current))
        else:
            codes = self._report(windows, training, current)
        code_maps = windows.as_maps(codes)
        if self.data_format == "channels_first":
            code_maps = ops.transpose(code_maps, (0, 3, 1, 2))  # [b, code_length, rows, columns]
        return ops.cast(code_maps, self.compute_dtype)  # the autoencoder may have a dtype policy of its own

    def _encode(self, windows: Windows, training: bool, current: scope.Scope) -> Any:
        """Codes [n, code_length]."""
        if self.loss_weight:
            current.counted()
        autoencoder = self.autoencoder
        noisy = bool(self.loss_weight)  # without a decoder it is a part of the network like any other
        if chunking.encodes_in_chunks(autoencoder, windows, self._chunk_windows):
            of_decoder = {id(variable) for variable in autoencoder.decoder.variables}
            mine = [variable for variable in self.trainable_variables if id(variable) not in of_decoder]
            # Where a training step only encodes, encoders stay fixed.
            return self._chunked(windows, training, mine if current.decode else (), noisy).codes()
        features = autoencoder.features(windows.flat, training)
        noise = autoencoder.draw_noise(ops.shape(windows.flat)[0], training) if noisy else None
        codes = autoencoder.encode_features(features, noise, training)[0]
        if id(self) not in current.kept:
            return codes
        current.kept[id(self)].append(Report(None, None, {}, features=features, windows=windows))
        # Only the pass that goes on with the features asks for gradients of what is before them.
        return ops.stop_gradient(codes)

    def _report(self, windows: Windows, training: bool, current: scope.Scope) -> Any:
        """Codes [n, code_length]; all else goes to the scope."""
        first = all(report.layer is not self for report in current.reports)
        report = self._measure(windows, training, first, current)
        current.reports.append(report._replace(layer=self, windows=windows))
        current.counted()
        return report.codes

    def _measure(self, windows: Windows, training: bool, first: bool, current: scope.Scope) -> Report:
        """Codes, loss and measures."""
        if self._chunk_windows is not None and not current.inspect:
            chunked = self._chunked(windows, training, self.trainable_variables)
            if current.isolate:
                return chunked.local(first, current.scales.get(id(self), 1.0))
            return chunked.objective(first)
        encoded = current.encoded(self)
        if encoded is not None:
            windows = encoded.windows
        elif current.isolate:
            windows = windows.isolated()
        features = None if encoded is None else encoded.features
        return self.autoencoder.objective(windows.flat, training, first, features=features, limits=windows.limits)

    def _chunked(
        self, windows: Windows, training: bool, variables: Sequence[keras.Variable], noisy: bool = True
    ) -> chunking.Chunked:
        if training and any(variable.overwrite_with_gradient for variable in variables):
            # Scales that training in float8 hands on as gradients, which must not be summed over chunks.
            raise fail("chunk_windows", "None to train an autoencoder quantised to float8", self.chunk_windows)
        return chunking.Chunked(self.autoencoder, windows, self.chunk_windows, training, variables, noisy)

    def _is_first(self) -> bool:
        """Whether this is the layer's first use in a forward pass outside any scope, at the start of which Keras clears
        losses: our last one is gone then."""
        return all(loss is not self._last_loss for loss in self.losses)

    def _add_loss(self, report: Report) -> Any:
        """Registers the weighted loss the Keras way; returns the codes."""
        # Where Keras adds losses up they must have its dtype.
        self._last_loss = ops.cast(self.loss_weight * report.loss, keras.config.floatx())
        self.add_loss(self._last_loss)
        return report.codes

    def _check_stateless(self) -> None:
        for coder in (self.autoencoder.encoder, self.autoencoder.decoder):
            for part in layers_of(coder):
                if has_state(part):
                    allowed = "None for an encoder or decoder with state of its own, which chunks would change"
                    raise fail("chunk_windows", allowed, self.chunk_windows, f"Layer {part.name!r} has some.")

    def _spatial(self, images_shape: Any) -> tuple[Any, Any]:
        rows, columns = images_shape[2:4] if self.data_format == "channels_first" else images_shape[1:3]
        return rows, columns

    def compute_output_shape(self, images_shape: Any) -> tuple[Any, ...]:
        rows, columns = (
            None if size is None else grid(size, window, stride, self.padding).count
            for size, window, stride in zip(self._spatial(images_shape), self.window_size, self.strides, strict=True)
        )
        if self.data_format == "channels_first":
            return (images_shape[0], self.code_length, rows, columns)
        return (images_shape[0], rows, columns, self.code_length)

    def get_config(self) -> dict[str, Any]:
        autoencoder = coders.unbuilt_config(self.autoencoder)
        frozen = autoencoder["config"].get("frozen", [])
        if not self.loss_weight and "decoder" in frozen:  # as it will be again, in a layer without a weight
            autoencoder["config"]["frozen"] = [name for name in frozen if name != "decoder"]
        return super().get_config() | {
            "window_size": self.window_size,
            "autoencoder": autoencoder,
            "strides": self.strides,
            "padding": self.padding,
            "loss_weight": self.loss_weight,
            "data_format": self.data_format,
            "chunk_windows": self.chunk_windows,
        }


def find_leas(layer: layers.Layer) -> list[LocallyEmbeddedAutoencoder]:
    """Returns all LEA layers inside a layer or model, nested ones too, each once, in the order of their adding."""
    leas: list[LocallyEmbeddedAutoencoder] = []
    for child in sublayers(layer, recursive=False):
        inside = [child] if isinstance(child, LocallyEmbeddedAutoencoder) else find_leas(child)
        leas.extend(lea for lea in inside if all(lea is not other for other in leas))
    return leas
