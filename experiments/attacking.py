"""Robustness of runs against adversarial attacks, side by side (thesis sections 4.6 and 5.5)."""

import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

import lea_keras
import lea_keras.data
from experiments import attack_tables, cli, comparison, evaluation, failures, networks, runs, series, tables
from experiments.attack_tables import MEASURES, Row
from experiments.comparison import Group, Run
from experiments.config import RunConfig, checks
from experiments.results import Results
from experiments.runs import RunError
from experiments.startup import many_models
from lea_keras import robustness
from lea_keras.plots import robustness_plot
from lea_keras.robustness.attacks.semantics import NEAREST

FILES = ("{}.json", "{}.csv", "{}.md")
RAW, STANDARDISED = "{}.png", "{}_standardised.png"
FOLDER = "attacks"
PER_BATCH = 20  # samples of each batch of the test data (thesis section 4.6)
Member = tuple[pathlib.Path, RunConfig]


class Settings(NamedTuple):
    """What runs are attacked with.

    Attributes:
        attacks: "all", or names with commas between them.
        baseline: the folder or the name of one of the runs, or of its model; None: nothing is standardised.
        samples: how many test images are attacked: the first ``PER_BATCH`` of each batch, until there are so many. 400
            are those of the first 20 batches.
        seed: of the attacks.
        semantics: "nearest" for our attacks, "foolbox18" for those of foolbox 1.8.
        standardise: how runs are held against the baseline, as in ``robustness_plot.standardised``.
        colours: of raw distances, as in ``robustness_plot.heatmap``.
    """

    attacks: str = "all"
    baseline: str | None = None
    samples: int = 400
    seed: int = 0
    semantics: str = NEAREST
    standardise: str = "spread"
    colours: str = "logarithmic"

    @property
    def stem(self) -> str:
        """What the names of files of results begin with; those of the two semantics are never the same."""
        return FOLDER if self.semantics == NEAREST else f"{FOLDER}_{self.semantics}"


def attack(members: Sequence[Member], settings: Settings, results: Results) -> str:
    """Attacks runs, stores what that found, draws heatmaps and returns a table.

    What every attack finds is stored in the folder of its run as soon as it has finished, so that it is never computed
    twice, however often it is compared with other runs.

    Args:
        members: folder and configuration of every run, all of one data set.
        settings: what to attack them with.
        results: where the table and the pictures go.

    Raises:
        RunError: one line, if a run, the data or the settings are not what they must be.
        OSError: if results cannot be written.
    """
    try:
        names = cli.chosen_names("attacks", settings.attacks, robustness.ATTACKS)
        found = [read(*member) for member in members]
        groups = comparison.group_runs(found)
        baseline = find_baseline(groups, settings.baseline)
        first = baseline.config if baseline else found[0].config
        batch_size = first.batch_size or lea_keras.data.info(first.dataset).batch_size
        whole = first.replace(test_limit=None)  # runs of any limit are attacked on the same samples
        images, labels = first_samples(evaluation.load_splits(whole, ["test"])["test"], settings.samples)
        for run in found[1:]:  # before the first is attacked for hours
            with networks.precision(run.config), series.nothing_kept():
                evaluation.load_model(run.path, run.config, len(run.rows))
        pictures = [RAW] + [STANDARDISED] * (baseline is not None and len(groups) > 1)
        files, pictures = ([name.format(settings.stem) for name in group] for group in (FILES, pictures))
        results.reserve([*files, *pictures])
    except ValueError as error:
        raise RunError(str(error)) from error
    attacked = {}
    for i, run in enumerate(found, 1):
        if len(found) > 1:
            print(f"Run folder: {run.path} ({i} of {len(found)})", flush=True)
        folder = f"epoch_{len(run.rows)}_batch_{batch_size}_samples_{settings.samples}_seed_{settings.seed}"
        if keras.backend.backend() != RunConfig.backend:  # others draw other random numbers
            folder += f"_{keras.backend.backend()}"
        output = run.path / evaluation.FOLDER / FOLDER / folder
        attacked[run.path] = _attack_one(run, images, labels, names, settings, output)
    rows = _means(groups, attacked, names, settings.semantics)
    if baseline:
        rows = _standardised(rows, baseline.name, settings.standardise)
    about = {"backend": keras.backend.backend(), "dataset": first.dataset, "batch_size": batch_size}
    about |= settings._asdict()
    about["baseline"] = baseline.name if baseline else None
    notes = _notes(found, attacked)
    if settings.semantics != NEAREST:
        notes.append("The attacks are those of foolbox 1.8, which are not to be compared with others.")
    results.write_json(files[0], _described(about, groups, attacked, rows))
    results.write_csv(files[1], [attack_tables.flat(row) for row in rows])
    results.write_text(files[2], attack_tables.markdown(rows) + "".join(f"\n{note}\n" for note in notes))
    for picture, on in zip(pictures, (None, baseline), strict=False):
        looks = {"standardise": settings.standardise, "colours": settings.colours}
        figure = robustness_plot.heatmap(_summaries(groups, rows), baseline=on.name if on else None, **looks)
        results.write_picture(picture, figure)
    return "\n".join([attack_tables.table(rows), *notes])


def read(path: pathlib.Path, config: RunConfig) -> Run:
    rows = evaluation.read_rows(path)
    return Run(path, config, rows, None, len(rows))


