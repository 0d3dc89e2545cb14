"""What a decoder makes of the prior: the manifold of two-dimensional codes, and random samples."""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import keras
import numpy as np

from lea_keras.autoencoders import VariationalAutoencoder
from lea_keras.autoencoders.base import Autoencoder
from lea_keras.autoencoders.code_search import check_built
from lea_keras.checks import check_positive_int, fail
from lea_keras.plots.decoded import Decoded, as_pictures, decode, to_numpy
from lea_keras.plots.grid import Block, Cell, draw
from lea_keras.plots.views import unwrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MANIFOLD_SIDE, _SAMPLE_SIDE, _SAMPLE_GAP = 6.0, 0.5, 0.04  # inches


def manifold_codes(size: int) -> np.ndarray:
    """The codes of ``latent_manifold``: [size, size, 2], rows from the largest second variable to the smallest.

    Both variables take the values Φ⁻¹((i + ½) / size), i from 0, of the inverse normal distribution function: equally
    likely ones under the prior. (At i / size, the ends would be infinite.)
    """
    values = [NormalDist().inv_cdf((i + 0.5) / size) for i in range(size)]
    first, second = np.meshgrid(values, values[::-1])
    return np.stack([first, second], axis=-1).astype("float32")


def latent_manifold(
    autoencoder: Autoencoder | keras.Model,
    size: int = 20,
    value_range: tuple[float, float] | None = None,
    name: str | None = None,
) -> "Figure":
    """Draws what an autoencoder decodes of codes all over the plane, size × size of them, side by side.

    The codes are equally likely under the prior N(0, I): Φ⁻¹((i + ½) / size) each, i from 0 **(chosen)** (D. Kingma and
    M. Welling, "Auto-Encoding Variational Bayes", 2014, appendix A, has linearly spaced coordinates of the unit square
    through Φ⁻¹). As in a scatter plot, the first variable rises to the right and the second one upwards **(chosen)**.

    Args:
        autoencoder: a built autoencoder with codes of length 2, such as ``model.lea_layers[0].autoencoder``, or a
            model with one LEA. This is meant for the variational types, whose codes lie like the prior.
        size: pictures along each side.
        value_range: as in ``latent_traversal``.
        name: as in ``latent_traversal``.

    Returns:
        A figure of one picture, in which the decoded ones touch.

    Raises:
        ValueError: for codes of another length, or an argument outside what is said above.
    """
    autoencoder = unwrapped(autoencoder)
    check_built(autoencoder)
    if autoencoder.code_length != 2:
        raise fail("autoencoder", "one with codes of length 2", f"{autoencoder.name}: {autoencoder.code_length}")
    codes = manifold_codes(check_positive_int("size", size))
    decoded = as_pictures(decode(autoencoder, codes.reshape(-1, 2)), value_range)
    tiles = decoded.pictures.reshape(size, size, *decoded.pictures.shape[1:])  # [size, size, wh, ww(, 3)]
    picture = np.concatenate(np.concatenate(tiles, axis=1), axis=1)  # [size·wh, size·ww(, 3)]
    furthest = codes.max()
    title = f"{name or autoencoder.name}: decoded codes over the plane"
    note = f"code 1 rises to the right, code 2 upwards, in quantiles of N(0, 1) within ±{furthest:.3g}; {decoded.note}"
    return draw([Block(title, [[Cell(picture, decoded.scale)]], side=_MANIFOLD_SIDE, note=note)])


def samples(
    autoencoder: VariationalAutoencoder | keras.Model,
    count: int = 100,
    seed: int = 0,
    value_range: tuple[float, float] | None = None,
    name: str | None = None,
) -> "Figure":
    """Draws random samples of a variational autoencoder: the decoded means of z ~ N(0, I), as its ``sample`` has them.

    Args:
        autoencoder: a built one of a variational type, or a model with one LEA of such a type.
        count: how many; they stand in a square, the last row may be shorter.
        seed: of the codes.
        value_range: as in ``latent_traversal``.
        name: as in ``latent_traversal``.

    Returns:
        A figure whose size does not depend on the number of channels.

    Raises:
        ValueError: for another type, or an argument outside what is said above.
    """
    autoencoder = unwrapped(autoencoder)
    check_built(autoencoder)
    if not isinstance(autoencoder, VariationalAutoencoder):
        raise fail("autoencoder", "of a variational type, which has a prior", type(autoencoder).__name__)
    decoded = as_pictures(to_numpy(autoencoder.sample(count, seed)), value_range)
    title = f"{name or autoencoder.name}: decoded samples of the prior"
    return draw([Block(title, _square(decoded), side=_SAMPLE_SIDE, gap=_SAMPLE_GAP, note=decoded.note)])


def _square(decoded: Decoded) -> list[list[Cell]]:
    """As many rows as columns, or one less."""
    columns = math.ceil(math.sqrt(len(decoded.pictures)))
    cells = [Cell(picture, decoded.scale) for picture in decoded.pictures]
    return [cells[i : i + columns] for i in range(0, len(cells), columns)]
