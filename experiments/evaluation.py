"""Evaluation of a run: measures over whole splits and pictures, from its folder alone."""

import collections
import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

import lea_keras
import lea_keras.data
from experiments import agreement, compiling, epochs, failures, networks, pictures, probing, runs, tables, training
from experiments.config import RunConfig, checks
from experiments.distributions import Distribution
from experiments.results import Results
from experiments.runs import RunError
from lea_keras import callbacks, losses, metrics
from lea_keras.autoencoders.base import Report
from lea_keras.layers.lea import find_leas
from lea_keras.layers.scope import forward_pass
from lea_keras.utils import Progress

RESULTS_JSON, RESULTS_CSV = "results.json", "results.csv"
FOLDER = "evaluation"
QUARTILES = {"min": 0, "25": 25, "50": 50, "75": 75}


class Pictured(NamedTuple):
    """What the pictures of an evaluation show.

    Attributes:
        images: how many test images.
        relative_to_split: whether confidence is relative to the worst window of the whole test split (section 4.4);
            else to that of these images.
        explorer: whether to write a page, too, on which codes are moved.
    """

    images: int
    relative_to_split: bool = True
    explorer: bool = False


def evaluate(
    run_dir: pathlib.Path,
    config: RunConfig,
    splits: Sequence[str],
    pictured: Pictured,
    results: Results,
    probes: probing.Settings | None = None,
    epoch: epochs.Choice = epochs.LAST,
) -> str:
    """Measures a run on whole splits, stores the values and draws pictures.

    Args:
        run_dir: the run's folder.
        config: its configuration, perhaps with the data elsewhere.
        splits: of ``config.splits``.
        pictured: what the pictures show.
        results: where everything goes.
        probes: how to probe every layer for the factors of the images; None: not at all.
        epoch: after which: "last", "best" or a number.

    Returns:
        The table of results.

    Raises:
        RunError: one line, if model, metrics or data are missing, damaged or do not belong together.
        OSError: if the results cannot be written.
    """
    with networks.precision(config):
        try:
            rows, number = choose_epoch(run_dir, config, epoch)
            model = load_model(run_dir, config, number)
            data = load_splits(config, sorted({*splits, "test"}))
            factors = probing.load(config, probes) if probes else None
            files = [RESULTS_JSON, RESULTS_CSV, *pictures.names(model)]
            if pictured.explorer:
                pictures.check_explorer(model)
                files.append(pictures.EXPLORER)
            results.reserve(files + list(probing.FILES) if probes else files)
        except ValueError as error:
            raise RunError(str(error)) from error
        leas = [lea.name for lea in find_leas(model) if lea.loss_weight]
        needed = [*splits, *(["test"] if leas and pictured.relative_to_split and "test" not in splits else [])]
        with failures.in_one_line():
            measured = {split: measure(model, data[split], split, config.main_loss is not None) for split in needed}
        values = {split: measured[split] for split in splits}
        store(results, run_dir, number, epoch, values)
        largest = {name: measured["test"][f"{name}_rl_max"] for name in leas} if pictured.relative_to_split else {}
        shown = lea_keras.data.take(data["test"], pictured.images)[0]
        pictures.of_run(model, shown, rows, results, config, largest)
        if pictured.explorer:
            pictures.explorer(model, lea_keras.data.take(data["test"], pictures.EXPLORED)[0], results)
        text = "\n".join([tables.of_splits(values), *_of_epoch(epoch, number, len(rows), config)])
        if probes:
            print(text, flush=True)  # the probes take much longer
            text = probing.probe(model, factors, config.seed, probes, results, number)
    return text


def choose_epoch(run_dir: pathlib.Path, config: RunConfig, epoch: epochs.Choice) -> tuple[list[dict[str, float]], int]:
    """Reads the metrics of a run and returns them with the number of an epoch whose model is there.

    Raises:
        ValueError: one line, if the metrics are damaged, or there is no such epoch or no model of it any more.
        RunError: one line, if no epoch has finished.
    """
    rows = read_rows(run_dir)
    number = epochs.choose(rows, epoch, config)
    every = range(1, len(rows) + 1)
    there = [n for n in every if n == len(rows) or callbacks.checkpoint_path(run_dir, n).is_file()]
    if number not in there:
        allowed = f"an epoch whose model is still in {run_dir}, which is {' or '.join(map(str, there))}"
        best = f"The best epoch is {number}." if epoch == epochs.BEST and number else ""
        hint = f"{best} --compare takes any epoch, from {callbacks.METRICS_FILE}.".strip()
        raise checks.fail("epoch", allowed, epoch, hint)
    return rows, number


def _of_epoch(epoch: epochs.Choice, number: int, count: int, config: RunConfig) -> list[str]:
    """Lines about an epoch that is not just the last one."""
    if epoch == epochs.LAST:
        return []
    chosen = f", {epochs.described(epoch, [config])}" if epoch == epochs.BEST else ""
    return [f"After epoch {number} of {count}{chosen}.", *epochs.notes(epoch, [config])]


