"""Order of the samples in every epoch, as a function of seed and number alone."""

from collections.abc import Callable

import numpy as np

from lea_keras.utils import permutation

Order = Callable[[int], np.ndarray]  # from the number of a pass or an epoch to positions [n] int64


def of_passes(chosen: np.ndarray, seed: int, shuffle: bool) -> Order:
    """Returns the order of every pass over all samples.

    Args:
        chosen: [n] int64, which samples there are.
        seed: of the passes, of which each has its own order.
        shuffle: False: the order is always that of `chosen`.
    """
    return lambda number: chosen[permutation(len(chosen), seed, number)] if shuffle else chosen


def of_steps(passes: Order, size: int, samples: int) -> Order:
    """Returns the order of epochs that are so many samples long, whatever a pass is: pass follows upon pass.

    An epoch that is longer than a pass repeats samples, one that is shorter goes on where the one before it ended.

    Args:
        passes: the order of every pass.
        size: how many samples a pass has.
        samples: how many an epoch has.
    """

    def order(epoch: int) -> np.ndarray:
        first, begin = divmod(epoch * samples, size)
        count = -(-(begin + samples) // size)
        return np.concatenate([passes(first + i) for i in range(count)])[begin : begin + samples]

    return order
