"""Statements of the thesis' claims about classifiers with LEAs: layers, windows, samples, and the weight of the LEA."""

from typing import Any

import numpy as np

from experiments.claims.base import LESS, MORE, Values, at_end
from experiments.claims.verdicts import Statement, difference, median, ratio, share
from experiments.studies import fig_5_4, fig_5_5, fig_5_8, samples

_READINGS = {"": "means", "_sample": "samples", "_sample_in_training": "samples in training"}


def _knowledge(values: Values, model: str, factor: str, layer: str, split: str = "test") -> list[float]:
    """What probes of a layer know beyond chance, for each run."""
    of = values[fig_5_4.name(model)]
    place = of["layers"].index(layer)
    return [run[place] - of["chance"][factor] for run in of[f"{split}/{factor}"]]


_PROBED = {"classic": ("conv_1", "pool_1", "conv_2", "pool_2"), "cnn_lea": ("conv_1", "lea_1", "conv_2", "lea_2")}


def output(values: Values) -> list[Statement]:
    statements = []
    for model, label in fig_5_4.MODELS.items():
        for factor in fig_5_4.FACTORS:
            after, before = (_knowledge(values, model, factor, layer) for layer in ("logits", _PROBED[model][-1]))
            words = f"{label}, {factor}: accuracy beyond chance at the output, over that at the last map"
            statements.append(Statement(words, share(after, before), most=0.25))
    return statements


def orientation(values: Values) -> list[Statement]:
    change = {}
    for model, (first, *_, last) in _PROBED.items():
        change[model] = difference(
            _knowledge(values, model, "orientation", last), _knowledge(values, model, "orientation", first)
        )
    words = "{}: test accuracy of orientation at the last map less that at the first"
    return [
        Statement(words.format("Classic"), change["classic"], **LESS),
        Statement(words.format("CNN-LEA"), change["cnn_lea"], least=-0.01),
    ]


def scale(values: Values) -> list[Statement]:
    statements = []
    for model, label in fig_5_4.MODELS.items():
        gain = difference(_knowledge(values, model, "scale", "hidden"), _knowledge(values, model, "scale", "input"))
        words = f"{label}: test accuracy of scale at the hidden layer less that at the input"
        statements.append(Statement(words, gain, **MORE))
    return statements


def _pooling(values: Values, kind: str, code_length: int, window: int, reading: str = "") -> list[float]:
    return values[fig_5_5.name(kind, code_length, window) + reading]["val_accuracy"]


def _windows(values: Values) -> list[int]:
    return sorted({int(name.rpartition("_")[2]) for name in values if "/pool_" in name})


def at_least_max_pool(values: Values) -> list[Statement]:
    statements = []
    for window in _windows(values):
        gap = difference(_pooling(values, "standard", 1, window), _pooling(values, "pool", 1, window))
        statements.append(Statement(f"{window}×{window}: accuracy of LEA-standard less max-pool", gap, least=-0.01))
    return statements


def vae_at_two(values: Values, samples_of: Values) -> list[Statement]:
    both = {**values, **samples_of}
    statements = []
    for code_length in fig_5_5.CODES:
        for reading, label in _READINGS.items():
            if f"{fig_5_5.name('vae', code_length, 2)}{reading}" in both:
                pool = _pooling(values, "pool", code_length, 2)
                gap = difference(_pooling(both, "vae", code_length, 2, reading), pool)
                words = f"2×2, code {code_length}, {label}: accuracy of LEA-VAE less max-pool"
                statements.append(Statement(words, gap, most=-0.01))
    return statements


def larger_windows(values: Values) -> list[Statement]:
    windows = _windows(values)
    first, last = windows[0], windows[-1]
    words = f"{last}×{last} less {first}×{first}, code 10: accuracy of "
    gaps = {
        kind: difference(_pooling(values, kind, 10, last), _pooling(values, kind, 10, first))
        for kind in ("pool", "standard", "vae")
    }
    return [
        Statement(f"{words}max-pool", gaps["pool"], most=-0.02),
        Statement(f"{words}LEA-standard", gaps["standard"], least=-0.05),
        Statement(f"{words}LEA-VAE", gaps["vae"], least=-0.05),
    ]


def vae_and_windows(values: Values, samples_of: Values) -> list[Statement]:
    statements = []
    of = {**values, **samples_of}
    for reading, label in _READINGS.items():
        sizes = [size for size in fig_5_5.WINDOWS if fig_5_5.name("vae", 10, size) + reading in of]
        if not sizes:
            continue
        least, most = sizes[0], sizes[-1]
        gain = difference(_pooling(of, "vae", 10, most, reading), _pooling(of, "vae", 10, least, reading))
        words = f"{label}: accuracy of LEA-VAE at {most}×{most} less that at {least}×{least}"
        statements.append(Statement(words, gain, **MORE))
    return statements


def code_length(values: Values) -> list[Statement]:
    statements = []
    for window in _windows(values):
        for kind in ("standard", "vae"):
            gap = difference(_pooling(values, kind, 10, window), _pooling(values, "pool", 10, window))
            words = f"{window}×{window}, code 10: accuracy of LEA-{kind} less max-pool"
            statements.append(Statement(words, gap, **(MORE if window >= 8 else {"most": 0.01})))
    return statements


