"""Studies: the runs behind a figure or table, what is read off them, and how that is shown.

Nothing here imports Keras, so that runs are planned at once.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments import runs
from experiments.config import RunConfig
from experiments.engines.units import Unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.studies.finished import Finished

THESIS, SMALL, SMOKE = "thesis", "small", "smoke"
SCALES = (THESIS, SMALL, SMOKE)


class Scale(NamedTuple):
    """How large a study is made.

    Attributes:
        seeds: how many runs of each kind.
        changes: hyperparameters that are not the thesis'.
        options: what else a study may be asked for, such as the windows of a sweep; every scale has the same names.
    """

    seeds: int
    changes: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}


def scales_of(
    thesis: Mapping[str, Any], small: Mapping[str, Any], smoke: Mapping[str, Any], small_seeds: int = 3
) -> dict[str, Scale]:
    """The scales of what is trained in place of runs: options of the thesis' scale, and what others have instead.

    Args:
        thesis: all options; three runs of each kind.
        small: those that differ at small scale.
        smoke: those that differ at smoke scale; one run of each kind.
        small_seeds: runs of each kind at small scale.
    """
    return {
        THESIS: Scale(3, options=thesis),
        SMALL: Scale(small_seeds, options={**thesis, **small}),
        SMOKE: Scale(1, options={**thesis, **smoke}),
    }


class Series(NamedTuple):
    """Runs that differ in their seeds alone.

    Attributes:
        name: their folder, and what their values are stored under. The same name in two studies means the same runs.
        config: of the first run.
        seeds: how many there are.
        measures: what is measured of every run once it is trained, as ``engines.measures`` takes it.
        trained: whether ``train.py`` trains them, as the configuration says; without, measures do all.
        pictured: whether what LEAs make is drawn while they are trained, for TensorBoard: seconds for every run.
    """

    name: str
    config: RunConfig
    seeds: int
    measures: Mapping[str, Mapping[str, Any]] = {}
    trained: bool = True
    pictured: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """Runs with a question.

    Attributes:
        name: "5.5", "T3.2": the thesis' figure or, with a T, table; a word for what it does not have.
        title: what it shows, in a few words.
        thesis: what the thesis' picture or table shows and says, for readers of ours; or another document's, or what
            we ask, if ``document`` says so.
        scales: by name; left out, with ``series``, where there are no runs.
        series: the runs of a scale.
        collect: reads off finished runs what is stored: plain values for JSON, under "values" by series.
        draw: the picture of what was collected, with the finished runs for those that show what models do; or several,
            by what the names of their files end in, as ``pictures`` says. It comes after ``collect``, which may leave
            what both need in ``finished.kept``.
        table: headings and rows of text; None: there is a picture instead.
        alone: whether its runs are timed, so that nothing else may run beside one.
        pictures: what the names of its pictures' files end in; nothing where there is a table alone.
        document: whose words ``thesis`` has, as they are introduced.
    """

    name: str
    title: str
    thesis: str
    scales: Mapping[str, Scale] = dataclasses.field(default_factory=lambda: dict.fromkeys(SCALES, Scale(0)))
    series: Callable[[Scale], list[Series]] = lambda scale: []
    collect: "Callable[[Finished], dict[str, Any]]"
    draw: "Callable[[dict[str, Any], Finished], Figure | dict[str, Figure]] | None" = None
    table: Callable[[dict[str, Any]], tuple[Sequence[str], Sequence[Sequence[str]]]] | None = None
    alone: bool = False
    pictures: tuple[str, ...] = ("",)
    document: str = "The thesis"

    @property
    def label(self) -> str:
        """ "Fig. 5.5", "Table 3.2", or the name."""
        if self.name[0] == "T":
            return f"Table {self.name[1:]}"
        return f"Fig. {self.name}" if self.name[0].isdigit() else self.name

    @property
    def stem(self) -> str:
        """What the names of its files begin with: "fig_5_5", "table_3_2"."""
        return self.label.lower().replace(". ", "_").replace(" ", "_").replace(".", "_").replace("-", "_")

    def plan(self, scale: str, seeds: int | None = None, **given: Any) -> list[Series]:
        """The runs at a scale.

        Args:
            scale: of ``SCALES``.
            seeds: how many of each kind, instead of the scale's own.
            **given: fields of all configurations, such as the backend.
        """
        chosen = self.scales[scale]
        if seeds is not None:
            chosen = chosen._replace(seeds=seeds)
        planned = {one.name: one for one in self.series(chosen)}  # some are in several panels
        return [one._replace(config=one.config.replace(**given)) for one in planned.values()]

    def differences(self, scale: str) -> str:
        """In what a scale differs from the thesis, as one line; empty for the thesis' own."""
        ours, thesis = self.scales[scale], self.scales[THESIS]
        if scale == THESIS:
            return ""
        several = [] if ours.seeds == thesis.seeds else [f"runs {ours.seeds} ({thesis.seeds})"]
        planned = [[one.config for one in self.plan(name)] for name in (scale, THESIS)]
        for name in ours.changes:
            now, before = (_values(name, configs) for configs in planned)
            several += [] if now == before else [f"{name} {now} ({before})"]
        for name, value in ours.options.items():
            before = thesis.options.get(name, {})
            if isinstance(value, Mapping):
                of = {key: f"{name} " if key in ours.changes else "" for key in value}
                pairs = [(f"{of[key]}{key}", one, before.get(key)) for key, one in value.items()]
            else:
                pairs = [(name, value, before)]
            several += [f"{key} {_shown(now, key)} ({_shown(then, key)})" for key, now, then in pairs if now != then]
        theirs = "the thesis'" if self.document == "The thesis" else "thesis scale's"
        return f"{scale} scale, {theirs} in brackets: {'; '.join(several)}" if several else ""


