"""Gradient Sign and Projected Gradient Descent of foolbox, which take a fixed ε: the smallest ε that succeeds."""

from typing import Any

import eagerpy as ep
import numpy as np
from foolbox.attacks import LinfFastGradientAttack, LinfProjectedGradientDescentAttack
from foolbox.attacks.base import FixedEpsilonAttack
from foolbox.distances import Distance, linf

from lea_keras.checks import check_number, check_positive_int, check_share, fail
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack, check_flag, refuse_targets
from lea_keras.robustness.attacks.search import Attempt, Path, PathSearch, bisect, climb, make_few_lengths, scan


class GradientSignSearch(PathSearch):
    """Gradient Sign (Goodfellow, Shlens & Szegedy 2014, "Explaining and Harnessing Adversarial Examples", section 4).

    The image moves by ε along the sign of the log loss's gradient, each value by the same amount, clipped to the
    bounds. That sign does not depend on ε: each sample needs one gradient, of foolbox's ``LinfFastGradientAttack``. ε
    is the strength times the range of the bounds. As in foolbox 1.8, an ε among the first ``finer`` of the grid is
    searched again on a grid of ``finer`` values up to it. 1.8 tried every ε; on networks, rising and halving finds the
    same ε for nearly all samples, at a fraction of the images **(chosen)**.

    Untargeted only.

    Args:
        steps: how many ε the grid has.
        finer: how many the second grid has, and up to which ε of the first it is used; 0 leaves it out.
        every: as in ``PathSearch``.
        max_images: as in ``PathSearch``.

    Raises:
        ValueError: for an argument outside what is said above, or a targeted criterion.
    """

    distance = linf

    def __init__(
        self, *, steps: int = 1000, finer: int = 20, every: bool = False, max_images: int = MAX_IMAGES
    ) -> None:
        super().__init__(steps=steps, every=every, max_images=max_images)
        self.finer = check_positive_int("finer", finer, minimum=0)

    def make_path(self, batch: Batch, indices: np.ndarray) -> Path:
        refuse_targets(batch.targeted)
        attack, (lower, upper) = LinfFastGradientAttack(), batch.bounds
        directions = np.zeros(batch.x.shape, np.float32)
        for part in batch.parts(len(indices)):
            labels = batch.criterion(indices[part]).labels  # pyright: ignore[reportAttributeAccessIssue] (untargeted)
            loss = attack.get_loss_fn(batch.model, labels)
            _, gradients = attack.value_and_grad(loss, batch.x[indices[part]])
            directions[indices[part]] = self.directions(gradients.numpy())

        def make(indices: np.ndarray, strengths: np.ndarray) -> ep.Tensor:
            epsilons = batch.column(strengths * (upper - lower))
            return (batch.x[indices] + epsilons * batch.tensor(directions[indices])).clip(lower, upper)

        return make_few_lengths(batch, make)

    def directions(self, gradients: np.ndarray) -> np.ndarray:
        """What the image moves along, of gradients [m, …]: their signs."""
        return np.sign(gradients)

    def find_strengths(self, attempt: Attempt, indices: np.ndarray) -> np.ndarray:
        strengths = super().find_strengths(attempt, indices)
        near = np.flatnonzero((strengths > 0) & (strengths <= self.finer / self.steps))
        if not len(near):
            return strengths
        top, places = strengths[near], np.arange(len(near))

        def finer(tried: np.ndarray, level: np.ndarray) -> np.ndarray:
            return attempt(indices[near[tried]], top[tried] * level / self.finer)

        if self.every:
            level = scan(finer, places, self.finer)
        else:  # what failed on the first grid need not be tried again
            failed = self.finer * (np.rint(top * self.steps) - 1) // np.rint(top * self.steps)
            level = bisect(finer, places, failed.astype(int), np.full(len(near), self.finer))
        # Where rounding made the end of the second grid another number than on the first, that one remains.
        strengths[near] = np.where((level > 0) & (level < self.finer), top * level / self.finer, top)
        return strengths


