"""Sources of the data sets: sprites drawn here, and what TensorFlow Datasets has, as arrays that are read once."""

import contextlib
import functools
import importlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lea_keras import checks
from lea_keras.data import downloads, parts, pipelines, sprites
from lea_keras.utils import permutation

if TYPE_CHECKING:
    import tensorflow as tf

_STORED = ("train", "test")  # "validation" is a part of "train"

#: The seed of the choice among dSprites' 737 280 images **(chosen)**: fixed, so that every run has the same subset.
SELECTION_SEED = 2019


class DatasetInfo(NamedTuple):
    """What is known of a data set without loading it."""

    image_shape: tuple[int, int, int]  # (rows, columns, channels)
    classes: int
    train_size: int
    test_size: int
    batch_size: int  # that of the thesis


DATASETS = {
    "mnist": DatasetInfo((28, 28, 1), 10, 60_000, 10_000, 256),
    "fashion_mnist": DatasetInfo((28, 28, 1), 10, 60_000, 10_000, 128),
    "cifar10": DatasetInfo((32, 32, 3), 10, 50_000, 10_000, 128),
    "dsprites": DatasetInfo(sprites.IMAGE_SHAPE, 3, 59_972, 10_006, 64),
    "sprites": DatasetInfo(sprites.IMAGE_SHAPE, 3, 59_972, 10_006, 64),
    "parts": DatasetInfo(parts.IMAGE_SHAPE, len(parts.CLASSES), parts.TRAIN_SIZE, parts.TEST_SIZE, 64),
    "parts_colour": DatasetInfo((64, 64, 3), len(parts.CLASSES), parts.TRAIN_SIZE, parts.TEST_SIZE, 64),
}
NAMES = tuple(DATASETS)
#: Of data sets with several labels, how many values each of them has; the first is the default.
FACTORS = {
    "dsprites": sprites.FACTORS,
    "sprites": sprites.FACTORS,
    "parts": parts.FACTORS,
    "parts_colour": parts.FACTORS,
}
#: Those that are drawn here, with the fewest rows and columns of an image.
GENERATED = {"sprites": sprites.SMALLEST, "parts": parts.SMALLEST, "parts_colour": parts.SMALLEST}


@functools.cache
def _selected(count: int) -> np.ndarray:
    """The first of all images in the order of the selection; to put so many in order takes a while."""
    return permutation(sprites.GRID_SIZE, SELECTION_SEED)[:count].copy()


def selection(split: str) -> np.ndarray:
    """Returns which of dSprites' 737 280 images a split of `dsprites` and `sprites` holds.

    Args:
        split: "train" or "test".

    Returns:
        [59 972] or [10 006] int64 in random order, always the same, without repetition within or between the two.
    """
    checks.check_choice("split", split, _STORED)
    train, test = DATASETS["dsprites"].train_size, DATASETS["dsprites"].test_size
    order = _selected(train + test)
    return (order[:train] if split == "train" else order[train:]).copy()  # callers may change theirs


def to_channels_last(images: np.ndarray, data_format: str | None = None) -> np.ndarray:
    """Returns images with their channels in the last axis.

    Args:
        images: [n, h, w, c] or [n, c, h, w].
        data_format: "channels_last", "channels_first" or `None`. `None` looks for an axis of 1, 3 or 4 channels: the
            last one first, then the second.

    Returns:
        [n, h, w, c], a view where the axes are swapped.

    Raises:
        ValueError: for another rank, or if no axis looks like channels.
    """
    if images.ndim != 4:
        raise checks.fail("images", "an array of rank 4", f"an array of shape {images.shape}")
    if data_format is None:
        channels = (1, 3, 4)
        if images.shape[-1] not in channels and images.shape[1] not in channels:
            hint = "Pass `data_format` for any other number of channels."
            received = f"an array of shape {images.shape}"
            raise checks.fail("images", "of shape [n, h, w, c] or [n, c, h, w] with 1, 3 or 4 channels", received, hint)
        data_format = "channels_last" if images.shape[-1] in channels else "channels_first"
    if checks.check_choice("data_format", data_format, ("channels_last", "channels_first")) == "channels_last":
        return images
    return np.moveaxis(images, 1, -1)  # [n, c, h, w] → [n, h, w, c]


