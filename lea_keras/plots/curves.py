"""The course of metrics over the epochs of several runs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from lea_keras.checks import check_choice, check_number, fail
from lea_keras.plots import coinciding, palette
from lea_keras.plots.panels import LABEL_SIZE, LEGEND, PANEL_WIDTH, in_a_row, panels
from lea_keras.plots.pixels import text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, float]]
Run = Rows | keras.callbacks.History
Runs = Run | Sequence[Run]

_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINE_WIDTH, _MARKER_SIZE = 1.6, 5.0  # points
_REFERENCES = (":", "-.", (0, (1, 3)))
_TRAINING = "training"
_ABBREVIATIONS = ("rl", "rln", "nll", "mae", "kl", "mmd")
_NOT_METRICS = ("epoch", "seconds")


class _Split(NamedTuple):
    prefix: str
    style: str


_SPLITS = {"test": _Split("val_", "-"), _TRAINING: _Split("", "--")}


class _Look(NamedTuple):
    """One group's metrics of one split, and how their lines look."""

    group: str
    split: str
    colour: str
    style: str
    marker: str | None
    place: int


class _Course(NamedTuple):
    """One metric of several runs over the epochs: all [epochs]."""

    epochs: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray


def metric_curves(
    runs: Runs | Mapping[str, Runs],
    metrics: Sequence[str] | None = None,
    *,
    held_out: str | Mapping[str, str] = "test",
    references: Mapping[str, Mapping[str, float]] | None = None,
) -> "Figure":
    """Draws metrics over the epochs of several runs: the median as a line, all runs as a band (Figs. 3.4, 4.1, 5.6).

    Test (or validation) metrics are solid lines, training metrics dashed ones. Of lines that coincide, those below are
    wide and pale. Runs may differ in length: later epochs show the runs that got so far, and the title says so.

    Args:
        runs: what ``fit`` returned, or a list of that, or of each run its rows, as
            ``lea_keras.callbacks.read_metrics`` returns them; or a mapping from labels to either, to compare groups of
            runs.
        metrics: names of training metrics such as "accuracy"; "val_accuracy" comes with it. None: all that there are.
        held_out: what the legend calls the data of metrics such as "val_accuracy", for example "validation"; or a
            mapping from labels to such names, where groups differ in it.
        references: by metric, values that lines are to be compared with, by what the legend calls them:
            ``{"lea_rl": {"PCA": lea_keras.pca.least_error(windows, 10)}}``, a dotted line each.

    Returns:
        A figure with one panel per metric.

    Raises:
        ValueError: if there are no runs, a run has no epochs, no run has a metric, or what ``fit`` returned does not
            tell to which epochs a metric belongs (``validation_freq``); or for a reference to a metric that is not
            drawn, or that is no finite number.
    """
    groups = _check_runs(runs)
    splits = _names_of_splits(groups, held_out)
    metrics = _check_metrics(metrics, [run for group in groups.values() for run in group])
    references = _check_references(references, metrics)
    count, lengths = _extent(groups)
    lines = len(groups) * len(_SPLITS) + len(dict.fromkeys(label for of in references.values() for label in of))
    width = PANEL_WIDTH * in_a_row(len(metrics))
    widest = (
        max(text_width(f"{label}, {name}", LABEL_SIZE) for label in groups for name in splits[label].values()) + 0.6
    )
    columns = max(1, min(lines, int(width / widest)))
    if columns > 1 and len(groups) > 1:
        columns -= columns % 2  # test and training of a group in one row
    figure, drawn = panels(len(metrics), legend_lines=math.ceil(lines / columns), title_lines=2)
    looks = _looks(splits, dots=lengths[-1] == 1)
    for axes, metric in zip(drawn, metrics, strict=True):
        courses = {
            text: _course(groups[look.group], _SPLITS[look.split].prefix + metric) for text, look in looks.items()
        }
        courses = {text: course for text, course in courses.items() if len(course.epochs)}
        lines = [course[:2] for course in courses.values()]
        styles = coinciding.styles(lines, [looks[text].colour for text in courses], _LINE_WIDTH, _MARKER_SIZE)
        for (text, course), style in zip(courses.items(), styles, strict=True):
            _draw_course(axes, course, text, looks[text], style)
        for (label, value), style in zip(references.get(metric, {}).items(), _REFERENCES, strict=False):
            axes.axhline(value, color=palette.BLACK, linestyle=style, linewidth=1.4, label=label)
        axes.set_xlabel("epoch", size=LABEL_SIZE)
        axes.set_title(metric_label(metric), size=10, weight="bold", parse_math=False)
        _whole_epochs(axes)
    labels = [text for text in looks if any(text == line.get_label() for axes in drawn for line in axes.lines)]
    handles: list[Any] = [_legend_line(looks[text]) for text in labels]
    level = {line.get_label(): line for axes in drawn for line in axes.lines if line.get_label() not in looks}
    handles, labels = [*handles, *level.values()], [*labels, *level]
    row_wise = [i for column in range(columns) for i in range(column, len(handles), columns)]
    figure.legend(
        [handles[i] for i in row_wise],
        [labels[i] for i in row_wise],
        ncols=columns,
        **LEGEND,
    )
    text = f"median of {count} runs, band: all of them" if count != "1" else "one run"
    if lengths[0] != lengths[-1]:
        text += f"\nafter epoch {lengths[0]}: of the runs that got so far"
    figure.suptitle(text, size=LABEL_SIZE)
    return figure


