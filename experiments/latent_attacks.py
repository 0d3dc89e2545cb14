"""Latent attacks on runs of autoencoders, judged by a run of a classifier, side by side."""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

import lea_keras
import lea_keras.data
from experiments import attacking, comparison, evaluation, failures, networks, series, tables
from experiments.comparison import Group, Run
from experiments.config import checks
from experiments.latent_command import NAME, Member, Settings
from experiments.results import Results
from experiments.runs import RunError
from experiments.startup import many_models
from lea_keras import plots, robustness
from lea_keras.robustness import storing
from lea_keras.robustness.success import KINDS, by_source, by_target, mean_of_cells

FILES = (f"{NAME}.json", f"{NAME}.csv", f"{NAME}.md")
MATRICES = {kind: f"{NAME}_{kind}.png" for kind in KINDS}
PAIRS = NAME + "_pairs_{}.png"
#: Of a table: heading, and how a value is written.
_COLUMNS = {
    "accuracy": ("judge, clean", "{:.1%}".format),
    "error": ("squared error", "{:.2f}".format),
    "ignore_target": ("AS ignore-target", "{:.2%}".format),
    "target": ("AS target", "{:.2%}".format),
    "l2": ("mean L2", "{:.3f}".format),
    "linf": ("mean L∞", "{:.3f}".format),
    "relative_ignore_target": ("ignore-target, relative", "{:+.1%}".format),
    "relative_target": ("target, relative", "{:+.1%}".format),
}


class Row(NamedTuple):
    """What the attack did to one group of runs: means over them.

    Attributes:
        model: the group's name.
        runs: how many it has.
        accuracy: of the judge on clean reconstructions.
        error: squared error of a clean reconstruction.
        ignore_target: AS ignore-target, the mean over all cells.
        target: AS target, likewise.
        l2: of the changes to images.
        linf: likewise.
        relative_ignore_target: (x − baseline) / baseline; None where that is not defined, or not asked for.
        relative_target: the same of AS target.
    """

    model: str
    runs: int
    accuracy: float
    error: float
    ignore_target: float | None
    target: float | None
    l2: float | None
    linf: float | None
    relative_ignore_target: float | None = None
    relative_target: float | None = None


def attack(members: Sequence[Member], judge: Member, settings: Settings, results: Results) -> str:
    """Attacks runs, stores what that found, draws matrices and pairs and returns a table.

    Every batch of pairs is stored in the folder of its run, so that the same command goes on after an interruption.

    Args:
        members: folder and configuration of every run, all of the same images.
        judge: those of the classifier.
        settings: what to attack with.
        results: where the table and the pictures go.

    Raises:
        RunError: one line, if a run, the data or the settings are not what they must be.
        OSError: if results cannot be written.
    """
    try:
        found = [attacking.read(*member) for member in members]
        groups = comparison.group_runs(found)
        baseline = attacking.find_baseline(groups, settings.baseline)
        images, labels = _test_images(found[0])
        if settings.samples > len(images):
            raise checks.fail("attack_samples", f"at most {len(images)}, the test images", settings.samples)
        pictures = [PAIRS.format(i + 1) for i in range(len(groups))]
        results.reserve([*FILES, *MATRICES.values(), *pictures])
        judging = attacking.read(*judge)
        for run in found[1:]:  # before the first is attacked for long
            with networks.precision(run.config), series.nothing_kept():
                evaluation.load_model(run.path, run.config, len(run.rows))
    except ValueError as error:
        raise RunError(str(error)) from error
    attacked: dict[pathlib.Path, robustness.Reconstructions] = {}
    drawn = {group.runs[0].path: picture for group, picture in zip(groups, pictures, strict=True)}
    for i, run in enumerate(found, 1):
        if len(found) > 1:
            print(f"Run folder: {run.path} ({i} of {len(found)})", flush=True)
        figure = f"{next(group.name for group in groups if run in group.runs)}: {settings.scale} codes"
        with networks.precision(run.config), series.nothing_kept(), many_models():
            try:
                judged_by: Any = evaluation.load_model(judging.path, judging.config, len(judging.rows))
                model: Any = evaluation.load_model(run.path, run.config, len(run.rows))
                attacked[run.path] = _attack_one(model, judged_by, images, labels, settings, run.path)
                if run.path in drawn and attacked[run.path].records:
                    shown = plots.adversarials(model, images, attacked[run.path], name=figure)
                    results.write_picture(drawn[run.path], shown)
            except ValueError as error:
                raise RunError(f"The run {run.path} cannot be attacked: {error}") from error
    matrices = {group.name: _matrices(group, attacked) for group in groups}
    rows = _relative([_row(group, attacked, matrices[group.name]) for group in groups], baseline)
    about = {"backend": keras.backend.backend(), "dataset": found[0].config.dataset, "judge": str(judge[0])}
    about |= settings._asdict() | {"baseline": baseline.name if baseline else None}
    notes = _notes(found, attacked, len(images))
    if baseline is not None and any(row.relative_ignore_target is None for row in rows):
        notes.append(f"Nothing is told relative to {baseline.name}, which no pair, or none of a kind, fools")
    results.write_json(FILES[0], _described(about, groups, attacked, matrices, rows))
    results.write_csv(FILES[1], _cells(groups, attacked))
    results.write_text(FILES[2], markdown(rows) + "".join(f"\n{note}\n" for note in notes))
    for kind, picture in MATRICES.items():
        results.write_picture(picture, plots.pairs({name: of[kind] for name, of in matrices.items()}, kind))
    return "\n".join([table(rows), *notes])