def overconfidence(values: Values, repeated: Values) -> list[Statement]:
    """The test loss at the end over its least: what rises while the accuracy does not change."""
    statements = []
    for of_reading, suffix, reading in ((values, "", "one pass"), (repeated, "_repeated", "epochs of full length")):
        for limit in (10, 500):
            for model, label in samples.MODELS.items():
                if (name := f"{samples.name(model, limit)}{suffix}") in of_reading:
                    rise = median([run[-1] / min(run) for run in of_reading[name]["val_loss"]])
                    allowed = {"least": 1.05} if model == "classic" else {"most": 1.05}
                    words = f"{label}, {limit} samples, {reading}: last test loss over its least"
                    statements.append(Statement(words, rise, **allowed))
    return statements


def _largest(values: Values) -> int:
    return max(int(name.rpartition("_")[2]) for name in values)


def faster(values: Values) -> list[Statement]:
    limit = _largest(values)
    means = [[float(np.mean(run)) for run in _of(values, model, limit)["val_accuracy"]] for model in samples.MODELS]
    words = f"{limit} samples: test accuracy of Classic less CNN-LEA, mean over all epochs"
    return [Statement(words, difference(*means), **MORE)]


def _of(values: Values, model: str, limit: int) -> Any:
    return values[samples.name(model, limit)]


def gaps(values: Values) -> list[Statement]:
    limits = sorted({int(name.rpartition("_")[2]) for name in values})
    statements = []
    for limit in limits:
        gaps = []
        for model in ("cnn_lea", "classic"):
            of = _of(values, model, limit)
            gaps.append([a - b for a, b in zip(at_end(of["accuracy"]), at_end(of["val_accuracy"]), strict=True)])
        words = f"{limit} samples: training less test accuracy, CNN-LEA less Classic"
        statements.append(Statement(words, difference(*gaps), **LESS))
    for limit in (10, 500):
        for model, label in samples.MODELS.items():
            if samples.name(model, limit) in values:
                accuracy = median(at_end(_of(values, model, limit)["val_accuracy"]))
                words = f"{label}, {limit} samples: test accuracy (chance 1/3)"
                statements.append(Statement(words, accuracy, most=0.45))
    ends = [at_end(_of(values, model, limits[-1])["val_accuracy"]) for model in ("cnn_lea", "classic")]
    words = f"{limits[-1]} samples: test accuracy of CNN-LEA less Classic at the end"
    return [*statements, Statement(words, difference(*ends), -0.02, 0.02)]


def _weight(values: Values, weight: float, column: str) -> list[float]:
    return values[fig_5_8.name(weight)][column]


def _weights(values: Values) -> list[float]:
    return sorted(float(name.partition("/")[2]) for name in values)


def reconstruction(values: Values) -> list[Statement]:
    least, *_, most = _weights(values)
    small, best, large = (_weight(values, weight, "val_lea_rl") for weight in (least, 0.1, most))
    return [
        Statement(f"RL at λ = 0.1 over that at {least:g}", ratio(best, small), most=0.95),
        Statement(f"RL at λ = {most:g} over that at 0.1", ratio(large, best), least=0.95),
    ]


def classification(values: Values) -> list[Statement]:
    least, *_, most = _weights(values)
    statements = []
    for column, split in (("main_loss", "training"), ("val_main_loss", "test")):
        rise = difference(_weight(values, most, column), _weight(values, least, column))
        statements.append(Statement(f"{split} log loss at λ = {most:g} less that at {least:g}", rise, **MORE))
    return statements


def sweet_spot(values: Values) -> list[Statement]:
    weights = _weights(values)
    best = {column: _weight(values, 0.1, column) for column in ("val_main_loss", "val_lea_rl", "main_loss")}
    statements = []
    for weight in weights:
        if weight < 0.1:
            gap = ratio(best["val_main_loss"], _weight(values, weight, "val_main_loss"))
            statements.append(Statement(f"test log loss at λ = 0.1 over that at {weight:g}", gap, most=1.02))
        elif weight > 0.1:
            gap = ratio(best["val_lea_rl"], _weight(values, weight, "val_lea_rl"))
            statements.append(Statement(f"RL at λ = 0.1 over that at {weight:g}", gap, most=1.05))
    overfitting = {}
    for weight in (weights[0], 0.1):
        pairs = zip(_weight(values, weight, "val_main_loss"), _weight(values, weight, "main_loss"), strict=True)
        overfitting[weight] = [test - training for test, training in pairs]
    less = difference(overfitting[0.1], overfitting[weights[0]])
    words = f"test less training log loss at λ = 0.1, less the same at {weights[0]:g}"
    return [*statements, Statement(words, less, **LESS)]


def slower(values: Values) -> list[Statement]:
    times = ratio(values["time/cnn_lea"]["seconds"], values["time/classic"]["seconds"])
    return [Statement("seconds an epoch of CNN-LEA over Classic", times, 1.0, 10.0)]
