"""Certificates of robustness: perturbations of which it is proven that they change no class.

The bound is that of ``lea_keras.robustness.polytope``; attacks say how small a perturbation suffices, certificates how
large a one does not.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from lea_keras.autoencoders import JointAutoencoder, KSparseAutoencoder
from lea_keras.checks import check_number, check_positive_int, fail
from lea_keras.export import export_encoder
from lea_keras.layers.lea import find_leas
from lea_keras.robustness import polytope
from lea_keras.robustness.affine import Affine, forward, read
from lea_keras.robustness.certificate_storing import CertificateStore
from lea_keras.robustness.inputs import check_bounds, check_images, check_input_shape, check_labels
from lea_keras.robustness.storing import digest_of, digest_of_weights
from lea_keras.utils import Progress, slices

_ALLOWED = "a chain of affine layers and ReLUs, or LEAs of these"
_VALUES = 2**24  # of an array of rows that are led back, 64 MiB
_BATCH = 32
_ROUNDING = 1e-5  # of a margin and 1, by which it must be above 0
_FIRST, _LEAST = 2.0**-10, 1e-5  # of the range of values: where the search for a radius begins, and where it gives up


class Certificate(NamedTuple):
    """What ``certify`` found of n images.

    Attributes:
        epsilon: the largest change of any value of an image.
        labels: [n] int64.
        predictions: [n] int64, what the model takes the images for.
        margins: [n, classes] float32; the logit of the image's class is above each other one by at least this, whatever
            the perturbation; 0 at the class itself.
    """

    epsilon: float
    labels: np.ndarray
    predictions: np.ndarray
    margins: np.ndarray

    @property
    def certified(self) -> np.ndarray:
        """Booleans [n]: no perturbation within ε changes the class, which is right; ties count as changes."""
        return _are_positive(self.margins, self.labels)

    @property
    def error(self) -> float:
        """The share of images that are misclassified as they are."""
        return float(np.mean(self.predictions != self.labels))

    @property
    def bound(self) -> float:
        """The share of images that are not certified: no attack within ε reaches a larger error."""
        return float(np.mean(~self.certified))


def activation_bounds(
    model: keras.Model,
    images: Any,
    epsilon: float,
    *,
    bounds: tuple[float, float] = (0, 1),
    clip: bool = True,
    batch_size: int = _BATCH,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Bounds what a ReLU network computes of images under every perturbation with ‖δ‖∞ ≤ ε.

    Element by element the better of two: that of the convex outer adversarial polytope (Wong & Kolter 2018, Algorithm
    1), and that of intervals through the last map.

    Layers in a row that are affine are one map: dense layers, convolutions, batch normalisation with its moving
    averages, average pooling, padding, layout; dropout does nothing. Between two maps there are ReLUs. A model with
    LEAs is bounded as ``export_encoder`` makes a plain one of it.

    What is proven is proven of real numbers: the bounds themselves are computed in float32. On a GPU TensorFlow must be
    kept from rounding products to TF32 (``tf.config.experimental.enable_tensor_float_32_execution(False)``).

    Memory: a direction for every value of a layer is led back to the image, four arrays of them at a time. An image
    takes 16 bytes times the values of the layer times those of the largest layer below, 79 MB with the convolutions of
    3136 and 1568 values of ``models.polytope_network``. No array has more than 2²⁴ values, 64 MiB, whatever the
    network, since directions are taken in parts.

    Args:
        model: functional or Sequential, built, with one input and one output.
        images: [n, …] as the model takes them, within the bounds.
        epsilon: the largest change of any value, at least 0, in the unit of the images.
        bounds: the least and the largest value that images may have.
        clip: whether perturbed images, too, lie within the bounds, as those of all attacks here do; False: anywhere.
        batch_size: images at once.

    Returns:
        For every affine map (lower, upper) of its values before the ReLU, [n, …] each, those of windows that lie on the
        batch axis behind n; the last pair are the logits'.

    Raises:
        ValueError: before any work, for what cannot be bounded so, by name: max-pooling, k-sparse codes, activations
            that are not ReLU, layers with two inputs, half precision; for images or ε that are not what they must be.
    """
    epsilon, bounds = check_number("epsilon", epsilon), check_bounds(bounds)
    clip = _check_clip(clip)
    network, flat = _prepare(model, images, bounds)
    parts = []
    for part in slices(len(flat), check_positive_int("batch_size", batch_size)):
        box = polytope.box(ops.convert_to_tensor(flat[part]), epsilon, bounds if clip else None)
        pairs = polytope.activations(network, box, values=_VALUES)
        parts.append([[ops.convert_to_numpy(side) for side in pair] for pair in pairs])
    found = []
    for affine, of_batches in zip(network, zip(*parts, strict=True), strict=True):
        shape = affine.after if affine.after[0] > 1 else affine.after[1:]
        lower, upper = (np.concatenate(sides).reshape(-1, *shape) for sides in zip(*of_batches, strict=True))
        found.append((lower, upper))
    return found


