"""Likelihoods: what the outputs of a decoder say about the values of a window, and what is trained on.

"gaussian": the outputs are the means of Gaussians of one variance, and their −log likelihood is, but for constants, the
squared error. "bernoulli": the outputs are logits, of which the sigmoid is the mean of a value in [0, 1], and the
−log likelihood is the cross-entropy. Whichever it is, RL, RLN and confidence are of the means, so that they compare.
"""

from typing import Any

import keras
from keras import ops

from lea_keras import losses
from lea_keras.checks import fail

#: By the name of a likelihood: the measure that stands for it in the loss.
LIKELIHOODS = {"gaussian": "rl", "bernoulli": "nll"}
#: The measures that take a decoder.
DECODED = (*LIKELIHOODS.values(), "mae")


def means(likelihood: str, outputs: Any) -> Any:
    """The means of a decoder's outputs, of any shape: themselves, or the probabilities of logits."""
    return ops.sigmoid(outputs) if likelihood == "bernoulli" else outputs


def measures(likelihood: str, windows: Any, outputs: Any, reconstructions: Any) -> dict[str, Any]:
    """How well windows are reconstructed, [n] by name.

    Args:
        likelihood: its name.
        windows: [n, wh, ww, c].
        outputs: of the decoder, the same shape.
        reconstructions: the means of these.
    """
    of_means = {"rl": losses.window_errors(windows, reconstructions)}
    if likelihood == "gaussian":
        return of_means
    return of_means | {"nll": losses.window_cross_entropies(windows, outputs)}


def check_inputs(likelihood: str, limits: tuple[Any, Any]) -> None:
    """Raises ``ValueError`` where values that are to be probabilities lie outside [0, 1].

    A graph, in which values are not known while it is traced, is left as it is.

    Args:
        likelihood: its name.
        limits: the least and the largest value, scalars.
    """
    if likelihood == "bernoulli" and all(map(_is_known, limits)):
        least, largest = map(float, limits)
        if least < 0 or largest > 1:
            allowed = 'from 0 to 1 with likelihood="bernoulli", where they are probabilities'
            raise fail("windows", allowed, f"values from {least:.4g} to {largest:.4g}", "Scale them, or take gaussian.")


def _is_known(tensor: Any) -> bool:
    """Whether a tensor has a value, as it has eagerly but not while a graph is traced."""
    if keras.backend.backend() == "jax":
        from jax.core import Tracer

        return not isinstance(tensor, (Tracer, keras.KerasTensor))
    return hasattr(tensor, "numpy")
