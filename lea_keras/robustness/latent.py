"""Latent attack on autoencoders: an image close to a source whose code is that of a target (Kos, Fischer and Song).

J. Kos, I. Fischer and D. Song, "Adversarial Examples for Generative Models", 2018, as S. Sootla ran it on disentangled
autoencoders (MSc thesis, UCL, 2018), with a box around the source. Szegedy et al.'s attack on classifiers (his
Eq. 2.15, L-BFGS within a box) is left out: the attack "slsqp" solves its constrained form.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from lea_keras.checks import check_above_zero, check_choice, check_number, check_positive_int, fail
from lea_keras.layers.autodiff import scan, vjp
from lea_keras.robustness.reconstructing import Reconstructor

SCALES = ("raw", "standardised")
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8  # of Adam
_ROOT = 1e-12  # under the root of norms, which have no gradient at 0
_CONSTANT = 1e-6  # of the largest standard deviation, below which an entry of h counts as constant


class LatentAttack:
    """Targeted attack on an autoencoder's encoder; neither decoder nor judge is asked.

    For a source x_s and a target x_t it looks for::

        x = argmin λ·‖x − x_s‖₂ + ‖h(x) − h(x_t)‖₂,    x within the bounds, |x − x_s| ≤ ε in every pixel,

    with norms and no squares, h of all windows of an image (``Autoencoder.representation``): Adam (0.9, 0.999, 1e-8)
    from x_s and Gaussian noise, clipped to the bounds, projected to box and bounds after every step; the last iterate
    is taken. Nothing couples pairs: together or alone, each gets the same result.

    ``weight`` weighs pixels against distances of a code whose scale the model chooses, so that models are not attacked
    alike: logits may be large, and a variable that a model does not use is about 0. ``scale="standardised"`` divides
    every entry of h by its standard deviation over clean images.

    Args:
        weight: λ, at least 0.
        epsilon: ε, at least 0; None: there is no box.
        steps: of Adam.
        learning_rate: of Adam, above 0.
        noise: standard deviation of the start around the source, at least 0.
        scale: "raw", as published, or "standardised". Entries that are constant then do not count **(chosen)**.
        within_bounds: whether start and iterates are clipped to the bounds. Without it pixels may take any value.

    All lengths in pixels are in units of the bounds' range. The published code summed gradients over steps and put the
    source twice into the start; here it is as its text says **(chosen)**.

    Raises:
        ValueError: for an argument outside what is said above.
    """

    def __init__(
        self,
        weight: float = 1.0,
        epsilon: float | None = 0.1,
        steps: int = 1000,
        learning_rate: float = 1e-3,
        noise: float = 0.2,
        scale: str = "raw",
        within_bounds: bool = True,
    ) -> None:
        self.weight = check_number("weight", weight)
        self.epsilon = None if epsilon is None else check_number("epsilon", epsilon)
        self.steps = check_positive_int("steps", steps)
        self.learning_rate = check_above_zero("learning_rate", learning_rate)
        self.noise = check_number("noise", noise)
        self.scale = check_choice("scale", scale, SCALES)
        if not isinstance(within_bounds, bool):
            raise fail("within_bounds", "True or False", within_bounds)
        self.within_bounds = within_bounds

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"

    def factors(self, representations: np.ndarray) -> np.ndarray:
        """What each entry of h is multiplied by, float32 [length].

        Args:
            representations: h of clean images, [n, length].
        """
        if self.scale == "raw":
            return np.ones(representations.shape[1], "float32")
        spread = np.std(representations.astype(np.float64), axis=0)
        counts = spread > _CONSTANT * max(float(np.max(spread)), np.finfo("float32").tiny)
        return np.where(counts, 1.0 / np.where(counts, spread, 1.0), 0.0).astype("float32")

    def starts(self, sources: np.ndarray, seeds: list[tuple[int, ...]], bounds: tuple[float, float]) -> np.ndarray:
        """Where pairs begin, float32 [n, …].

        Args:
            sources: [n, …].
            seeds: of each pair, so that its noise does not depend on which others there are.
            bounds: (lower, upper) of the images' values.
        """
        deviation = self.noise * (bounds[1] - bounds[0])
        starts = np.stack(
            [
                source + deviation * np.random.RandomState(seed).standard_normal(source.shape)
                for source, seed in zip(sources, seeds, strict=True)
            ]
        )
        return (np.clip(starts, *bounds) if self.within_bounds else starts).astype("float32")

    def compile(self, reconstructor: Reconstructor) -> Callable[..., np.ndarray]:
        """One compiled loop of all steps.

        Args:
            reconstructor: the autoencoder under attack, with the bounds.

        Returns:
            A function of sources [n, …], starts [n, …], h of the targets [n, length] and the factors [length], all
            float32 arrays, that returns the last iterates [n, …]. It is compiled anew for every n.
        """

        def attack(sources: Any, starts: Any, targets: Any, factors: Any) -> Any:
            return self._descend(reconstructor, sources, starts, targets, factors)

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            traced = tf.function(attack, autograph=False)
            return lambda *arrays: traced(*(tf.constant(array, tf.float32) for array in arrays)).numpy()
        if keras.backend.backend() != "jax":
            backend = keras.backend.backend()
            raise ValueError(f"Attacks need Keras on the TensorFlow or the JAX backend. Received: backend={backend!r}")
        import jax

        variables = reconstructor.layer.variables

        def stateless(values: Any, *arrays: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return attack(*arrays)

        jitted = jax.jit(stateless)
        return lambda *arrays: np.asarray(jitted([variable.value for variable in variables], *arrays))

    def _descend(self, reconstructor: Reconstructor, sources: Any, starts: Any, targets: Any, factors: Any) -> Any:
        low, high = reconstructor.bounds
        unit = high - low
        least, most = sources * 0 - np.inf, sources * 0 + np.inf
        if self.epsilon is not None:
            least, most = sources - self.epsilon * unit, sources + self.epsilon * unit
        if self.within_bounds:
            least, most = ops.maximum(least, low), ops.minimum(most, high)

        def losses(images: Any) -> tuple[Any, Any]:
            pixels: Any = _norms((images - sources) / unit)
            codes: Any = _norms((reconstructor.representation(images) - targets) * factors)
            return ops.sum(self.weight * pixels + codes), ()

        def step(i: Any, carry: tuple[Any, Any, Any]) -> tuple[tuple[Any, Any, Any], list[Any]]:
            images, first, second = carry
            _, _, (gradients,) = vjp(losses, [images], ops.ones(()))
            count = ops.cast(i, "float32") + 1.0
            gradients = gradients * unit
            first = _BETA_1 * first + (1 - _BETA_1) * gradients
            second = _BETA_2 * second + (1 - _BETA_2) * gradients * gradients
            rate = self.learning_rate * unit / (1 - _BETA_1**count)
            moved = images - rate * first / (ops.sqrt(second / (1 - _BETA_2**count)) + _EPSILON)
            return (ops.clip(moved, least, most), first, second), []

        zeros = ops.zeros_like(starts)
        (images, _, _), _ = scan(step, (starts, zeros, zeros), self.steps)
        return images


def _norms(differences: Any) -> Any:
    """L2 norms [n] of [n, …]."""
    axes = tuple(range(1, len(differences.shape)))
    return ops.sqrt(ops.sum(ops.square(differences), axis=axes) + _ROOT)
