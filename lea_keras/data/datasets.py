"""Data sets by name, as pipelines of (image, one-hot label): `load("sprites", "train", batch_size=64)`.

`sprites` and `parts` are generated (see `lea_keras.data.sprites`, `lea_keras.data.parts`) and need no download; the
others come through TensorFlow Datasets, imported with TensorFlow when the first is loaded (`lea_keras.data.sources`);
the pipeline (see `lea_keras.data.pipelines`) shuffles their indices and gathers, casts and scales whole batches.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np

from lea_keras import checks
from lea_keras.data import orders, pipelines, sources
from lea_keras.data.sources import DATASETS, FACTORS, GENERATED, NAMES, DatasetInfo
from lea_keras.data.splits import SPLITS, choose, weigh

if TYPE_CHECKING:
    import tensorflow as tf

#: What `load` returns.
Dataset: TypeAlias = "tf.data.Dataset | keras.utils.PyDataset"


def info(name: str, label: str | None = None, image_size: int | None = None) -> DatasetInfo:
    """Returns the sizes of a data set, without loading anything.

    Args:
        name: "mnist", "fashion_mnist", "cifar10", "dsprites", "sprites", "parts" or "parts_colour".
        label: as in `load`; it decides the number of classes.
        image_size: as in `load`; it decides `image_shape`.

    Returns:
        `image_shape`, `classes`, `train_size`, `test_size` and the thesis' `batch_size` (256 for MNIST, 128 for
        Fashion-MNIST and CIFAR-10, 64 for dSprites and sprites; 64 for parts, too).

    Raises:
        ValueError: for an unknown name, a label that the data set does not have, or a size out of range.
    """
    details = DATASETS[checks.check_choice("name", name, NAMES)]
    if image_size is not None:
        image_size = checks.check_positive_int("image_size", image_size, GENERATED.get(name, 1))
        details = details._replace(image_shape=(image_size, image_size, details.image_shape[2]))
    if name in FACTORS:
        return details._replace(classes=FACTORS[name][_factor(name, label)])
    if label not in (None, "shape"):
        raise checks.fail("label", f"left out for {name!r}, whose only label is the class", label)
    return details


def _factor(name: str, label: str | None) -> str:
    """The factor that a label names, the first one without."""
    return next(iter(FACTORS[name])) if label is None else checks.check_choice("label", label, FACTORS[name])


def load(
    name: str = "sprites",
    split: str = "train",
    *,
    batch_size: int | None = None,
    label: str | None = None,
    limit: int | None = None,
    validation: float = 0.0,
    labelled: float = 1.0,
    image_size: int | None = None,
    steps_per_epoch: int | None = None,
    shuffle: bool | None = None,
    seed: int = 0,
    first_epoch: int = 0,
    data_dir: str | os.PathLike | None = None,
    download: bool = False,
) -> Dataset:
    """Returns a data set as finite batches of (image, label) that can be iterated any number of times.

    On the TensorFlow backend they come as a `tf.data.Dataset`, on any other as a `keras.utils.PyDataset` of NumPy
    arrays: the same batches in the same order. `batches` and `take` read either.

    Of the 737 280 images of `dsprites` and `sprites`, 69 978 are used: the first 59 972 of a fixed random choice to
    train, the other 10 006 to test. The choice does not depend on `seed` **(chosen)**. For `sprites`, it is a choice
    from the factor grid; for `dsprites`, from TFDS' own order, so that the two subsets differ. `parts` has 60 000
    images to train and 10 000 to test, the same in grey and in colour.

    The order of a shuffled epoch depends on `seed` and on the number of the epoch alone: an iteration takes the next
    number when its first element is asked for, starting from `first_epoch`. Training that resumes at epoch k with
    `first_epoch=k` therefore sees the batches of an uninterrupted run. Looking at one batch counts as an epoch, too,
    and `fit` looks at one before it starts if the model was made under a tf.distribute strategy; what `fit` and
    `evaluate` look at on other backends does not count. Pass `shuffle=False` to `fit`: the data are shuffled here.

    Args:
        name: "sprites", "parts" or "parts_colour" (generated), "mnist", "fashion_mnist", "cifar10" or "dsprites" (from
            TensorFlow Datasets).
        split: "train", "test" or, where `validation` sets one apart, "validation".
        batch_size: how many samples make a batch; the last one may be smaller. `None` gives single samples, which can
            be iterated but not trained on.
        label: for `dsprites` and `sprites` the factor to classify: "shape" (3 classes), "scale" (6), "orientation"
            (40), "x" or "y" (32); for `parts` a factor of the object: "class" (7), "count" (3), "scale" (4),
            "orientation" (24), "x" or "y" (16), or "background" (4). `None` is the first of these. The others have only
            their class.
        limit: use this many samples of the split (training or test) after a seeded shuffle. The samples of a smaller
            limit are among those of a larger one. `None` uses all.
        validation: the fraction of the training samples, chosen by `seed`, that the split "validation" has and "train"
            has not; see `splits.choose`. With a `limit`, it is a part of the limited samples and not of the others
            **(chosen)**: a run that may know so many labels chooses by no further ones. "test" is the same with any.
        labelled: the fraction of the samples of "train", chosen by `seed`, whose labels may be learned from. Below 1,
            elements of "train" have a third part, their weight in the main loss: 0 without a label, and n / number of
            labels with one. A LEA, which needs no labels, learns from all of them.
        image_size: rows and columns of the images, of `sprites` at least 16, of `parts` 32; `None`: those of the data
            set. Generated images are drawn at that size, the others resized as 8-bit images: bilinear, to fewer pixels
            by averaging, rounded.
        steps_per_epoch: how many batches make an epoch, all of them full: pass follows upon pass over the samples, each
            in its own order, so that small sets repeat and large ones go on where the last epoch ended **(chosen)**: as
            TensorFlow's `repeat().batch()`. Needs a `batch_size`. `None`: an epoch is one pass.
        shuffle: whether to shuffle every epoch anew. `None` shuffles "train" and no other.
        seed: decides the samples under `limit`, those of "validation" and `labelled`, and every epoch's order; from 0
            to 2³² - 1.
        first_epoch: the number of the first iteration's epoch.
        data_dir: the folder of TensorFlow Datasets, or a URL that TensorFlow reads; `None` is its default,
            `~/tensorflow_datasets`.
        download: download and prepare the data set if the folder does not have it.

    Returns:
        Pairs of an image, [rows, columns, channels] float32 in [0, 1], and its one-hot label, [classes] float32; or
        triples, with a float32 weight, as `labelled` says. With a `batch_size` all have a leading batch axis. `len()`
        is the number of elements.

    Raises:
        ValueError: for an argument out of range, in one line that names it, or a data set that is damaged.
        FileNotFoundError: if the data set is not in `data_dir` and `download` is off.
        ConnectionError: if it cannot be downloaded, after half a minute at most where nobody answers.
        ImportError: for a data set that is not generated where TensorFlow or TensorFlow Datasets is not installed.
    """
    details = info(name, label, image_size)
    rows = details.image_shape[0]
    stored = "test" if checks.check_choice("split", split, SPLITS) == "test" else "train"
    size = details.train_size if stored == "train" else details.test_size
    if batch_size is not None:
        batch_size = checks.check_positive_int("batch_size", batch_size)
    samples = None  # of an epoch that is no pass
    if steps_per_epoch is not None:
        samples = checks.check_positive_int("steps_per_epoch", steps_per_epoch) * (batch_size or 0)
        if not samples:
            raise checks.fail("steps_per_epoch", "left out without a batch_size", steps_per_epoch)
    if limit is not None and checks.check_positive_int("limit", limit) > size:
        raise checks.fail("limit", f"at most {size}, the size of {name!r}, {stored!r}", limit)
    if shuffle is not None and not isinstance(shuffle, (bool, np.bool_)):
        raise checks.fail("shuffle", "True, False or None", shuffle)
    seed = checks.check_seed(seed)
    first_epoch = checks.check_positive_int("first_epoch", first_epoch, minimum=0)
    data_dir = sources.folder(data_dir)
    shuffle = split == "train" if shuffle is None else bool(shuffle)
    chosen = choose(split, size, limit, validation, seed)  # positions in what is stored
    weights = weigh(chosen, size, labelled, seed)
    if split != "train":
        weights = None

    if name in GENERATED and limit is not None:
        images, labels = sources.draw(name, sources.generated(name, stored)[chosen], rows)  # only what is needed
        weights = None if weights is None else weights[chosen]
        chosen = np.arange(len(chosen))
    elif name in GENERATED:
        images, labels = sources.draw_all(name, stored, rows)
    else:
        if download:
            sources.prepare(name, data_dir)
        images, labels = sources.read(name, stored, data_dir, rows)
    column = list(FACTORS[name]).index(_factor(name, label)) if name in FACTORS else 0
    scale = float(sources.largest(name, rows))
    order, size = orders.of_passes(chosen, seed, shuffle), len(chosen)
    if samples is not None:
        order, size = orders.of_steps(order, size, samples), samples
    make = pipelines.tf_dataset if pipelines.on_tensorflow() else pipelines.Batches
    return make(images, labels[:, column], order, size, first_epoch, batch_size, details.classes, scale, weights)


def batches(dataset: Any) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields the elements of a data set that `load` returned, whatever the backend, as NumPy arrays.

    It is an iteration like any other: in what order it goes, and which epoch the next one is, see `load`.
    """
    yield from dataset if isinstance(dataset, keras.utils.PyDataset) else dataset.as_numpy_iterator()