class SmallestEpsilon(BatchAttack):
    """The smallest ε at which a fixed-ε attack of foolbox succeeds, for each sample its own.

    As foolbox 1.8 did for Projected Gradient Descent: ε starts at ``start`` and grows by ``growth`` until the attack
    succeeds, at most ``rounds`` times; then the gap down to the largest ε that failed (0 at first) is halved, at most
    ``halvings`` times. 1.8 always halved 20 times; here a sample stops when the gap is at most ``precision`` times its
    ε, which takes about half of them **(chosen)**. ε never exceeds the range of the bounds, where no perturbation is
    excluded any more. An attack that succeeds at some ε usually does at larger ones; where it does not, the ε found
    succeeds and one just below it fails, but a smaller one might succeed, too.

    Args:
        attack: it should give the same result whenever it runs, so without a random start.
        start: the first ε, in units of the range of the bounds.
        growth: the factor by which ε grows, above 1.
        rounds: how often it grows.
        halvings: how often the gap is halved.
        precision: the gap, relative to ε, at which the search ends; 0 for all halvings.
        per_sample: whether the attack's ``run`` takes an ε for each sample, [n, 1, …], so that all samples go through
            one run. Else there is a run for each different ε.
        max_images: how many images a run takes at most.

    Raises:
        ValueError: for an argument outside what is said above.
    """

    def __init__(
        self,
        attack: FixedEpsilonAttack,
        *,
        start: float = 0.3,
        growth: float = 1.5,
        rounds: int = 20,
        halvings: int = 20,
        precision: float = 5e-3,
        per_sample: bool = False,
        max_images: int = MAX_IMAGES,
    ) -> None:
        if not isinstance(attack, FixedEpsilonAttack):
            raise fail("attack", "a FixedEpsilonAttack of foolbox", attack)
        self.attack = attack
        self.start, self.growth = check_share("start", start), check_number("growth", growth, 1.0)
        if self.growth == 1:
            raise fail("growth", "above 1", growth)
        self.rounds = check_positive_int("rounds", rounds, minimum=0)
        self.halvings = check_positive_int("halvings", halvings, minimum=0)
        self.precision = check_number("precision", precision)
        self.per_sample = check_flag("per_sample", per_sample)
        self.max_images = check_positive_int("max_images", max_images)

    @property
    def distance(self) -> Distance:
        return self.attack.distance

    def search(self, batch: Batch, results: np.ndarray) -> None:
        span = batch.bounds.upper - batch.bounds.lower

        def attempt(indices: np.ndarray, epsilons: np.ndarray) -> np.ndarray:
            gave_in = np.zeros(len(indices), bool)
            for part in self._parts(batch, epsilons):
                images, gave_in[part] = self._attack(batch, indices[part], epsilons[part] * span)
                results[indices[part][gave_in[part]]] = images[gave_in[part]]
            return gave_in

        indices, epsilons = batch.running(), [self.start]
        while len(epsilons) <= self.rounds and epsilons[-1] < 1:
            epsilons.append(min(1.0, epsilons[-1] * self.growth))
        bisect(attempt, indices, *climb(attempt, indices, epsilons), self.halvings, self.precision)

    def _parts(self, batch: Batch, epsilons: np.ndarray) -> list[Any]:
        """What goes through one run: up to ``max_images`` samples, of one ε unless each may have its own."""
        if self.per_sample:
            return batch.parts(len(epsilons))
        groups = [np.flatnonzero(epsilons == epsilon) for epsilon in np.unique(epsilons)]
        return [group[part] for group in groups for part in batch.parts(len(group))]

    def _attack(self, batch: Batch, indices: np.ndarray, epsilons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The attack's images [m, …] for these samples at these ε, and which of them are adversarial."""
        epsilon: Any = batch.column(epsilons) if self.per_sample else float(epsilons[0])
        images = self.attack.run(batch.model, batch.x[indices], batch.criterion(indices), epsilon=epsilon)
        return images.numpy(), batch.is_adversarial(indices, images)


class PerSampleProjectedGradientDescent(LinfProjectedGradientDescentAttack):
    """foolbox's Projected Gradient Descent whose ε may be a tensor [n, 1, …]; it starts at the image itself.

    Its step is a share of ε: 0.01 / 0.3 unless told otherwise, the step that 1.8 had at its first ε and scaled with it.

    Args:
        rel_stepsize: the step, relative to ε.
        steps: how many.
    """

    def __init__(self, *, rel_stepsize: float = 0.01 / 0.3, steps: int = 40) -> None:
        rel_stepsize, steps = check_number("rel_stepsize", rel_stepsize), check_positive_int("steps", steps)
        super().__init__(rel_stepsize=rel_stepsize, steps=steps, random_start=False)

    def project(self, x: ep.Tensor, x0: ep.Tensor, epsilon: Any) -> ep.Tensor:
        """Back into the box of half-width ε around ``x0``."""
        return x0 + ep.minimum(ep.maximum(x - x0, -epsilon), epsilon)
