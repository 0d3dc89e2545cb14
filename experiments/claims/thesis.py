"""The 28 claims of the thesis, each with its statements, written down before the runs that decide them.

Thresholds are chosen here, as the thesis has words only **(chosen)**: "worse" and "better" are any difference in that
direction, "the same" and "hardly" are what each statement says. Accuracies and losses are those on test data after the
last epoch unless another is named. Where the thesis leaves open what a VAE hands on, a claim about VAEs is made of one
statement for each reading.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments.claims.base import Claim, Values
from experiments.claims.verdicts import (
    Effect,
    Statement,
    difference,
    effect,
    exactly,
    median,
    ratio,
    share,
    spread_ratio,
)
from experiments.studies import autoencoders, fig_5_1, fig_5_2, fig_5_4, fig_5_5, fig_5_8, local, robustness, samples

_LESS = {"most": 0.0}
_MORE = {"least": 0.0}
_READINGS = {"": "means", "_sample": "samples", "_sample_in_training": "samples in training"}
#: Of foolbox 1.8: the attacks that ask for scores alone, and those that ask for the predicted class alone.
SCORES = ("single_pixel", "local_search")
DECISIONS = ("spatial", "gaussian_blur", "contrast_reduction", "additive_gaussian_noise", "salt_and_pepper")

_COUNTS = {
    "vae_sb": (52_053, 42_196),
    "standard_sb": (51_723, 41_866),
    "vae_fc": (2_509_604, 1_081_876),
    "standard_fc": (2_493_914, 1_071_626),
    "vae_conv": (25_776_516, 301_716),
    "standard_conv": (25_776_186, 301_386),
}


def _last(runs: Sequence[Sequence[float]]) -> list[float]:
    return [run[-1] for run in runs]


def _counts(values: Values) -> list[Statement]:
    found = {name: (of["whole_image"][0], of["window"][0]) for name, of in values.items()}
    equal = sum(found[name][i] == counts[i] for name, counts in _COUNTS.items() for i in (0, 1))
    return [Statement("counts of Table 3.1 that come out exactly", exactly(equal), 12, 12)]


def _times(values: Values) -> list[Statement]:
    """Within a fifth of 151 : 125 and 112 : 125, for both types."""
    statements = []
    for kind in ("standard", "vae"):
        seconds = {coders: values[f"time/{kind}_{coders}"]["seconds"] for coders in ("conv", "fc", "sb")}
        for coders, thesis in (("conv", 151 / 125), ("sb", 112 / 125)):
            words = f"seconds of {coders} over fc, {kind} (thesis: {thesis:.2f})"
            statements.append(Statement(words, ratio(seconds[coders], seconds["fc"]), thesis / 1.2, thesis * 1.2))
    return statements


def _k_sparse(values: Values) -> list[Statement]:
    sparse, standard = (values[autoencoders.name(kind, "fc")] for kind in ("k_sparse", "standard"))
    losses = [_last(of["val_lea_rl"]) for of in (sparse, standard)]
    dead = [run[-1] for run in sparse["lea_dead_codes"] if run[-1] is not None]
    with_dead = sum(count > 0 for count in dead)
    words = f"spread of RL between runs, k-sparse over standard ({with_dead} of {len(dead)} runs had dead codes)"
    return [
        Statement("RL of k-sparse over standard", ratio(*losses), least=1.0),
        Statement(words, spread_ratio(*losses), least=1.0),
    ]


def _capacity(values: Values) -> list[Statement]:
    losses = [_last(values[autoencoders.name(kind, "fc")]["val_lea_rl"]) for kind in ("capacity_vae", "vae")]
    return [Statement("RL of the capacity VAE over the VAE", ratio(*losses), most=1.0)]


def _combinations(values: Values) -> list[Statement]:
    runs = {coders: values[autoencoders.name("vae", coders)]["val_lea_rl"] for coders in autoencoders.CODERS}
    last = {coders: _last(of) for coders, of in runs.items()}
    lowest = {coders: [min(run) for run in of] for coders, of in runs.items()}
    rises = [run[-1] / min(run) for run in runs["conv"]]
    return [
        Statement("least RL of conv over that of fc", ratio(lowest["conv"], lowest["fc"]), most=1.0),
        Statement("least RL of conv over that of sb", ratio(lowest["conv"], lowest["sb"]), most=1.0),
        Statement("conv overfits: last RL over its least", median(rises), least=1.02),
        Statement("RL of sb over fc", ratio(last["sb"], last["fc"]), least=1.0),
        Statement("spread of RL between runs, sb over fc", spread_ratio(last["sb"], last["fc"]), least=1.0),
    ]


def _normalised(values: Values) -> list[Statement]:
    of = values[local.NAME]
    statements = []
    for lea in ("lea_1", "lea_2"):
        change = {name: [run[-1] / run[0] for run in of[f"val_{lea}_{name}"]] for name in ("rl", "rln")}
        statements.append(Statement(f"{lea}: RL at the end over its first", median(change["rl"]), least=1.0))
        statements.append(Statement(f"{lea}: RLN at the end over its first", median(change["rln"]), most=1.0))
    return statements


def _separated(values: Values) -> list[Statement]:
    of = values[fig_5_1.NAME]
    active = [sum(code > fig_5_1.ACTIVE for code in run) for run in of["kl"]]
    statements = [Statement("active codes, of ten", median(active), 4, 6)]
    for factor in ("x", "y", "scale"):
        gaps = fig_5_1.leads(of[f"explained/{factor}"])
        words = f"{factor}: what the best code explains of it, less what the next one does"
        statements.append(Statement(words, median(gaps), least=0.5))
    return statements


def _coherent(values: Values) -> list[Statement]:
    statements = []
    for dataset in fig_5_2.DATASETS:
        if fig_5_2.name(dataset) in values:
            of = values[fig_5_2.name(dataset)]
            words = f"{dataset}: correlation of neighbours in code maps, less that in shuffled ones (samples: images)"
            gap = difference(of["coherence"], of["coherence_shuffled"])
            statements.append(Statement(words, gap, least=0.3))
    return statements


def _knowledge(values: Values, model: str, factor: str, layer: str, split: str = "test") -> list[float]:
    """What probes of a layer know beyond chance, for each run."""
    of = values[fig_5_4.name(model)]
    place = of["layers"].index(layer)
    return [run[place] - of["chance"][factor] for run in of[f"{split}/{factor}"]]


_PROBED = {"classic": ("conv_1", "pool_1", "conv_2", "pool_2"), "cnn_lea": ("conv_1", "lea_1", "conv_2", "lea_2")}


def _output(values: Values) -> list[Statement]:
    statements = []
    for model, label in fig_5_4.MODELS.items():
        for factor in fig_5_4.FACTORS:
            output, before = (_knowledge(values, model, factor, layer) for layer in ("logits", _PROBED[model][-1]))
            words = f"{label}, {factor}: accuracy beyond chance at the output, over that at the last map"
            statements.append(Statement(words, share(output, before), most=0.25))
    return statements


def _orientation(values: Values) -> list[Statement]:
    change = {}
    for model, (first, *_, last) in _PROBED.items():
        change[model] = difference(
            _knowledge(values, model, "orientation", last), _knowledge(values, model, "orientation", first)
        )
    words = "{}: test accuracy of orientation at the last map less that at the first"
    return [
        Statement(words.format("Classic"), change["classic"], **_LESS),
        Statement(words.format("CNN-LEA"), change["cnn_lea"], least=-0.01),
    ]


def _scale(values: Values) -> list[Statement]:
    statements = []
    for model, label in fig_5_4.MODELS.items():
        gain = difference(_knowledge(values, model, "scale", "hidden"), _knowledge(values, model, "scale", "input"))
        words = f"{label}: test accuracy of scale at the hidden layer less that at the input"
        statements.append(Statement(words, gain, **_MORE))
    return statements


def _pooling(values: Values, kind: str, code_length: int, window: int, reading: str = "") -> list[float]:
    return values[fig_5_5.name(kind, code_length, window) + reading]["val_accuracy"]


def _windows(values: Values) -> list[int]:
    return sorted({int(name.rpartition("_")[2]) for name in values if "/pool_" in name})


def _at_least_max_pool(values: Values) -> list[Statement]:
    statements = []
    for window in _windows(values):
        gap = difference(_pooling(values, "standard", 1, window), _pooling(values, "pool", 1, window))
        statements.append(Statement(f"{window}×{window}: accuracy of LEA-standard less max-pool", gap, least=-0.01))
    return statements


def _vae_at_two(values: Values, samples_of: Values) -> list[Statement]:
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


def _larger_windows(values: Values) -> list[Statement]:
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


def _overconfidence(values: Values, repeated: Values) -> list[Statement]:
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


def _faster(values: Values) -> list[Statement]:
    limit = _largest(values)
    means = [[float(np.mean(run)) for run in _of(values, model, limit)["val_accuracy"]] for model in samples.MODELS]
    words = f"{limit} samples: test accuracy of Classic less CNN-LEA, mean over all epochs"
    return [Statement(words, difference(*means), **_MORE)]


def _of(values: Values, model: str, limit: int) -> Any:
    return values[samples.name(model, limit)]


def _gaps(values: Values) -> list[Statement]:
    limits = sorted({int(name.rpartition("_")[2]) for name in values})
    statements = []
    for limit in limits:
        gaps = []
        for model in ("cnn_lea", "classic"):
            of = _of(values, model, limit)
            gaps.append([a - b for a, b in zip(_last(of["accuracy"]), _last(of["val_accuracy"]), strict=True)])
        words = f"{limit} samples: training less test accuracy, CNN-LEA less Classic"
        statements.append(Statement(words, difference(*gaps), **_LESS))
    for limit in (10, 500):
        for model, label in samples.MODELS.items():
            if samples.name(model, limit) in values:
                accuracy = median(_last(_of(values, model, limit)["val_accuracy"]))
                words = f"{label}, {limit} samples: test accuracy (chance 1/3)"
                statements.append(Statement(words, accuracy, most=0.45))
    ends = [_last(_of(values, model, limits[-1])["val_accuracy"]) for model in ("cnn_lea", "classic")]
    words = f"{limits[-1]} samples: test accuracy of CNN-LEA less Classic at the end"
    return [*statements, Statement(words, difference(*ends), -0.02, 0.02)]


def _rows(values: Values, kinds: Sequence[str] = ("standard", "vae", "capacity_vae")) -> list[str]:
    """The CNN-LEAs of these types that Fig. 5.7 shows."""
    names = [robustness.name(kind, coders) for kind, coders in robustness.ROWS if kind in kinds]
    return [name for name in names if name in values]


def _against_classic(values: Values, measure: str, names: Sequence[str]) -> Effect:
    """The mean over models less Classic, all runs of the models being one sample."""
    leas = [value for name in names for value in values[name][measure]]
    return effect(lambda a, b: np.mean(a, axis=-1) - np.mean(b, axis=-1), leas, values[robustness.CLASSIC][measure])


def _attacked(measure: str, attacks: Sequence[str], allowed: dict[str, float]) -> Callable[[Values], list[Statement]]:
    """A statement for each attack: CNN-LEAs less Classic."""
    told = measure.replace("_", " ")

    def statements(values: Values) -> list[Statement]:
        return [
            Statement(
                f"{attack}: {told}, CNN-LEAs less Classic",
                _against_classic(values, f"{measure}/{attack}", _rows(values)),
                **allowed,
            )
            for attack in attacks
        ]

    return statements


def _some_more_some_less(values: Values) -> list[Statement]:
    more = _attacked("success_rate", ("adef", "deep_fool", "slsqp"), _MORE)(values)
    less = _attacked("success_rate", ("projected_gradient_descent", "saliency_map"), _LESS)(values)
    return more + less


def _single_pixel(values: Values) -> list[Statement]:
    statements = []
    for kind in ("standard", "capacity_vae"):
        gap = _against_classic(values, "success_rate/single_pixel", _rows(values, (kind,)))
        statements.append(Statement(f"{kind}: success rate of single_pixel less Classic's", gap, **_LESS))
    return statements


def _unchanged(values: Values) -> list[Statement]:
    """All attacks but those on scores together: each alone would change by chance in one of twenty."""
    measures = [name for name in values[robustness.CLASSIC] if name.startswith("success_rate/")]
    others = [name for name in measures if name.partition("/")[2] not in SCORES]
    gaps = [_against_classic(values, name, _rows(values)) for name in others]
    changed = exactly(sum(gap.low > 0 or gap.high < 0 for gap in gaps))
    if any(math.isinf(gap.low) for gap in gaps):  # of single runs, which show no difference however large it is
        changed = changed._replace(low=-math.inf, high=math.inf)
    words = f"attacks of {len(others)} whose success rate differs from Classic's"
    scores = _attacked("success_rate", SCORES, {"most": -0.02})(values)
    return [Statement(words, changed, most=1), *scores]


def _distances(values: Values) -> list[Statement]:
    larger = _attacked("mean_distance", ("adef", "slsqp", "gaussian_blur"), _MORE)(values)
    return larger + _attacked("success_rate", ("salt_and_pepper", "spatial"), _LESS)(values)


def _weight(values: Values, weight: float, column: str) -> list[float]:
    return values[fig_5_8.name(weight)][column]


def _weights(values: Values) -> list[float]:
    return sorted(float(name.partition("/")[2]) for name in values)


def _reconstruction(values: Values) -> list[Statement]:
    least, *_, most = _weights(values)
    small, best, large = (_weight(values, weight, "val_lea_rl") for weight in (least, 0.1, most))
    return [
        Statement(f"RL at λ = 0.1 over that at {least:g}", ratio(best, small), most=0.95),
        Statement(f"RL at λ = {most:g} over that at 0.1", ratio(large, best), least=0.95),
    ]


def _classification(values: Values) -> list[Statement]:
    least, *_, most = _weights(values)
    statements = []
    for column, split in (("main_loss", "training"), ("val_main_loss", "test")):
        rise = difference(_weight(values, most, column), _weight(values, least, column))
        statements.append(Statement(f"{split} log loss at λ = {most:g} less that at {least:g}", rise, **_MORE))
    return statements


def _sweet_spot(values: Values) -> list[Statement]:
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
    return [*statements, Statement(words, less, **_LESS)]


def _slower(values: Values) -> list[Statement]:
    times = ratio(values["time/cnn_lea"]["seconds"], values["time/classic"]["seconds"])
    return [Statement("seconds an epoch of CNN-LEA over Classic", times, 1.0, 10.0)]


def _vae_and_windows(values: Values, samples_of: Values) -> list[Statement]:
    statements = []
    of = {**values, **samples_of}
    for reading, label in _READINGS.items():
        sizes = [size for size in fig_5_5.WINDOWS if fig_5_5.name("vae", 10, size) + reading in of]
        if not sizes:
            continue
        least, most = sizes[0], sizes[-1]
        gain = difference(_pooling(of, "vae", 10, most, reading), _pooling(of, "vae", 10, least, reading))
        words = f"{label}: accuracy of LEA-VAE at {most}×{most} less that at {least}×{least}"
        statements.append(Statement(words, gain, **_MORE))
    return statements


def _code_length(values: Values) -> list[Statement]:
    statements = []
    for window in _windows(values):
        for kind in ("standard", "vae"):
            gap = difference(_pooling(values, kind, 10, window), _pooling(values, "pool", 10, window))
            words = f"{window}×{window}, code 10: accuracy of LEA-{kind} less max-pool"
            statements.append(Statement(words, gap, **(_MORE if window >= 8 else {"most": 0.01})))
    return statements


def _time_per_parameter(values: Values) -> list[Statement]:
    statements = []
    for kind in ("standard", "vae"):
        of = {coders: values[f"time/{kind}_{coders}"] for coders in ("conv", "fc", "sb")}
        each = {coders: [seconds / one["parameters"][0] for seconds in one["seconds"]] for coders, one in of.items()}
        for coders in ("fc", "conv"):
            words = f"{kind}: seconds a parameter of sb over {coders}"
            statements.append(Statement(words, ratio(each["sb"], each[coders]), least=10.0))
    return statements


def _claim(number: int, place: str, words: str, studies: tuple[str, ...], statements: Any, stand_in: str = "") -> Claim:
    return Claim(number, "Thesis", place, words, studies, statements, stand_in)


_SUCCESS = "means over runs and CNN-LEAs of the shares of correctly classified images that attacks change"
CLAIMS: list[Claim] = [
    _claim(1, "Table 3.1", "The parameter counts of six autoencoders on images and on windows.", ("T3.1",), _counts),
    _claim(2, "Table 3.2", "conv, fc and sb train in times like 151 : 125 : 112.", ("T3.2",), _times),
    _claim(3, "Fig. 3.4", "k-sparse is worse and less stable than standard.", ("3.4",), _k_sparse),
    _claim(4, "Fig. 3.4", "The capacity VAE surpasses the VAE in reconstruction.", ("3.4",), _capacity),
    _claim(
        5,
        "Fig. 3.5",
        "conv reaches the lowest loss but overfits; sb is worst and varies most.",
        ("3.5",),
        _combinations,
    ),
    _claim(6, "Fig. 4.1", "RLN falls while RL rises.", ("4.1",), _normalised),
    _claim(
        7,
        "Fig. 5.1",
        "x, y and scale are perfectly separated, and five of ten codes encode anything.",
        ("5.1",),
        _separated,
        "a code explains the square of its rank correlation with a factor; it is active above 0.1 nats of KL",
    ),
    _claim(
        8,
        "Fig. 5.2",
        "Every code map shows a coherent pattern.",
        ("5.2",),
        _coherent,
        "neighbours in a coherent map are alike: their correlation, against maps whose places are shuffled",
    ),
    _claim(9, "Fig. 5.4", "The output layer holds close to no information about any factor.", ("5.4",), _output),
    _claim(10, "Fig. 5.4", "Classic loses orientation, CNN-LEA keeps and improves it.", ("5.4",), _orientation),
    _claim(11, "Fig. 5.4", "Scale becomes clearer in later layers.", ("5.4",), _scale),
    _claim(
        12,
        "Fig. 5.5",
        "With one code variable LEA-standard is at least as good as max-pooling at every window.",
        ("5.5",),
        _at_least_max_pool,
    ),
    _claim(13, "Fig. 5.5", "The VAE hurts with windows of 2×2.", ("5.5", "readings"), _vae_at_two),
    _claim(
        14,
        "Fig. 5.5",
        "With ten code variables max-pooling falls with the window, LEAs do not.",
        ("5.5",),
        _larger_windows,
    ),
    _claim(
        15,
        "Fig. 5.6",
        "With 10 and 500 samples Classic becomes overconfident, CNN-LEA does not.",
        ("5.6", "repeated"),
        _overconfidence,
        "overconfidence is a test loss that has risen by 5 % from its least",
    ),
    _claim(16, "Fig. 5.6", "Classic converges faster.", ("5.6",), _faster),
    _claim(
        17,
        "Fig. 5.7",
        "ADef, Deep Fool and SLSQP succeed more often on CNN-LEAs, PGD and Saliency Map slightly less.",
        ("5.7",),
        _some_more_some_less,
        _SUCCESS,
    ),
    _claim(
        18,
        "Fig. 5.7",
        "Single Pixel succeeds less often on the standard and the capacity-controlled CNN-LEAs.",
        ("5.7",),
        _single_pixel,
    ),
    _claim(19, "Fig. 5.8", "RL falls with λ up to 0.1, and no further.", ("5.8",), _reconstruction),
    _claim(20, "Fig. 5.8", "The classification loss rises with λ.", ("5.8",), _classification),
    _claim(21, "Fig. 5.8", "λ = 0.1 is the sweet spot, with less overfitting.", ("5.8",), _sweet_spot),
    _claim(22, "Chapter 6", "Training takes up to ten times as long as that of a CNN.", ("time",), _slower),
    _claim(
        23,
        "Section 5.3",
        "With ten code variables the VAE's LEA improves with larger windows.",
        ("5.5", "readings"),
        _vae_and_windows,
    ),
    _claim(
        24,
        "Chapter 7",
        "LEAs beat max-pooling at larger code lengths, except with small windows.",
        ("5.5",),
        _code_length,
    ),
    _claim(
        25,
        "Section 5.5, chapter 7",
        "Robustness does not change significantly, except against attacks on scores.",
        ("5.7",),
        _unchanged,
        _SUCCESS,
    ),
    _claim(
        26,
        "Section 5.5",
        "ADef, SLSQP and Blur need larger distances; Salt and Pepper and Spatial succeed less often.",
        ("5.7",),
        _distances,
    ),
    _claim(
        27,
        "Section 5.4",
        "The gap between training and test is smaller for LEAs; 10 and 500 samples stay near chance; both end alike.",
        ("5.6",),
        _gaps,
    ),
    _claim(28, "Table 3.2", "sb takes by far the most time per parameter.", ("T3.2",), _time_per_parameter),
]
