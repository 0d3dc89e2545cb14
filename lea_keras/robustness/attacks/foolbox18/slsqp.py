"""SLSQP of foolbox 1.8: scipy's solver with a constraint that it cannot see, so as a rule uniform noise."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize

from lea_keras.checks import check_positive_int, check_seed
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack
from lea_keras.robustness.attacks.foolbox18.asked import Asked

_STEP = 2.0**-26  # of scipy's forward differences then: the square root of float64's precision


class SLSQP18(BatchAttack):
    """SLSQP (Kraft 1988) as in v1.8.0, ``SLSQPAttack``.

    scipy's solver minimises the mean squared distance from the image, within the bounds, from a uniform random image,
    under one equality constraint: 0 if adversarial, 1 if not. Its gradient are forward differences of 1.5e-8. Where
    they are all zero, as nearly always, scipy finds the constraint singular and hands back its start. So the result is
    uniform noise if the model takes that for another class, and nothing else; ours looks for the nearest adversarial
    with a margin that has a gradient.

    The images of a gradient go through the model together. Those that round to the point itself are not asked again,
    which is every other one in float32: d/2 images a sample for d values (some 400 for 28×28×1, 2,000 for 64×64×1).
    scipy runs where some difference is not zero; where all are, its answer is known and taken as read.

    Args:
        max_iter: iterations of the solver at most.
        seed: decides the random image, for each position in the batch on its own.
        max_images: how many images go through the model at once.

    Raises:
        ValueError: for an argument out of range; when run, for a targeted criterion.
    """

    def __init__(self, *, max_iter: int = 500, seed: int = 0, max_images: int = MAX_IMAGES) -> None:
        self.max_iter = check_positive_int("max_iter", max_iter)
        self.seed = check_seed(seed)
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        asked = Asked(batch, results)
        for index in batch.running().tolist():
            start = np.random.default_rng((self.seed, index)).uniform(*batch.bounds, results[index].size)
            constraint = _Constraint(batch, asked, index)
            if np.any(constraint.gradient(start)):
                self._solve(batch, constraint, start)

    def _solve(self, batch: Batch, constraint: "_Constraint", start: np.ndarray) -> None:
        """Runs scipy's solver from ``start`` [d]."""
        lower, upper = batch.bounds
        origin = batch.x.numpy()[constraint.index].astype(np.float64).reshape(-1)
        scale = origin.size * (upper - lower) ** 2

        def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
            return float(np.sum(np.square(point - origin))) / scale, 2 * (point - origin) / scale

        solved = minimize(
            objective,
            start,
            method="SLSQP",
            jac=True,
            bounds=[(lower, upper)] * origin.size,
            constraints={"type": "eq", "fun": constraint.value, "jac": constraint.gradient},
            options={"maxiter": self.max_iter},
        )
        constraint.value(solved.x)


class _Constraint:
    """0 where a sample's image is adversarial, 1 where it is not, as a function of its flat values."""

    def __init__(self, batch: Batch, asked: Asked, index: int) -> None:
        self._batch, self._asked, self.index = batch, asked, index
        self._shape, self._dtype = batch.x.shape[1:], batch.x.numpy().dtype

    def value(self, point: np.ndarray) -> float:
        """At a point [d]."""
        return float(self._values(self._round(point)[None])[0])

    def gradient(self, point: np.ndarray) -> np.ndarray:
        """Forward differences [d] at a point [d]."""
        here, moved = self._round(point), self._round(point + _STEP)
        gradient, value = np.zeros(len(point)), self.value(point)
        for places in self._parts(np.flatnonzero(moved != here)):
            points = np.repeat(here[None], len(places), axis=0)
            points[np.arange(len(places)), places] = moved[places]
            gradient[places] = (self._values(points) - value) / _STEP
        return gradient

    def _values(self, points: np.ndarray) -> np.ndarray:
        images = points.reshape(len(points), *self._shape)
        return 1.0 - self._asked.ask(np.full(len(points), self.index), images)

    def _round(self, point: np.ndarray) -> np.ndarray:
        """As the model is asked about it."""
        return np.clip(point, *self._batch.bounds).astype(self._dtype)

    def _parts(self, places: np.ndarray) -> Iterator[np.ndarray]:
        return (places[part] for part in self._batch.parts(len(places)))
