"""How well windows are reconstructed (thesis chapter 4): functions of windows and their reconstructions.

All of them compute in float32 whatever the inputs' dtype, in eager mode, graphs and under XLA.
"""

from typing import Any

from keras import ops

from lea_keras.losses import reconstruction_loss, window_errors

__all__ = ["reconstruction_loss", "normalized_reconstruction_loss", "reconstruction_confidence"]


def normalized_reconstruction_loss(windows: Any, reconstructions: Any) -> Any:
    """RLN: the mean squared error in units of the windows' range of values (Eq. 4.1).

    Minimum and maximum are taken over all windows given. It does not change when windows and reconstructions are
    scaled and shifted together, and so compares LEAs at different depths.

    Args:
        windows: [n, wh, ww, c], or any shape whose first axis counts windows.
        reconstructions: the same shape.

    Returns:
        float32 scalar, at least 0, never NaN for finite inputs. Where the windows are constant their range is 0 and
        Eq. 4.1 divides by it: then a reproduced value counts 0, and any other its square in units of float32's
        rounding of the constant **(chosen)**.
    """
    windows = ops.cast(windows, "float32")
    reconstructions = ops.cast(reconstructions, "float32")
    smallest, largest = ops.min(windows), ops.max(windows)
    # A range below rounding is no range: dividing by it would blow up noise. 1e-18 keeps the square a normal number.
    rounding = 1.2e-7 * ops.maximum(ops.abs(smallest), ops.abs(largest))
    span = ops.maximum(largest - smallest, ops.maximum(rounding, 1e-18))
    return ops.mean(ops.square((reconstructions - windows) / span))


def reconstruction_confidence(windows: Any, reconstructions: Any) -> Any:
    """Confidence of each window: 1 − RLᵢ / max RL, so that the worst window has 0 (Eq. 4.4).

    Args:
        windows: [n, wh, ww, c], or any shape whose first axis counts windows.
        reconstructions: the same shape.

    Returns:
        float32 [n] in [0, 1]; 1 everywhere where all windows are reproduced without error.
    """
    errors = window_errors(windows, reconstructions)
    worst = ops.max(errors)
    return 1.0 - errors / ops.where(worst > 0, worst, 1.0)
