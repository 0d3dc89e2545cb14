"""Success of targeted attacks on pairs of images: records, matrices of source and target classes, and their means."""

import collections
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lea_keras.checks import check_choice

KINDS = ("ignore_target", "target")


class PairRecord(NamedTuple):
    """What a targeted attack did to one source whose reconstruction the judge takes for its class.

    Attributes:
        source: the index of the source among the images.
        target: that of the target.
        source_class: of the source, which is what the judge takes its reconstruction for.
        target_class: of the target, never that of the source.
        predicted_after: what the judge takes the reconstruction of the adversarial for.
        distance: mean squared error between source and adversarial, in units of the bounds' range.
        l2: L2 norm of their difference, in the same units.
        linf: its largest magnitude.
        latent_before: ‖h(x_s) − h(x_t)‖₂, in the scale of the attack.
        latent_after: ‖h(x*) − h(x_t)‖₂, likewise.
        seconds: the pair's share of its batch.
    """

    source: int
    target: int
    source_class: int
    target_class: int
    predicted_after: int
    distance: float
    l2: float
    linf: float
    latent_before: float
    latent_after: float
    seconds: float

    def succeeded(self, kind: str) -> bool:
        """Whether the judge sees another class than the source's ("ignore_target"), or the target's ("target")."""
        if check_choice("kind", kind, KINDS) == "target":
            return self.predicted_after == self.target_class
        return self.predicted_after != self.source_class


class Success(NamedTuple):
    """Success rates AS of both kinds, each a share, an array of shares, or None where there is nothing to average."""

    ignore_target: Any
    target: Any


class Reconstructions(NamedTuple):
    """What ``evaluate_reconstructions`` found.

    Attributes:
        classes: how many the judge has.
        samples: how many sources there were.
        kept: those of them whose reconstruction the judge gets right; only these are attacked, and count.
        accuracy: of the judge on clean reconstructions of all images.
        accuracy_by_class: the same for each class; None where there is no image of it.
        error: mean over all images of the squared error of their reconstructions, summed over an image's values.
        records: one per attacked pair.
        adversarials: [pairs, …] float32, in the order of the records; None unless they were to be kept.
        attack: with all its options, as text.
    """

    classes: int
    samples: int
    kept: int
    accuracy: float
    accuracy_by_class: list[float | None]
    error: float
    records: list[PairRecord]
    adversarials: np.ndarray | None
    attack: str

    def matrix(self, kind: str = "ignore_target") -> np.ndarray:
        """AS [source class, target class]; NaN on the diagonal and where no pair was kept."""
        return matrix(self.records, self.classes, kind)

    def by_source(self) -> Success:
        """Means over the targets, unweighted, [classes] each; NaN where there is none."""
        return Success(*(by_source(self.matrix(kind)) for kind in KINDS))

    def by_target(self) -> Success:
        """Means over the sources, likewise."""
        return Success(*(by_target(self.matrix(kind)) for kind in KINDS))

    def mean(self) -> Success:
        """Means over all cells, not over pairs; None if there is none."""
        return Success(*(mean_of_cells(self.matrix(kind)) for kind in KINDS))

    def mean_of(self, measure: str) -> float | None:
        """The mean of a measure of ``PairRecord`` over all pairs, such as "l2"; None without pairs."""
        return float(np.mean([getattr(record, measure) for record in self.records])) if self.records else None

    def interval(self, kind: str = "ignore_target", resamples: int = 1000, seed: int = 0) -> tuple[float, float] | None:
        """The 95 % bootstrap interval of ``mean``: sources are drawn anew within each class, with all their targets.

        Args:
            kind: of ``KINDS``.
            resamples: how many means its ends are percentiles of.
            seed: of the draws.

        Returns:
            (low, high), or None without pairs.
        """
        return interval(self.records, self.classes, kind, resamples, seed)

    def to_rows(self) -> list[dict[str, Any]]:
        """A row per cell off the diagonal: classes, number of pairs, both AS (None without a pair) and distances."""
        rows = []
        for source in range(self.classes):
            for target in range(self.classes):
                pairs = [r for r in self.records if (r.source_class, r.target_class) == (source, target)]
                if source != target:
                    of_cell = self._replace(records=pairs)
                    rows.append(
                        {"source_class": source, "target_class": target, "pairs": len(pairs)}
                        | of_cell.mean()._asdict()
                        | {name: of_cell.mean_of(name) for name in ("distance", "l2", "linf", "latent_after")}
                    )
        return rows


