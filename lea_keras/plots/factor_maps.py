"""Code variables against the factors that images were made from: where, how large and how turned the sprite is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from lea_keras.autoencoders import VariationalAutoencoder
from lea_keras.autoencoders.base import Autoencoder
from lea_keras.checks import check_positive_int, fail
from lea_keras.data import sprites
from lea_keras.hooks import inputs_of_calls, origin
from lea_keras.layers.lea import find_leas
from lea_keras.plots import palette
from lea_keras.plots.decoded import to_numpy
from lea_keras.plots.grid import DIVERGING
from lea_keras.plots.panels import LABEL_SIZE, LEGEND
from lea_keras.plots.pixels import DPI, text_width
from lea_keras.plots.views import autoencoder_of
from lea_keras.probes.factors import FACTORS, check_labels
from lea_keras.utils import slices

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BATCH = 1024  # images that are encoded at once
# In inches.
_COLUMN, _FIRST, _BAR, _ROWS, _ROOM, _LEGEND = 1.1, 0.55, 0.65, (1.65, 1.0, 1.0), 0.8, 3.4
_TITLE_SIZE = 11.0  # points
# Of shapes: square, ellipse, heart (the source has red, green, blue), told apart in grey print, too.
_STYLES = ((palette.VERMILION, "-", "s"), (palette.GREEN, "--", "o"), (palette.BLUE, ":", "^"))


class Activations(NamedTuple):
    """Means of every code variable over images that share some factors; NaN where there are none.

    Attributes:
        order: the variables' numbers from 0, from the smallest mean variance to the largest.
        variances: σ² of every variable, the mean over images, [code_length].
        maps: mean μ by y and x, [32, 32, code_length].
        scales: mean μ by shape and scale, [3, 6, code_length].
        orientations: mean μ by shape and orientation, [3, 40, code_length].
    """

    order: list[int]
    variances: np.ndarray
    maps: np.ndarray
    scales: np.ndarray
    orientations: np.ndarray


def factor_activations(
    model: keras.Model | Autoencoder,
    images: Any,
    labels: Mapping[str, Any],
    max_codes: int = 16,
    name: str | None = None,
) -> "Figure":
    """Draws how the mean μ of each code variable depends on the factors of sprites (β-VAE, 2017, Fig. 7, rows 1 to 3).

    One column per code variable, those with the smallest learnt variance σ² first **(chosen)**; above it stands its
    mean over all images, near 1 where a variable says nothing. First row: mean μ at every place x, y of the sprite, red
    above 0, blue below, averaged over all else; of an entry of a categorical code, the share of images of that class,
    whose σ² is the variance of the posterior in units of the prior's. Second and third row: mean μ against scale and
    orientation, one curve for each shape, averaged over all else. All columns have one scale, so that what carries
    nothing is white and flat.
    The remaining rows of the source's figure are ``latent_traversal(…, around=image)``.

    Means are over the images given: many, from the whole grid of factors, such as ``probes.sprites_data`` returns;
    places without any are grey.

    Args:
        model: a built autoencoder of a variational type for whole images; or a model with one LEA, that has such an
            autoencoder and one window, right at the model's input.
        images: [n, rows, columns, 1].
        labels: by factor, those of sprites: "shape", "scale", "orientation", "x" and "y", [n] integers each.
        max_codes: of longer codes only so many columns are drawn; the title says so.
        name: begins the title. None: the autoencoder's own.

    Returns:
        A figure.

    Raises:
        ValueError: for another autoencoder, images of another size, or labels that are not those of sprites.
    """
    autoencoder = _variational(model)
    max_codes = check_positive_int("max_codes", max_codes)
    found = activations(autoencoder, images, labels)
    order = found.order[:max_codes]
    title = f"{name or autoencoder.name}: code variables against factors"
    if len(order) < autoencoder.code_length:
        title += f", the {len(order)} of {autoencoder.code_length} with the smallest σ²"
    return _draw(found, order, title)


def activations(autoencoder: VariationalAutoencoder, images: Any, labels: Mapping[str, Any]) -> Activations:
    """What ``factor_activations`` draws, of a built autoencoder; arguments and errors are those of it."""
    images = np.asarray(images)
    if images.shape[1:] != autoencoder.windows_shape[1:] or not len(images):
        raise fail("images", f"of shape (n, {str(autoencoder.windows_shape[1:])[1:]}, at least one", images.shape)
    if not isinstance(labels, Mapping) or not set(FACTORS) <= set(labels):
        received = sorted(map(str, labels)) if isinstance(labels, Mapping) else type(labels).__name__
        raise fail("labels", f"a dictionary of those of {', '.join(FACTORS)}", received)
    labels = {factor: check_labels("labels", factor, labels[factor], len(images)) for factor in FACTORS}
    for factor, size in sprites.FACTORS.items():
        if np.max(labels[factor]) >= size:
            raise fail("labels", f"below {size} for {factor!r}", int(np.max(labels[factor])))
    means, variances = [], []
    for part in slices(len(images), _BATCH):
        batch = ops.convert_to_tensor(np.asarray(images[part], "float32"))
        mean, variance, _ = map(to_numpy, autoencoder.statistics(autoencoder.features(batch)))
        means.append(mean)
        variances.append(variance.astype(np.float64))
    mean, variance = np.concatenate(means), np.mean(np.concatenate(variances), axis=0)
    return Activations(
        [int(i) for i in np.argsort(variance, kind="stable")],
        variance,
        group_means(mean, labels, ("y", "x")),
        group_means(mean, labels, ("shape", "scale")),
        group_means(mean, labels, ("shape", "orientation")),
    )


def group_means(values: np.ndarray, labels: Mapping[str, np.ndarray], factors: tuple[str, ...]) -> np.ndarray:
    """Means of values [n, k] over the samples that agree in some factors: [*sizes, k], NaN where there are none."""
    sizes = tuple(sprites.FACTORS[factor] for factor in factors)
    groups = np.ravel_multi_index(tuple(labels[factor] for factor in factors), sizes)  # [n]
    cells = int(np.prod(sizes))
    counts = np.bincount(groups, minlength=cells)
    sums = np.stack([np.bincount(groups, column, cells) for column in values.T.astype(np.float64)], axis=-1)
    means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], np.nan)
    return means.reshape(*sizes, values.shape[1])


def _variational(model: Any) -> VariationalAutoencoder:
    autoencoder = autoencoder_of(model)
    if not isinstance(autoencoder, VariationalAutoencoder):
        raise fail("model", "of a variational type, with learnt variances", type(autoencoder).__name__)
    if isinstance(model, keras.Model):
        (lea,) = find_leas(model)
        for tensors in inputs_of_calls(lea):
            if not isinstance(origin(tensors[0])[0], layers.InputLayer):
                raise fail("model", "one whose LEA is right at its input", f"{lea.name!r} behind other layers")
    return autoencoder


def _draw(found: Activations, order: list[int], title: str) -> "Figure":
    from lea_keras.plots.figure import Figure

    columns = len(order)
    width = max(_FIRST + columns * _COLUMN + _BAR, text_width(title, _TITLE_SIZE, "bold") + 0.2, _LEGEND)
    figure = Figure(figsize=(width, sum(_ROWS) + _ROOM), dpi=DPI, layout="constrained")
    rows = figure.subplots(3, columns, squeeze=False, height_ratios=_ROWS)
    parts = (found.maps, found.scales, found.orientations)
    limit = max(float(np.nanmax(np.abs(part[..., order]))) for part in parts) or 1.0
    degrees = np.degrees(sprites.VALUES["orientation"])
    for column, code in enumerate(order):
        image = _draw_map(rows[0, column], found.maps[..., code], limit)
        rows[0, column].set_title(f"code {code + 1}\nσ² {found.variances[code]:.2g}", fontsize=LABEL_SIZE)
        _draw_curves(rows[1, column], sprites.VALUES["scale"], found.scales[..., code], limit)
        _draw_curves(rows[2, column], degrees, found.orientations[..., code], limit)
        rows[1, column].set_xticks([0.5, 1.0])
        rows[2, column].set_xticks([0, 180, 360])
        for axes in rows[1:, column]:
            axes.tick_params(labelsize=7, labelleft=column == 0)
    bar = figure.colorbar(image, ax=rows[0].tolist(), pad=0.01, aspect=12)
    bar.set_label("mean μ", fontsize=LABEL_SIZE)
    bar.ax.tick_params(labelsize=7)
    for row, text in zip(rows[:, 0], ("y, down", "mean μ", "mean μ"), strict=True):
        row.set_ylabel(text, fontsize=LABEL_SIZE)
    for row, text in zip(rows, ("x", "scale", "orientation in degrees"), strict=True):
        middle = row[(columns - 1) // 2]  # with an even number of columns the middle is this one's right edge
        middle.set_xlabel(text, fontsize=LABEL_SIZE, x=0.5 if columns % 2 else 1.0, horizontalalignment="center")
    figure.suptitle(title, fontsize=_TITLE_SIZE, fontweight="bold", parse_math=False)
    figure.legend(rows[1, 0].lines[: len(sprites.SHAPES)], sprites.SHAPES, ncols=len(sprites.SHAPES), **LEGEND)
    return figure


def _draw_map(axes: "Axes", means: np.ndarray, limit: float) -> Any:
    """y points down, as in the images."""
    axes.set_facecolor("0.75")
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(means, cmap=DIVERGING, vmin=-limit, vmax=limit, origin="upper", interpolation="nearest")


def _draw_curves(axes: "Axes", values: np.ndarray, means: np.ndarray, limit: float) -> None:
    from matplotlib.ticker import MaxNLocator

    for curve, (colour, dashes, marker) in zip(means, _STYLES, strict=True):
        every = max(len(values) // 5, 1)
        style = {"color": colour, "linestyle": dashes, "marker": marker, "markevery": every, "markersize": 3}
        axes.plot(values, curve, linewidth=1.2, **style)
    axes.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    # Fixed, since ticks that are found while the figure is laid out may be wider in the end than there is room for.
    axes.set_yticks([tick for tick in MaxNLocator(2).tick_values(-limit, limit) if abs(tick) <= 1.1 * limit])
    axes.set_ylim(-1.1 * limit, 1.1 * limit)
    axes.spines[["top", "right"]].set_visible(False)
