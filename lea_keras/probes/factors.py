"""Images with the labels of all their factors."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lea_keras import data
from lea_keras.checks import check_choice, check_positive_int, check_seed, fail, show
from lea_keras.data import sources, splits, sprites

FACTORS = tuple(sprites.FACTORS)
#: Data sets that are probed.
DATASETS = ("sprites", "dsprites")


def sprites_data(
    split: str = "train",
    limit: int | None = None,
    seed: int = 0,
    *,
    validation: float = 0.0,
    name: str = "sprites",
    image_size: int | None = None,
    data_dir: Any = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns the images of a run with all their factors; the same images as of ``data.load`` with these arguments.

    Args:
        split: "train", "validation" or "test".
        limit: as in ``data.load``.
        seed: as in ``data.load``.
        validation: as in ``data.load``.
        name: "sprites", "dsprites", "parts" or "parts_colour".
        image_size: as in ``data.load``.
        data_dir: as in ``data.load``.

    Returns:
        Images [n, rows, columns, c]: of sprites uint8 with the values 0 and 1 (models are trained on the same as
        floats), float32 from 0 to 1 where they are resized and of parts; and the labels of each factor, [n] int64.

    Raises:
        ValueError: for a data set without known factors, or an argument out of range.
        FileNotFoundError: if "dsprites" is not in ``data_dir``.
    """
    if name not in sources.FACTORS:
        needed = "a data set with known factors: " + ", ".join(map(repr, sources.FACTORS))
        raise ValueError(f"Probes need {needed}. Received: name={show(name)}")
    stored = "test" if check_choice("split", split, splits.SPLITS) == "test" else "train"
    details, seed = data.info(name, image_size=image_size), check_seed(seed)
    size, rows = getattr(details, f"{stored}_size"), details.image_shape[0]
    if limit is not None and check_positive_int("limit", limit) > size:
        raise fail("limit", f"at most {size}, the size of {name!r}, {stored!r}", limit)
    chosen = splits.choose(split, size, limit, validation, seed)
    if name in sources.GENERATED:
        images, labels = sources.draw(name, sources.generated(name, stored)[chosen], rows)
    else:
        pair = sources.read(name, stored, sources.folder(data_dir), rows)
        images, labels = (np.asarray(part)[chosen] for part in pair)
    scale = sources.largest(name, rows)
    images, labels = np.asarray(images), np.asarray(labels)  # labels: [n, factors]
    images = images if scale == 1 else images / np.float32(scale)
    return images, {factor: labels[:, i].astype(np.int64) for i, factor in enumerate(sources.FACTORS[name])}


def chance_level(labels: Any) -> float:
    """The share of the most frequent class among integer labels [n]: the accuracy of always naming that class."""
    return float(np.max(np.bincount(labels)) / len(labels))


def check_factors(factors: Any) -> tuple[str, ...]:
    """Returns the names of factors if none comes twice."""
    if isinstance(factors, str) or not len(factors) or len(set(factors)) < len(factors):
        raise fail("factors", "a sequence of different names", factors)
    return tuple(factors)


def check_data(argument: str, pair: Any, factors: tuple[str, ...]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Images and, for each factor, their labels [n] as int64."""
    if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[1], Mapping)):
        raise fail(argument, "a pair of images and a dictionary of labels by factor", type(pair).__name__)
    images, labels = np.asarray(pair[0]), {}
    if images.ndim < 2 or not len(images):
        raise fail(argument, "at least one image, [n, …], and its labels", f"images of shape {images.shape}")
    for factor in factors:
        check_choice("factors", factor, pair[1])
        labels[factor] = check_labels(argument, factor, pair[1][factor], len(images))
    return images, labels


def check_labels(argument: str, factor: str, labels: Any, count: int) -> np.ndarray:
    """Returns the labels [count] of a factor as int64 if they are whole numbers from 0."""
    array = np.asarray(labels)
    if not np.issubdtype(array.dtype, np.integer) or array.shape != (count,) or np.any(array < 0):
        allowed = f"integers from 0, one for each of {count} images, as labels of {factor!r}"
        raise fail(argument, allowed, f"{array.dtype} of shape {array.shape}")
    return array.astype(np.int64)