def matrix(records: Sequence[PairRecord], classes: int, kind: str) -> np.ndarray:
    """AS [source class, target class] of pairs; NaN where there are none."""
    won, pairs = np.zeros((classes, classes)), np.zeros((classes, classes))
    for record in records:
        cell = record.source_class, record.target_class
        pairs[cell] += 1
        won[cell] += record.succeeded(kind)
    return _shares(won, pairs)


def by_source(cells: np.ndarray) -> np.ndarray:
    """Unweighted means [classes] of the rows of a matrix, of its numbers alone; NaN where there are none."""
    known = np.isfinite(cells)
    return _shares(np.sum(np.where(known, cells, 0.0), axis=1), np.sum(known, axis=1))


def by_target(cells: np.ndarray) -> np.ndarray:
    """The same of the columns."""
    return by_source(cells.T)


def mean_of_cells(cells: np.ndarray) -> float | None:
    """The mean of all numbers of a matrix; None if there are none."""
    known = cells[np.isfinite(cells)]
    return float(np.mean(known)) if len(known) else None


def interval(
    records: Sequence[PairRecord], classes: int, kind: str, resamples: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """``Reconstructions.interval`` of records."""
    if not records:
        return None
    sources = sorted({record.source for record in records})
    place = {source: i for i, source in enumerate(sources)}
    won, pairs = np.zeros((len(sources), classes)), np.zeros((len(sources), classes))  # of each source by target
    class_of = np.zeros(len(sources), int)
    for record in records:
        i = place[record.source]
        class_of[i] = record.source_class
        pairs[i, record.target_class] += 1
        won[i, record.target_class] += record.succeeded(kind)
    random = np.random.RandomState(seed)
    cells = []
    for one in np.unique(class_of):
        members = np.flatnonzero(class_of == one)
        drawn = members[random.randint(len(members), size=(resamples, len(members)))]  # [resamples, members]
        cells.append(_shares(won[drawn].sum(axis=1), pairs[drawn].sum(axis=1)))  # [resamples, classes]
    of_all = np.stack(cells, axis=1).reshape(resamples, -1)
    known = np.isfinite(of_all)
    means = np.sum(np.where(known, of_all, 0.0), axis=1) / np.maximum(np.sum(known, axis=1), 1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _shares(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Quotients; NaN where the whole is 0."""
    return np.where(wholes > 0, parts / np.maximum(wholes, 1), math.nan)


def typical_pairs(records: Sequence[PairRecord], count: int) -> list[int]:
    """Chooses pairs to be shown: of as many classes as can be, successes and failures in the proportion of all.

    Args:
        records: at least one.
        count: how many, at most as many as there are.

    Returns:
        Places among the records, by source and target class.
    """
    won = [record.succeeded("ignore_target") for record in records]
    successes = round(count * sum(won) / len(won))
    if count > 1 and any(won) and not all(won):
        successes = min(max(successes, 1), count - 1)
    places: list[int] = []
    uses: collections.Counter[tuple[str, int]] = collections.Counter()
    for kind, wanted in ((True, successes), (False, count - successes)):
        left = [place for place, one in enumerate(won) if one == kind]
        for _ in range(min(wanted, len(left))):
            best = min(left, key=lambda place: sum(uses[end] for end in _ends(records[place])))
            left.remove(best)
            places.append(best)
            uses.update(_ends(records[best]))
    return sorted(places, key=lambda place: (records[place].source_class, records[place].target_class))


def _ends(record: PairRecord) -> tuple[tuple[str, int], ...]:
    return ("source", record.source_class), ("target", record.target_class), ("image", record.source)
