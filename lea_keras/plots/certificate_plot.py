"""Accuracy over the size of perturbations: what is certified, and what attacks leave.

matplotlib is imported where a picture is drawn, so that importing the package stays cheap.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lea_keras.checks import fail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _LINE = 6.4, 3.4, 0.22  # inches; a line of the legend
_POINTS = 400
_SEEN = 0.95  # of the images that an attack fools: the axis reaches at least so far for each


def accuracy_over_epsilon(
    certified: Sequence[float],
    distances: Mapping[str, Sequence[float | None]],
    title: str = "Accuracy over the size of perturbations",
    epsilon: float | None = None,
    names: Mapping[str, str] | None = None,
) -> "Figure":
    """Draws the share of images that are certified at ε, and above it what every attack leaves at ε.

    The truth lies between the lowest of the attacks' curves and that of certificates.

    Args:
        certified: [n], of every image the largest ε at which it is certified, as ``certified_radius`` returns it.
        distances: by attack, of every image the L∞ distance of the nearest adversarial that was found; 0 where the
            image is misclassified as it is, None where none was found.
        title: above the picture.
        epsilon: where a faint line stands; None: nowhere.
        names: of attacks, in the legend; those that are not there are as in ``distances``.

    Returns:
        A figure.

    Raises:
        ValueError: if there are no images, or the attacks are of others.
    """
    from lea_keras.plots import palette
    from lea_keras.plots.figure import Figure
    from lea_keras.plots.panels import LABEL_SIZE, LEGEND
    from lea_keras.plots.pixels import DPI

    radii = np.asarray(certified, float)
    if not radii.size:
        raise fail("certified", "of at least one image", list(radii))
    reached = {name: np.array([np.inf if x is None else x for x in of], float) for name, of in distances.items()}
    for name, of_attack in reached.items():
        if len(of_attack) != len(radii):
            allowed = f"distances of all {len(radii)} images"
            raise fail("distances", allowed, f"{len(of_attack)} of {name!r}")
    ends = [radii.max(), epsilon or 0.0]
    ends += [np.quantile(known, _SEEN) for of in reached.values() if (known := of[np.isfinite(of)]).size]
    xs = np.linspace(0, 1.05 * max(ends) or 1.0, _POINTS)
    height = _HEIGHT + _LINE * ((len(reached) + 3) // 2)
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    for i, (name, of_attack) in enumerate(reached.items()):
        colour = palette.OF_LINES[(i + 1) % len(palette.OF_LINES)]
        shares = np.mean(of_attack[:, None] > xs, axis=0)
        style = ("-", "--", "-.", ":")[i // len(palette.OF_LINES) % 4]
        axes.plot(xs, shares, style, color=colour, linewidth=1.6, label=f"left by {(names or {}).get(name, name)}")
    # At ε = 0 an image without a certificate may still be right.
    held = np.mean((radii[:, None] >= xs) & (radii[:, None] > 0), axis=0)
    axes.fill_between(xs, held, color=palette.PALE_BLUE, linewidth=0)
    axes.plot(xs, held, color=palette.BLUE, linewidth=2.2, label="certified")
    if epsilon is not None:
        axes.axvline(epsilon, color="0.5", linewidth=1, linestyle=":", label=f"ε = {epsilon:g}")
    axes.set(xlim=(0, xs[-1]), ylim=(-0.02, 1.03))
    axes.set_xlabel("ε (L∞)", size=LABEL_SIZE)
    axes.set_ylabel(f"share of {len(radii)} images, right", size=LABEL_SIZE)
    axes.set_title(title, size=10, weight="bold", parse_math=False)
    figure.legend(ncols=2, **LEGEND)
    return figure
