"""A LEA's work in chunks of windows: the same numbers in memory that stays small.

The objective is a mean over windows, and no window knows of another. So it can be computed over chunks, forward and
backward, adding up sums and gradients: exact but for rounding. Windows are cut out chunk by chunk, too. A chunk
consists of whole rows of windows, since those share most of their pixels; noise is drawn for all windows at once, which
takes no more memory than the code maps, so that chunks change nothing about it.
"""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from lea_keras import losses
from lea_keras.autoencoders import likelihoods
from lea_keras.autoencoders.base import Autoencoder, Report
from lea_keras.checks import fail, is_integer
from lea_keras.hooks import layers_of
from lea_keras.layers import autodiff
from lea_keras.layers.strips import lay_strips
from lea_keras.windows import Windows

_GPU_BYTES = 2**29
_LARGE_BYTES = 2**29
_UNKNOWN_CACHE = 8 * 2**20  # bytes


def check_chunk_windows(chunk_windows: Any) -> int | str | None:
    """Returns None, "auto" or a positive int, or raises ``ValueError``."""
    if chunk_windows is None or chunk_windows == "auto":
        return chunk_windows
    if not is_integer(chunk_windows) or chunk_windows < 1:
        raise fail("chunk_windows", 'None, "auto" or a positive integer', chunk_windows)
    return int(chunk_windows)


def divides(autoencoder: Autoencoder) -> bool:
    """Whether an autoencoder's objective is a mean over windows, and so one over chunks: no measure is of a batch."""
    return type(autoencoder).batch_measures is Autoencoder.batch_measures


