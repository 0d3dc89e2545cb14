"""Saliency map attack: changes the few elements of an image that matter most for a target class."""

from typing import Any

import eagerpy as ep
import foolbox
import numpy as np
from foolbox.attacks.base import get_criterion

from lea_keras.checks import check_number, check_positive_int
from lea_keras.robustness.attacks.base import ImageAttack, check_flag, succeeds
from lea_keras.robustness.attacks.gradients import TARGETED, ArrayModel, labels_of, likeliest_others, targets_of
from lea_keras.robustness.attacks.search import bisect

_STRENGTHS = np.geomspace(1e-3, 1.0, 20)  # of the search for a target class, in units of the bounds' range
_AT_BOUND = 1e-6  # of the bounds' range: an element nearer to its bound is at it


class SaliencyMapAttack(ImageAttack):
    """Changes one element after the other towards a target class (Papernot et al. 2016, arXiv 1511.07528).

    An element is one channel of one pixel. Each step takes the gradient of the target class with respect to the image,
    α, and moves the element of highest saliency by ``theta`` in the direction of its α's sign, cut off at the bounds.
    An element is out if it is at the bound that it would move to (saturated elements have gradients, too, but nowhere
    to go), or after ``max_perturbations_per_element`` changes; it may move back if its gradient turns.

    - ``fast=True``, as in 1.8 without pairs of elements: saliency is ``|α|``, which is the paper's map with the sum of
      the other classes' gradients, β, taken as −1 and both directions allowed. α is that of the target's log
      probability: it falls when any other class rises, so that what lifts all classes alike does not count
      **(chosen)**.
    - ``fast=False``: Eqs. 8 and 9 for single elements. α and β are those of logits, as probabilities' gradients sum to
      zero, which makes β = −α. Saliency is ``|α|·|β|`` where α and β have opposite signs, and zero elsewhere; a
      positive α asks for an increase (Eq. 8), a negative one for a decrease (Eq. 9). Twice the gradients.

    An untargeted attack stops as soon as the image is misclassified at all. Its target is the class that steps along
    the sign of the log loss's gradient reach first, with rising strength (20 strengths from 0.001 to 1 of the bounds'
    range **(chosen)**); where they reach none, a random one besides the label, as in 1.8.

    After success, changes that were not needed are taken back **(chosen)**: the changed elements are put in the order
    of what one gradient says that they contribute to misclassification, per squared distance that they cost, and
    bisection looks for how many of them, the least useful first and the last one in part, can return to the original.

    Per step and sample: a forward and a backward pass (two with ``fast=False``). Before that: one of both, and up to 20
    forward passes for the target class. After success: one of both, and a forward pass for each of ``undo_steps``.

    Args:
        max_iter: changes at most.
        theta: size of a change as a share of the bounds' range.
        max_perturbations_per_element: how often an element may change.
        fast: whether only the target class's gradient decides.
        undo_steps: halvings of the interval in which the share of changes to take back is sought; 0 takes none back.
        seed: decides the random target classes, for each position in the batch on its own.

    Raises:
        ValueError: for an argument out of range; when run, for another criterion than (targeted) misclassification.
    """

    def __init__(
        self,
        *,
        max_iter: int = 2000,
        theta: float = 0.1,
        max_perturbations_per_element: int = 7,
        fast: bool = True,
        undo_steps: int = 12,
        seed: int = 0,
    ) -> None:
        self.max_iter = check_positive_int("max_iter", max_iter)
        self.theta = check_number("theta", theta, minimum=1e-6)
        self.max_perturbations_per_element = check_positive_int(
            "max_perturbations_per_element", max_perturbations_per_element
        )
        self.fast = check_flag("fast", fast)
        self.undo_steps = check_positive_int("undo_steps", undo_steps, minimum=0)
        self.seed = check_positive_int("seed", seed, minimum=0)

    def adversarials(self, model: foolbox.models.Model, x: ep.Tensor, criterion: Any) -> ep.Tensor:
        """Returns images with few changed elements, or the original where the target was out of reach."""
        criterion = get_criterion(criterion)
        targeted = isinstance(criterion, TARGETED)
        classes = targets_of(criterion) if targeted else labels_of(criterion, "SaliencyMapAttack")

        search = _Search(ArrayModel(model, x), x.numpy(), classes, targeted, model.bounds)
        indices = np.flatnonzero(~search.adversarial(np.arange(len(classes)), search.images))
        if len(indices):
            targets = classes[indices] if targeted else search.reachable_classes(indices, self.seed)
            search.change(indices, targets, self)
            search.undo(self.undo_steps)
        return search.model.tensor(search.result).clip(*model.bounds)


