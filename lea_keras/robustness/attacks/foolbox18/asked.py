"""The closest adversarial that a model was ever asked about."""

import numpy as np

from lea_keras.robustness.attacks.base import Batch, refuse_targets, succeeds
from lea_keras.robustness.attacks.gradients import find_margins

_ROUNDING = 1e-5  # of the largest logit: what is less may be gone when the image goes through in another batch
_FURTHER = [2.0**-power for power in range(16, 9, -1)]  # how much further an adversarial may be pushed


class Asked:
    """The closest adversarial of each sample among all images that the model was asked about.

    foolbox 1.8 handed that back, whatever an attack itself was after. An attack that ends with its first adversarial
    has only one; the others may come across a closer one on their way. Each sample is on its own, and of equally close
    ones the first stays.

    Args:
        batch: under attack, untargeted.
        results: [n, …], the images; here the adversarials are put.

    Attributes:
        distances: squared distances [n] of the results; infinite as long as there is none.

    Raises:
        ValueError: for a targeted criterion.
    """

    def __init__(self, batch: Batch, results: np.ndarray) -> None:
        refuse_targets(batch.targeted)
        self._batch, self._results, self._origins = batch, results, batch.x.numpy()
        self.distances = np.full(len(results), np.inf)

    def ask(self, indices: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Which candidates [m, …] for the samples [m], within the bounds, are adversarial: booleans [m]."""
        if not len(indices):
            return np.zeros(0, bool)
        return self.see(indices, images, self._batch.logits(images))

    def see(self, indices: np.ndarray, images: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """As ``ask``, of candidates whose logits [m, classes] are known."""
        adversarial = succeeds(logits, self._batch.classes(indices))
        finite = np.isfinite(images).reshape(len(images), -1).all(axis=1)
        return self._keep(indices, images, adversarial & finite)

    def ask_until_first(self, indices: np.ndarray, images: np.ndarray, worth: np.ndarray | None = None) -> np.ndarray:
        """As ``ask`` of the candidates [m, k, …] of each sample [m] in turn, which ends with its first adversarial.

        Later ones do not count, though they may go through the model, too.

        Args:
            indices: of different samples.
            images: their candidates.
            worth: which of them to ask about, booleans [m, k]; None: all.

        Returns:
            The places [m] of the first adversarials, or −1.
        """
        adversarial = np.zeros(images.shape[:2], bool)
        rows, columns = np.nonzero(np.ones_like(adversarial) if worth is None else worth)
        for part in self._batch.parts(len(rows)):
            tried = rows[part], columns[part]
            adversarial[tried] = self._batch.is_adversarial(indices[tried[0]], images[tried])
        places = np.where(adversarial.any(axis=1), adversarial.argmax(axis=1), -1)
        hit = np.flatnonzero(places >= 0)
        self._keep(indices[hit], images[hit, places[hit]], np.ones(len(hit), bool))
        return places

    def settle(self) -> None:
        """Pushes adversarials over the boundary on which they lie, by at most a thousandth of their way **(chosen)**.

        1.8 asked about one image at a time, so that its answers were always the same. Here they depend on the batch,
        as a lead within float32's rounding does, and attacks that end at a boundary end there at that precision.
        """
        left = self._unsettled(np.flatnonzero(np.isfinite(self.distances) & (self.distances > 0)), self._results)
        ways = self._results - self._origins
        for further in _FURTHER:
            pushed = self._origins + (1 + further) * ways
            pushed = np.clip(pushed, *self._batch.bounds).astype(self._results.dtype)
            still = self._unsettled(left, pushed)
            done = np.setdiff1d(left, still)
            self._results[done], left = pushed[done], still
        lost = left[~self._batch.is_adversarial(left, self._results[left])]
        self._results[lost], self.distances[lost] = self._origins[lost], np.inf

    def _unsettled(self, indices: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Those of the samples [m] whose image among all, [n, …], is not adversarial for sure."""
        if not len(indices):
            return indices
        logits = self._batch.logits(images[indices])
        leads = find_margins(logits.astype(np.float64), self._batch.classes(indices))
        return indices[leads <= _ROUNDING * np.max(np.abs(logits), axis=1)]

    def measure(self, indices: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Squared distances [m] of images [m, …] from the samples [m]."""
        differences = images.astype(np.float64) - self._origins[indices]
        return np.sum(np.square(differences), axis=tuple(range(1, images.ndim)))

    def _keep(self, indices: np.ndarray, images: np.ndarray, adversarial: np.ndarray) -> np.ndarray:
        """Remembers those that are closer than what was known; returns ``adversarial`` [m]."""
        places = np.flatnonzero(adversarial)
        for place, distance in zip(places, self.measure(indices[places], images[places]), strict=True):
            if distance < self.distances[indices[place]]:
                self.distances[indices[place]], self._results[indices[place]] = distance, images[place]
        return adversarial
