"""Local Search of foolbox 1.8, which changes the pixels of the lowest scores."""

import numpy as np
from scipy.special import softmax

from lea_keras.robustness.attacks.base import refuse_targets
from lea_keras.robustness.attacks.local_search import LocalSearchAttack


class LocalSearch18(LocalSearchAttack):
    """Local Search (Narodytska & Kasiviswanathan 2016) as in v1.8.0, ``LocalSearchAttack``.

    As ours, but of a round's trials those pixels are changed that leave the true class' softmax *lowest*. That is the
    wrong end for black and white pixels, which change the other way than they are tried, and the right one for greys,
    which change the same way: on Fashion-MNIST it fools more images than ours, on MNIST a tenth as many. Softmax values
    are compared in float32, in which many round to one. 1.8 sorted these in no particular order; here the first drawn
    comes first **(chosen)**. All rounds draw their candidates in random order.

    1.8 took rows for columns, which makes no difference on square images.

    Raises:
        ValueError: as ours; when run, for a targeted criterion.
    """

    def draw(self, source: np.random.Generator, near: np.ndarray) -> np.ndarray:
        """At most ``max_candidates`` of the pixels ``near``, in random order."""
        return source.permutation(near)[: self.max_candidates]

    def scores(self, logits: np.ndarray, classes: np.ndarray, targeted: bool) -> np.ndarray:
        """The softmax [m] of the samples' classes [m] in logits [m, classes]."""
        refuse_targets(targeted)
        return softmax(logits.astype(np.float32), axis=1)[np.arange(len(classes)), classes]