def find_baseline(groups: Sequence[Group], name: str | None) -> Group | None:
    """The group that is meant by the folder of a run or of several, by a name in the table, or by a model's name."""
    if name is None:
        return None
    inside = {run.resolve() for run in runs.find_runs(pathlib.Path(checks.check_path("baseline", name)))}
    for named in (
        [group for group in groups if inside & {run.path.resolve() for run in group.runs}],
        [group for group in groups if group.name == name],
        [group for group in groups if group.runs[0].config.model == name],
    ):
        if len(named) == 1:
            return named[0]
        if named:
            among = ", ".join(sorted((group.name for group in named), key=tables.natural))
            raise checks.fail("baseline", "the folder of one of the runs", name, f"Several are meant: {among}.")
    models = (group.runs[0].config.model for group in groups)
    checks.check_choice("baseline", name, dict.fromkeys([*(group.name for group in groups), *models]))
    return None


def first_samples(data: lea_keras.data.Dataset, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first ``PER_BATCH`` samples of each batch, in order, until there are ``count``.

    Raises:
        ValueError: one line, if there are fewer.
    """
    images, labels, found = [], [], 0
    for batch_images, batch_labels in lea_keras.data.batches(data):
        take = min(PER_BATCH, count - found)
        images.append(batch_images[:take])
        labels.append(batch_labels[:take])
        found += len(images[-1])
        if found == count:
            return np.concatenate(images), np.concatenate(labels)
    raise checks.fail("attack_samples", f"at most {found}, the first {PER_BATCH} of every batch of test data", count)


def _attack_one(
    run: Run, images: np.ndarray, labels: np.ndarray, names: Sequence[str], settings: Settings, output: pathlib.Path
) -> robustness.Robustness:
    with networks.precision(run.config), series.nothing_kept(), many_models(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The model masks its gradients")  # which the notes below the table say
        try:
            model = evaluation.load_model(run.path, run.config, len(run.rows))
            with failures.in_one_line():
                chosen = {"seed": settings.seed, "semantics": settings.semantics}
                return robustness.evaluate(model, images, labels, names, output_dir=output, **chosen)
        except ValueError as error:
            raise RunError(f"The run {run.path} cannot be attacked: {error}") from error


def _means(
    groups: Sequence[Group],
    attacked: Mapping[pathlib.Path, robustness.Robustness],
    names: Sequence[str],
    semantics: str,
) -> list[Row]:
    """One row per attack and group, attack by attack: means over runs, as in section 5.5, and how they are spread."""
    found = {path: {summary.attack: summary for summary in result.summary()} for path, result in attacked.items()}
    rows = []
    for name in names:
        for group in groups:
            of_runs = [found[run.path][name] for run in group.runs]
            by_name = {column: _known([getattr(of_run, column) for of_run in of_runs]) for column in MEASURES}
            means = {column: float(np.mean(values)) if values else None for column, values in by_name.items()}
            row = Row(group.name, len(of_runs), name, **means, semantics=semantics)
            if len(of_runs) > 1:
                success, distance = _spread(by_name["success_rate"]), _spread(by_name["mean_distance"])
                row = row._replace(success_over_runs=success, distance_over_runs=distance)
            rows.append(row)
    return rows


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _spread(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Median, minimum and maximum."""
    return (float(np.median(values)), min(values), max(values)) if values else None


def _standardised(rows: Sequence[Row], baseline: str, how: str) -> list[Row]:
    """Rows with what they are in units of the baseline, or of the spread about it."""
    columns: dict[tuple[str, str], dict[str, float | None]] = {}
    for attack in dict.fromkeys(row.attack for row in rows):
        of_attack = [row for row in rows if row.attack == attack]
        for column in ("success_rate", "mean_distance"):
            values = {row.model: getattr(row, column) for row in of_attack}
            columns[attack, column] = robustness_plot.standardised(values, baseline, how)
    success, distance = ("relative_success", "relative_distance")
    if how == "spread":
        success, distance = ("standardised_success", "standardised_distance")
    return [
        row._replace(
            **{
                success: columns[row.attack, "success_rate"][row.model],
                distance: columns[row.attack, "mean_distance"][row.model],
            }
        )
        for row in rows
    ]


def _summaries(groups: Sequence[Group], rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by group, which are summaries as far as the picture is concerned."""
    return {group.name: [row for row in rows if row.model == group.name] for group in groups}


def _notes(found: Sequence[Run], attacked: Mapping[pathlib.Path, robustness.Robustness]) -> list[str]:
    """What is to be known of each run beside the table."""
    notes = []
    for run in found:
        result = attacked[run.path]
        correct = f"{len(result.attacked)} of {result.samples} samples classified correctly and attacked"
        notes.append(f"{run.path}: accuracy {result.accuracy:.4f}, {correct}")
        if len(run.rows) < run.config.epochs:
            notes[-1] += f"; {len(run.rows)} of {run.config.epochs} epochs finished"
        if result.masked_gradients:
            share = f"{result.masked_gradients:.4f}"
            notes[-1] += f"; masked gradients: zero for {share} of them, where gradient-based attacks mean nothing"
    return [*notes, "Model calls (images, forward or backward) and seconds are per sample."]


def _described(
    about: Mapping[str, Any],
    groups: Sequence[Group],
    attacked: Mapping[pathlib.Path, robustness.Robustness],
    rows: Sequence[Row],
) -> dict[str, Any]:
    """All that was found, for JSON."""
    members = []
    for group in groups:
        for run in group.runs:
            result = attacked[run.path]
            members.append(
                {
                    "model": group.name,
                    "path": str(run.path),
                    "seed": run.config.seed,
                    "epochs": len(run.rows),
                    "accuracy": result.accuracy,
                    "masked_gradients": result.masked_gradients,
                    "attacks": robustness.to_rows(result.summary()),
                }
            )
    described = {"lea_keras": lea_keras.__version__, **about, "runs": members}
    return described | {"means": [row._asdict() for row in rows]}
