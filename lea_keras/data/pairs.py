"""Pairs of images of one class: what image-to-image autoencoders are trained on."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lea_keras.checks import check_choice, check_positive_int, check_seed, fail
from lea_keras.data.pipelines import Batches
from lea_keras.utils import permutation

TARGETS = ("random", "mean", "representative")


class ClassPairs(Batches):
    """Finite batches of images and their targets, both NumPy float32; passes and orders are those of ``Batches``.

    Args:
        images: [n, h, w, c].
        targets: [m, h', w', c'].
        order: returns the pairs of an epoch, [n, 2] int64: indices of images and of their targets.
        batch_size: how many pairs make a batch; the last one may be smaller.
    """

    def __init__(
        self, images: np.ndarray, targets: np.ndarray, order: Callable[[int], np.ndarray], batch_size: int
    ) -> None:
        super().__init__(images, (), order, len(images), 0, batch_size, 0, 1.0)
        self._targets = targets

    def _fetch(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # index: [b, 2]
        images, targets = self._images[index[:, 0]], self._targets[index[:, 1]]
        return images.astype(np.float32), targets.astype(np.float32)


def class_pairs(
    source: Any,
    target: Any,
    choose: str = "random",
    *,
    batch_size: int = 64,
    shuffle: bool = True,
    seed: int = 0,
) -> ClassPairs:
    """Returns batches (image, target), in which every image of one set has a target of its class from another.

    For ``fit`` of any model from images to images, such as an autoencoder: ``keras.Sequential([autoencoder])``. Shapes
    of images and targets may differ, values are handed on as they are. With the squared error, "random" and "mean" have
    the same expected gradient, E‖f − y‖² = ‖f − ȳ‖² + Var(y), and so the same optimum; "random" is only noisier.

    Args:
        source: images [n, h, w, c] and their labels, [n] integers from 0 or one-hot [n, classes], as
            ``lea_keras.data.take`` returns them.
        target: the same of the set that targets are taken from, [m, h', w', c']; it needs every class of the source.
        choose: which target an image gets: "random": any of its class, drawn anew in every epoch, all equally likely;
            "mean": the mean image of its class; "representative": one image, the same for all of its class, that the
            seed chooses **(chosen)**.
        batch_size: how many pairs make a batch; the last one may be smaller.
        shuffle: whether every epoch has an order of its own. Pass ``shuffle=False`` to ``fit`` whatever this is.
        seed: of orders, draws and representatives. Epochs are a function of it and their number alone.

    Returns:
        A ``keras.utils.PyDataset`` of float32 arrays, on every backend.

    Raises:
        ValueError: for an argument outside what is said above, or a class without a target: it names the class.
    """
    check_choice("choose", choose, TARGETS)
    batch_size, seed = check_positive_int("batch_size", batch_size), check_seed(seed)
    images, labels = _images_and_classes("source", source)
    targets, target_labels = _images_and_classes("target", target)
    classes = np.unique(labels)
    lacking = np.setdiff1d(classes, target_labels)
    if lacking.size:
        received = f"no image of {lacking.tolist()}"
        raise fail("target", f"with an image of every class of the source, {classes.tolist()}", received)
    # Of every class the indices of those images that can be its targets.
    members = [np.flatnonzero(target_labels == each) for each in classes]
    if choose == "representative":
        members = [permuted[:1] for permuted in (each[permutation(len(each), seed)] for each in members)]
    if choose == "mean":
        targets = np.stack([np.mean(targets[each], axis=0, dtype=np.float64) for each in members])
        members = [np.array([i]) for i in range(len(members))]
    counts = np.array([len(each) for each in members])
    starts, joined = np.cumsum(counts) - counts, np.concatenate(members)
    places = np.searchsorted(classes, labels)  # [n]

    def order(epoch: int) -> np.ndarray:
        indices = permutation(len(images), seed, epoch) if shuffle else np.arange(len(images))
        of_class = places[indices]
        draws = np.random.RandomState((seed, epoch, 1)).random_sample(len(images))  # in [0, 1), as ``permutation``
        chosen = joined[starts[of_class] + (draws * counts[of_class]).astype(np.int64)]
        return np.stack([indices, chosen], axis=1)  # [n, 2]

    return ClassPairs(images, targets, order, batch_size)


def _images_and_classes(argument: str, pair: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, …] and their classes [n]."""
    allowed = "a pair of images [n, h, w, c] and labels, [n] integers from 0 or one-hot [n, classes]"
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise fail(argument, allowed, type(pair).__name__)
    images, labels = np.asarray(pair[0]), np.asarray(pair[1])
    if labels.ndim == 2 and np.all(np.sort(labels, axis=1)[:, :-1] == 0) and np.all(labels.max(axis=1) == 1):
        labels = np.argmax(labels, axis=1)
    right = labels.shape == images.shape[:1] and labels.size and np.issubdtype(labels.dtype, np.integer)
    if images.ndim != 4 or not right or labels.min() < 0:
        received = f"{images.dtype} of shape {images.shape} and {labels.dtype} of shape {labels.shape}"
        raise fail(argument, allowed, received)
    return images, labels