def read_rows(run_dir: pathlib.Path) -> list[dict[str, float]]:
    """The metrics of a run up to the last epoch of which there is a whole model, which may be the last but one.

    Raises:
        RunError: one line, if no epoch has finished.
        ValueError: one line, if the metrics or all checkpoints are damaged.
    """
    rows = callbacks.read_metrics(run_dir)
    if not rows:
        raise RunError(f"The run {run_dir} has no {callbacks.METRICS_FILE}: no epoch of it has finished")
    last = callbacks.checkpoint_path(run_dir, len(rows))
    if not last.exists():  # of a finished run, somebody may have kept model.keras alone
        return rows
    finished, _ = callbacks.last_checkpoint(run_dir)
    if finished < len(rows):
        print(f"{last} is damaged ({callbacks.checkpoint_damage(last)}): epoch {finished} is used", flush=True)
    return rows[:finished]


def load_model(run_dir: pathlib.Path, config: RunConfig, number: int) -> keras.Model:
    """The model of a run after a finished epoch, without its optimizers; to be called under ``networks.precision``.

    Args:
        run_dir: the run's folder; the run may just be going on.
        config: its configuration.
        number: of the epoch, whose model is there.

    Raises:
        RunError: one line, if the model is missing, damaged, does not take the run's data or is not what the
            configuration says, or if the run has gone on and the model after the epoch is no longer there.
    """
    path = callbacks.checkpoint_path(run_dir, number)
    if not path.exists():
        path = run_dir / callbacks.MODEL_FILE
        if len(callbacks.read_metrics(run_dir)) > number:
            raise RunError(f"The run {run_dir} has gone on and has no model after epoch {number} any more: start again")
    if not path.exists():
        raise RunError(f"The run {run_dir} has no {callbacks.MODEL_FILE}: no epoch of it has finished")
    if damage := callbacks.checkpoint_damage(path):
        raise RunError(f"The model {path} cannot be loaded: it is damaged ({damage})")
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # a damaged file fails in whatever library meets the damage first
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RunError(f"The model {path} cannot be loaded: {reason}") from error
    details = lea_keras.data.info(config.dataset, image_size=config.image_size)
    wanted = [(None, *details.image_shape)] + [(None, details.classes)] * (config.main_loss is not None)
    shapes = [getattr(model, "input_shape", None), getattr(model, "output_shape", None)][: len(wanted)]
    if shapes != wanted:
        needed = f"{_maps(wanted)}, as the data set {config.dataset} of the run's configuration needs"
        raise RunError(f"The model {path} must map {needed}. Received: {_maps(shapes)}")
    try:
        agreement.check(path, config, run_dir / runs.CONFIG_FILE)
    except ValueError as error:
        raise RunError(str(error)) from None
    return model


def _maps(shapes: Sequence[Any]) -> str:
    return " → ".join(map(str, shapes))


def load_splits(config: RunConfig, splits: Sequence[str]) -> dict[str, lea_keras.data.Dataset]:
    """The data of a run as ``training.load_splits`` returns it.

    Raises:
        RunError: one line, if it is not there, or what reads it is not installed.
    """
    try:
        # Each sample once, all with their labels.
        return training.load_splits(config.replace(steps_per_epoch=None, labelled=1.0), splits=splits)
    except (ValueError, OSError, ImportError) as error:
        raise RunError(str(error)) from error