def largest(name: str, image_size: int) -> int:
    """Returns what stands for 1 in the images of a data set: sprites come as 0 and 1, of which resizing makes greys."""
    as_drawn = name == "sprites" or name == "dsprites" and image_size == sprites.IMAGE_SHAPE[0]
    return 1 if as_drawn else 255


def resize(images: np.ndarray, image_size: int | None, factor: int = 1) -> np.ndarray:
    """Returns 8-bit images of another size: bilinear at half-pixel centres, of fewer pixels by averaging, rounded.

    Args:
        images: [n, h, w, c] uint8.
        image_size: rows and columns; None, or that of the images: they are returned as they are.
        factor: what resized images are multiplied by before: 255 for those of 0 and 1.

    Returns:
        [n, image_size, image_size, c] uint8.
    """
    if image_size is None or images.shape[1:3] == (image_size, image_size):
        return images
    from PIL import Image

    resized = np.empty((len(images), image_size, image_size, images.shape[3]), np.uint8)
    for i, image in enumerate(images):
        for channel in range(images.shape[3]):
            picture = Image.fromarray(image[..., channel] * np.uint8(factor))
            picture = picture.resize((image_size, image_size), Image.Resampling.BILINEAR)
            resized[i, ..., channel] = np.asarray(picture)
    return resized


def generated(name: str, split: str) -> np.ndarray:
    """Returns the numbers of the images that a split of a generated data set holds, [n] int64."""
    return selection(split) if name == "sprites" else parts.indices(split)


def draw(name: str, indices: np.ndarray, image_size: int) -> tuple[Any, Any]:
    """Returns images of a generated data set, uint8 [n, h, w, c], and the labels of their factors [n, k].

    Both are as `pipelines.keep` has them; labels are in the order of `FACTORS`.
    """
    if name == "sprites":
        labels = sprites.labels_from_indices(indices)
        return pipelines.keep(sprites.draw(labels, image_size), labels)
    labels = parts.labels_from_indices(indices)
    return pipelines.keep(parts.draw(labels, image_size, colour=name == "parts_colour"), labels.scenes)


@functools.lru_cache(maxsize=2)
def draw_all(name: str, split: str, image_size: int) -> tuple[Any, Any]:
    """Returns all images of a split; drawn once per process (at 64x64, grey: 246 MB to train, 41 MB to test)."""
    return draw(name, generated(name, split), image_size)


def _import(library: str, name: str) -> Any:
    """Returns a library that reads data sets, or raises one line if it is not there."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ImportError(
            f"The data set {name!r} needs TensorFlow, through which TensorFlow Datasets reads it on every backend: "
            f"pip install tensorflow tensorflow-datasets, or use the generated 'sprites'. Missing: {library}"
        ) from error


def _tensorflow(name: str) -> Any:
    """Returns TensorFlow; where Keras runs on another backend, it only reads and leaves that one's GPUs alone."""
    tf = _import("tensorflow", name)
    if not pipelines.on_tensorflow():
        with contextlib.suppress(RuntimeError):  # it is in use already
            tf.config.set_visible_devices([], "GPU")
    return tf


def _builder(name: str, data_dir: str | None) -> Any:
    """Returns TensorFlow Datasets' builder of a data set, importing the library when it is needed."""
    _tensorflow(name)
    return _import("tensorflow_datasets", name).builder(name, data_dir=data_dir)


def _damage(tf: Any) -> tuple[type[Exception], ...]:
    """What TensorFlow raises where records are missing or damaged."""
    errors = tf.errors
    return errors.DataLossError, errors.FailedPreconditionError, errors.InvalidArgumentError, errors.NotFoundError


def _open(name: str, split: str, data_dir: str | None) -> "tf.data.Dataset":
    """Returns the records of a prepared data set in their stored order, or raises one line if it is not there."""
    return _prepared(name, data_dir).as_dataset(split=split, shuffle_files=False)


