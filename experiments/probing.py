"""Probes of a run: the known factors of its images, as every layer of its model preserves them (thesis section 5.2)."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras

import lea_keras.data
from experiments.config import RunConfig, checks
from experiments.results import Results
from experiments.runs import RunError
from experiments.startup import many_models
from lea_keras import probes
from lea_keras.data import splits
from lea_keras.plots import probe_plot

FILES = ("probes.json", "probes.csv", "probes.png")


class Settings(NamedTuple):
    """How probes are trained.

    Attributes:
        limit: on so many of the run's training images; None: on all of them.
        epochs: for so many epochs at most.
        features: larger feature maps are averaged over the smallest squares that leave no more than this many values
            of each image **(chosen)**: a probe of the 131 072 values of a first feature map alone would have 134
            million weights.
    """

    limit: int | None = None
    epochs: int = 20
    features: int = 4096


def load(config: RunConfig, settings: Settings) -> dict[str, Any]:
    """Images of a run with all their factors, "train" and "test", as ``probes.measure`` takes them.

    Raises:
        RunError: one line, if the data has no known factors, has fewer images, or is not there, or what reads it is
            not installed.
    """
    every = config.limit or lea_keras.data.info(config.dataset).train_size
    trained = every - splits.validation_size(every, config.validation)
    if settings.limit and settings.limit > trained:
        allowed = f"at most {trained}, the images that the run was trained on"
        raise RunError(str(checks.fail("probe_limit", allowed, settings.limit)))
    limit = config.limit
    if settings.limit:  # of so many samples, the run trains on as many as are wanted
        counts = itertools.count(settings.limit)
        limit = next(n for n in counts if n - splits.validation_size(n, config.validation) == settings.limit)
    shared = {"seed": config.data_seed, "name": config.dataset, "image_size": config.image_size}
    shared["data_dir"] = config.data_dir
    some = splits.validation_size(limit or every, config.validation)
    part = {"limit": limit, "validation": config.validation if some else 0.0}
    try:
        return {
            "train": probes.sprites_data("train", **part, **shared),
            "test": probes.sprites_data("test", config.test_limit, **shared),
        }
    except (ValueError, OSError, ImportError) as error:
        raise RunError(str(error)) from error


def probe(model: keras.Model, data: Mapping[str, Any], seed: int, settings: Settings, results: Results) -> str:
    """Trains and tests the probes, stores what they found and returns it as a table.

    Args:
        model: of the run; nothing in it changes.
        data: from ``load``.
        seed: of the probes.
        settings: how to train them.
        results: where everything goes.
    """
    with many_models():
        found = probes.measure(
            model,
            data["train"],
            data["test"],
            epochs=settings.epochs,
            max_features=settings.features,
            seed=seed,
        )
    rows = probes.to_rows(found)
    results.write_json(FILES[0], {"images": len(data["train"][0])} | settings._asdict() | {"probes": rows})
    results.write_csv(FILES[1], rows)
    note = _note(found, len(data["train"][0]), len(data["test"][0]), settings)
    results.write_picture(FILES[2], probe_plot.equivariance(found, "Test accuracy of probes", note))
    return table(found)


def _note(found: Sequence[probes.Probe], train: int, test: int, settings: Settings) -> str:
    """On what and how long the probes were trained, for their picture."""
    epochs = sorted({probe.epochs for probe in found})
    trained = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else str(epochs[0])
    return (
        f"trained on {train} images for {trained} of at most {settings.epochs} epochs, tested on {test}\n"
        f"layers averaged down to at most {settings.features} values"
    )


def table(found: Sequence[probes.Probe]) -> str:
    """Test accuracy of the probes, one line per layer, one column per factor."""
    layers = list(dict.fromkeys(probe.layer for probe in found))
    factors = list(dict.fromkeys(probe.factor for probe in found))
    accuracy = {(probe.layer, probe.factor): probe.accuracy for probe in found}
    accuracy |= {("chance", probe.factor): probe.chance for probe in found}
    lines = [f"{'accuracy of probes':24}" + "".join(f"{factor:>12}" for factor in factors)]
    for layer in [*layers, "chance"]:
        lines.append(f"{layer:24}" + "".join(f"{accuracy[layer, factor]:>12.4f}" for factor in factors))
    return "\n".join(lines)