def automatic(autoencoder: Autoencoder) -> int:
    """How many windows to take at once **(chosen)**: on a CPU as many that each layer's output for them fits into half
    of the last cache; on a GPU as many that all outputs together take 512 MiB. Less is slower: matrix products become
    too small, and gradients are added up too often (``benchmarks/RESULTS.md``).

    Args:
        autoencoder: built.
    """
    itemsize = _itemsize(autoencoder)
    values = _values_per_window(autoencoder)
    if any(device.startswith("gpu") for device in keras.distribution.list_devices()):
        return max(1, _GPU_BYTES // (itemsize * sum(values)))
    return max(1, _last_cache() // 2 // (itemsize * max(values)))


def encodes_in_chunks(autoencoder: Autoencoder, windows: Windows, chunk_windows: int | str | None) -> bool:
    """Whether encoding alone goes through windows in chunks, whose way back encodes once more."""
    return is_large(autoencoder, windows) if chunk_windows == "auto" else chunk_windows is not None


def is_large(autoencoder: Autoencoder, windows: Windows) -> bool:
    """Whether what an encoder makes of all windows of a batch is worth being encoded twice to save its memory: from 512
    MiB **(chosen)**. A batch of unknown size counts as 32 images, images of unknown size are large.

    Args:
        autoencoder: built.
        windows: of the batch.
    """
    count = windows.rows * windows.columns
    if not isinstance(count, int):
        return True
    values = math.prod(autoencoder.windows_shape[1:]) + autoencoder.features_length
    return 4 * values * count * (windows.images.shape[0] or 32) >= _LARGE_BYTES


def _itemsize(autoencoder: Autoencoder) -> int:
    """Bytes of a value in the dtype in which an autoencoder computes."""
    return {"float16": 2, "bfloat16": 2, "float64": 8}.get(autoencoder.compute_dtype, 4)


def _values_per_window(autoencoder: Autoencoder) -> list[int]:
    """How many values each layer of an autoencoder makes of one window, the window itself first."""
    values = [math.prod(autoencoder.windows_shape[1:]), autoencoder.code_length]
    for coder, length in ((autoencoder.encoder, autoencoder.features_length), (autoencoder.decoder, values[0])):
        of_layers = []
        for layer in layers_of(coder):
            if isinstance(layer, keras.layers.Dense):
                of_layers.append(layer.units)
            elif isinstance(getattr(layer, "filters", None), int):
                # A convolution's output is never larger than the window.
                of_layers.append(layer.filters * math.prod(autoencoder.windows_shape[1:3]))
        values += of_layers or [length]
    return values


def _last_cache() -> int:
    """Bytes of the largest cache of the first CPU core, where the system says so."""
    files = pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    kilobytes = [text[:-1] for text in (file.read_text().strip() for file in files) if text.endswith("K")]
    return max((int(number) * 2**10 for number in kilobytes), default=_UNKNOWN_CACHE)


class Chunked:
    """What an autoencoder makes of the windows of images, chunk by chunk.

    Args:
        autoencoder: built for the windows, without state of its own in encoder and decoder.
        windows: of the images.
        chunk_windows: how many of them a chunk has; if that is no number: see ``automatic``.
        training: as in Keras.
        variables: of the autoencoder, those that gradients are wanted for.
        noisy: whether codes may be random.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        windows: Windows,
        chunk_windows: int | str | None,
        training: bool,
        variables: Sequence[keras.Variable] = (),
        noisy: bool = True,
    ) -> None:
        self.autoencoder, self.windows, self.training = autoencoder, windows, training
        size = chunk_windows if isinstance(chunk_windows, int) else automatic(autoencoder)
        self.strips = strips = lay_strips(windows, size)
        self.dtype = losses.wide_dtype(windows.images.dtype, autoencoder.compute_dtype)  # of sums over windows
        self.variables = list(variables)
        self.values = [_read(variable) for variable in self.variables]
        wanted = {id(variable) for variable in self.variables}
        constants = (variable for variable in autoencoder.weights if id(variable) not in wanted)
        self.constants = [(variable, ops.stop_gradient(_read(variable))) for variable in constants]
        noise = autoencoder.draw_noise(strips.count * strips.columns, training) if noisy else None
        if noise is not None:  # [n, …] -> [count, columns, …]
            noise = ops.reshape(noise, (strips.count, strips.columns, *noise.shape[1:]))
        self.noise = noise

    def codes(self) -> Any:
        """Codes [n, code_length]; going back, every chunk is encoded once more, so that no activations are kept."""
        return self._differentiable(())[0]

    def objective(self, first: bool) -> Report:
        """The report of ``Autoencoder.objective``; going back as in ``codes``."""
        codes, means = self._differentiable(self.autoencoder.averaged)
        step = self.autoencoder.advance(self.training, first)
        loss, measures = self.autoencoder.conclude(means, self.windows.limits, step)
        return Report(codes, None, measures, loss)

    def local(self, first: bool, scale: Any) -> Report:
        """The same with the gradients of ``scale`` times its loss with respect to the variables, both from
        one run through the chunks. Nothing flows back to the images or from the codes.

        Where the slopes of the loss depend on the means over all windows, a run of the encoder finds those first.
        """
        step, averaged = self.autoencoder.advance(self.training, first), self.autoencoder.averaged
        # What is outside must not see the loop: TensorFlow would keep all that is computed in it, to go back once more.
        images = self.strips.padded(ops.stop_gradient(self.windows.images))
        values = [ops.stop_gradient(value) for value in self.values]
        means: dict[str, Any] = dict.fromkeys(averaged, ops.zeros((), self.dtype))
        if not self.autoencoder.linear:
            encoded = [name for name in averaged if name not in likelihoods.DECODED]
            means |= self._means(self._run(images, self.noise, values, encoded)[1])
        slopes = self._slopes(means, step, scale)

        def body(i: Any, carry: Any) -> tuple[Any, list[Any]]:
            sums, gradients = carry
            pixels, noise, kept = self._chunk(images, self.noise, i)

            def part(*values: Any) -> tuple[dict[str, Any], Any]:
                outputs = self._part(pixels, noise, kept, values, averaged)
                codes = outputs.pop("codes")
                return outputs, codes

            outputs, codes, more = autodiff.vjp(part, values, slopes)
            gradients = [a + b for a, b in zip(gradients, more, strict=True)]
            return ({name: sums[name] + outputs[name] for name in sums}, gradients), [codes]

        start = (dict.fromkeys(averaged, ops.zeros((), self.dtype)), [ops.zeros_like(value) for value in values])
        (sums, gradients), (codes,) = autodiff.scan(body, start, self.strips.chunks, [self._kept()])
        loss, measures = self.autoencoder.conclude(self._means(sums), self.windows.limits, step)
        return Report(self._flat(codes), None, measures, loss, gradients)

    def _slopes(self, means: dict[str, Any], step: Any, scale: Any) -> dict[str, Any]:
        """The slope of the scaled loss along the sum over windows of each measure."""
        names = list(means)

        def loss(*values: Any) -> tuple[Any, Any]:
            return self.autoencoder.loss(dict(zip(names, values, strict=True)), step)[0], ()

        _, _, slopes = autodiff.vjp(loss, [means[name] for name in names], ops.ones((), self.dtype))
        scale = ops.cast(scale, self.dtype)
        return {name: slope * scale / self._count() for name, slope in zip(names, slopes, strict=True)}

    def _differentiable(self, measured: Sequence[str]) -> tuple[Any, dict[str, Any]]:
        """Codes [n, code_length] and means over windows, with gradients for images and variables."""
        given = [] if self.noise is None else [self.noise]

        def split(arguments: Sequence[Any]) -> tuple[Any, Any, Sequence[Any]]:
            images, *others = arguments
            return (images, others[0], others[1:]) if given else (images, None, others)

        def function(*arguments: Any) -> tuple[Any, ...]:
            images, noise, values = split(arguments)
            codes, sums = self._run(self.strips.padded(images), noise, values, measured)
            return codes, *(sums[name] for name in measured)

        def gradient(arguments: Sequence[Any], upstream: Sequence[Any]) -> list[Any]:
            images, noise, values = split(arguments)
            strips = self.strips
            codes, sums = upstream[0], dict(zip(measured, upstream[1:], strict=True))
            codes = ops.reshape(codes, (strips.count, strips.columns, -1))
            padded = strips.padded(images)

            def body(i: Any, gradients: Any) -> tuple[Any, list[Any]]:
                pixels, own_noise, kept = self._chunk(padded, noise, i)

                def part(pixels: Any, *values: Any) -> tuple[dict[str, Any], Any]:
                    return self._part(pixels, own_noise, kept, values, measured), ()

                own_codes = ops.take(codes, strips.chosen(i)[0], axis=0) * ops.cast(kept, codes.dtype)[:, None, None]
                _, _, (below, *more) = autodiff.vjp(part, [pixels, *values], sums | {"codes": own_codes})
                return [a + b for a, b in zip(gradients, more, strict=True)], [below]

            start = [ops.zeros_like(value) for value in values]
            shape = (strips.chunk if isinstance(strips.chunk, int) else None, *padded.shape[2:])
            shape = (shape[0], self.windows.window_size[0], *shape[1:])
            gradients, (pixels,) = autodiff.scan(body, start, strips.chunks, [(shape, padded.dtype)])
            pixels = ops.reshape(pixels, (-1, *ops.shape(pixels)[2:]))[: strips.count]  # [count, wh, width, c]
            _, _, (images,) = autodiff.vjp(lambda images: (strips.all_pixels(images), ()), [images], pixels)
            return [images, *(ops.zeros_like(noise) for noise in given), *gradients]

        codes, *sums = autodiff.with_gradient(function, gradient)(self.windows.images, *given, *self.values)
        return codes, self._means(dict(zip(measured, sums, strict=True)))

    def _run(
        self, images: Any, noise: Any, values: Sequence[Any], measured: Sequence[str]
    ) -> tuple[Any, dict[str, Any]]:
        """Codes [n, code_length] of padded images, and sums by name."""

        def body(i: Any, sums: Any) -> tuple[Any, list[Any]]:
            outputs = self._part(*self._chunk(images, noise, i), values, measured)
            return {name: sums[name] + outputs[name] for name in sums}, [outputs["codes"]]

        start = dict.fromkeys(measured, ops.zeros((), self.dtype))
        sums, (codes,) = autodiff.scan(body, start, self.strips.chunks, [self._kept()])
        return self._flat(codes), sums

    def _chunk(self, images: Any, noise: Any, i: Any) -> tuple[Any, Any, Any]:
        """The pixels below chunk i, its noise, and which of its rows of windows count."""
        chosen, kept = self.strips.chosen(i)
        noise = None if noise is None else ops.take(noise, chosen, axis=0)
        return self.strips.pixels(images, chosen), noise, kept

    def _part(
        self, pixels: Any, noise: Any, kept: Any, values: Sequence[Any], measured: Sequence[str]
    ) -> dict[str, Any]:
        """One chunk: its "codes" and the sums of its measures."""
        length = self.autoencoder.code_length
        mapping = [*zip(self.variables, values, strict=True), *self.constants]
        with keras.StatelessScope(state_mapping=mapping):
            windows = self.strips.windows(pixels)
            noise = None if noise is None else ops.reshape(noise, (-1, *noise.shape[2:]))  # [chunk·columns, …]
            decode = not set(measured).isdisjoint(likelihoods.DECODED)
            parts = self.autoencoder.measure(windows, noise, self.training, decode=decode)
        counted = ops.repeat(ops.cast(kept, self.dtype), self.strips.columns)  # [chunk] -> [chunk·columns]
        outputs = {name: ops.sum(parts.measures[name] * counted) for name in measured}
        outputs["codes"] = ops.reshape(parts.codes, (-1, self.strips.columns, length))
        return outputs

    def _means(self, sums: dict[str, Any]) -> dict[str, Any]:
        return {name: total / self._count() for name, total in sums.items() if name in self.autoencoder.averaged}

    def _count(self) -> Any:
        return ops.cast(ops.maximum(self.strips.count * self.strips.columns, 1), self.dtype)  # a batch may be empty

    def _kept(self) -> tuple[Any, str]:
        sizes = (self.strips.chunk, self.strips.columns, self.autoencoder.code_length)
        return tuple(size if isinstance(size, int) else None for size in sizes), self.autoencoder.compute_dtype

    def _flat(self, codes: Any) -> Any:
        """[chunks, chunk, columns, code_length] -> [n, code_length], without what fills the last chunk up."""
        length = self.autoencoder.code_length
        return ops.reshape(codes, (-1, length))[: self.strips.count * self.strips.columns]


def _read(variable: keras.Variable) -> Any:
    """A variable's value in its own dtype, in which gradients are summed, also where the layer computes in another."""
    return ops.cast(ops.convert_to_tensor(variable.value), variable.dtype)