class _Search:
    """Changes to a batch of images.

    Attributes:
        images: the originals, float64 [n, …].
        result: the adversarials so far, the original where there is none.
    """

    def __init__(
        self, model: ArrayModel, images: np.ndarray, classes: np.ndarray, targeted: bool, bounds: tuple[float, float]
    ) -> None:
        self.model = model
        self.images = images.astype(np.float64)
        self.result = self.images.copy()
        self.classes = classes
        self.targeted = targeted
        self.lower, self.upper = bounds

    def adversarial(self, indices: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Whether images [m, …] of samples [m] are what the attack looks for, by a forward pass."""
        return self._succeeds(indices, self.model.logits(images))

    def _succeeds(self, indices: np.ndarray, logits: np.ndarray) -> np.ndarray:
        return succeeds(logits, self.classes[indices], self.targeted)

    def reachable_classes(self, indices: np.ndarray, seed: int) -> np.ndarray:
        """The class of each sample that steps along the sign of the log loss's gradient reach first, else at random."""
        labels, images = self.classes[indices], self.images[indices]
        logits, gradients = self.model.log_probabilities(images, labels)
        others = logits.shape[1] - 1
        targets = np.array([np.random.default_rng((seed, index)).integers(others) for index in indices])
        targets += targets >= labels  # any class but the label
        left = np.arange(len(indices))
        for strength in _STRENGTHS * (self.upper - self.lower):
            moved = np.clip(images[left] - strength * np.sign(gradients[left]), self.lower, self.upper)
            predicted = np.argmax(self.model.logits(moved), axis=1)
            hit = predicted != labels[left]
            targets[left[hit]] = predicted[hit]
            left = left[~hit]
            if not len(left):
                break
        return targets

    def change(self, indices: np.ndarray, targets: np.ndarray, attack: SaliencyMapAttack) -> None:
        """Changes one element per step of each sample until it is adversarial; only then it becomes the result."""
        span = self.upper - self.lower
        images = self.images[indices].reshape(len(indices), -1)  # [m, d]
        counts = np.zeros(images.shape, int)
        running = np.arange(len(indices))
        for step in range(attack.max_iter + 1):
            shaped = images[running].reshape(len(running), *self.images.shape[1:])
            logits, signs, saliency = _saliency_map(self.model, shaped, targets[running], attack.fast)
            done = self._succeeds(indices[running], logits)
            self.result[indices[running[done]]] = shaped[done]
            room = np.where(signs > 0, self.upper - images[running], images[running] - self.lower)
            free = (counts[running] < attack.max_perturbations_per_element) & (room > _AT_BOUND * span)
            saliency = np.where(free, saliency, 0)
            elements = np.argmax(saliency, axis=1)
            going = ~done & (saliency[range(len(running)), elements] > 0) & (step < attack.max_iter)
            running, elements, signs = running[going], elements[going], signs[going]
            if not len(running):
                break
            moved = images[running, elements] + attack.theta * span * signs[range(len(running)), elements]
            images[running, elements] = np.clip(moved, self.lower, self.upper)
            counts[running, elements] += 1

    def undo(self, steps: int) -> None:
        """Takes back what is not needed of the changes."""
        indices = np.flatnonzero(np.any(self.result != self.images, axis=tuple(range(1, self.images.ndim))))
        if not len(indices) or not steps:
            return
        original = self.images[indices].reshape(len(indices), -1)
        changes = self.result[indices].reshape(len(indices), -1) - original  # [m, d]
        gradients = self._margin_gradients(indices).reshape(changes.shape)
        # A change adds gradient · change to the margin and change² to the squared distance.
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = np.where(changes == 0, np.inf, gradients / changes)
        ranks = np.argsort(np.argsort(worth, axis=1, kind="stable"), axis=1)  # 0: the first to be taken back

        def attempt(places: np.ndarray, levels: np.ndarray) -> np.ndarray:
            """The level −k stands for k changes taken back: the lower, the smaller is the perturbation."""
            shares = np.clip(ranks[places] + 1 + levels[:, None], 0, 1)  # 0 and 1: all and nothing taken back
            images = (original[places] + shares * changes[places]).reshape(len(places), *self.images.shape[1:])
            adversarial = self.adversarial(indices[places], images)
            self.result[indices[places[adversarial]]] = images[adversarial]
            return adversarial

        counts = np.count_nonzero(changes, axis=1).astype(np.float64)
        bisect(attempt, np.arange(len(indices)), -counts, np.zeros(len(indices)), steps)

    def _margin_gradients(self, indices: np.ndarray) -> np.ndarray:
        """Of how clearly the results are adversarial."""
        images, classes = self.result[indices], self.classes[indices]
        rivals = likeliest_others(self.model.logits(images), classes, 1)[:, 0]
        _, gradients = self.model.differences(images, rivals, classes)
        return -gradients if self.targeted else gradients


def _saliency_map(
    model: ArrayModel, images: np.ndarray, targets: np.ndarray, fast: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, the direction in which each element [n, d] helps the target, −1, 0 or 1, and its saliency, at least 0."""
    if fast:
        logits, alpha = model.log_probabilities(images, targets)
        alpha = alpha.reshape(len(images), -1)
        return logits, np.sign(alpha), np.abs(alpha)
    candidates = range(len(images))
    logits, alpha = model.gradients(images, lambda logits: logits[candidates, targets.tolist()])
    _, total = model.gradients(images, lambda logits: logits.sum(axis=-1))
    alpha, total = alpha.reshape(len(images), -1), total.reshape(len(images), -1)
    beta = total - alpha
    return logits, np.sign(alpha), np.where(alpha * beta < 0, np.abs(alpha * beta), 0)
