"""SLSQP: the nearest misclassified image within bounds, by sequential least squares programming."""

from typing import Any

import eagerpy as ep
import foolbox
import numpy as np

from lea_keras.checks import check_number, check_positive_int
from lea_keras.robustness.attacks.base import ImageAttack, succeeds
from lea_keras.robustness.attacks.gradients import ArrayModel, find_margins, labels_of, likeliest_others, one_hot
from lea_keras.robustness.attacks.search import bisect

_SUFFICIENT = 1e-4  # share of the decrease that the linearisation promises, which a step must keep
_STEEPEST = 1e8  # curvature above which steps vanish
_POLISH = 10  # halvings of the last interval
_REACHED = 0.95  # of what the bounds allow, where they do not allow what the linearised margin needs
_EXACT = 1e-12  # rounding of a subproblem's constraint
_NEVER = -1e30  # a logit that no maximum picks
_ROUNDING = 1e-6  # of the largest logit: differences below it say nothing in float32


class SLSQPAttack(ImageAttack):
    """Minimises the squared distance to the image x₀ under box bounds and a margin constraint (Kraft 1988).

    The problem, with the margin m(x) = largest other logit − logit of the label:

        minimise ½‖x − x₀‖²  subject to  m(x) ≥ δ  and  lower ≤ x ≤ upper

    Sequential least squares programming linearises the constraint at the current x, solves the least squares problem
    that is left and goes there. The objective's Hessian is the identity, and is used as it is, where general solvers
    approximate one. The subproblem then has the closed form x(λ) = clip(x₀ + λ∇m) with one unknown, λ ≥ 0, which a few
    Newton steps on a concave, piecewise linear function find exactly, for all samples at once.

    What curvature the margin adds to the Lagrangian is not known, and ReLUs have kinks. So a step counts only if it
    lowers the exact penalty ½‖x − x₀‖² + μ·max(0, δ − m(x)), with μ twice the largest λ. Where it does not, the
    subproblem's Hessian becomes four times as large (it is halved after a success, down to the identity again): the way
    to the boundary stays as it is and only the way along it gets shorter. A line search, which shortens both, was tried
    and stops at kinks before it reaches the boundary **(chosen)**.

    foolbox 1.8 gave scipy's SLSQP the equality constraint "0 if adversarial, 1 if not", and no gradient: a mistake.
    The finite differences of a step function are zero almost everywhere, so that the solver sees a constraint that
    nothing changes, and cannot look for the boundary: scipy 1.17 calls it singular and returns the start. The margin
    says the same, misclassified or not, but has a gradient.

    Every sample is searched from several starts at once, and the nearest adversarial seen anywhere is kept:

    - the image itself, once for each of the ``classes`` other classes whose linearised boundaries are nearest within
      the bounds; of this start the margin is that of its class alone **(chosen)**;
    - ``random_starts`` uniform random images within the bounds, as in 1.8, which started from one. Their margin is
      that of the likeliest other class wherever they are.

    Finally bisection between x₀ and the result makes up for searches that ``max_iter`` ended **(chosen)**.

    Per iteration, one forward and backward pass for all searches that still run; before, one for each of the
    ``subsample`` − 1 likeliest other classes. Only untargeted.

    Args:
        max_iter: iterations (gradients) per start at most. 1.8: 500.
        classes: how many classes to start for from the image itself; 0 for none.
        random_starts: how many uniform random starts; 0 for none.
        subsample: how many of the image's likeliest classes are looked at for the nearest, the label among them.
        tolerance: a search ends when its step is shorter than this share of the distance.
        overshoot: δ as a share of the margin at the start.
        seed: decides the random starts, for each position in the batch on its own.

    Raises:
        ValueError: for an argument out of range, or no start at all; when run, for another criterion than
            misclassification.
    """

    def __init__(
        self,
        *,
        max_iter: int = 100,
        classes: int = 2,
        random_starts: int = 1,
        subsample: int = 10,
        tolerance: float = 1e-3,
        overshoot: float = 1e-4,
        seed: int = 0,
    ) -> None:
        self.max_iter = check_positive_int("max_iter", max_iter)
        self.classes = check_positive_int("classes", classes, minimum=0)
        self.random_starts = check_positive_int("random_starts", random_starts, minimum=int(self.classes == 0))
        self.subsample = check_positive_int("subsample", subsample, minimum=2)
        self.tolerance = check_number("tolerance", tolerance)
        self.overshoot = check_number("overshoot", overshoot)
        self.seed = check_positive_int("seed", seed, minimum=0)

    def adversarials(self, model: foolbox.models.Model, x: ep.Tensor, criterion: Any) -> ep.Tensor:
        """Returns the nearest adversarials found, or the original where there is none."""
        labels = labels_of(criterion, "SLSQPAttack")
        problem = _Problem(ArrayModel(model, x), x.numpy(), labels, model.bounds, self.overshoot)
        indices = np.flatnonzero(problem.distances > 0)  # the others are misclassified already
        if len(indices):
            starts = [problem.start_from_image(indices, self.classes, self.subsample)] if self.classes else []
            starts += [problem.start_at_random(indices, (self.seed, start)) for start in range(self.random_starts)]
            of, targets, points = (np.concatenate(parts) for parts in zip(*starts, strict=True))
            _search(problem, of, targets, points, self.max_iter, self.tolerance)
            problem.polish(indices)
        return problem.model.tensor(problem.best.reshape(x.shape)).clip(*model.bounds)


