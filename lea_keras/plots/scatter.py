"""Two-dimensional codes as points, coloured by class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

from lea_keras.checks import fail
from lea_keras.plots import palette
from lea_keras.plots.panels import LABEL_SIZE, LEGEND
from lea_keras.plots.pixels import DPI

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# In inches.
_SIDE, _TITLE_ROOM, _LEGEND_LINE, _IN_A_LINE = 4.4, 0.25, 0.24, 5
_POINT = 10.0  # area of a point, in square points
_DISTANCE = 0.055  # of names from each other, at least, as a part of the larger side of what points lie in
# Of classes, in turn, as are ten colours; a class' name stands on its points, too.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")


def codes(
    codes: Any | Mapping[str, Any],
    labels: Any,
    names: Sequence[str] | None = None,
) -> "Figure":
    """Draws two-dimensional codes as points, one colour and marker for each class, with its name on its median.

    Several codes of the same samples stand side by side, such as principal components and codes of an autoencoder (G.
    Hinton and R. Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", 2006, Fig. 3). Both axes of
    a panel have one unit.

    Args:
        codes: [n, 2], or a mapping from panels' titles to such codes.
        labels: [n] integers from 0, or one-hot [n, classes].
        names: of the classes, one for each label from 0. None: the labels.

    Returns:
        A figure of one panel for each of the codes.

    Raises:
        ValueError: for codes of another length, or labels or names that do not fit.
    """
    panels = {title: _points(value) for title, value in (codes if isinstance(codes, Mapping) else {"": codes}).items()}
    if not panels:
        raise fail("codes", "at least one panel's", {})
    classes = _classes(labels)
    for points in panels.values():
        if len(points) != len(classes):
            raise fail("labels", f"one for each of {len(points)} codes", f"{len(classes)} labels")
    shown = np.unique(classes)
    if names is not None and (isinstance(names, str) or len(names) <= shown[-1]):
        raise fail("names", f"at least {shown[-1] + 1}, one for each label", names)
    texts = {int(each): str(each) if names is None else str(names[each]) for each in shown}
    return _draw(panels, classes, texts)


def _draw(panels: Mapping[str, np.ndarray], classes: np.ndarray, texts: Mapping[int, str]) -> "Figure":
    from matplotlib.patheffects import withStroke

    from lea_keras.plots.figure import Figure

    lines = -(-len(texts) // _IN_A_LINE)
    size = len(panels) * _SIDE, _SIDE + _TITLE_ROOM + lines * _LEGEND_LINE
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    handles, edge = [], [withStroke(linewidth=3, foreground="white")]
    for i, (title, points) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), i + 1)
        of_classes = [points[classes == label] for label in texts]
        handles = [
            axes.scatter(own[:, 0], own[:, 1], s=_POINT, alpha=0.6, linewidths=0, **_style(label))
            for label, own in zip(texts, of_classes, strict=True)
        ]
        medians = np.stack([np.median(own, axis=0) for own in of_classes])
        places = _apart(medians, _DISTANCE * float(np.max(np.ptp(points, axis=0))))
        look = {"size": 11, "weight": "bold", "ha": "center", "va": "center", "path_effects": edge}
        for text, place in zip(texts.values(), places, strict=True):
            axes.text(place[0], place[1], text, parse_math=False, **look)
        axes.set_title(title, fontsize=10, fontweight="bold", parse_math=False)
        axes.set_xlabel("code 1", fontsize=LABEL_SIZE)
        axes.set_ylabel("code 2", fontsize=LABEL_SIZE)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_aspect("equal", adjustable="datalim")
    legend = figure.legend(handles, list(texts.values()), ncols=min(len(texts), _IN_A_LINE), markerscale=2, **LEGEND)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _style(label: int) -> dict[str, Any]:
    colours = palette.OF_CLASSES
    return {"color": colours[label % len(colours)], "marker": _MARKERS[label % len(_MARKERS)]}


def _apart(places: np.ndarray, distance: float, rounds: int = 50) -> np.ndarray:
    """Places [n, 2] moved as little as it takes until no two are closer than a distance, or nearly so."""
    places = places.astype(np.float64)
    for _ in range(rounds):
        for i in range(len(places)):
            for j in range(i):
                away = places[i] - places[j]
                length = float(np.hypot(*away))
                if length < distance:
                    direction = away / length if length else np.array([0.0, 1.0])
                    places[i] += (distance - length) / 2 * direction
                    places[j] -= (distance - length) / 2 * direction
    return places


def _points(codes: Any) -> np.ndarray:
    array = np.asarray(ops.convert_to_numpy(codes) if ops.is_tensor(codes) else codes)
    is_real = array.dtype.kind in "iufb" and np.all(np.isfinite(array))
    if array.ndim != 2 or array.shape[1] != 2 or not len(array) or not is_real:
        raise fail("codes", "finite numbers of shape [n, 2]", f"{array.dtype} array of shape {array.shape}")
    return array


def _classes(labels: Any) -> np.ndarray:
    array = np.asarray(ops.convert_to_numpy(labels) if ops.is_tensor(labels) else labels)
    if array.ndim == 2 and array.shape[1] and np.all(np.isin(array, (0, 1))) and np.all(array.sum(axis=1) == 1):
        array = np.argmax(array, axis=1)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu" or array.min() < 0:
        allowed = "integers from 0, [n], or one-hot, [n, classes]"
        raise fail("labels", allowed, f"{array.dtype} array of shape {array.shape}")
    return array