def _values(name: str, configs: Sequence[RunConfig]) -> str:
    """The values of a field in all configurations, each once."""
    of_runs = [config.image_shape[0] if name == "image_size" else getattr(config, name) for config in configs]
    return " or ".join(dict.fromkeys(_shown(value, name) for value in of_runs))


def _shown(value: Any, name: str = "") -> str:
    """A value as text; None of what limits something is "all"."""
    if value is None:
        return "all" if name.endswith(("limit", "samples")) else "its own"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    if isinstance(value, (tuple, list)):
        return "×".join(map(_shown, value)) if isinstance(value[0], str) else ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def counted(runs: int) -> str:
    """ "1 run", "2 runs"."""
    return f"{runs} run{'s' * (runs != 1)}"


def configuration(model: str, scale: Scale, **fields: Any) -> RunConfig:
    """A configuration with the thesis' values, a study's own, and then what a scale changes.

    Every field that nobody names is the thesis' (section A.1), whatever the reference model's defaults are.
    """
    thesis = RunConfig(
        model=model,
        window_size={"classic": 2, "cnn_lea": 4, "autoencoder": None}.get(model, 8),
        strides={"cnn_lea": 2, "lea_only": 4}.get(model),
        optimization="joint" if model in ("lea_only", "decoder_free", "autoencoder") else "alternate",
        lea_weight=0.0 if model == "decoder_free" else 1.0,
    )
    return thesis.replace(**fields | dict(scale.changes))


def units(series: Sequence[Series], folder: pathlib.Path) -> list[Unit]:
    """The runs of series, seed by seed, in the folder of a scale.

    Raises:
        ValueError: one line, if a folder holds a run of another configuration.
    """
    planned: dict[pathlib.Path, Unit] = {}
    for one in series:
        for seed in range(one.config.seed, one.config.seed + one.seeds):
            path, config = folder / one.name / f"{seed:03}", one.config.replace(seed=seed)
            if path in planned:
                unit = planned[path]
                if unit.config != config:
                    raise ValueError(f"Two studies call different runs {one.name}")
                measures, pictured = {**unit.measures, **one.measures}, unit.pictured or one.pictured
                planned[path] = unit._replace(measures=measures, pictured=pictured)
                continue
            if one.trained and runs.exists(path):
                try:
                    runs.check_resumable(path, config)
                except ValueError as error:
                    hint = "Move it away, or choose another --run_dir."
                    raise ValueError(f"{path} holds a run of another configuration. {error} {hint}") from None
            planned[path] = Unit(path, config, dict(one.measures), one.trained, one.pictured)
    return list(planned.values())