def _prepared(name: str, data_dir: str | None) -> Any:
    """Returns TensorFlow Datasets' builder of a data set that is there, or raises one line if it is not."""
    tf = _tensorflow(name)
    looked_for = None if data_dir is None else os.path.join(data_dir, name)
    if looked_for is None or tf.io.gfile.isdir(looked_for):
        with downloads.damage_named(name, data_dir, Exception):
            builder = _builder(name, data_dir)
        if downloads.is_prepared(builder):
            return builder
        looked_for = str(builder.data_dir)
    raise FileNotFoundError(
        f"Argument `data_dir` must be a folder of TensorFlow Datasets that holds {name!r}. Looked for {looked_for!r}; "
        f"pass download=True (--download) to download it, or use the generated 'sprites'. "
        f"Received: data_dir={checks.show(data_dir)}"
    )


def folder(data_dir: Any) -> str | None:
    """Returns the checked folder of TensorFlow Datasets, a home folder expanded; None is its default."""
    return None if data_dir is None else checks.check_path("data_dir", data_dir, "a path or None", urls=True)


def prepare(name: str, data_dir: str | None) -> None:
    """Downloads and prepares a data set where the folder does not have it."""
    _tensorflow(name)
    with downloads.damage_named(name, data_dir, Exception):
        builder = _builder(name, data_dir)
    downloads.prepare(builder, name)


def file_size(name: str, data_dir: Any = None) -> int | None:
    """Returns how many bytes the records of a data set take on disk; None for those that are drawn.

    Args:
        name: as in `load`.
        data_dir: as in `load`.

    Raises:
        ValueError: for an unknown name or a data set that is damaged.
        FileNotFoundError: if the data set is not there.
        ImportError: if what reads it is not installed.
    """
    if checks.check_choice("name", name, NAMES) in GENERATED:
        return None
    return int(_prepared(name, folder(data_dir)).info.dataset_size)


@functools.lru_cache(maxsize=8)
def read(name: str, split: str, data_dir: str | None, image_size: int) -> tuple[Any, Any]:
    """Returns a split from TensorFlow Datasets as uint8 images [n, h, w, c] and labels [n, k]; read once per process.

    Both come as `pipelines.keep` has them, the images of `image_size` rows and columns, with values from 0 to
    `largest(name, image_size)`. `dsprites` has one split of its own, from which the images of `selection(split)` are
    taken by position, and k = 5 labels, in the order of `sprites.FACTORS`. The others have k = 1.
    """
    details, tf = DATASETS[name], _tensorflow(name)
    if name == "dsprites":
        fields = [f"label_{field}" for field in sprites.FIELD_NAMES.values()]
        places = np.full(sprites.GRID_SIZE, -1, np.int64)  # position in the records → position in the split
        wanted = selection(split)
        places[wanted] = np.arange(len(wanted))
        records = _open(name, "train", data_dir).enumerate().map(lambda i, record: (tf.gather(places, i), record))
        # Called with both parts of an element, which TensorFlow's types do not say.
        records = records.filter(lambda place, _: place >= 0)  # pyright: ignore[reportArgumentType, reportOperatorIssue]
    else:
        fields = ["label"]
        wanted = range(details.train_size if split == "train" else details.test_size)
        records = _open(name, split, data_dir).enumerate()
    count = 0
    images = np.zeros((len(wanted), *details.image_shape), np.uint8)
    labels = np.zeros((len(wanted), len(fields)), np.int32)
    with downloads.damage_named(name, data_dir, _damage(tf)):
        for place, record in records.batch(1024).as_numpy_iterator():
            images[place] = to_channels_last(record["image"])
            labels[place] = np.stack([record[field] for field in fields], axis=-1)  # [b, k]
            count += len(place)
    if count != len(wanted):
        raise ValueError(f"{name!r}, {split!r} must hold {len(wanted)} images. Received: {count} from {data_dir!r}")
    return pipelines.keep(resize(images, image_size, 255 if name == "dsprites" else 1), labels)
