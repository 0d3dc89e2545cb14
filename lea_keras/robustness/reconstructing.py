"""Autoencoders of images as attacks see them: what an image is encoded as, and what is reconstructed of it."""

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from lea_keras.autoencoders.base import Autoencoder
from lea_keras.checks import fail
from lea_keras.layers.lea import LocallyEmbeddedAutoencoder, find_leas
from lea_keras.layers.scope import forward_pass
from lea_keras.robustness.inputs import check_input_shape, fits
from lea_keras.utils import slices
from lea_keras.windows import Windows, merge_windows

_CHUNK = 500  # images that are encoded and reconstructed at once


class Reconstructor:
    """The autoencoder of images inside a model: one window or any grid of them, always outside training.

    Args:
        model: a ``keras.Model`` with exactly one LEA that is given the model's images as they are (such as
            ``lea_keras.image_autoencoder`` returns), that LEA itself, or a built autoencoder whose window is the image.
        image_shape: of one image, without the batch axis, its channels where the LEA has them.
        bounds: (lower, upper) of the images' values.
        argument: that gave the shape, for messages.

    Attributes:
        layer: what has the weights: the LEA, or the autoencoder of whole images.
        autoencoder: of its windows.

    Raises:
        ValueError: for a model without such a LEA, or images that it does not take.
    """

    def __init__(
        self,
        model: Any,
        image_shape: tuple[int, ...],
        bounds: tuple[float, float] = (0.0, 1.0),
        argument: str = "images",
    ) -> None:
        self.layer = _layer_of(model, image_shape, argument)
        whole = isinstance(self.layer, Autoencoder)
        self.autoencoder: Autoencoder = self.layer if whole else self.layer.autoencoder
        self.bounds, self.image_shape = bounds, tuple(image_shape)
        self._channels_first = not whole and self.layer.data_format == "channels_first"
        rows_columns_channels = (*image_shape[1:], image_shape[0]) if self._channels_first else tuple(image_shape)
        if whole and self.layer.windows_shape[1:] != rows_columns_channels:
            raise fail(argument, f"of the shape that the autoencoder takes, {self.layer.windows_shape}", image_shape)
        if not whole and not self.layer.built:
            self.layer.build((None, *image_shape))
        self._size: tuple[int, int] = (rows_columns_channels[0], rows_columns_channels[1])
        self._window, self._strides, self._padding = (
            (self._size, self._size, "valid")
            if whole
            else (self.layer.window_size, self.layer.strides, self.layer.padding)
        )

    def representation(self, images: Any) -> Any:
        """h of images [n, …] as a tensor, float32 [n, windows·code_length]: ``Autoencoder.representation`` of all
        windows of an image one after the other. It may be traced, and has gradients."""
        codes = self.autoencoder.representation(self._windows(images).flat)  # [n·rows·columns, code_length]
        return ops.reshape(ops.cast(codes, "float32"), (-1, self.length))

    @property
    def length(self) -> int:
        """Entries of h."""
        sample = Windows(ops.zeros((1, *self._size, 1)), self._window, self._strides, self._padding)
        return int(sample.rows * sample.columns) * self.autoencoder.code_length

    def reconstruct(self, images: Any) -> Any:
        """The merged reconstructions of images as a tensor of their shape, float32, clipped to the bounds **(chosen)**.

        What is decoded is what is decoded outside training: the means of a VAE, the likeliest category.
        """
        windows = self._windows(images)
        count = ops.shape(windows.flat)[0]
        autoencoder = self.autoencoder
        features = autoencoder.features(windows.flat)
        codes = autoencoder.codes_of(features, autoencoder.draw_noise(count, False), False)[1]
        decoded = autoencoder.decode(ops.cast(codes, autoencoder.compute_dtype))  # [n·rows·columns, wh, ww, c]
        decoded = ops.cast(decoded, "float32")
        if self._is_one_window():
            merged = decoded
        else:
            parted = ops.reshape(decoded, (-1, windows.rows, windows.columns, *decoded.shape[1:]))
            merged = merge_windows(parted, self._size, self._strides, self._padding, "channels_last")
        if self._channels_first:
            merged = ops.transpose(merged, (0, 3, 1, 2))  # [n, h, w, c] -> [n, c, h, w]
        return ops.clip(merged, *self.bounds)

    def representations(self, images: np.ndarray) -> np.ndarray:
        """``representation`` of any number of images, as an array."""
        return self._in_chunks(self.representation, images)

    def reconstructions(self, images: np.ndarray) -> np.ndarray:
        """``reconstruct`` of any number of images, as an array."""
        return self._in_chunks(self.reconstruct, images)

    def _windows(self, images: Any) -> Any:
        images = ops.transpose(images, (0, 2, 3, 1)) if self._channels_first else images
        if self._is_one_window():
            return _OneWindow(images)
        return Windows(images, self._window, self._strides, self._padding)

    def _is_one_window(self) -> bool:
        return self._window == self._size and (self._padding == "valid" or self._strides == self._size)

    def _in_chunks(self, function: Any, images: np.ndarray) -> np.ndarray:
        parts = [
            np.asarray(ops.convert_to_numpy(function(ops.convert_to_tensor(images[part]))))
            for part in slices(len(images), _CHUNK)
        ]
        return np.concatenate(parts)


