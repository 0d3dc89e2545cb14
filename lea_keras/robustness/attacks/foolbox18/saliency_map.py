"""Saliency Map of foolbox 1.8, which only darkens, and never takes anything back."""

import numpy as np

from lea_keras.checks import check_number, check_positive_int, check_seed
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack
from lea_keras.robustness.attacks.foolbox18.asked import Asked
from lea_keras.robustness.attacks.gradients import ArrayModel
from lea_keras.robustness.attacks.searching import GradientSignSearch

_TINY = 1e-8  # added to the norm


class GradientSearch18(GradientSignSearch):
    """As Gradient Sign in v1.8.0, along the gradient itself, whose root mean square is one (``GradientAttack``)."""

    def directions(self, gradients: np.ndarray) -> np.ndarray:
        """The gradients [m, …], scaled."""
        squares = np.mean(np.square(gradients), axis=tuple(range(1, gradients.ndim)), keepdims=True)
        return gradients / (np.sqrt(squares) + _TINY)


class SaliencyMap18(BatchAttack):
    """Saliency Map (Papernot et al. 2016) as in v1.8.0, ``SaliencyMapAttack`` with its ``fast`` map.

    The target is the class that steps along the gradient itself reach, not its sign as in ours; where they reach none,
    a random one. Each step changes the element by ``theta`` whose gradient g of the target's log loss is *largest*: the
    fast map, −g, loses the absolute value that ours has. So an element gets darker as long as any g is above zero;
    where none is, the one of least influence gets brighter. An element that is at the bound already uses up a step
    before it is out, so that a black background may cost hundreds. What was changed remains changed.

    Steps that change nothing ask the model nothing here, with the same result.

    Args:
        max_iter: steps at most.
        theta: a change, as a share of the bounds' range.
        max_perturbations_per_element: how often an element may change.
        seed: decides the random target classes, for each position in the batch on its own.
        max_images: how many images go through the model at once.

    Raises:
        ValueError: for an argument out of range; when run, for a targeted criterion.
    """

    def __init__(
        self,
        *,
        max_iter: int = 2000,
        theta: float = 0.1,
        max_perturbations_per_element: int = 7,
        seed: int = 0,
        max_images: int = MAX_IMAGES,
    ) -> None:
        self.max_iter = check_positive_int("max_iter", max_iter)
        self.theta = check_number("theta", theta, minimum=1e-6)
        self.max_perturbations_per_element = check_positive_int(
            "max_perturbations_per_element", max_perturbations_per_element
        )
        self.seed = check_seed(seed)
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        asked, model = Asked(batch, results), ArrayModel(batch.model, batch.x)
        for part in batch.parts(len(indices := batch.running())):
            self._change(batch, model, asked, indices[part], self._find_targets(batch, indices[part]))

    def _find_targets(self, batch: Batch, indices: np.ndarray) -> np.ndarray:
        """Classes [m] to lead the samples [m] to."""
        labels, originals = batch.classes(indices), batch.x[indices]
        search = GradientSearch18(every=True, max_images=self.max_images)
        logits = batch.logits(search.adversarials(batch.model, originals, batch.criterion(indices)).numpy())
        targets, others = np.argmax(logits, axis=1), logits.shape[1] - 1
        for place in np.flatnonzero(targets == labels):
            drawn = np.random.default_rng((self.seed, int(indices[place]))).integers(others)
            targets[place] = drawn + (drawn >= labels[place])
        return targets

    def _change(self, batch: Batch, model: ArrayModel, asked: Asked, left: np.ndarray, targets: np.ndarray) -> None:
        """Changes one element per step of samples [m] until they are adversarial."""
        x, (lower, upper) = batch.x.numpy()[left], batch.bounds
        points, size = x.reshape(len(x), -1), self.theta * (upper - lower)  # [m, d]
        free, counts, steps = np.ones(points.shape, bool), np.zeros(points.shape, int), np.zeros(len(points), int)
        while len(left):
            _, gradients = model.log_probabilities(points.reshape(x.shape), targets)
            slopes = np.where(free, -gradients.reshape(points.shape), 0.0)  # of the log loss
            elements, lost = choose(slopes, points, lower, upper)
            places = np.arange(len(points)), elements
            changed = (points[places] - size * np.sign(slopes[places])).astype(points.dtype)
            counts[places] += 1
            free[places] = (changed > lower) & (changed < upper) & (counts[places] < self.max_perturbations_per_element)
            free &= ~lost
            changed = np.clip(changed, lower, upper)
            steps += 1 + np.count_nonzero(lost, axis=1)
            # What remains as it is does so for good, and 1.8 never asked about its last change.
            going = (changed != points[places]) & (steps < self.max_iter)
            points[places] = changed
            images = points.reshape(x.shape)
            going[going] = ~asked.ask(left[going], images[going])
            left, targets, x, points = left[going], targets[going], x[going], points[going]
            free, counts, steps = free[going], counts[going], steps[going]


def choose(slopes: np.ndarray, points: np.ndarray, lower: float, upper: float) -> tuple[np.ndarray, np.ndarray]:
    """Which elements change next: those of the largest slope that are not at the bound, or of none if there is none.

    Args:
        slopes: of the target's log loss, [m, d], 0 where an element is out.
        points: values [m, d].
        lower: bound of the values.
        upper: the other.

    Returns:
        Elements [m], which may be unable to move if nothing can; and [m, d], on which a step was lost before, because
        they had larger slopes and were at the bound.
    """
    falling = np.where((slopes > 0) & (points > lower), slopes, -np.inf)
    elements = np.argmax(falling, axis=1)
    best = falling[np.arange(len(points)), elements][:, None]
    first = (slopes > best) | ((slopes == best) & (np.arange(points.shape[1]) < elements[:, None]))
    lost = first & (slopes > 0) & (points <= lower)
    rising = np.all(slopes < 0, axis=1)  # only then does one get brighter
    # Otherwise, where none can fall, something of slope 0 comes up for good.
    still = ~rising & ~np.isfinite(best[:, 0])
    elements[rising] = np.argmax(slopes[rising], axis=1)
    elements[still] = np.argmin(np.abs(np.where(lost, 0.0, slopes)), axis=1)[still]
    return elements, lost
