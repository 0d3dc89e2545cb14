"""The latent traversal of thesis Fig. 5.1: each code variable, as a decoder understands it."""

import numbers
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from lea_keras.autoencoders.base import Autoencoder
from lea_keras.autoencoders.code_search import check_built, codes_to_decode
from lea_keras.checks import check_positive_int, check_range, fail
from lea_keras.plots.decoded import as_pictures, decode
from lea_keras.plots.grid import Block, Cell, draw
from lea_keras.plots.views import count_text, unwrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE, _GAP = 0.75, 0.06


def latent_traversal(
    autoencoder: Autoencoder | keras.Model,
    codes_range: float | tuple[float, float] = 3.0,
    steps: int = 13,
    max_codes: int = 16,
    value_range: tuple[float, float] | None = None,
    name: str | None = None,
    around: Any = None,
    base: Any = None,
) -> "Figure":
    """Draws the windows that an autoencoder decodes while one code variable changes and all others are 0 (Fig. 5.1).

    One row per code variable. The classes of a categorical variable share one, with one picture each, and the first of
    them is on where nothing else is said **(chosen)**. A row without change is a variable that encodes nothing. It is
    meant for the variational types, whose codes lie around 0; the defaults are the range and steps of the figure's
    first rows. With an image or a code, the others stay at what they are there, as in Fig. 7 of the β-VAE's authors.
    One channel is grey, three are colours, of any others the mean over the channels is drawn; all pictures are scaled
    alike. Where decoded values lie outside ``value_range``, the line below the title gives their range and says that
    they are clipped.

    Args:
        autoencoder: a built autoencoder, such as ``model.lea_layers[0].autoencoder`` of a trained model, or a model
            with one LEA.
        codes_range: the smallest and the largest value, or one number r > 0 for −r to r.
        steps: values in a row, at least 2.
        max_codes: of more variables only so many rows are drawn, besides those of categorical ones; the title says so.
        value_range: which values are black and white, for example those of the inputs. None: the smallest and the
            largest decoded one.
        name: begins the title. None: the autoencoder's own.
        around: a window [wh, ww, c] whose code the other variables keep, μ for the variational types.
        base: that code itself, [code_length], such as ``encode`` returns it. None, and no ``around``: zeros.

    Returns:
        A figure whose size does not depend on the number of channels.

    Raises:
        ValueError: for an argument outside what is said above, or both of the last two.
    """
    autoencoder = unwrapped(autoencoder)
    check_built(autoencoder)
    if isinstance(codes_range, numbers.Real):
        low, high = check_range("codes_range", (-codes_range, codes_range))
    else:
        low, high = check_range("codes_range", codes_range)
    values = np.linspace(low, high, check_positive_int("steps", steps, minimum=2))
    categories: tuple[int, ...] = getattr(autoencoder, "categories", ())
    continuous = autoencoder.code_length - sum(categories)
    shown = min(check_positive_int("max_codes", max_codes), continuous)
    code = _base(autoencoder, around, base)
    rows_of_codes = [np.tile(code, (len(values), 1)) for _ in range(shown)]  # [values, code_length] each
    for variable, codes in enumerate(rows_of_codes):
        codes[:, variable] = values
    rows_of_codes += _one_hot_rows(code, categories)
    decoded = as_pictures(decode(autoencoder, np.concatenate(rows_of_codes)), value_range)
    headings = [f"{value + 0.0:.2g}" for value in values] + [""] * (shown - 1) * len(values)
    headings += [f"class {i + 1}" for size in categories for i in range(size)]
    cells = [Cell(picture, decoded.scale, heading) for picture, heading in zip(decoded.pictures, headings, strict=True)]
    rows, place = [], 0
    for codes in rows_of_codes:
        rows.append(cells[place : place + len(codes)])
        place += len(codes)
    others = "0" if around is None and base is None else "as in an image" if base is None else "as in a code"
    title = f"{name or autoencoder.name}: one code variable changed, the others {others}"
    title += count_text(shown, continuous, "codes")
    labels = [f"code {i + 1}" for i in range(shown)]
    labels += [f"category {i + 1}" if len(categories) > 1 else "category" for i in range(len(categories))]
    return draw([Block(title, rows, labels, side=_SIDE, gap=_GAP, note=decoded.note)])


def _base(autoencoder: Autoencoder, around: Any, base: Any) -> np.ndarray:
    """The code [code_length] that all variables but one keep."""
    if around is not None and base is not None:
        raise fail("base", "left out where `around` is given", np.shape(base))
    if around is None and base is None:
        code = np.zeros(autoencoder.code_length, "float32")
        for first, _ in _places(autoencoder.code_length, getattr(autoencoder, "categories", ())):
            code[first] = 1.0
        return code
    argument, values = ("base", base) if around is None else ("around", around)
    shape = (autoencoder.code_length,) if around is None else autoencoder.windows_shape[1:]
    array = np.asarray(values)
    if array.dtype.name == "bfloat16":  # of a model in half precision; NumPy counts it as no kind of number
        array = array.astype("float32")
    if array.shape != shape or array.dtype.kind not in "iufb" or not np.all(np.isfinite(array)):
        raise fail(argument, f"finite numbers of shape {shape}", f"{array.dtype} array of shape {array.shape}")
    array = array.astype("float32")
    return array if around is None else codes_to_decode(autoencoder, array[None])[0]


def _places(code_length: int, categories: tuple[int, ...]) -> list[tuple[int, int]]:
    """Where the classes of each categorical variable begin in a code, at whose end they are, and how many there are."""
    first, places = code_length - sum(categories), []
    for size in categories:
        places.append((first, size))
        first += size
    return places


def _one_hot_rows(code: np.ndarray, categories: tuple[int, ...]) -> list[np.ndarray]:
    """For each categorical variable the code [code_length] with each of its classes once: [classes, code_length]."""
    rows = []
    for first, size in _places(len(code), categories):
        codes = np.tile(code, (size, 1))
        codes[:, first : first + size] = np.eye(size, dtype="float32")
        rows.append(codes)
    return rows