def metric_label(name: str) -> str:
    """ "lea_1_rln" → "lea_1 RLN": abbreviations are capitals, as in the thesis."""
    layer, _, measure = name.rpartition("_")
    if layer.endswith("_discrete"):  # of what a joint type measures twice
        layer = f"{layer.removesuffix('_discrete')} discrete"
    return f"{layer} {measure.upper() if measure in _ABBREVIATIONS else measure}".strip()


def _looks(names: Mapping[str, Mapping[str, str]], dots: bool) -> dict[str, _Look]:
    """How the lines of each group and split look, by their names in the legend.

    Args:
        names: what each split is called, by the labels of the groups; a single label may be empty.
        dots: whether there are no lines, but points alone.
    """
    looks = {}
    for i, (label, names_of_splits) in enumerate(names.items()):
        for j, (split, (_, style)) in enumerate(_SPLITS.items()):
            colour = palette.OF_LINES[(i if len(names) > 1 else j) % len(palette.OF_LINES)]
            marker = _MARKERS[i % len(_MARKERS)] if len(names) > 1 else "o" if dots else None
            name = names_of_splits[split]
            looks[f"{label}, {name}" if label else name] = _Look(label, split, colour, style, marker, len(looks))
    return looks


def _check_runs(runs: Any) -> dict[str, Sequence[Rows]]:
    """Groups of runs by label; a single group has none."""
    groups = dict(runs) if isinstance(runs, Mapping) else {"": runs}
    allowed = (
        "a list of runs, each a list of rows as read_metrics returns them or what fit returned, or the latter alone, "
        "or a mapping from labels to such"
    )
    if not groups:
        raise fail("runs", allowed, {})
    for label, group in groups.items():
        given = f"{label}: " if label else ""
        group = [group] if isinstance(group, keras.callbacks.History) else group
        if not isinstance(group, Sequence) or isinstance(group, str) or not group:
            raise fail("runs", allowed, f"{given}{[] if group in ([], ()) else type(group).__name__}")
        groups[label] = [_rows(run) if isinstance(run, keras.callbacks.History) else run for run in group]
        for run in groups[label]:
            rows = isinstance(run, Sequence) and not isinstance(run, str)
            if not rows or not all(isinstance(row, Mapping) and "epoch" in row for row in run):
                raise fail("runs", allowed, f"{given}a list of {type(run).__name__}")
            if not run:
                raise fail("runs", "runs that have finished an epoch", f"{given}a run without rows")
    return groups


