"""The batch under attack, and the base classes of attacks on it."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import eagerpy as ep
import numpy as np
from foolbox import Misclassification, TargetedMisclassification
from foolbox.attacks.base import (
    MinimizationAttack,
    get_channel_axis,
    get_criterion,
    raise_if_kwargs,
    verify_input_bounds,
)
from foolbox.devutils import atleast_kd
from foolbox.distances import Distance, l2
from foolbox.models import Model
from foolbox.types import Bounds

from lea_keras.checks import fail, is_integer
from lea_keras.utils import slices

MAX_IMAGES = 512  # how many candidates attacks hand over at once unless told otherwise (chosen)
_WHOLE = ("float32", "float64")  # types in which attacks compute
# Types whose every number is a float32, with how far apart numbers are, relative to them.
_HALF = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
_ULPS = 4  # by which logits in half precision may differ when an image goes through in another batch (chosen)


def refuse_targets(targeted: bool) -> None:
    """Raises ``ValueError`` where an attack that is untargeted is given classes to reach."""
    if targeted:
        allowed = "labels or a Misclassification, as this attack is untargeted"
        raise fail("criterion", allowed, "TargetedMisclassification")


class Batch:
    """A batch under attack, of which any part can be tried, each sample any number of times.

    foolbox's criteria hold the labels of a whole batch. Here the labels go with the candidates, so that samples which
    are done leave the batch and others try several candidates in one call.

    Args:
        model: any foolbox model.
        x: the images [n, …], within the model's bounds.
        criterion: ``foolbox.Misclassification``, ``foolbox.TargetedMisclassification``, or bare labels [n].
        max_images: how many candidates one model call may take.

    Attributes:
        targeted: whether the classes are those to reach, not those to leave.
        bounds: of the images' values.

    Raises:
        ValueError: for any other criterion, or classes that are not integers [n].
    """

    def __init__(self, model: Model, x: ep.Tensor, criterion: Any, max_images: int = MAX_IMAGES) -> None:
        criterion = get_criterion(criterion)
        self.targeted = isinstance(criterion, TargetedMisclassification)
        if isinstance(criterion, TargetedMisclassification):
            self._classes = criterion.target_classes.numpy()
        elif isinstance(criterion, Misclassification):
            self._classes = criterion.labels.numpy()
        else:
            allowed = "labels, a Misclassification or a TargetedMisclassification"
            raise fail("criterion", allowed, type(criterion).__name__)
        if self._classes.shape != (len(x),) or not np.issubdtype(self._classes.dtype, np.integer):
            received = f"{self._classes.dtype} of shape {self._classes.shape}"
            raise fail("criterion", f"one integer class for each of {len(x)} images", received)
        self.model, self.x, self.max_images = model, x, max_images
        self.bounds, self._dtype = model.bounds, numpy_type(x)

    def classes(self, indices: np.ndarray) -> np.ndarray:
        """The classes [m] that these samples [m] are to leave (or to reach)."""
        return self._classes[indices]

    def criterion(self, indices: np.ndarray) -> Misclassification | TargetedMisclassification:
        """The criterion for these samples [m] alone, which may be repeated."""
        classes = ep.from_numpy(self.x, self._classes[indices]).raw
        return TargetedMisclassification(classes) if self.targeted else Misclassification(classes)

    def parts(self, count: int) -> list[slice]:
        """What is tried at once of ``count`` candidates."""
        return list(slices(count, self.max_images))

    def tensor(self, array: np.ndarray) -> ep.Tensor:
        """An array as a tensor of the model's backend, in the images' type."""
        return ep.from_numpy(self.x, np.asarray(array, self._dtype))

    def column(self, values: np.ndarray) -> ep.Tensor:
        """Numbers [m] as a tensor [m, 1, …] that multiplies images."""
        return atleast_kd(self.tensor(values), self.x.ndim)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits [m, classes] of candidates [m, …]."""
        if not len(images):
            return np.zeros((0, 0), np.float32)
        return np.concatenate([self.model(self.tensor(images[part])).numpy() for part in self.parts(len(images))])

    def is_adversarial(self, indices: np.ndarray, images: ep.Tensor | np.ndarray) -> np.ndarray:
        """Which candidates [m, …] for the samples [m] are adversarial: booleans [m], from one model call.

        A candidate that is not finite, as one from a gradient that is not, never is.
        """
        if not len(indices):
            return np.zeros(0, bool)
        images = images if isinstance(images, ep.Tensor) else self.tensor(images)
        finite = np.isfinite(images.numpy()).reshape(len(indices), -1).all(axis=1)
        return succeeds(self.model(images).numpy(), self.classes(indices), self.targeted) & finite

    def make_and_try(
        self,
        make: Callable[[np.ndarray, np.ndarray], ep.Tensor | np.ndarray],
        numbers: np.ndarray,
        levels: np.ndarray,
        indices: np.ndarray,
    ) -> np.ndarray:
        """As ``is_adversarial`` of candidates that are made for one model call at a time.

        Args:
            make: takes numbers [k] and levels [k]; returns candidates [k, …].
            numbers: [m], of whatever ``make`` tells apart.
            levels: [m].
            indices: of the samples, [m].
        """
        parts = self.parts(len(indices))
        tried = [self.is_adversarial(indices[part], make(numbers[part], levels[part])) for part in parts]
        return np.concatenate([np.zeros(0, bool), *tried])

    def running(self) -> np.ndarray:
        """The samples that are not adversarial as they are: the others have nothing to search for."""
        parts = self.parts(len(self.x))
        every = np.arange(len(self.x))
        return every[~np.concatenate([self.is_adversarial(every[part], self.x[part]) for part in parts])]

    def channel_axis(self, channel_axis: int | None = None) -> int:
        """Which axis of images [n, …] holds the channels, 1 or 3: as given, as the model says, or the last.

        Raises:
            ValueError: if images do not have four axes, or for another axis.
        """
        shape = tuple(self.x.shape)
        if len(shape) != 4:
            raise fail("inputs", "images with rows, columns and channels, four axes with the batch", shape)
        if channel_axis is None:
            channel_axis = get_channel_axis(self.model, 4)
            return 3 if channel_axis is None else channel_axis
        if not is_integer(channel_axis) or channel_axis not in (1, 3, -1):
            raise fail("channel_axis", "1, 3, -1 or None", channel_axis)
        return channel_axis % 4