def measure(
    model: keras.Model, data: lea_keras.data.Dataset, split: str = "test", classifies: bool = True
) -> dict[str, float]:
    """Runs a whole split through a model, once, and measures the main task and every LEA that was trained.

    The main task's ``log_loss`` (Eq. 2.21) and ``crossentropy``, whichever it was trained on, its ``accuracy``, and
    that of the majority class. Of every LEA, under the names of ``metrics.csv``:

    - ``<name>_loss``, ``_rl`` and, where there is one, ``_kl`` and ``_capacity``: means over all windows of the split,
      the loss and codes as outside training. Where a model uses a LEA twice, its losses are summed. ``_mmd``, where
      there is one, is the mean of the batches.
    - ``<name>_rl_max``: the error of the split's worst window, to which confidence is relative.
    - ``<name>_rln``: the mean of the batches, each in units of the range of its own values (Eq. 4.1, section 4.1); and
      ``<name>_rln_split``: in units of the range of *all* windows of the split.
    - ``<name>_dead_codes``, where codes are sparse: how many of their variables are 0 in all of them.
    - ``<name>_confidence_min``, ``_25``, ``_50``, ``_75``: the minimum, which is 0, and the quartiles of the windows'
      confidence, 1 − RLᵢ / max RL, the maximum being taken over all windows of the split ("with respect to all
      reconstruction losses of all batches", section 4.4).

    Memory does not grow with the split.

    Args:
        model: maps images [b, h, w, c] to logits [b, classes], or to anything if it does not classify.
        data: finite batches of (images, one-hot labels [b, classes]).
        split: its name, for messages.
        classifies: whether there is a main task.

    Raises:
        RunError: if a value is not finite.
    """
    leas = [lea for lea in find_leas(model) if lea.loss_weight]
    rln = {lea.name: metrics.NormalizedReconstructionLoss() for lea in leas}
    dead = {lea.name: metrics.DeadCodes(lea.code_length) for lea in leas if lea.autoencoder.sparse}

    # Chunk by chunk there are no reconstructions, of which the errors are.
    mode = "inspect" if any(lea.chunk_windows is not None for lea in leas) else "objectives"

    def step(images: Any, labels: Any) -> dict[str, Any]:
        with forward_pass(mode) as current:
            outputs = model(images, training=False)
        found: dict[str, Any] = {"task": _of_task(labels, outputs)} if classifies else {}
        for lea in leas:
            reports = [report for report in current.reports if report.layer is lea]
            found[lea.name] = _of_lea(reports, rln[lea.name])
            for report in reports if lea.name in dead else ():
                dead[lea.name].update_state(report.codes)
        return found

    counters = [variable for metric in (*rln.values(), *dead.values()) for variable in metric.variables]
    step = compiling.compiled(step, [*model.variables, *counters], data)
    samples, sums = 0, collections.defaultdict[str, Any](float)
    errors = {lea.name: Distribution() for lea in leas}
    progress = Progress(f"{split} data", len(data), "batches measured", begins_slowly=True)
    with progress.meanwhile():
        for batch, (images, labels) in enumerate(data, 1):
            found = step(images, labels)
            progress.update(batch)
            size = len(images)
            samples += size
            for name, value in found.pop("task", {}).items():
                sums[name] += value.astype(np.float64)
            for layer, of_lea in found.items():
                errors[layer].update(of_lea.pop("errors"))
                for name, value in of_lea.items():
                    sums[f"{layer}_{name}"] += float(value) * size
    progress.end()
    values = {name: total / samples for name, total in sums.items()}
    if classifies:
        values["majority_accuracy"] = np.max(values.pop("labels"))
    for name, of_lea in errors.items():
        values |= {f"{name}_rl": of_lea.mean, f"{name}_rl_max": of_lea.maximum}
        values[f"{name}_rln_split"] = rln[name].result()
        values |= {f"{name}_dead_codes": dead[name].result()} if name in dead else {}
        values |= {f"{name}_confidence_{part}": value for part, value in confidence_quartiles(of_lea).items()}
    values = {name: float(values[name]) for name in tables.in_order(values)}
    wrong = [name for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        raise RunError(f"The model is of no use: {wrong[0]} is {values[wrong[0]]} on the {split} split")
    return {"samples": samples} | values


def _of_task(labels: Any, logits: Any) -> dict[str, Any]:
    """Sums over a batch: of both losses, of right answers, and of the labels [classes]."""
    right = ops.argmax(logits, axis=-1) == ops.argmax(labels, axis=-1)
    return {
        "log_loss": ops.sum(losses.LogLoss(reduction="none")(labels, logits)),
        "crossentropy": ops.sum(keras.losses.categorical_crossentropy(labels, logits, from_logits=True)),
        "accuracy": ops.count_nonzero(right),
        "labels": ops.sum(labels, axis=0),
    }


def _of_lea(reports: list[Report], rln: metrics.NormalizedReconstructionLoss) -> dict[str, Any]:
    """Errors of all windows of a batch [n], and its loss and other measures; ``rln`` is updated."""
    errors = []
    for report in reports:
        true = ops.cast(report.windows.flat, "float32")
        errors.append(losses.window_errors(true, report.reconstructions))
        rln.update_state(true, report.reconstructions)
    of_batch = {
        name: sum(report.measures[name] for report in reports) / len(reports)
        for name in reports[0].measures
        if name != "rl"
    }
    return {"errors": ops.concatenate(errors), "loss": sum(report.loss for report in reports)} | of_batch


def confidence_quartiles(errors: Distribution) -> dict[str, float]:
    """Minimum and quartiles of the confidence of windows (Eq. 4.4), from the errors of all of them."""
    if not math.isfinite(errors.maximum):
        return dict.fromkeys(QUARTILES, math.nan)
    confidence = 1.0 - errors.percentiles(100 - np.array(list(QUARTILES.values()))) / (errors.maximum or 1.0)
    confidence[0] = 1.0 - errors.maximum / (errors.maximum or 1.0)  # of the worst window, whose error is known exactly
    return dict(zip(QUARTILES, confidence.tolist(), strict=True))


def store(
    results: Results, run_dir: pathlib.Path, number: int, epoch: epochs.Choice, values: dict[str, dict[str, float]]
) -> None:
    """Writes the values of all splits as JSON, with all that they depend on, and as CSV, one row per split.

    Args:
        results: where to.
        run_dir: the run's folder.
        number: of the epoch after which the model was measured.
        epoch: by which choice it was.
        values: by split.
    """
    stored = runs.load_config(run_dir)  # not with the data elsewhere
    about = {
        "lea_keras": lea_keras.__version__,
        "backend": keras.backend.backend(),
        "run": run_dir.resolve().name,
        "epochs": number,
        "epoch": epoch,
        "config": json.loads(stored.to_json()),
    }
    results.write_json(RESULTS_JSON, about | {"splits": values})
    results.write_csv(RESULTS_CSV, [{"split": split, "epoch": number} | values[split] for split in values])