def take(dataset: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first samples of batches that `load` returned, which counts as an epoch of them.

    Args:
        dataset: batches of images and labels.
        count: how many samples.

    Returns:
        Images [n, h, w, c] and one-hot labels [n, classes]; n is `count`, or less if the data set has fewer.

    Raises:
        ValueError: for another count, or single samples instead of batches.
    """
    left, found = checks.check_positive_int("count", count), []
    for images, labels, *_ in batches(dataset):
        if images.ndim != 4:
            raise checks.fail("dataset", "batches of images", f"elements of shape {images.shape}")
        found.append((images[:left], labels[:left]))
        left -= len(images)
        if left <= 0:
            break
    images, labels = zip(*found, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def check_images(images: Any) -> None:
    """Raises one line if images cannot be trained on as they are.

    Args:
        images: an array or tensor; it should be [b, h, w, c] with b > 0 and hold finite numbers in [0, 1].

    Raises:
        ValueError: for another rank, an empty batch, a value that is not a number, is infinite or outside [0, 1]. The
            error names the minimum and the maximum that came.
    """
    array = np.asarray(images)
    received = f"{array.dtype} array of shape {array.shape}"
    if array.ndim != 4 or not array.size:
        raise checks.fail("images", "a batch of images [b, h, w, c] that is not empty", received)
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise checks.fail("images", "numbers", received)
    # A NaN anywhere makes both extremes NaN, so that one comparison finds it without a copy of the array.
    low, high = float(array.min()), float(array.max())
    if not (0.0 <= low and high <= 1.0):
        hint = "Divide 8-bit images by 255." if 1.0 < high <= 255.0 and low >= 0.0 else ""
        raise checks.fail("images", "finite and within [0, 1]", f"{received}, minimum {low:g}, maximum {high:g}", hint)
