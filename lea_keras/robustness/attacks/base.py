"""Attacks on images of every floating type, and on batches of none: the base class of those here."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import eagerpy as ep
import numpy as np
from foolbox.attacks.base import MinimizationAttack, raise_if_kwargs
from foolbox.models import Model
from foolbox.types import Bounds

from lea_keras.checks import fail

_WHOLE = ("float32", "float64")  # types in which attacks compute
# Types whose every number is a float32, with how far apart numbers are, relative to them.
_HALF = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
_ULPS = 4  # by which logits in half precision may differ when an image goes through in another batch (chosen)


class ImageAttack(MinimizationAttack):
    """An attack that searches for the smallest perturbation of images; a base class.

    Images may have any floating type, and results have the same. The model is only ever asked about images of this
    type, so that an adversarial is one as it is returned. float32 and float64 are also what is computed in. Half
    precision is too coarse for that (norms of large images overflow, scipy's filters refuse it): there the attack
    computes in float32, and its images are rounded for each question and at the end. A batch of no images comes back
    as it is.
    """

    def __call__(
        self,
        model: Model,
        inputs: Any,
        criterion: Any,
        *,
        epsilons: Iterable[float | None] | float | None,
        **kwargs: Any,
    ) -> Any:
        """As of every attack of foolbox, which on JAX has no answer to a batch of no images.

        Raises:
            ValueError: as ``run``.
        """
        x, restore_type = ep.astensor_(inputs)
        if len(x):
            return super().__call__(model, inputs, criterion, epsilons=epsilons, **kwargs)
        images = self.run(model, inputs, criterion, **kwargs)
        if not isinstance(epsilons, Iterable):
            return images, images, restore_type(ep.zeros(x, (0,)) > 0)
        count = len(list(epsilons))
        return [images] * count, [images] * count, restore_type(ep.zeros(x, (count, 0)) > 0)

    def run(self, model: Model, inputs: Any, criterion: Any, *, early_stop: float | None = None, **kwargs: Any) -> Any:
        """Returns adversarial images [n, …] of the inputs' type; those for which none was found as they came.

        Raises:
            ValueError: for images that are not of a floating type, and for what the attack does not take.
            TypeError: for unknown keywords.
        """
        raise_if_kwargs(kwargs)
        x, restore_type = ep.astensor_(inputs)
        kind = _type_name(x)
        if kind not in (*_WHOLE, *_HALF):
            raise fail("inputs", "images of a floating type", f"{kind} of shape {tuple(x.shape)}")
        if not len(x):
            return inputs
        if kind in _WHOLE:
            return restore_type(self.adversarials(model, x, criterion))
        rounding = _Rounding(model, x.dtype, _ULPS * _HALF[kind])
        return restore_type(self.adversarials(rounding, x.float32(), criterion).astype(x.dtype))

    @abstractmethod
    def adversarials(self, model: Model, x: ep.Tensor, criterion: Any) -> ep.Tensor:
        """What ``run`` returns, for images [n, …] of float32 or float64, of which there is at least one."""


class _Rounding(Model):
    """A model that is asked about images as they are in half precision, and answers in float32.

    Args:
        model: any foolbox model.
        dtype: the images' type.
        rounding: of the largest logit, below which differences say nothing.
    """

    def __init__(self, model: Model, dtype: Any, rounding: float) -> None:
        self._model, self._dtype, self.rounding = model, dtype, rounding
        self.data_format = getattr(model, "data_format", None)

    @property
    def bounds(self) -> Bounds:
        return self._model.bounds

    def __call__(self, inputs: Any) -> Any:
        x, restore_type = ep.astensor_(inputs)
        return restore_type(ep.astensor(self._model(x.astype(self._dtype).raw)).float32())


def numpy_type(x: ep.Tensor) -> np.dtype:
    """NumPy's type for that of a tensor."""
    return np.dtype(_type_name(x))


def _type_name(x: ep.Tensor) -> str:
    """ "float32" for the type of that name in every framework."""
    return getattr(x.dtype, "name", str(x.dtype)).rpartition(".")[2]
