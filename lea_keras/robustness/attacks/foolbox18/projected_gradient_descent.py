"""Projected Gradient Descent of foolbox 1.8, and its search for ε."""

import numpy as np

from lea_keras.checks import check_number, check_positive_int
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack
from lea_keras.robustness.attacks.foolbox18.asked import Asked
from lea_keras.robustness.attacks.gradients import ArrayModel
from lea_keras.robustness.attacks.search import bisect, climb

_GROWTH = 1.5


class ProjectedGradientDescent18(BatchAttack):
    """Projected Gradient Descent (Madry et al. 2017) as in v1.8.0, ``ProjectedGradientDescentAttack``.

    ε grows from ``epsilon`` by half, at most ``searches`` times, until the descent succeeds, and the interval from 0 to
    there is halved ``searches`` times. Steps grow and shrink with ε. No ε is too large, not even one beyond the range
    of the bounds, in units of which it is. A descent ends with its first adversarial *on the way*, where ours goes all
    its steps and asks once. A descent that has come to rest is left, since it would stay there.

    Args:
        epsilon: the first ε.
        stepsize: the step at the first ε, in the same units.
        iterations: steps of a descent at most.
        searches: how often ε grows at most, and how often the interval is halved then.
        max_images: how many images go through the model at once.

    Raises:
        ValueError: for an argument out of range; when run, for a targeted criterion.
    """

    def __init__(
        self,
        *,
        epsilon: float = 0.3,
        stepsize: float = 0.01,
        iterations: int = 40,
        searches: int = 20,
        max_images: int = MAX_IMAGES,
    ) -> None:
        self.epsilon = check_number("epsilon", epsilon, minimum=1e-6)
        self.stepsize = check_number("stepsize", stepsize)
        self.iterations = check_positive_int("iterations", iterations)
        self.searches = check_positive_int("searches", searches)
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        asked, model, x = Asked(batch, results), ArrayModel(batch.model, batch.x), batch.x.numpy()
        indices, signs = batch.running(), np.zeros_like(x)
        for part in batch.parts(len(indices)):  # of the images themselves, with which every descent begins
            _, signs[indices[part]] = _descend(model, batch, indices[part], x[indices[part]])

        def attempt(indices: np.ndarray, epsilons: np.ndarray) -> np.ndarray:
            gave_in = [
                self._run(batch, model, asked, indices[part], epsilons[part], signs[indices[part]])
                for part in batch.parts(len(indices))
            ]
            return np.concatenate([np.zeros(0, bool), *gave_in])

        _, succeeding = climb(attempt, indices, [self.epsilon * _GROWTH**i for i in range(self.searches)])
        bisect(attempt, indices, np.zeros(len(indices)), succeeding, self.searches)
        asked.settle()

    def _run(
        self,
        batch: Batch,
        model: ArrayModel,
        asked: Asked,
        indices: np.ndarray,
        epsilons: np.ndarray,
        signs: np.ndarray,
    ) -> np.ndarray:
        """One descent of each sample [m] at its ε [m]; ``signs`` [m, …] are the first. Which succeeded, [m]."""
        x, (lower, upper) = batch.x.numpy()[indices], batch.bounds
        widths = (epsilons * (upper - lower)).reshape(-1, *[1] * (x.ndim - 1)).astype(x.dtype)
        steps = widths * x.dtype.type(self.stepsize / self.epsilon)
        points, success, left = x.copy(), np.zeros(len(x), bool), np.arange(len(x))
        for iteration in range(self.iterations):
            moved = points[left] + steps[left] * signs
            moved = x[left] + np.clip(moved - x[left], -widths[left], widths[left])
            moved = np.clip(moved, lower, upper)
            going = np.any(moved != points[left], axis=tuple(range(1, x.ndim)))
            left, moved = left[going], moved[going]
            if not len(left):
                break
            points[left] = moved
            if iteration == self.iterations - 1:
                success[left] = asked.ask(indices[left], moved)
                break
            logits, signs = _descend(model, batch, indices[left], moved)
            success[left] = asked.see(indices[left], moved, logits)
            signs, left = signs[~success[left]], left[~success[left]]
        return success


def _descend(model: ArrayModel, batch: Batch, indices: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits of images [m, …] of the samples [m], and the signs of their labels' log loss's gradients."""
    logits, gradients = model.log_probabilities(images, batch.classes(indices))
    return logits, -np.sign(gradients).astype(images.dtype)
