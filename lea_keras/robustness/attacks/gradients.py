"""A foolbox model with NumPy arrays in and out, for attacks based on gradients."""

from collections.abc import Callable
from typing import Any

import eagerpy as ep
import foolbox
import numpy as np
from foolbox.attacks.base import get_criterion

from lea_keras.checks import fail
from lea_keras.robustness.attacks.base import numpy_type

#: The two kinds of misclassification that attacks here can look for.
UNTARGETED = foolbox.Misclassification
TARGETED = foolbox.TargetedMisclassification


class ArrayModel:
    """A foolbox model whose inputs and outputs are NumPy arrays.

    Args:
        model: any foolbox model.
        like: a tensor of the framework, on the device and of the type that the model works with.
        channel_axis: where the model has an image's channels; the arrays have them last. -1: where the model has them.

    Attributes:
        rounding: of the largest logit, below which differences say nothing because it computes in half precision; or 0.
    """

    def __init__(self, model: foolbox.models.Model, like: ep.Tensor, channel_axis: int = -1) -> None:
        self.model = model
        self.rounding = getattr(model, "rounding", 0.0)
        self.like, self._dtype = like, numpy_type(like)
        self.channel_axis = channel_axis

    def tensor(self, images: np.ndarray) -> ep.Tensor:
        """Images [n, …] as the tensor that the model takes, in the type of ``like``."""
        images = np.moveaxis(images, -1, self.channel_axis)
        return ep.from_numpy(self.like, np.ascontiguousarray(images, self._dtype))

    def array(self, tensor: ep.Tensor) -> np.ndarray:
        """A tensor in the model's layout as float64 array [n, …]."""
        return np.moveaxis(tensor.numpy(), self.channel_axis, -1).astype(np.float64)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Logits of images [n, …], float64 [n, classes]."""
        return self.model(self.tensor(images)).numpy().astype(np.float64)

    def gradients(
        self, images: np.ndarray, objective: Callable[[ep.Tensor], ep.Tensor]
    ) -> tuple[np.ndarray, np.ndarray]:
        """One forward and one backward pass.

        Args:
            images: [n, …].
            objective: takes logits [n, classes] and returns [n], written in eagerpy's functions.

        Returns:
            Logits, float64 [n, classes], and the gradient of each sample's objective with respect to its image,
            float64 in the shape of the images.
        """

        def total(inputs: ep.Tensor) -> tuple[ep.Tensor, ep.Tensor]:
            logits = self.model(inputs)
            return objective(logits).sum(), logits

        _, logits, gradients = ep.value_and_grad_fn(self.like, total, has_aux=True)(self.tensor(images))
        return logits.numpy().astype(np.float64), self.array(gradients)

    def differences(self, images: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The logit of ``classes`` [n] minus that of ``labels`` [n], and its gradient in the shape of the images."""
        candidates = range(len(images))

        def objective(logits: ep.Tensor) -> ep.Tensor:
            return logits[candidates, classes.tolist()] - logits[candidates, labels.tolist()]

        logits, gradients = self.gradients(images, objective)
        return logits[candidates, classes] - logits[candidates, labels], gradients

    def log_probabilities(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits [n, classes], and the gradient of the classes' [n] log probability in the shape of the images."""
        candidates = range(len(images))
        return self.gradients(images, lambda logits: logits.log_softmax(axis=-1)[candidates, classes.tolist()])


def one_hot(classes: np.ndarray, count: int) -> np.ndarray:
    """float64 [n, count] of classes [n]."""
    return np.eye(count)[classes]


def find_margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Largest other logit − logit of the label, [n]."""
    is_label = one_hot(labels, logits.shape[1]) > 0
    return np.max(np.where(is_label, -np.inf, logits), axis=1) - logits[is_label]


def likeliest_others(logits: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The ``count`` likeliest classes besides the labels [n], likeliest first; [n, count], or all that there are."""
    others = np.where(one_hot(labels, logits.shape[1]) > 0, -np.inf, logits)
    return np.argsort(-others, axis=1, kind="stable")[:, : min(count, logits.shape[1] - 1)]


def labels_of(criterion: Any, attack: str) -> np.ndarray:
    """The labels [n], or those of a criterion, that an untargeted attack leads away from.

    Raises:
        ValueError: for another criterion than misclassification, or labels that are none.
    """
    criterion = get_criterion(criterion)
    if not isinstance(criterion, UNTARGETED):
        raise fail("criterion", f"labels, or foolbox.Misclassification of them, for {attack}", criterion)
    return _integers(criterion.labels)


def targets_of(criterion: foolbox.TargetedMisclassification) -> np.ndarray:
    """The target classes [n] of a targeted attack."""
    return _integers(criterion.target_classes)


def _integers(labels: ep.Tensor) -> np.ndarray:
    array = labels.numpy()
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise fail("criterion", "made of one integer class per sample", f"{array.dtype} array of shape {array.shape}")
    return array.astype(np.int64)
