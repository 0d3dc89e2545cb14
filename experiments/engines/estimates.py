"""Estimates of how long units take on this machine: from the work that they are, and from units that are done.

The rates are what two cores of a server did once; what matters is how they compare. As soon as a unit is done, the
others are told from it.

Nothing here imports Keras.
"""

import itertools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.config import RunConfig
from experiments.engines import units
from experiments.engines.units import Unit

# Of every run: for building, tracing and storing it.
_SECONDS_PER_RUN = 7.0
# Images a second in training, by model, at 64×64 pixels and the filters of the thesis.
_RATES = {"classic": 150, "cnn_lea": 9, "pool_fc": 1500, "lea_fc": 350, "lea_only": 220, "decoder_free": 450}
_WHOLE_IMAGE = {"fc": 2500, "conv": 110, "sb": 130, "tied": 2500}  # autoencoders, at 28×28, by decoder
_TRAIN = {"sprites": 59_972, "dsprites": 59_972, "mnist": 60_000, "fashion_mnist": 60_000, "cifar10": 50_000}
_TRAIN |= {"parts": 60_000, "parts_colour": 60_000}
_BATCH = {"sprites": 64, "dsprites": 64, "mnist": 256, "fashion_mnist": 128, "cifar10": 128}
_BATCH |= {"parts": 64, "parts_colour": 64}
_VALIDATED_PER_TRAINED = 3.5  # how many images are validated in the time of one
_ATTACKED = {"nearest": 3.0, "foolbox18": 13.0}  # seconds a sample, at 28×28
_PROBED = 2e-3  # seconds an image, layer and epoch
# Of what is trained in place of a run: multiplications a second, forward and back counted as three times forward.
_PRODUCTS = 1e10
_ROUNDS = 15  # of the search for the smallest ε
_MARGINS, _CERTIFIED = 3e-3, 0.2  # seconds an image, in a step and to certify it
_ENCODED = 1.3e-4  # seconds an image of 32×32 and step of a latent attack; training takes three times that
_PROJECTED = 1e-7  # seconds a weight and step, to put it back into the ball
_BOOSTED = 2.5e-7  # seconds a tree, class, sample and code


def work(unit: Unit) -> float:
    """Seconds that a unit takes by these rates."""
    config = unit.config
    if not unit.trained:
        return _SECONDS_PER_RUN + sum(_UNTRAINED[name](options) for name, options in unit.measures.items())
    images = (config.limit or _TRAIN[config.dataset]) * (1 - config.validation)
    if config.steps_per_epoch:
        images = config.steps_per_epoch * (config.batch_size or _BATCH[config.dataset])
    validated = math.ceil(config.epochs / config.validate_every) * (config.test_limit or 10_000)
    per_image = _per_image(config)
    seconds = _SECONDS_PER_RUN + per_image * (images * config.epochs + validated / _VALIDATED_PER_TRAINED)
    if attacks := unit.measures.get("attacks"):
        size = config.image_shape[0] * config.image_shape[1] / 784
        seconds += attacks["samples"] * _ATTACKED[attacks.get("semantics", "nearest")] * size
    if probes := unit.measures.get("probes"):
        seconds += 8 * _PROBED * probes["epochs"] * (probes["limit"] or images)
    return seconds


def _per_image(config: RunConfig) -> float:
    rows, columns = config.image_shape
    if config.model == "autoencoder" and config.window_size is None:
        rate = min(_WHOLE_IMAGE[config.decoder], _WHOLE_IMAGE["conv" if config.encoder == "conv" else "fc"])
        kernels = 1.0 if config.encoder == "fc" else config.kernels / 32
        return rows * columns / 784 * kernels / rate
    pixels = rows * columns / 4096
    filters = config.filters[0] * config.filters[1] / 2048 if config.model in ("classic", "cnn_lea") else 1.0
    stride = config.strides if isinstance(config.strides, int) else config.window_size
    windows = 16 / stride**2 if config.model == "autoencoder" and isinstance(stride, int) else 1.0
    return pixels * filters**0.9 * windows / _RATES.get(config.model, 350)


def _network(options: Mapping[str, Any]) -> float:
    """Whole images through dense layers."""
    pixels = (options["image_size"] or 28) ** 2
    return options["limit"] * options["epochs"] * pixels / 784 / _WHOLE_IMAGE["fc"]


def _two_points(options: Mapping[str, Any]) -> float:
    return 1e-3 * options["steps"]


