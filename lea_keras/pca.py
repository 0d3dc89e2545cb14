"""Principal components of windows: the least error that a linear code can have, and the autoencoder that has it.

Sums are in float64, batch by batch, so that windows need not fit memory: of p values a window they take p² numbers.
"""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from lea_keras.autoencoders import coders
from lea_keras.autoencoders.base import Autoencoder
from lea_keras.autoencoders.types import VariationalAutoencoder
from lea_keras.checks import check_positive_int, fail


class Components(NamedTuple):
    """Principal components of windows, the leading ones first.

    Attributes:
        directions: orthonormal columns, [p, p] with p = wh·ww·c; the largest entry of each is positive **(chosen)**,
            so that the same windows always give the same ones.
        eigenvalues: variances along them, [p], in no place above the one before; of all windows, not one fewer.
        mean: that was taken off, [p]; zeros where nothing was.
        shape: of the windows, (wh, ww, c).
    """

    directions: np.ndarray
    eigenvalues: np.ndarray
    mean: np.ndarray
    shape: tuple[int, ...]


def components(windows: Any, center: bool = True) -> Components:
    """Computes the principal components of windows.

    Args:
        windows: [n, wh, ww, c], or batches of such, whose first axis may differ.
        center: whether their mean is taken off. Without, the directions are the left singular vectors of the windows
            and the eigenvalues their mean squares.

    Raises:
        ValueError: for no windows, shapes that differ, or values that are not finite.
    """
    count, shape = 0, ()
    total: Any = np.float64(0)
    squares: Any = np.float64(0)
    for batch in [windows] if hasattr(windows, "shape") else _batches(windows):
        if isinstance(batch, (tuple, list)):
            hint = "Of pairs such as images and labels take the first part, and cut it into windows."
            raise fail("windows", "an array [n, wh, ww, c] or batches of such", type(batch).__name__, hint)
        array = np.asarray(ops.convert_to_numpy(batch), np.float64)
        if array.ndim != 4 or shape not in ((), array.shape[1:]):
            raise fail("windows", "of one shape [n, wh, ww, c], or batches of such", f"an array of shape {array.shape}")
        shape = array.shape[1:]
        flat = array.reshape(len(array), math.prod(shape))  # [n, p]
        count, total, squares = count + len(flat), total + flat.sum(axis=0), squares + flat.T @ flat
    if not count:
        raise fail("windows", "at least one window", "none")
    if not np.all(np.isfinite(squares)):
        raise fail("windows", "finite numbers", "infinite or undefined ones")
    mean = total / count if center else np.zeros_like(total)
    eigenvalues, directions = np.linalg.eigh(squares / count - np.outer(mean, mean))  # ascending
    eigenvalues, directions = np.maximum(eigenvalues[::-1], 0.0), directions[:, ::-1]  # below 0 by rounding alone
    largest = directions[np.argmax(np.abs(directions), axis=0), np.arange(directions.shape[1])]
    return Components(directions * np.where(largest < 0, -1.0, 1.0), eigenvalues, mean, shape)


def least_error(windows: Any, code_length: int, center: bool = True) -> float:
    """Returns the least RL (Eq. 3.2) that any linear autoencoder has on windows: Σ of the trailing eigenvalues.

    Args:
        windows: as in ``components``.
        code_length: variables of a code; from the number of values of a window on, the error is 0.
        center: whether the autoencoder has biases, as those of this package do.

    Raises:
        ValueError: for another code length, or as in ``components``.
    """
    code_length = check_positive_int("code_length", code_length)
    return float(np.sum(components(windows, center).eigenvalues[code_length:]))


def fit(autoencoder: Autoencoder, windows: Any, center: bool = True) -> Components:
    """Gives a linear autoencoder the weights that are best for windows: code = Vᵀ(x − mean), x̂ = V·code + mean.

    The optimum is not unique: any invertible map of the code, undone by the decoder, has the same error. This one has
    orthonormal directions, uncorrelated code variables and the largest variance first.

    Args:
        autoencoder: with ``encoder="fc", units=()`` and a decoder to match: one dense layer either way. Built here if
            it is not. Its type must hand on what its ``code`` layer says; a k-sparse one then keeps the largest of the
            components, which is the error of PCA only where it keeps all.
        windows: as in ``components``; those that it is to encode.
        center: False: no mean is taken off, and the biases are zero.

    Returns:
        The components, of which the autoencoder has the first ``code_length``.

    Raises:
        ValueError: for another autoencoder, a code that is longer than a window has values, windows that are not those
            that it was built for, or as in ``components``.
    """
    _check(autoencoder)
    found = components(windows, center)
    values, code_length = len(found.mean), autoencoder.code_length
    if code_length > values:
        allowed = f"at most {values}, the number of values of a window"
        raise fail("code_length", allowed, code_length)
    if not autoencoder.built:
        first = windows if hasattr(windows, "shape") else None
        if first is None:
            raise fail("autoencoder", "built, or the windows one array", "batches of windows", _BUILD)
        autoencoder.build((None, *first.shape[1:]))
    if autoencoder.windows_shape[1:] != found.shape:
        shape = ", ".join(map(str, autoencoder.windows_shape[1:]))
        raise fail("windows", f"[n, {shape}], as the autoencoder was built for", f"windows of shape {found.shape}")
    leading = found.directions[:, :code_length]  # [p, code_length]
    code: Any = autoencoder.code
    code.kernel.assign(leading)
    code.bias.assign(-found.mean @ leading)
    if isinstance(autoencoder.decoder, coders.TiedDecoder):
        autoencoder.decoder.biases[-1].assign(found.mean)
    else:
        autoencoder.decoder.reconstruction.kernel.assign(leading.T)
        autoencoder.decoder.reconstruction.bias.assign(found.mean)
    return found


_BUILD = "Encode windows first, or put it into a layer that is built."


def _batches(windows: Any) -> Iterable[Any]:
    if not isinstance(windows, Iterable):
        raise fail("windows", "an array [n, wh, ww, c] or batches of such", type(windows).__name__)
    return windows


def _check(autoencoder: Any) -> None:
    allowed = 'a linear autoencoder such as StandardAutoencoder(2, encoder="fc", units=())'
    if not isinstance(autoencoder, Autoencoder) or isinstance(autoencoder, VariationalAutoencoder):
        raise fail("autoencoder", allowed, type(autoencoder).__name__)
    if autoencoder.likelihood != "gaussian":
        raise fail("autoencoder", 'one with likelihood="gaussian", whose outputs are linear', autoencoder.likelihood)
    both = [(autoencoder.encoder, coders.FullyConnectedEncoder)]
    if not isinstance(autoencoder.decoder, coders.TiedDecoder):  # which is linear where the encoder is
        both.append((autoencoder.decoder, coders.FullyConnectedDecoder))
    for coder, cls in both:
        if not isinstance(coder, cls) or coder.units != ():
            raise fail("autoencoder", allowed, f"one whose {coder.name} is {type(coder).__name__} with hidden layers")
