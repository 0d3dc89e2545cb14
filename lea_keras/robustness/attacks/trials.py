"""Asking the model about candidates for some samples of a batch: those that are still looking for an adversarial."""

from typing import Any

import eagerpy as ep
import numpy as np
from foolbox import Misclassification, TargetedMisclassification
from foolbox.attacks.base import get_criterion, verify_input_bounds
from foolbox.models import Model

from lea_keras.checks import fail
from lea_keras.robustness.attacks.base import numpy_type

MAX_IMAGES = 512  # how many candidates attacks hand over at once unless told otherwise (chosen)


class Trials:
    """A batch under attack, of which any part can be tried, each sample any number of times.

    foolbox's criteria hold the labels of a whole batch. Here the labels go with the candidates, so that samples which
    are done leave the batch and others try several candidates in one call.

    Args:
        model: any foolbox model.
        x: the images [n, …], within the model's bounds.
        criterion: ``foolbox.Misclassification``, ``foolbox.TargetedMisclassification``, or bare labels [n].
        max_images: how many candidates one model call may take.

    Raises:
        ValueError: for any other criterion, or classes that are not integers [n].
    """

    def __init__(self, model: Model, x: ep.Tensor, criterion: Any, max_images: int = MAX_IMAGES) -> None:
        verify_input_bounds(x, model)
        criterion = get_criterion(criterion)
        if isinstance(criterion, Misclassification):
            self._wrap, self._classes = Misclassification, criterion.labels.numpy()
        elif isinstance(criterion, TargetedMisclassification):
            self._wrap, self._classes = TargetedMisclassification, criterion.target_classes.numpy()
        else:
            raise fail(
                "criterion", "labels, a Misclassification or a TargetedMisclassification", type(criterion).__name__
            )
        if self._classes.shape != (len(x),) or not np.issubdtype(self._classes.dtype, np.integer):
            received = f"{self._classes.dtype} of shape {self._classes.shape}"
            raise fail("criterion", f"one integer class for each of {len(x)} images", received)
        self.model, self.x, self.max_images = model, x, max_images
        self.bounds, self._dtype = model.bounds, numpy_type(x)

    @property
    def targeted(self) -> bool:
        """Whether the classes are those to reach, not those to leave."""
        return self._wrap is TargetedMisclassification

    @property
    def kind(self) -> str:
        """The name of the criterion."""
        return self._wrap.__name__

    def classes(self, rows: np.ndarray) -> np.ndarray:
        """The classes [m] that the samples ``rows`` are to leave (or to reach)."""
        return self._classes[rows]

    def criterion(self, rows: np.ndarray) -> Misclassification | TargetedMisclassification:
        """The criterion for these samples [m] alone, which may be repeated."""
        return self._wrap(ep.from_numpy(self.x, self._classes[rows]).raw)

    def batches(self, count: int) -> list[slice]:
        """What is tried at once of ``count`` candidates."""
        return [slice(start, min(start + self.max_images, count)) for start in range(0, count, self.max_images)]

    def tensor(self, array: np.ndarray) -> ep.Tensor:
        """An array as a tensor of the model's backend, in the images' type."""
        return ep.from_numpy(self.x, np.asarray(array, self._dtype))

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits [m, classes] of candidates [m, …]."""
        if not len(images):
            return np.zeros((0, 0), np.float32)
        return np.concatenate([self.model(self.tensor(images[part])).numpy() for part in self.batches(len(images))])

    def fooled(self, rows: np.ndarray, images: ep.Tensor) -> np.ndarray:
        """Which candidates [m, …] of the samples ``rows`` [m] are adversarial: booleans [m], from one model call.

        A candidate that is not finite, as one from a gradient that is not, never is.
        """
        if not len(rows):
            return np.zeros(0, bool)
        finite = np.isfinite(images.numpy()).reshape(len(rows), -1).all(axis=1)
        # In NumPy, and not by foolbox's criterion: JAX would compile each of its operations for each number of images.
        predicted = np.argmax(self.model(images).numpy(), axis=-1)
        return ((predicted == self.classes(rows)) == self.targeted) & finite

    def running(self) -> np.ndarray:
        """The samples that are not adversarial as they are: the others have nothing to search for."""
        every = np.arange(len(self.x))
        done = [self.fooled(every[part], self.x[part]) for part in self.batches(len(every))]
        return every[~np.concatenate(done)]
