"""The attacked model: a foolbox model around a Keras model, which counts what attacks ask of it."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import eagerpy as ep
import foolbox
import keras
import numpy as np

from lea_keras.checks import fail
from lea_keras.layers.scope import forward_pass
from lea_keras.robustness.inputs import check_input_shape
from lea_keras.utils import slices

_CHUNK = 256  # images that the model takes at once, however many an attack hands over: LEAs make many windows of each
_ROUNDING = 1e-4  # of the largest logit, by which two runs of one model may differ
_SUM_ROUNDING = 1e-2  # of a softmax's sum in bfloat16


class Victim:
    """A Keras model as attacks see it, in ``foolbox_model``.

    It runs outside training, returns float32 logits whatever the dtype policy, and runs no decoder of a LEA. Batches
    may change their size freely: TensorFlow traces it once; JAX once for each power of two, to which batches are filled
    up. Images that have passed through it are counted, forward and backward: an image whose gradient was asked for
    counts twice.

    Args:
        model: a ``keras.Model`` with one input, images, and one output, logits [n, classes]. Its channels are where
            ``keras.config.image_data_format()`` says.
        image_shape: of one image, without the batch axis.
        bounds: (lower, upper) of the images' values.

    Raises:
        ValueError: if the model is no ``keras.Model``, does not take such images, or Keras runs on a backend for which
            there is no foolbox model here.
    """

    def __init__(self, model: keras.Model, image_shape: tuple[int, ...], bounds: tuple[float, float] = (0, 1)) -> None:
        if not isinstance(model, keras.Model):
            raise fail("model", "a keras.Model", model)
        check_input_shape(model, (None, *image_shape))
        _check_output(model, image_shape)
        self.bounds = bounds
        self.model_calls = 0
        self._watcher: Callable[[int], None] | None = None
        self.foolbox_model = _make_foolbox_model(model, image_shape, bounds, self._count)

    def _count(self, images: int) -> None:
        self.model_calls += images
        if self._watcher is not None:
            self._watcher(self.model_calls)

    @contextlib.contextmanager
    def watched(self, watcher: Callable[[int], None]) -> Iterator[None]:
        """Inside, ``watcher`` is told after every call how many images have passed through the model since."""
        before = self.model_calls
        self._watcher = lambda calls: watcher(calls - before)
        try:
            yield
        finally:
            self._watcher = None

    def tensor(self, array: np.ndarray) -> Any:
        """An array as the backend's own tensor, on the model's device."""
        return ep.from_numpy(self.foolbox_model.dummy, array).raw

    def criterion(self, labels: np.ndarray) -> foolbox.Misclassification:
        """What an untargeted attack looks for: another class than the labels [n]."""
        # Backends differ in the integers that argmax returns, and eagerpy compares only equal ones.
        integers = ep.zeros(self.foolbox_model.dummy, (1, 1)).argmax(axis=-1).dtype
        return foolbox.Misclassification(ep.from_numpy(self.foolbox_model.dummy, labels).astype(integers))

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits of images [n, …], float32 [n, classes].

        Raises:
            ValueError: if some of them are not finite.
        """
        parts = [
            ep.astensor(self.foolbox_model(self.tensor(images[part]))).numpy() for part in slices(len(images), _CHUNK)
        ]
        logits = np.concatenate(parts)
        if not np.all(np.isfinite(logits)):
            broken = int(np.count_nonzero(~np.all(np.isfinite(logits), axis=1)))
            received = f"NaN or infinite logits of {broken} of {len(images)} images"
            raise fail("model", "a model whose logits are finite", received)
        return logits

    def check(self, images: np.ndarray) -> np.ndarray:
        """Returns the logits of images [n, …] if the model can be attacked at all.

        Raises:
            ValueError: as ``logits``; if a second pass gives other logits; or if these are probabilities.
        """
        logits, again = self.logits(images), self.logits(images)
        difference = float(np.max(np.abs(again - logits)))
        if difference > _ROUNDING * float(np.max(np.abs(logits))):
            raise fail(
                "model",
                "deterministic outside training; two passes of the same images through it differ",
                f"logits that differ by {difference:g}",
                "Layers such as dropout must obey training=False.",
            )
        sums = np.sum(logits, axis=1)
        if np.all(logits >= 0) and np.all(logits <= 1 + _SUM_ROUNDING) and np.all(np.abs(sums - 1) < _SUM_ROUNDING):
            raise fail(
                "model",
                "a model that returns logits",
                f"rows within [0, 1] that sum to one, from {float(logits.min()):g} to {float(logits.max()):g}",
                "These look like probabilities: drop the softmax at its end.",
            )
        return logits

    def masked_gradients(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Which of the images [n, …] give gradient-based attacks nothing to go by.

        Returns:
            Booleans [n]: the gradient of the log loss with respect to the image is zero everywhere, or not finite.
        """
        masked = []
        for part in slices(len(images), _CHUNK):
            targets = self.criterion(labels[part]).labels

            def loss(inputs: ep.Tensor, targets: ep.Tensor = targets) -> ep.Tensor:
                return ep.crossentropy(self.foolbox_model(inputs), targets).sum()

            _, gradients = ep.value_and_grad(loss, ep.astensor(self.tensor(images[part])))
            flat = gradients.numpy().reshape(part.stop - part.start, -1)
            masked.append(~np.all(np.isfinite(flat), axis=1) | ~np.any(flat != 0, axis=1))
        return np.concatenate(masked) if masked else np.zeros(0, bool)


def draw_from(seed: int) -> contextlib.AbstractContextManager[None]:
    """Inside, what an attack draws through eagerpy on JAX comes from ``seed``, and the caller's stream stands still.

    On TensorFlow foolbox's attacks draw from its global stream, which is the caller's to seed.
    """
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    from lea_keras.robustness import victim_jax

    return victim_jax.draw_from(seed)


def _check_output(model: keras.Model, image_shape: tuple[int, ...]) -> None:
    """Runs one empty image through the model, which builds it: no variables can be made while it is traced."""
    try:
        with forward_pass("codes"):
            output = model(keras.ops.zeros((1, *image_shape)), training=False)
    except Exception as error:  # of whichever layer meets the wrong shape first; Keras' own errors fill a page
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        hint = f"It says: {reason}."
        raise fail(
            "images", "of a shape that the model takes", f"an array of shape {(None, *image_shape)}", hint
        ) from error
    shape = None if keras.tree.is_nested(output) else tuple(output.shape)
    if shape is None or len(shape) != 2 or shape[0] != 1 or shape[1] < 2:
        received = f"a {type(output).__name__}" if shape is None else f"{shape} for one image"
        raise fail("model", "a model with one output, logits [n, classes] of at least two classes", received)


def _make_foolbox_model(
    model: keras.Model, image_shape: tuple[int, ...], bounds: tuple[float, float], count: Callable[[int], None]
) -> foolbox.models.base.ModelWithPreprocessing:
    """The foolbox model for the backend that Keras runs on; the one place to add another.

    Args:
        model: built.
        image_shape: of one image.
        bounds: of its values.
        count: is told how many images pass through the model, forward or backward.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _make_tensorflow_model(model, image_shape, bounds, count)
    if backend == "jax":
        from lea_keras.robustness import victim_jax

        return victim_jax.make_foolbox_model(model, bounds, count, _CHUNK)
    raise ValueError(f"Attacks need Keras on the TensorFlow or the JAX backend. Received: backend={backend!r}")


def _make_tensorflow_model(
    model: keras.Model, image_shape: tuple[int, ...], bounds: tuple[float, float], count: Callable[[int], None]
) -> foolbox.TensorFlowModel:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, *image_shape), tf.float32)], autograph=False)
    def traced(images: tf.Tensor) -> tf.Tensor:
        with forward_pass("codes"):
            logits = model(images, training=False)
        # The sums make logits depend on their images whatever the model does, so that where it has no gradients they
        # are zero and not None, which foolbox's attacks stumble over.
        sums = tf.reduce_sum(tf.reshape(images, (-1, math.prod(image_shape))), axis=1, keepdims=True)  # [n, 1]
        return tf.cast(logits, tf.float32) + 0.0 * sums

    @tf.custom_gradient
    def counted(images: tf.Tensor) -> Any:  # the decorator hands on the first of what it returns
        count(len(images))

        def backward(gradients: tf.Tensor) -> tf.Tensor:
            count(len(gradients))
            return gradients

        return tf.identity(images), backward

    def logits(images: tf.Tensor) -> tf.Tensor:
        images = counted(tf.cast(images, tf.float32))
        if len(images) <= _CHUNK:
            return traced(images)
        sizes = [part.stop - part.start for part in slices(len(images), _CHUNK)]
        return tf.concat([traced(part) for part in tf.split(images, sizes)], axis=0)

    device = "/GPU:0" if tf.config.list_logical_devices("GPU") else "/CPU:0"  # foolbox asks in a deprecated way
    return foolbox.TensorFlowModel(logits, bounds, device=device)