class _OneWindow:
    """Images that are windows as they are: nothing is cut."""

    rows = columns = 1

    def __init__(self, images: Any) -> None:
        self.flat = images


def _layer_of(model: Any, image_shape: tuple[int, ...], argument: str) -> Any:
    """The LEA that a model gives its images to, or the autoencoder of whole images."""
    if isinstance(model, LocallyEmbeddedAutoencoder):
        return model
    if isinstance(model, Autoencoder):
        if not model.built:
            raise fail("model", "built: encode an image first", model.name)
        return model
    leas = find_leas(model) if isinstance(model, keras.Model) else []
    if not leas:
        received = type(model).__name__
        if isinstance(model, keras.Model):
            received = f"a model with the layers {[layer.name for layer in model.layers]}"
        raise fail("model", "an autoencoder, or a model with a LEA", received)
    _check_input(model, image_shape, argument)
    # Values of which no layer makes the same again, so that a LEA that is given something else shows itself.
    probe = np.linspace(0.1, 0.9, math.prod(image_shape), dtype="float32").reshape(1, *image_shape)
    with forward_pass("inspect") as current:
        model(ops.convert_to_tensor(probe), training=False)
    given = []
    for report in current.reports:
        images = np.asarray(ops.convert_to_numpy(ops.cast(report.windows.images, "float32")))
        images = images.transpose(0, 3, 1, 2) if report.layer.data_format == "channels_first" else images
        if images.shape == probe.shape and np.array_equal(images, probe):
            given.append(report.layer)
    if len({id(layer) for layer in given}) != 1:
        received = f"one whose LEAs are {[lea.name for lea in leas]}, {len(given)} of which take the images"
        raise fail("model", "a model with one LEA that takes the images as they are", received)
    if not given[0].loss_weight:
        raise fail("model", "one whose LEA has a trained decoder", f"{given[0].name} with loss_weight=0")
    return given[0]


def _check_input(model: keras.Model, image_shape: tuple[int, ...], argument: str) -> None:
    """Raises if a model whose input is known takes other images; what it returns does not matter."""
    inputs = getattr(model, "inputs", None)
    if inputs and len(inputs) == 1:
        wanted = tuple(inputs[0].shape)
        if not fits(wanted, (None, *image_shape)):
            raise fail(argument, f"of the shape that the model takes, {wanted}", (None, *image_shape))


class _Reconstruction(layers.Layer):
    """Images → their reconstructions, as a layer, for ``judged``."""

    def __init__(self, reconstructor: Reconstructor) -> None:
        super().__init__(name="reconstruction", trainable=False)
        self.reconstructor = reconstructor
        self.reconstructed = reconstructor.layer  # tracked, so that its weights are the model's

    def call(self, images: Any) -> Any:
        return self.reconstructor.reconstruct(images)

    def compute_output_shape(self, images_shape: Any) -> tuple[Any, ...]:
        return tuple(images_shape)


def judged(
    model: Any, judge: keras.Model, image_shape: tuple[int, ...], bounds: tuple[float, float] = (0.0, 1.0)
) -> keras.Model:
    """Builds the classifier of images by their reconstructions, which ``evaluate`` attacks with all thirteen attacks::

        victim = robustness.judged(model, judge, images.shape[1:])
        robustness.evaluate(victim, images, labels, attacks="deep_fool")

    Gradients go through judge, decoder and encoder; those of a categorical code are as ``JointAutoencoder`` has them.
    Clipping takes them from pixels whose reconstruction is outside the bounds, which it never is with a Bernoulli
    likelihood.

    Args:
        model: an autoencoder of images, as ``Reconstructor`` takes it.
        judge: from images to logits [n, classes].
        image_shape: of one image, without the batch axis.
        bounds: (lower, upper) of the images' values, to which reconstructions are clipped.

    Returns:
        A ``keras.Model`` from images to logits, with the weights of both.

    Raises:
        ValueError: as ``Reconstructor``, or if the judge takes no such images.
    """
    reconstructor = Reconstructor(model, tuple(image_shape), bounds, "image_shape")
    check_input_shape(judge, (None, *image_shape), "image_shape", "judge")
    images = keras.Input(tuple(image_shape), name="image")
    return keras.Model(images, judge(_Reconstruction(reconstructor)(images)), name="judged")
