"""The latent traversal of thesis Fig. 5.1: each code variable, as a decoder understands it."""

import numbers
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from lea_keras.autoencoders.base import Autoencoder
from lea_keras.checks import check_positive_int, check_range, fail
from lea_keras.plots.grid import Block, Cell, draw, range_text
from lea_keras.plots.views import count_text, limits, widened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE, _GAP = 0.75, 0.06


def latent_traversal(
    autoencoder: Autoencoder,
    codes_range: float | tuple[float, float] = 3.0,
    steps: int = 13,
    max_codes: int = 16,
    value_range: tuple[float, float] | None = None,
    name: str | None = None,
) -> "Figure":
    """Draws the windows that an autoencoder decodes while one code variable changes and all others are 0 (Fig. 5.1).

    One row per code variable. A row without change is a variable that encodes nothing. It is meant for the variational
    types, whose codes lie around 0; the defaults are the range and steps of the figure's first rows. One channel is
    grey, three are colours, of any others the mean over the channels is drawn; all pictures are scaled alike. Where
    decoded values lie outside ``value_range``, the title gives their range and says that they are clipped.

    Args:
        autoencoder: a built autoencoder, such as ``model.lea_layers[0].autoencoder`` of a trained model.
        codes_range: the smallest and the largest value, or one number r > 0 for −r to r.
        steps: values in a row, at least 2.
        max_codes: of longer codes only so many rows are drawn; the title says so.
        value_range: which values are black and white, for example those of the inputs. None: the smallest and the
            largest decoded one.
        name: begins the title. None: the autoencoder's own.

    Returns:
        A figure whose size does not depend on the number of channels.

    Raises:
        ValueError: for an argument outside what is said above.
    """
    if not isinstance(autoencoder, Autoencoder):
        raise fail("autoencoder", "an autoencoder, such as that of a LEA layer", type(autoencoder).__name__)
    if not autoencoder.built:
        allowed = "built: encode windows with it, or call the model that contains it, first"
        raise fail("autoencoder", allowed, autoencoder.name)
    if isinstance(codes_range, numbers.Real):
        low, high = check_range("codes_range", (-codes_range, codes_range))
    else:
        low, high = check_range("codes_range", codes_range)
    codes = np.linspace(low, high, check_positive_int("steps", steps, minimum=2))
    shown = min(check_positive_int("max_codes", max_codes), autoencoder.code_length)
    given = None if value_range is None else check_range("value_range", value_range)
    windows = _decode(autoencoder, codes, shown)
    values = windows if windows.shape[-1] == 3 else np.mean(windows, axis=-1)
    lowest, highest = limits(values)
    low, high = given or widened(lowest, highest)
    pictures = np.clip((values - low) / (high - low), 0, 1) if windows.shape[-1] == 3 else values
    rows = [
        [
            Cell(picture, (low, high), f"{code + 0.0:.2g}" if i == 0 else "")
            for code, picture in zip(codes, row, strict=True)
        ]
        for i, row in enumerate(pictures)
    ]
    title = f"{name or autoencoder.name}: one code variable changed, the others 0; black {low:.2g}, white {high:.2g}"
    if lowest < low or high < highest:
        title += f" (decoded: {range_text(lowest, highest)}, clipped)"
    title += count_text(shown, autoencoder.code_length, "codes")
    if windows.shape[-1] not in (1, 3):
        title += f", mean of {windows.shape[-1]} channels"
    labels = [f"code {i + 1}" for i in range(shown)]
    return draw([Block(title, rows, labels, side=_SIDE, gap=_GAP)])


def _decode(autoencoder: Autoencoder, values: np.ndarray, variables: int) -> np.ndarray:
    """Windows [variables, values, wh, ww, c] of codes in which one variable has a value and the others are 0."""
    codes = np.zeros((variables, len(values), autoencoder.code_length), "float32")
    for variable in range(variables):
        codes[variable, :, variable] = values
    windows = autoencoder.decode(ops.convert_to_tensor(codes.reshape(-1, autoencoder.code_length)))
    windows = np.asarray(ops.convert_to_numpy(ops.cast(windows, "float32")))
    return np.reshape(windows, (variables, len(values), *windows.shape[1:]))
