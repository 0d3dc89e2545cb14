"""Attacks along a path of images, one per strength: the smallest strength that succeeds."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import eagerpy as ep
import numpy as np
from foolbox.devutils import atleast_kd
from foolbox.distances import Distance, l2
from foolbox.models import Model

from lea_keras.checks import check_positive_int, fail
from lea_keras.robustness.attacks import levels
from lea_keras.robustness.attacks.base import ImageAttack
from lea_keras.robustness.attacks.trials import MAX_IMAGES, Trials

_FEWEST = 8  # images that a path makes at once on JAX
# (samples [m], strengths [m] in (0, 1]) -> their images [m, …]
Path = Callable[[np.ndarray, np.ndarray], ep.Tensor]


class PathSearch(ImageAttack):
    """The smallest strength on an even grid at which an operation on images succeeds; a base class.

    Each sample has a path of images from strength 0, itself, to 1. All samples search at once, each at a strength of
    its own: by default rising, then closing in on the first success (see ``attacks.levels.smallest``), which takes at
    most some forty images a sample instead of a thousand.

    Args:
        steps: how many strengths the grid has in (0, 1].
        every: try all strengths in turn. Only this finds the smallest for sure if a stronger perturbation may undo what
            a weaker one did.
        max_images: how many images a model call takes at most.

    Raises:
        ValueError: for an argument outside what is said above.
    """

    distance: Distance = l2

    def __init__(self, *, steps: int = 1000, every: bool = False, max_images: int = MAX_IMAGES) -> None:
        self.steps = check_positive_int("steps", steps)
        self.every = check_flag("every", every)
        self.max_images = check_positive_int("max_images", max_images)

    @abstractmethod
    def path(self, trials: Trials, rows: np.ndarray) -> Path:
        """What makes images of these samples [k]."""

    def adversarials(self, model: Model, x: ep.Tensor, criterion: Any) -> ep.Tensor:
        """Returns the images [n, …] at the smallest strength found; those that found none as they came."""
        trials = Trials(model, x, criterion, self.max_images)
        rows = trials.running()
        result = x.numpy().copy()
        if len(rows):
            path = self.path(trials, rows)
            strengths = self.search(lambda samples, at: self.attempt(trials, path, samples, at), rows)
            found = strengths > 0
            for part in trials.batches(int(found.sum())):
                samples = rows[found][part]
                result[samples] = path(samples, strengths[found][part]).numpy()
        return trials.tensor(result)

    def search(self, attempt: levels.Attempt, rows: np.ndarray) -> np.ndarray:
        """The smallest strength [k] in (0, 1] at which each sample gives in, or 0."""
        found = levels.smallest(lambda s, level: attempt(s, level / self.steps), rows, self.steps, every=self.every)
        return found / self.steps

    def attempt(self, trials: Trials, path: Path, samples: np.ndarray, strengths: np.ndarray) -> np.ndarray:
        """Which of the samples [m] are adversarial at these strengths [m]."""
        parts = trials.batches(len(samples))
        return np.concatenate([trials.fooled(samples[p], path(samples[p], strengths[p])) for p in parts])


def column(trials: Trials, values: np.ndarray) -> ep.Tensor:
    """Numbers [m] as a tensor [m, 1, …] that multiplies images."""
    return atleast_kd(trials.tensor(values), trials.x.ndim)


def few_lengths(trials: Trials, path: Path) -> Path:
    """The same path; on JAX, which compiles each operation for each number of images, it makes few numbers of them."""
    if not isinstance(trials.x, ep.JAXTensor):
        return path

    def at(samples: np.ndarray, strengths: np.ndarray) -> ep.Tensor:
        count = max(_FEWEST, 1 << (len(samples) - 1).bit_length())
        images = path(np.resize(samples, count), np.resize(strengths, count))  # which repeats them
        return trials.tensor(images.numpy()[: len(samples)])

    return at


def check_flag(argument: str, value: Any) -> bool:
    """Returns ``value`` if it is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise fail(argument, "True or False", value)
    return bool(value)