def _rows(history: keras.callbacks.History) -> list[dict[str, float]]:
    """What ``fit`` returned as rows, the first epoch being 1; metrics that are no single numbers are left out."""
    epochs = getattr(history, "epoch", [])
    rows = [{"epoch": epoch + 1} for epoch in epochs]
    for name, values in history.history.items():
        if len(values) != len(rows):
            allowed = "rows as read_metrics returns them, where a metric has no value in some epochs"
            raise fail("runs", allowed, f"a History with {len(values)} values of {name!r} in {len(rows)} epochs")
        for row, value in zip(rows, values, strict=True):
            if np.ndim(value) == 0:
                row[name] = float(value)
    return rows


def _names_of_splits(groups: Iterable[str], held_out: Any) -> dict[str, dict[str, str]]:
    """What the legend calls the two splits of each group."""
    names = held_out if isinstance(held_out, Mapping) else {label: held_out for label in groups}
    if not all(isinstance(names.get(label), str) and names[label] for label in groups):
        allowed = f"a name, or a mapping from each of the labels {', '.join(map(repr, groups))} to one"
        raise fail("held_out", allowed, held_out)
    return {label: {split: split if split == _TRAINING else names[label] for split in _SPLITS} for label in groups}


def _check_metrics(metrics: Any, runs: list[Any]) -> list[str]:
    found = dict.fromkeys(name.removeprefix("val_") for run in runs for row in run for name in row)
    available = [name for name in found if name not in _NOT_METRICS]
    if isinstance(metrics, str) or (metrics is not None and not metrics):
        raise fail("metrics", "a list of names, or None for all", metrics)
    return available if metrics is None else [check_choice("metrics", name, available) for name in metrics]


def _check_references(references: Any, metrics: Sequence[str]) -> dict[str, dict[str, float]]:
    found = {}
    if references is not None and not isinstance(references, Mapping):
        raise fail("references", "a mapping from metrics to values by name", references)
    for metric, levels in (references or {}).items():
        check_choice("references", metric, metrics)
        if not isinstance(levels, Mapping) or not 0 < len(levels) <= len(_REFERENCES):
            raise fail("references", f"a mapping from metrics to 1 to {len(_REFERENCES)} values by name", references)
        found[metric] = {str(label): check_number("references", value, -math.inf) for label, value in levels.items()}
    return found


def _extent(groups: dict[str, Sequence[Rows]]) -> tuple[str, list[int]]:
    """How many runs there are in a group, as text, and the sorted lengths of all runs."""
    counts = sorted({len(group) for group in groups.values()})
    return "–".join(str(n) for n in dict.fromkeys((counts[0], counts[-1]))), sorted(
        int(run[-1]["epoch"]) for group in groups.values() for run in group
    )


def _course(runs: Sequence[Rows], name: str) -> _Course:
    """Median, minimum and maximum of a metric at every epoch, over the runs that have it there."""
    values: dict[float, list[float]] = {}
    for run in runs:
        for row in run:
            if name in row and math.isfinite(row[name]):
                values.setdefault(row["epoch"], []).append(row[name])
    epochs = sorted(values)
    summaries = [[f(values[epoch]) for epoch in epochs] for f in (np.median, np.min, np.max)]
    return _Course(np.array(epochs), *(np.array(summary) for summary in summaries))


def _draw_course(axes: "Axes", course: _Course, label: str, look: _Look, style: dict[str, Any]) -> None:
    axes.fill_between(course.epochs, course.low, course.high, color=look.colour, alpha=0.2, linewidth=0)
    if len(course.epochs) == 1:  # where a band has no width
        axes.vlines(course.epochs, course.low, course.high, color=look.colour, alpha=0.2, linewidth=6)
    step = max(1, len(course.epochs) // 8)
    places = (look.place % step, step)  # others than those of the next line, as far as there are others
    axes.plot(course.epochs, course.median, label=label, markevery=places, **_line(look) | style)


def _line(look: _Look) -> dict[str, Any]:
    hollow = {"markerfacecolor": "white"} if look.split == "training" else {}
    return {"color": look.colour, "linestyle": look.style, "marker": look.marker} | hollow


def _legend_line(look: _Look) -> Any:
    """A line as it looks where it coincides with no other."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linewidth=_LINE_WIDTH, markersize=_MARKER_SIZE, **_line(look))


def _whole_epochs(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
