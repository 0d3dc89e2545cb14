"""``LocalSearchAttack``: a greedy search for the pixels that matter, from neighbourhood to neighbourhood."""

import numpy as np

from lea_keras.checks import check_number, check_positive_int, check_seed, fail
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack, Pixels

_SHARE = 0.1  # of all pixels, that the search begins with


class LocalSearchAttack(BatchAttack):
    """Changes the pixels that matter most, round by round (LocSearchAdv of Narodytska & Kasiviswanathan 2016,
    arXiv 1612.06299).

    Values are scaled to ±½. A round tries each candidate pixel on its own: all its channels become ``p`` times their
    sign, far outside the bounds, and the softmax of the true class tells how much that matters. The ``t`` pixels that
    leave it highest are then changed for good: each channel is multiplied by ``r`` and, where it leaves ±½, comes back
    in from the other end. If the class is still the true one, the next round's candidates are the squares of 2·``d`` +
    1 pixels around those just changed.

    It is the highest because a trial and a change go opposite ways: a black pixel is tried far blacker, and comes back
    in bright. Where the trial supports the true class most, the change harms it most. foolbox 1.8 took the lowest by
    mistake, which 2.x put right; on a CNN on MNIST the highest fool about ten times as many images. Softmax values are
    compared by their logarithms, as most round to one. Against a ``TargetedMisclassification`` those are taken that
    leave the target's lowest. A value at mid-range is neither tried nor changed, as it is zero on that scale.

    The result is the first adversarial. There may be smaller ones: the search goes where single pixels matter, but
    never takes a change back.

    Args:
        r: the factor of a change, from 0 to 2; with 2 all values still come back in by one turn.
        p: the factor of a trial.
        d: how far the neighbourhood of a changed pixel reaches, in pixels.
        t: how many pixels change in a round.
        rounds: how many rounds there are at most; R in the paper.
        max_candidates: how many pixels a round tries at most, drawn if there are more. The first round draws a tenth of
            all pixels, or so many if that is less.
        seed: decides what is drawn, for each position in the batch on its own.
        max_images: how many images a model call takes at most.

    Raises:
        ValueError: for an argument outside what is said above, or images that do not have four axes.
    """

    def __init__(
        self,
        *,
        r: float = 1.5,
        p: float = 10.0,
        d: int = 5,
        t: int = 5,
        rounds: int = 150,
        max_candidates: int = 128,
        seed: int = 0,
        max_images: int = MAX_IMAGES,
    ) -> None:
        self.r, self.p = check_number("r", r), check_number("p", p)
        if self.r > 2:
            raise fail("r", "from 0 to 2", r)
        self.d, self.t = check_positive_int("d", d, minimum=0), check_positive_int("t", t)
        self.rounds = check_positive_int("rounds", rounds)
        self.max_candidates = check_positive_int("max_candidates", max_candidates)
        self.seed = check_seed(seed)
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        pixels, left = Pixels(batch), batch.running()
        sources = {index: np.random.default_rng((self.seed, index)) for index in left.tolist()}
        count = pixels.rows * pixels.columns
        first = max(1, min(int(_SHARE * count), self.max_candidates))
        candidates = {index: source.choice(count, first, replace=False) for index, source in sources.items()}
        for _ in range(self.rounds):
            if not len(left):
                break
            chosen = self._choose(batch, pixels, left, candidates)
            for index, places in chosen.items():
                pixels.values[index, places] = self._cyclic(pixels.values[index, places], batch.bounds)
            done = np.zeros(len(left), bool)
            for part in batch.parts(len(left)):
                images = pixels.images(pixels.values[left[part]])
                done[part] = batch.is_adversarial(left[part], images)
                results[left[part][done[part]]] = images[done[part]]
            left = left[~done]
            for index in left.tolist():
                near = self._neighbours(chosen[index], pixels.rows, pixels.columns)
                candidates[index] = self.draw(sources[index], near)

    def _choose(
        self, batch: Batch, pixels: Pixels, left: np.ndarray, candidates: dict[int, np.ndarray]
    ) -> dict[int, np.ndarray]:
        """The up to ``t`` candidate pixels of each sample that matter most, the best first."""
        counts = [len(candidates[index]) for index in left.tolist()]
        indices, places = np.repeat(left, counts), np.concatenate([candidates[index] for index in left.tolist()])
        scores = np.empty(len(indices))
        lower, upper = batch.bounds
        for part in batch.parts(len(indices)):
            values = pixels.values[indices[part], places[part]]  # [m, channels]
            trial = (self.p * np.sign(_scaled(values, batch.bounds)) + 0.5) * (upper - lower) + lower
            logits = batch.logits(pixels.changed(indices[part], places[part], trial)).astype(np.float64)
            scores[part] = self.scores(logits, batch.classes(indices[part]), batch.targeted)
        ends = np.cumsum(counts)
        return {
            index: places[end - count : end][np.argsort(scores[end - count : end], kind="stable")[: self.t]]
            for index, count, end in zip(left.tolist(), counts, ends.tolist(), strict=True)
        }

    def draw(self, source: np.random.Generator, near: np.ndarray) -> np.ndarray:
        """The candidates of a round: at most ``max_candidates`` of the pixels ``near``."""
        return near if len(near) <= self.max_candidates else source.choice(near, self.max_candidates, replace=False)

    def scores(self, logits: np.ndarray, classes: np.ndarray, targeted: bool) -> np.ndarray:
        """What candidates are ordered by, [m], the lowest first, from the logits [m, classes] of their trials."""
        return _log_softmax(logits, classes) * (1 if targeted else -1)

    def _cyclic(self, values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
        """Values [m, channels] times ``r`` on the scale of ±½, wrapped into it."""
        scaled = self.r * _scaled(values, bounds)
        scaled = np.where(scaled < -0.5, scaled + 1, np.where(scaled > 0.5, scaled - 1, scaled))
        return np.clip((scaled + 0.5) * (bounds[1] - bounds[0]) + bounds[0], *bounds)

    def _neighbours(self, places: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """All pixels within ``d`` rows and columns of these, in ascending order."""
        reach = np.arange(-self.d, self.d + 1)
        down = (places // columns)[:, None, None] + reach[:, None]
        across = (places % columns)[:, None, None] + reach
        down, across = np.broadcast_arrays(down, across)  # [m, 2d + 1, 2d + 1]
        inside = (down >= 0) & (down < rows) & (across >= 0) & (across < columns)
        return np.unique((down * columns + across)[inside])


def _scaled(values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Values within the bounds as float64 within ±½."""
    return (values.astype(np.float64) - bounds[0]) / (bounds[1] - bounds[0]) - 0.5


def _log_softmax(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The logarithm [m] of the softmax of one class [m] of each row of logits [m, classes].

    It tells apart what rounds to a softmax of one: the others' share is summed on its own.
    """
    candidates = np.arange(len(classes))
    differences = logits - logits[candidates, classes][:, None]
    differences[candidates, classes] = -np.inf
    top = np.maximum(differences.max(axis=1), 0.0)
    others = np.sum(np.exp(differences - top[:, None]), axis=1)  # times e^top
    return np.where(top > 0, -(top + np.log(others + np.exp(-top))), -np.log1p(others))