class _Problem:
    """Margins of flattened images [·, d], and the nearest misclassified image seen for each sample.

    Attributes:
        origins: the images x₀, [n, d].
        best: nearest adversarials so far; the image where there is none.
        distances: of ``best``; 0 for samples misclassified from the start, infinite where there is none.
        goals: δ of each sample, [n].
    """

    def __init__(
        self, model: ArrayModel, images: np.ndarray, labels: np.ndarray, bounds: tuple[float, float], overshoot: float
    ) -> None:
        self.model = model
        self.shape = images.shape[1:]
        self.origins = images.reshape(len(images), -1).astype(np.float64)
        self.lower, self.upper = bounds
        self.labels = labels
        self.logits = model.logits(images)
        self.best = self.origins.copy()
        self.distances = np.where(succeeds(self.logits, labels), 0.0, np.inf)
        self.goals = np.maximum(overshoot * np.abs(find_margins(self.logits, labels)), 2 * self._rounding(self.logits))

    def margins(self, indices: np.ndarray, targets: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Margins [m] at points [m, d] of samples [m] and their gradients [m, d]; keeps what is misclassified.

        A target of −1 stands for the likeliest class besides the label.
        """
        classes = self.logits.shape[1]
        labels = one_hot(self.labels[indices], classes)
        rivals = np.where(targets[:, None] < 0, 1 - labels, one_hot(targets, classes))
        is_label, is_rival = (self.model.tensor(mask) for mask in (labels, rivals))

        def margin(logits: ep.Tensor) -> ep.Tensor:
            best = ep.where(is_rival > 0, logits, ep.full_like(logits, _NEVER)).max(axis=-1)
            return best - (logits * is_label).sum(axis=-1)

        logits, gradients = self.model.gradients(self._images(points), margin)
        self.keep(indices, points, self._misclassified(indices, logits))
        margins = np.max(np.where(rivals > 0, logits, -np.inf), axis=1) - np.sum(logits * labels, axis=1)
        return margins, gradients.reshape(points.shape)

    def keep(self, indices: np.ndarray, points: np.ndarray, adversarial: np.ndarray) -> None:
        """Remembers points [m, d] that are adversarial and nearer than what was known."""
        distances = np.where(adversarial, np.linalg.norm(points - self.origins[indices], axis=1), np.inf)
        order = np.argsort(distances, kind="stable")  # a sample may have several points
        unique, first = np.unique(indices[order], return_index=True)
        nearest = order[first]
        nearer = distances[nearest] < self.distances[unique]
        self.best[unique[nearer]] = points[nearest[nearer]]
        self.distances[unique[nearer]] = distances[nearest[nearer]]

    def solve(
        self,
        indices: np.ndarray,
        points: np.ndarray,
        margins: np.ndarray,
        gradients: np.ndarray,
        curvatures: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solutions [m, d] of the subproblems at ``points`` [m, d] and their multipliers [m].

        Completing the square turns the subproblem of curvature σ into a projection of x + (x₀ − x) / σ.
        """
        centres = points + (self.origins[indices] - points) / curvatures[:, None]
        needs = self.goals[indices] - margins + np.sum(gradients * (points - centres), axis=1)
        solutions, multipliers = nearest_in_half_space(centres, gradients, needs, self.lower, self.upper)
        return solutions, multipliers * curvatures

    def start_from_image(
        self, indices: np.ndarray, classes: int, subsample: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Samples, target classes and starts of searches for the classes with the nearest linearised boundaries."""
        candidates = likeliest_others(self.logits[indices], self.labels[indices], subsample - 1)  # [n, classes]
        origins = self.origins[indices]
        distances = np.zeros(candidates.shape)
        for rank, targets in enumerate(candidates.T):
            linearised = self.margins(indices, targets, origins)
            solutions, _ = self.solve(indices, origins, *linearised, np.ones(len(indices)))
            distances[:, rank] = np.linalg.norm(solutions - origins, axis=1)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :classes]
        targets = np.take_along_axis(candidates, nearest, axis=1)
        repeats = targets.shape[1]
        return np.repeat(indices, repeats), targets.ravel(), np.repeat(origins, repeats, axis=0)

    def start_at_random(self, indices: np.ndarray, seed: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As ``start_from_image``, of searches from anywhere within the bounds for any class."""
        size = self.origins.shape[1]
        draws = [np.random.default_rng((*seed, index)).uniform(self.lower, self.upper, size) for index in indices]
        return indices, np.full(len(indices), -1), np.reshape(draws, (len(indices), size))

    def polish(self, indices: np.ndarray) -> None:
        """Bisection between the image and its best adversarial."""
        indices = indices[np.isfinite(self.distances[indices])]
        adversarials = self.best.copy()

        def attempt(indices: np.ndarray, shares: np.ndarray) -> np.ndarray:
            origins = self.origins[indices]
            points = origins + shares[:, None] * (adversarials[indices] - origins)
            adversarial = self._misclassified(indices, self.model.logits(self._images(points)))
            self.keep(indices, points, adversarial)
            return adversarial

        bisect(attempt, indices, np.zeros(len(indices)), np.ones(len(indices)), _POLISH)

    def _misclassified(self, indices: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Whether another class wins clearly: results lie on the boundary, where rounding differs with the batch."""
        return find_margins(logits, self.labels[indices]) > self._rounding(logits)

    def _rounding(self, logits: np.ndarray) -> np.ndarray:
        return max(_ROUNDING, self.model.rounding) * np.max(np.abs(logits), axis=1)

    def _images(self, points: np.ndarray) -> np.ndarray:
        return points.reshape(len(points), *self.shape)


def _search(
    problem: _Problem, indices: np.ndarray, targets: np.ndarray, points: np.ndarray, max_iter: int, tolerance: float
) -> None:
    """Runs all searches in step; ``problem`` keeps the nearest adversarials.

    Args:
        problem: whose samples they are.
        indices: [m], the sample of each search.
        targets: [m], class to reach, or −1 for any.
        points: [m, d], starts.
        max_iter: iterations at most.
        tolerance: share of the distance below which a step ends its search.
    """
    origins, goals = problem.origins[indices], problem.goals[indices]
    margins, gradients = problem.margins(indices, targets, points)
    curvatures, weights = np.ones(len(indices)), np.zeros(len(indices))
    running = np.flatnonzero(np.any(gradients, axis=1))
    for _ in range(max_iter):
        if not len(running):
            break
        start, near, slope = points[running], margins[running], gradients[running]
        tried, multipliers = problem.solve(indices[running], start, near, slope, curvatures[running])
        weights[running] = np.maximum(weights[running], 2 * multipliers)
        tried_margins, slopes = problem.margins(indices[running], targets[running], tried)

        # The exact penalty here, as the linearised margin promises it at the trial point, and as it is there.
        linear = near + np.sum(slope * (tried - start), axis=1)
        penalties = [
            weights[running] * np.maximum(0, goals[running] - margin) for margin in (near, linear, tried_margins)
        ]
        old, new = (np.sum((x - origins[running]) ** 2, axis=1) / 2 for x in (start, tried))
        promised, change = new + penalties[1] - old - penalties[0], new + penalties[2] - old - penalties[0]
        accepted = change <= _SUFFICIENT * promised
        moved = running[accepted]
        points[moved], margins[moved], gradients[moved] = tried[accepted], tried_margins[accepted], slopes[accepted]
        curvatures[running] *= np.where(accepted, 0.5, 4.0)
        curvatures[moved] = np.maximum(1, curvatures[moved])

        lengths = np.linalg.norm(tried - start, axis=1)
        distances = np.linalg.norm(points[running] - origins[running], axis=1)
        done = (lengths <= tolerance * distances) & (margins[running] > 0)
        done |= (curvatures[running] > _STEEPEST) | ~np.any(gradients[running], axis=1)
        running = running[~done]


def nearest_in_half_space(
    origins: np.ndarray, normals: np.ndarray, needs: np.ndarray, lower: float, upper: float
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest points within bounds that lie in a half-space: minimise ‖x − o‖ subject to normal·(x − o) ≥ need.

    Its optimality conditions give x(λ) = clip(o + λ·normal); normal·(x(λ) − o) rises with λ along straight pieces, ever
    less steeply as coordinates reach their bound. Newton's method on such a function never goes past the solution and
    takes at most one step per piece.

    Args:
        origins: [m, d], within the bounds.
        normals: [m, d].
        needs: [m].
        lower: bound of all coordinates.
        upper: the other.

    Returns:
        The points [m, d] and their multipliers λ [m], 0 where the origin is in the half-space. Where the bounds do not
        reach into it, the solution for most of what they reach (so that λ remains finite).
    """
    squares = normals**2
    with np.errstate(divide="ignore", invalid="ignore"):
        limits = np.where(normals > 0, (upper - origins) / normals, (lower - origins) / normals)
    limits = np.where(normals == 0, 0, limits)  # λ at which a coordinate reaches its bound
    reach = np.sum(squares * limits, axis=1)
    needs = np.where(needs > reach, _REACHED * reach, needs)
    multipliers = np.zeros(len(origins))
    missing = np.maximum(needs, 0)
    for _ in range(origins.shape[1] + 1):
        left = missing > _EXACT * np.abs(needs)
        if not np.any(left):
            break
        slopes = np.sum(squares[left] * (limits[left] > multipliers[left, None]), axis=1)
        multipliers[left] += np.where(slopes > 0, missing[left] / np.where(slopes > 0, slopes, 1), 0)
        reached = np.sum(squares[left] * np.minimum(limits[left], multipliers[left, None]), axis=1)
        missing[left] = np.where(slopes > 0, needs[left] - reached, 0)
    return np.clip(origins + multipliers[:, None] * normals, lower, upper), multipliers