def _test_images(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """All test images of a run's data, whatever its limit, and their classes."""
    data = evaluation.load_splits(run.config.replace(test_limit=None), ["test"])["test"]
    images, labels = (np.concatenate(parts) for parts in zip(*lea_keras.data.batches(data), strict=True))
    return images, np.argmax(labels, axis=1)


def _attack_one(
    model: Any, judge: Any, images: np.ndarray, labels: np.ndarray, settings: Settings, path: pathlib.Path
) -> robustness.Reconstructions:
    epsilon = "none" if settings.epsilon is None else f"{settings.epsilon:g}"
    folder = f"{NAME}_{settings.scale}_epsilon_{epsilon}_steps_{settings.steps}"
    folder += f"_samples_{settings.samples}_seed_{settings.seed}"
    folder += f"_judge_{storing.digest_of_weights(judge)[:8]}"  # results of one judge leave those of others alone
    if keras.backend.backend() != "tensorflow":  # others round otherwise
        folder += f"_{keras.backend.backend()}"
    chosen = robustness.LatentAttack(epsilon=settings.epsilon, steps=settings.steps, scale=settings.scale)
    with failures.in_one_line():
        return robustness.evaluate_reconstructions(
            model,
            judge,
            images,
            labels,
            chosen,
            samples=settings.samples,
            seed=settings.seed,
            keep_images=True,
            output_dir=path / evaluation.FOLDER / attacking.FOLDER / folder,
        )


def _matrices(group: Group, attacked: Mapping[pathlib.Path, robustness.Reconstructions]) -> dict[str, np.ndarray]:
    """By kind, the mean of the matrices of a group's runs, cell by cell, over those that have the cell."""
    found = {}
    for kind in KINDS:
        of_runs = np.stack([attacked[run.path].matrix(kind) for run in group.runs])  # [runs, classes, classes]
        known = np.isfinite(of_runs)
        sums, counts = np.sum(np.where(known, of_runs, 0.0), axis=0), np.sum(known, axis=0)
        found[kind] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return found


def _row(
    group: Group, attacked: Mapping[pathlib.Path, robustness.Reconstructions], matrices: Mapping[str, np.ndarray]
) -> Row:
    of_runs = [attacked[run.path] for run in group.runs]
    means = {name: [one.mean_of(name) for one in of_runs] for name in ("l2", "linf")}
    distances = {name: [value for value in values if value is not None] for name, values in means.items()}
    return Row(
        group.name,
        len(of_runs),
        float(np.mean([one.accuracy for one in of_runs])),
        float(np.mean([one.error for one in of_runs])),
        *(mean_of_cells(matrices[kind]) for kind in KINDS),
        *(float(np.mean(values)) if values else None for values in distances.values()),
    )


def _relative(rows: list[Row], baseline: Group | None) -> list[Row]:
    """Rows with how much more often, or less, they are fooled than the baseline."""
    if baseline is None:
        return rows
    (of_baseline,) = (row for row in rows if row.model == baseline.name)

    def relative(row: Row, kind: str) -> float | None:
        value, unit = getattr(row, kind), getattr(of_baseline, kind)
        return None if value is None or not unit else value / unit - 1

    return [row._replace(**{f"relative_{kind}": relative(row, kind) for kind in KINDS}) for row in rows]


def _shown(rows: Sequence[Row]) -> list[str]:
    return [name for name in _COLUMNS if any(getattr(row, name) is not None for row in rows)]


def _texts(row: Row, columns: Sequence[str]) -> list[str]:
    values = [getattr(row, name) for name in columns]
    return ["" if value is None else _COLUMNS[name][1](value) for name, value in zip(columns, values, strict=True)]


def table(rows: Sequence[Row]) -> str:
    """One line per group."""
    columns = _shown(rows)
    heads = [_COLUMNS[name][0] for name in columns]
    lines = [["", *heads], *([f"{row.model}, runs: {row.runs}", *_texts(row, columns)] for row in rows)]
    widths = [max(len(line[i]) for line in lines) + 2 for i in range(len(lines[0]))]
    return "\n".join(line.rstrip() for line in tables.aligned(lines, widths))


def markdown(rows: Sequence[Row]) -> str:
    """The same as a Markdown table."""
    columns = _shown(rows)
    lines = [[row.model, str(row.runs), *_texts(row, columns)] for row in rows]
    return tables.markdown(["runs", "number", *(_COLUMNS[name][0] for name in columns)], lines, texts=1)


def _notes(found: Sequence[Run], attacked: Mapping[pathlib.Path, robustness.Reconstructions], count: int) -> list[str]:
    notes = [f"judge, clean, and squared error: of all {count} test images, whatever a run's --test_limit"]
    for run in found:
        result = attacked[run.path]
        notes.append(
            f"{run.path}: {result.kept} of {result.samples} sources reconstructed as their class and attacked, "
            f"{len(result.records)} pairs; sources by class: {_by_class(result)}"
        )
        for kind in KINDS:
            if (ends := result.interval(kind)) is not None:
                name = _COLUMNS[kind][0]
                notes[-1] += f"; {name} {ends[0]:.2%} to {ends[1]:.2%} (95 %, bootstrap of sources)"
        if len(run.rows) < run.config.epochs:
            notes[-1] += f"; {len(run.rows)} of {run.config.epochs} epochs finished"
    return notes


def _by_class(result: robustness.Reconstructions) -> str:
    """How many sources of each class were attacked: cells of few say little, and all count alike in the means."""
    counts = collections.Counter(r.source_class for r in {r.source: r for r in result.records}.values())
    return ", ".join(f"{counts[one]} of {one}" for one in range(result.classes))


def _described(
    about: Mapping[str, Any],
    groups: Sequence[Group],
    attacked: Mapping[pathlib.Path, robustness.Reconstructions],
    matrices: Mapping[str, Mapping[str, np.ndarray]],
    rows: Sequence[Row],
) -> dict[str, Any]:
    """All that was found, for JSON; None where a cell has no pair."""
    members = []
    for group in groups:
        for run in group.runs:
            one = attacked[run.path]
            members.append(
                {"model": group.name, "path": str(run.path), "seed": run.config.seed, "epochs": len(run.rows)}
                | {"accuracy": one.accuracy, "accuracy_by_class": one.accuracy_by_class, "kept": one.kept}
                | {"mean": one.mean()._asdict(), "pairs": len(one.records), "attack": one.attack}
                | {"interval": {kind: one.interval(kind) for kind in KINDS}}
            )
    of_groups = {
        name: {
            kind: {
                "matrix": _json(cells),
                "by_source": _json(by_source(cells)),
                "by_target": _json(by_target(cells)),
                "mean": mean_of_cells(cells),
            }
            for kind, cells in of.items()
        }
        for name, of in matrices.items()
    }
    described = {"lea_keras": lea_keras.__version__, **about, "runs": members, "groups": of_groups}
    return described | {"means": [row._asdict() for row in rows]}


def _json(values: np.ndarray) -> list[Any]:
    """As lists, with None for NaN."""
    return _with_none(values.tolist())


def _with_none(values: Any) -> Any:
    """Nested lists with None in place of what is not finite."""
    if isinstance(values, list):
        return [_with_none(value) for value in values]
    return values if np.isfinite(values) else None


def _cells(
    groups: Sequence[Group], attacked: Mapping[pathlib.Path, robustness.Reconstructions]
) -> list[dict[str, Any]]:
    """A row for every run and pair of classes."""
    return [
        {"model": group.name, "seed": run.config.seed, **row}
        for group in groups
        for run in group.runs
        for row in attacked[run.path].to_rows()
    ]