class Pixels:
    """A batch's images as arrays [n, pixels, channels], which attacks change at single places.

    Args:
        batch: the batch.

    Attributes:
        values: the images [n, pixels, channels], row by row; a copy.
        rows: of an image.
        columns: of an image.
    """

    def __init__(self, batch: Batch) -> None:
        self._axis = batch.channel_axis()
        images = np.moveaxis(batch.x.numpy(), self._axis, -1)  # [n, rows, columns, channels]
        _, self.rows, self.columns, channels = images.shape
        self.values = images.reshape(len(images), self.rows * self.columns, channels).copy()

    def images(self, values: np.ndarray) -> np.ndarray:
        """Images [m, …] in the model's layout of values [m, pixels, channels]."""
        shaped = values.reshape(len(values), self.rows, self.columns, values.shape[-1])
        return np.ascontiguousarray(np.moveaxis(shaped, -1, self._axis))

    def changed(self, indices: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Images of samples [m] whose pixels at ``places`` [m] have other ``values`` [m, channels]."""
        candidates = self.values[indices]
        candidates[np.arange(len(indices)), places] = values
        return self.images(candidates)


class ImageAttack(MinimizationAttack):
    """An attack that searches for the smallest perturbation of images; a base class.

    Images may have any floating type, and results have the same. The model is only ever asked about images of this
    type, so that an adversarial is one as it is returned. float32 and float64 are also what is computed in. Half
    precision is too coarse for that (norms of large images overflow, scipy's filters refuse it): there the attack
    computes in float32, and its images are rounded for each question and at the end. A batch of no images comes back
    as it is.
    """

    distance: Distance = l2

    def __call__(
        self,
        model: Model,
        inputs: Any,
        criterion: Any,
        *,
        epsilons: Sequence[float | None] | float | None,
        **kwargs: Any,
    ) -> Any:
        """As of every attack of foolbox, which on JAX has no answer to a batch of no images.

        Raises:
            ValueError: as ``run``.
        """
        x, restore_type = ep.astensor_(inputs)
        if len(x):
            return super().__call__(model, inputs, criterion, epsilons=epsilons, **kwargs)
        images = self.run(model, inputs, criterion, **kwargs)
        if not isinstance(epsilons, Iterable):
            return images, images, restore_type(ep.zeros(x, (0,)) > 0)
        count = len(list(epsilons))
        return [images] * count, [images] * count, restore_type(ep.zeros(x, (count, 0)) > 0)

    def run(self, model: Model, inputs: Any, criterion: Any, *, early_stop: float | None = None, **kwargs: Any) -> Any:
        """Returns adversarial images [n, …] of the inputs' type; those for which none was found as they came.

        Raises:
            ValueError: for images that are not of a floating type, and for what the attack does not take.
            TypeError: for unknown keywords.
        """
        raise_if_kwargs(kwargs)
        x, restore_type = ep.astensor_(inputs)
        kind = _type_name(x)
        if kind not in (*_WHOLE, *_HALF):
            raise fail("inputs", "images of a floating type", f"{kind} of shape {tuple(x.shape)}")
        if not len(x):
            return inputs
        images = x
        if kind in _HALF:
            model, images = _Rounding(model, x.dtype, _ULPS * _HALF[kind]), x.float32()
        verify_input_bounds(images, model)
        return restore_type(self.adversarials(model, images, criterion).astype(x.dtype))

    @abstractmethod
    def adversarials(self, model: Model, x: ep.Tensor, criterion: Any) -> ep.Tensor:
        """What ``run`` returns, for images [n, …] of float32 or float64, of which there is at least one."""


class BatchAttack(ImageAttack):
    """An attack that tries candidates for the samples which still need one; a base class.

    Attributes:
        max_images: how many images a model call takes at most.
    """

    max_images = MAX_IMAGES

    def adversarials(self, model: Model, x: ep.Tensor, criterion: Any) -> ep.Tensor:
        batch, results = Batch(model, x, criterion, self.max_images), x.numpy().copy()
        self.search(batch, results)
        return batch.tensor(results)

    @abstractmethod
    def search(self, batch: Batch, results: np.ndarray) -> None:
        """Puts adversarials of the batch's running samples into ``results`` [n, …], which are the images as yet."""


class _Rounding(Model):
    """A model that is asked about images as they are in half precision, and answers in float32.

    Args:
        model: any foolbox model.
        dtype: the images' type.
        rounding: of the largest logit, below which differences say nothing.
    """

    def __init__(self, model: Model, dtype: Any, rounding: float) -> None:
        self._model, self._dtype, self.rounding = model, dtype, rounding
        self.data_format = getattr(model, "data_format", None)

    @property
    def bounds(self) -> Bounds:
        return self._model.bounds

    def __call__(self, inputs: Any) -> Any:
        x, restore_type = ep.astensor_(inputs)
        return restore_type(ep.astensor(self._model(x.astype(self._dtype).raw)).float32())


def succeeds(logits: np.ndarray, classes: np.ndarray, targeted: bool = False) -> np.ndarray:
    """Which logits [m, classes] are those of adversarials: booleans [m].

    Args:
        logits: of the candidates.
        classes: [m] that the candidates are to leave, or to reach.
        targeted: whether they are those to reach.
    """
    # In NumPy, and not by foolbox's criterion: JAX would compile each of its operations for each number of images.
    return (np.argmax(logits, axis=-1) == classes) == targeted


def check_flag(argument: str, value: Any) -> bool:
    """Returns ``value`` if it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise fail(argument, "True or False", value)
    return bool(value)


def numpy_type(x: ep.Tensor) -> np.dtype:
    """NumPy's type for that of a tensor."""
    return np.dtype(_type_name(x))


def _type_name(x: ep.Tensor) -> str:
    """ "float32" for the type of that name in every framework."""
    return getattr(x.dtype, "name", str(x.dtype)).rpartition(".")[2]
