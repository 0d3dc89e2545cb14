"""Deep Fool of foolbox 1.8, which overshoots at each step."""

import numpy as np
from scipy.special import log_softmax

from lea_keras.checks import check_number, check_positive_int
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack
from lea_keras.robustness.attacks.foolbox18.asked import Asked
from lea_keras.robustness.attacks.gradients import ArrayModel, likeliest_others

_TINY = 1e-8  # added to norms


class DeepFool18(BatchAttack):
    """Deep Fool (Moosavi-Dezfooli, Fawzi & Frossard 2015) as in v1.8.0, ``DeepFoolAttack`` for the L2 norm.

    Each step goes to the nearest linearised boundary of the likeliest classes and by ``overshoot`` further, and is
    clipped to the bounds before the next one starts from there. Ours, as foolbox 3, adds up the steps alone and
    overshoots their sum. Both end with the first adversarial.

    A class whose logit is no lower than the label's is left out, as in 1.8. So is one that rounding makes equal to it:
    steps that the bounds cut short come closer and closer to a boundary, until rounding takes them over it or, in
    every sixth search or so on a small network, to a tie, from which the search leaps to another class. Both happen as
    often here as in 1.8, but to other samples, since rounding depends on the arithmetic and the batch. Where no class
    is left, 1.8 failed, and here the sample stays as it is **(chosen)**.

    Args:
        steps: how many there are at most.
        subsample: how many of the image's likeliest classes are considered, the label among them.
        overshoot: how much longer a step is than the way to the boundary.
        max_images: how many images go through the model at once.

    Raises:
        ValueError: for an argument out of range; when run, for a targeted criterion.
    """

    def __init__(
        self, *, steps: int = 100, subsample: int = 10, overshoot: float = 0.05, max_images: int = MAX_IMAGES
    ) -> None:
        self.steps = check_positive_int("steps", steps)
        self.subsample = check_positive_int("subsample", subsample, minimum=2)
        self.overshoot = check_number("overshoot", overshoot)
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        asked, model = Asked(batch, results), ArrayModel(batch.model, batch.x)
        for part in batch.parts(len(indices := batch.running())):
            self._step(batch, model, asked, indices[part])
        asked.settle()

    def _step(self, batch: Batch, model: ArrayModel, asked: Asked, left: np.ndarray) -> None:
        """Goes all the steps of samples [m]."""
        points, labels = batch.x.numpy()[left], batch.classes(left)
        logits = batch.logits(points)
        candidates = likeliest_others(logits, labels, self.subsample - 1)
        for _ in range(self.steps):
            ways, has_way = self._find_ways(model, points, logits, labels, candidates)
            moved = (points + (1 + self.overshoot) * ways).astype(points.dtype)
            points = np.clip(moved, *batch.bounds)
            logits = batch.logits(points)
            going = ~asked.see(left, points, logits) & has_way
            left, points, logits = left[going], points[going], logits[going]
            labels, candidates = labels[going], candidates[going]
            if not len(left):
                break

    def _find_ways(
        self, model: ArrayModel, points: np.ndarray, logits: np.ndarray, labels: np.ndarray, candidates: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ways [m, …] from points [m, …] to the nearest linearised boundaries, and whether there is one, [m]."""
        ways, nearest, every = np.zeros(points.shape), np.full(len(points), np.inf), np.arange(len(points))
        losses = -log_softmax(logits, axis=1)  # in float32, whose rounding is what ends many a search at a boundary
        for classes in candidates.T:
            _, gradients = model.differences(points, classes, labels)
            norms = np.linalg.norm(gradients.reshape(len(points), -1), axis=1) + _TINY
            below = logits[every, classes] < logits[every, labels]
            distances = np.where(below, np.abs(losses[every, classes] - losses[every, labels]) / norms, np.inf)
            nearer = distances < nearest
            nearest[nearer] = distances[nearer]
            factors = (distances / norms)[nearer].reshape(-1, *[1] * (points.ndim - 1))
            ways[nearer] = factors * gradients[nearer]
        return ways, np.isfinite(nearest)
