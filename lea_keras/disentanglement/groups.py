"""Samples drawn among those that share the value of one factor: interventions, where no new images can be made."""

import numpy as np

from lea_keras.checks import fail

_CHUNK = 2_000_000  # numbers gathered at a time


class Groups:
    """Samples by the values of every factor.

    Args:
        factors: [n, k] integers from 0.
        least: values that fewer samples have are not fixed.

    Raises:
        ValueError: if no value is left to be fixed.
    """

    def __init__(self, factors: np.ndarray, least: int = 1) -> None:
        self._order, self._starts, self._sizes = [], [], []
        self._able = []  # by factor, the samples whose value others share, too
        for column in factors.T:
            sizes = np.bincount(column)
            self._order.append(np.argsort(column, kind="stable"))
            self._starts.append(np.cumsum(sizes) - sizes)
            self._sizes.append(sizes)
            self._able.append(np.flatnonzero(sizes[column] >= least))
        self._factors = factors
        self.usable = np.array([k for k, able in enumerate(self._able) if len(able)])
        if not len(self.usable):
            allowed = f"factors with a value that at least {least} samples have"
            raise fail("factors", allowed, f"{len(factors)} samples of {[len(sizes) for sizes in self._sizes]} values")

    def anchors(self, generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws factors to fix, [count], and for each of them a sample that has the value, [count].

        Factors are equally likely, values as frequent as they are among samples.
        """
        factors = generator.choice(self.usable, count)
        samples = np.empty(count, np.int64)
        for k in self.usable:
            chosen = factors == k
            samples[chosen] = generator.choice(self._able[k], chosen.sum())
        return factors, samples

    def alike(self, generator: np.random.Generator, factors: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Draws, with replacement, for each sample another one that shares the factor; all of one shape [count, …].

        Args:
            generator: of the draws.
            factors: [count], which factor is shared.
            samples: [count, size].

        Returns:
            [count, size] indices of samples.
        """
        found = np.empty(samples.shape, np.int64)
        for k in np.unique(factors):
            rows = factors == k
            values = self._factors[samples[rows], k]
            places = (generator.random(values.shape) * self._sizes[k][values]).astype(np.int64)
            found[rows] = self._order[k][self._starts[k][values] + places]
        return found


def chunks(count: int, each: int) -> list[slice]:
    """Slices of ``count`` draws that gather ``each`` numbers, few enough at a time to fit caches and memory."""
    step = max(_CHUNK // max(each, 1), 1)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]