def _letters(options: Mapping[str, Any]) -> float:
    """The network with four targets; the judge is small beside it."""
    pixels, (first, second) = (options["image_size"] or 28) ** 2, options["filters"]
    convolutions = pixels * (2 * 9 / 4 * first + 2 * 9 / 16 * first * second)
    dense = pixels / 16 * second * 2 * options["code_length"] + pixels**2
    images = options["limit"] or _TRAIN[options["source"]]
    return 4 * 3 * images * options["epochs"] * (convolutions + dense) / _PRODUCTS


def _defences(options: Mapping[str, Any]) -> float:
    """A classifier of two of ten classes, and gradients of every step of the attack."""
    sizes = [(options["image_size"] or 28) ** 2, *options["units"], 2]
    weights = sum(before * after for before, after in itertools.pairwise(sizes))
    images = (options["limit"] or _TRAIN[options["dataset"]]) / 5 * options["epochs"]
    attacks = options["attacked"] * options["attack_steps"] * _ROUNDS
    projected = 0.0 if options["radius"] is None else images / options["batch_size"] * weights * _PROJECTED
    return 3 * (images + attacks) * weights / _PRODUCTS + projected


def _certificates(options: Mapping[str, Any]) -> float:
    """Steps of training, plain and robust, and certificates, of 28×28 images in two convolutions."""
    size = (options["image_size"] or 28) ** 2 / 784 * (2 if options["network"] == "polytope_lea" else 1)
    images = options["limit"] or _TRAIN[options["dataset"]]
    robust = 40 if options["tight"] else 1
    per_image = _MARGINS * robust * options["robust_epochs"] if options["robust"] else 4e-4 * options["plain_epochs"]
    return size * (images * per_image + options["certified"] * _CERTIFIED)


def _disentanglement(options: Mapping[str, Any]) -> float:
    """Boosters of ten codes for the factors of sprites, beside which other scores are quick."""
    classes = sum(min(values, options["values"]) for values in (3, 6, 40, 32, 32))
    return _BOOSTED * options["trees"] * classes * options["boosted"] * 10 + 1e-3 * options["samples"]


def _part_codes(options: Mapping[str, Any]) -> float:
    """LEAs on images of one channel, where they are trained; and boosters, which take as long."""
    trained, side, values = 0.0, options["image_size"], 1
    for window, stride in zip(options["windows"], options["strides"], strict=True):
        side = (side - window) // stride + 1
        sizes = [window * window * values, *options["units"], options["code_length"]]
        values = options["code_length"]
        trained += 2 * side**2 * sum(before * after for before, after in itertools.pairwise(sizes))
    images = 0 if options["kind"] in ("pca", "random") else options["limit"] * options["epochs"]
    boosted = _BOOSTED * options["trees"] * 36 * options["boosted"] * options["code_length"]  # 36 values of factors
    return 3 * images * trained / _PRODUCTS + boosted


def _joint(options: Mapping[str, Any]) -> float:
    """An autoencoder of convolutions, and pairs of ten classes; of the variants two, between one and all."""
    size = (options["image_size"] / 32) ** 2 * (1.0 if not options["network"] else 0.1)
    images = (options["limit"] or _TRAIN[options["dataset"]]) * options["epochs"]
    pairs = 9 * (options["samples"] or options["test_limit"] or 10_000)
    return size * _ENCODED * (3 * images + 2 * pairs * options["attack_steps"])


_UNTRAINED: dict[str, Callable[[Mapping[str, Any]], float]] = {
    "network": _network,
    "two_points": _two_points,
    "letters": _letters,
    "defences": _defences,
    "certificates": _certificates,
    "disentanglement": _disentanglement,
    "part_codes": _part_codes,
    "joint": _joint,
}


def seconds_left(todo: Sequence[Unit], parallel: int = 1) -> float:
    """Seconds until all units are done that are not, told from those that are, where there are any.

    Before there are, a unit is taken to lose less than half of its speed with half of the CPUs.

    Args:
        todo: units, some of them done perhaps.
        parallel: how many are worked on at a time, at most.
    """
    outcomes = [units.read_outcome(unit) for unit in todo]
    # More than units are left have nothing to do, more than CPUs take each other's.
    cpus = os.cpu_count() or 2
    parallel = max(1, min(parallel, cpus, outcomes.count(None)))
    slower = (2 * parallel / cpus) ** 0.6
    done = [(work(unit), outcome.seconds) for unit, outcome in zip(todo, outcomes, strict=True) if outcome]
    left = sum(work(unit) for unit, outcome in zip(todo, outcomes, strict=True) if not outcome)
    expected, taken = map(sum, zip(*done, strict=True)) if done else (1.0, slower)
    return left * taken / expected / parallel


def told(seconds: float) -> str:
    """A duration in words: "0 s", "40 s", "12 min", "3 h 20 min", "12 days"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes < 4320 else f"{minutes / 1440:.0f} days"
