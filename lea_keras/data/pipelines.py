"""Pipelines from images and labels in memory to Keras: a `tf.data.Dataset` on TensorFlow, a `PyDataset` elsewhere.

Both give the same samples in the same order, as a function of the number of the epoch alone.
"""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

# Single samples are fetched so many at a time, too, which is several times faster.
_CHUNK = 256


def on_tensorflow() -> bool:
    """Whether data sets are made for TensorFlow; every other backend takes NumPy arrays."""
    return keras.backend.backend() == "tensorflow"


def keep(images: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
    """Returns uint8 images [n, h, w, c] and labels [n, k] as a data set gathers from them best, in main memory."""
    if not on_tensorflow():
        return images, labels.astype(np.int32)
    import tensorflow as tf

    with tf.device("CPU:0"):  # where the pipeline runs
        return tf.constant(images), tf.constant(labels, tf.int32)


class Batches(keras.utils.PyDataset):
    """Finite batches of images and one-hot labels, both NumPy float32, for `for`, `fit`, `evaluate` and `predict`.

    A pass takes the next number of an epoch when its first element is asked for, and that number decides its order. A
    `for` loop is a pass, and so is each epoch of `fit`. What Keras looks at to build a model is none.

    Keras may ask for batches in an order of its own (`fit` does if it is not told `shuffle=False`). It is given them
    in the epoch's order all the same, as from a `tf.data.Dataset`: the batch that `dataset[i]` returns is the next one
    of the pass, whatever i is. Asking for the same i again starts a new pass.

    Args:
        images: [n, h, w, c] uint8.
        labels: [n] integers below `classes`.
        order: returns the indices of an epoch, [size] int64, from its number.
        size: how many samples an epoch has.
        first_epoch: the number of the first pass.
        batch_size: how many samples make a batch; the last one may be smaller. `None` gives single samples, which can
            be iterated but not trained on.
        classes: the length of a one-hot label.
        scale: what images are divided by.
        weights: [n] float32, a third part of every element; `None`: there is none.
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        order: Callable[[int], np.ndarray],
        size: int,
        first_epoch: int,
        batch_size: int | None,
        classes: int,
        scale: float,
        weights: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self._images, self._labels, self._weights = np.asarray(images), np.asarray(labels), weights
        self._order_of, self._size, self._next_epoch = order, size, first_epoch
        self._batch_size, self._classes, self._scale = batch_size, classes, np.float32(scale)
        self._order: np.ndarray | None = None  # of Keras' pass, if one is running
        self._asked: set[int] = set()  # what Keras has asked for in it
        self._reader_is_new = False

    def __len__(self) -> int:
        return -(-self._size // (self._batch_size or 1))

    def __iter__(self) -> Any:
        order, size = self._take_order(), self._batch_size or _CHUNK
        for start in range(0, len(order), size):
            element = self._fetch(order[start : start + size])
            if self._batch_size is None:
                yield from zip(*element, strict=True)
            else:
                yield element

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        index = range(len(self))[index]  # or IndexError
        if self._order is None or index in self._asked or len(self._asked) == len(self):
            self._order, self._asked = self._take_order(), set()
        size = self._batch_size or 1
        start = len(self._asked) * size
        self._asked.add(index)
        element = self._fetch(self._order[start : start + size])
        return tuple(part[0] for part in element) if self._batch_size is None else element

    @property
    def workers(self) -> int:
        """0: batches are fetched one after another, as they are asked for.

        Keras reads this once for each `fit`, `evaluate` or `predict`, before anything else: nothing else tells that a
        pass that was left in the middle is over.
        """
        self._order, self._reader_is_new = None, True
        return 0

    def on_epoch_end(self) -> None:
        """Keras calls it after every epoch, and once before the first one of `fit` and `evaluate`.

        Until then, they have at most looked at a batch or two to build the model, and start anew: that pass did not
        count. (A `predict` of at most two batches looks the same, and does not count either.)
        """
        if self._reader_is_new and self._order is not None and len(self._asked) <= 2:
            self._order, self._next_epoch = None, self._next_epoch - 1
        self._reader_is_new = False

    def _take_order(self) -> np.ndarray:
        epoch, self._next_epoch = self._next_epoch, self._next_epoch + 1
        return self._order_of(epoch)

    def _fetch(self, index: np.ndarray) -> tuple[np.ndarray, ...]:  # index: [b]
        images = self._images[index].astype(np.float32) / self._scale  # [b, h, w, c]
        labels = np.eye(self._classes, dtype=np.float32)[self._labels[index]]  # [b, classes]
        return (images, labels) if self._weights is None else (images, labels, self._weights[index])


def tf_dataset(
    images: Any,
    labels: Any,
    order: Callable[[int], np.ndarray],
    size: int,
    first_epoch: int,
    batch_size: int | None,
    classes: int,
    scale: float,
    weights: np.ndarray | None = None,
) -> "tf.data.Dataset":
    """Returns the `tf.data.Dataset` of the same arguments as `Batches`."""
    import tensorflow as tf

    def fetch(index: tf.Tensor) -> tuple[tf.Tensor, ...]:  # index: [b]
        image = tf.cast(tf.gather(images, index), tf.float32) / scale  # [b, h, w, c]
        label = tf.one_hot(tf.gather(labels, index), classes)  # [b, classes]
        return (image, label) if weights is None else (image, label, tf.gather(weights, index))

    cardinality = tf.data.experimental.assert_cardinality(size)
    indices = _epoch_orders(order, size, first_epoch).unbatch().apply(cardinality)
    dataset = indices.batch(batch_size or _CHUNK).map(fetch).prefetch(2)
    if batch_size is None:
        dataset = dataset.unbatch().apply(cardinality)
    options = tf.data.Options()
    options.autotune.enabled = False  # on one core, it can stall at the end of an epoch
    return dataset.with_options(options)


def _epoch_orders(order: Callable[[int], np.ndarray], size: int, first_epoch: int) -> "tf.data.Dataset":
    """Returns a data set of one element, the order [size] of the epoch; every iteration takes that of the next epoch.

    The epochs are counted outside the pipeline, when the first element is asked for and not when an iterator is made:
    `fit` makes two iterators for each epoch and uses one.
    """
    import tensorflow as tf

    epochs = itertools.count(first_epoch)

    def next_order() -> np.ndarray:
        return order(next(epochs))

    def ordered(_: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(next_order, [], tf.int64), [size])

    return tf.data.Dataset.range(1).map(ordered)