def certify(
    model: keras.Model,
    images: Any,
    labels: Any,
    epsilon: float,
    *,
    bounds: tuple[float, float] = (0, 1),
    clip: bool = True,
    batch_size: int = _BATCH,
    output_dir: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> Certificate:
    """Proves of images that no perturbation with ‖δ‖∞ ≤ ε changes what a classifier takes them for, where it can.

    An image is certified if the least margin between the logit of its class and that of every other one, over the
    convex outer adversarial polytope, is above 0 by more than float32 rounds: ``10⁻⁵ (1 + |margin|)`` **(chosen)**.
    That an image is not certified proves nothing. See ``activation_bounds`` for the bound, what models it holds for,
    and memory.

    Args:
        model: images → logits, as ``activation_bounds`` takes it.
        images: [n, …], as there.
        labels: their classes, integers [n] or one-hot [n, classes].
        epsilon: as there.
        bounds: as there.
        clip: as there.
        batch_size: as there.
        output_dir: a folder where every batch is stored as soon as it is finished; called again with the same
            arguments, finished images are not bounded again. None: nothing is stored.
        verbose: 0: silent; 1: prints a line, with the time that is left.

    Returns:
        Margins of all images, which are certified, the error, and an upper bound of the error under any attack.

    Raises:
        ValueError: as ``activation_bounds``; for labels that are not the images'; for stored certificates that are
            damaged or of something else.
        OSError: if the folder cannot be used; ``BlockingIOError`` while another process does the same in it.
    """
    epsilon = check_number("epsilon", epsilon)
    work = _Work(model, images, labels, bounds, clip, batch_size)
    store = work.store(output_dir, f"certificates_{epsilon!r}", {"epsilon": epsilon})
    title = f"Certificates at {epsilon:g}"
    values = work.run(lambda flat, labels, _: work.margins(flat, labels, epsilon), store, title, verbose)
    margins = np.array(values, np.float32)
    return Certificate(epsilon, work.labels, work.predictions(), margins)


def certified_radius(
    model: keras.Model,
    images: Any,
    labels: Any,
    *,
    precision: float = 0.01,
    bounds: tuple[float, float] = (0, 1),
    clip: bool = True,
    batch_size: int = _BATCH,
    output_dir: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> np.ndarray:
    """Finds the largest ε at which each image was certified, by doubling and bisection.

    The bound is not monotone by construction; what is returned was itself certified.

    Args:
        model: as in ``certify``, and so are all others but
        images: as there.
        labels: as there.
        precision: how far a radius may be below the smallest ε that was tried and failed, as a share of that.
        bounds: as there.
        clip: as there.
        batch_size: as there.
        output_dir: as there.
        verbose: as there.

    Returns:
        [n] float64, in the unit of the images; 0 where none was found, of a misclassified image for example. At most
        the range of the bounds.

    Raises:
        ValueError: as ``certify``.
        OSError: as ``certify``.
    """
    precision = check_number("precision", precision, 1e-4, 1.0)
    work = _Work(model, images, labels, bounds, clip, batch_size)
    store = work.store(output_dir, "certified_radii", {"precision": precision})
    title = "Certified radii"
    radii = work.run(lambda flat, labels, tell: work.radii(flat, labels, precision, tell), store, title, verbose)
    return np.array(radii)


class _Work:
    """A network with images and labels, which are bounded batch by batch."""

    def __init__(
        self, model: Any, images: Any, labels: Any, bounds: tuple[float, float], clip: bool, batch_size: int
    ) -> None:
        self.model, self.bounds, self.clip = model, check_bounds(bounds), _check_clip(clip)
        self.batch_size = check_positive_int("batch_size", batch_size)
        self.network, self.flat = _prepare(model, images, self.bounds)
        after = self.network[-1].after
        if len(after) != 2 or after[0] != 1 or after[1] < 2:
            allowed = "a model with one output, logits [n, classes] of at least two classes"
            raise fail("model", allowed, f"an output of shape {after} for one image")
        self.labels = check_labels(labels, len(self.flat), after[1])

    def store(self, folder: Any, name: str, options: dict[str, Any]) -> CertificateStore:
        """What keeps values of these images."""
        digests = {"weights": digest_of_weights(self.model), "images": digest_of(self.flat)}
        identity = {**digests, "labels": digest_of(self.labels), "bounds": list(self.bounds), "clip": self.clip}
        return CertificateStore(folder, name, identity | options)

    def run(
        self,
        bound: Callable[[np.ndarray, np.ndarray, Callable[[str], None]], np.ndarray],
        store: CertificateStore,
        title: str,
        verbose: int,
    ) -> list[Any]:
        """Values of every image, those that are stored and those of ``bound``, from images [b, s], labels [b] and a
        function that takes how far it is."""
        values = store.load()
        progress = Progress(title, len(self.flat), "images", verbose=verbose)
        with store.owned(), progress.meanwhile():
            while len(values) < len(self.flat):
                part = slice(len(values), len(values) + self.batch_size)
                values += bound(self.flat[part], self.labels[part], progress.tick).tolist()
                store.save(values)
                progress.update(len(values))
        progress.end()
        return values

    def margins(self, flat: np.ndarray, labels: np.ndarray, epsilon: Any) -> np.ndarray:
        """[b, classes] of images [b, s] at ε, a number or [b, 1]."""
        box = polytope.box(ops.convert_to_tensor(flat), epsilon, self.bounds if self.clip else None)
        pairs = polytope.activations(self.network, box, values=_VALUES, final=False)
        relaxed = [polytope.relax(*pair) for pair in pairs]
        return np.asarray(ops.convert_to_numpy(polytope.margins(self.network, relaxed, box, labels)))

    def radii(self, flat: np.ndarray, labels: np.ndarray, precision: float, tell: Callable[[str], None]) -> np.ndarray:
        """[b] of images [b, s]."""
        width = self.bounds[1] - self.bounds[0]
        low, high = np.zeros(len(flat)), np.full(len(flat), np.inf)
        high[np.argmax(_computed(self.network, flat), axis=1) != labels] = 0.0
        tried = np.full(len(flat), _FIRST * width)
        while True:
            failed = np.where(np.isinf(high), 0.0, high)
            going_on = np.isinf(high) | (low < (1 - precision) * failed) & (failed > _LEAST * width)
            going_on &= low < width
            left = np.flatnonzero(going_on)
            if not len(left):
                return low
            tell(f"of the next {len(flat)} {len(left)} are searched on")
            # Sizes are halved and not fitted: a backend may compile anew for each.
            size = len(flat)
            while size >= 2 * len(left):
                size = -(-size // 2)
            some = np.resize(left, size)
            margins = self.margins(flat[some], labels[some], tried[some, None].astype(np.float32))
            holds = np.zeros(len(flat), bool)
            holds[some] = _are_positive(margins, labels[some])
            low = np.where(going_on & holds, tried, low)
            high = np.where(going_on & ~holds, tried, high)
            tried = np.where(np.isinf(high), np.minimum(2 * tried, width), (low + high) / 2)

    def predictions(self) -> np.ndarray:
        """The classes [n] that the network takes the images for."""
        parts = [_computed(self.network, self.flat[part]) for part in slices(len(self.flat), self.batch_size)]
        return np.argmax(np.concatenate(parts), axis=1).astype(np.int64)


def _prepare(model: Any, images: Any, bounds: tuple[float, float]) -> tuple[list[Affine], np.ndarray]:
    """The affine maps of a model, and the images as [n, s]."""
    array = np.asarray(images)
    shape = array.shape
    array = check_images(array if array.ndim in (0, 4) else array.reshape(shape[0], 1, 1, -1), bounds)
    model = plain(model)
    check_input_shape(model, shape)
    network = read(model, shape[1:])
    return network, array.reshape(len(array), -1)


def plain(model: Any) -> Any:
    """A model without LEAs: itself, or what ``export_encoder`` makes of it.

    Raises:
        ValueError: if codes are sparse, or it cannot be exported.
    """
    if not isinstance(model, keras.Model):
        raise fail("model", "a keras.Model", type(model).__name__)
    leas = find_leas(model)
    for lea in leas:
        autoencoder = lea.autoencoder
        if isinstance(autoencoder, KSparseAutoencoder) and autoencoder.inference_k < autoencoder.code_length:
            received = f"{type(autoencoder).__name__} in {lea.name!r}, which keeps the largest values alone"
            raise fail("model", _ALLOWED, received)
        if isinstance(autoencoder, JointAutoencoder) and autoencoder.categories:
            received = f"{type(autoencoder).__name__} in {lea.name!r}, whose categories are the largest of several"
            raise fail("model", _ALLOWED, received)
    return export_encoder(model) if leas else model


def _check_clip(clip: Any) -> bool:
    if not isinstance(clip, bool | np.bool_):
        raise fail("clip", "True or False", clip)
    return bool(clip)


def _computed(network: list[Affine], flat: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(forward(network, ops.convert_to_tensor(flat))))


def _are_positive(margins: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether all margins [n, classes] but those of the class itself are above 0, and not by rounding alone."""
    certain = margins - _ROUNDING * (1 + np.abs(margins)) > 0
    return np.all(certain | (np.arange(margins.shape[1]) == labels[:, None]), axis=1)
