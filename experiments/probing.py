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
            million weights. None: none is averaged.
        shared: whether the factors of a layer share one hidden layer (Fig. 5.3).
        learning_rate: of Adam.
        batch_size: images per step.
        held_out: share of the images that decides when to stop; 0: none, and every probe trains all epochs.
    """

    limit: int | None = None
    epochs: int = 20
    features: int | None = 4096
    shared: bool = False
    learning_rate: float = 1e-3
    batch_size: int = 128
    held_out: float = 0.1


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


def probe(
    model: keras.Model, data: Mapping[str, Any], seed: int, settings: Settings, results: Results, epochs_of_run: int
) -> str:
    """Trains and tests the probes, stores what they found and returns it as a table.

    Args:
        model: of the run; nothing in it changes.
        data: from ``load``.
        seed: of the probes.
        settings: how to train them.
        results: where everything goes.
        epochs_of_run: after how many the model is probed.
    """
    with many_models():
        found = probes.measure(
            model,
            data["train"],
            data["test"],
            epochs=settings.epochs,
            max_features=settings.features,
            shared=settings.shared,
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            held_out=settings.held_out,
            seed=seed,
        )
    rows = probes.to_rows(found)
    about = {"images": len(data["train"][0]), "epochs_of_run": epochs_of_run} | settings._asdict()
    results.write_json(FILES[0], about | {"probes": rows})
    results.write_csv(FILES[1], rows)
    described = note(found, len(data["train"][0]), settings, len(data["test"][0]))
    results.write_picture(FILES[2], probe_plot.equivariance(found, "Test accuracy of probes", described))
    return table(found)


def note(found: Sequence[probes.Probe], train: int, settings: Settings, test: int | None = None) -> str:
    """On what and how long probes were trained, for their picture.

    Args:
        found: the probes.
        train: on how many images.
        settings: how.
        test: on how many images they were tested, if that is to be said.
    """
    epochs = sorted({probe.epochs for probe in found})
    trained = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else str(epochs[0])
    most = f" of at most {settings.epochs}" if settings.held_out else ""
    maps = "layers as they are"
    if settings.features:
        maps = f"layers averaged down to at most {settings.features} values"
    hidden = "; one hidden layer for all factors" if settings.shared else ""
    tested = "" if test is None else f", tested on {test}"
    return f"trained on {train} images for {trained}{most} epochs{tested}\n{maps}{hidden}"


def table(found: Sequence[probes.Probe]) -> str:
    """Accuracy of the probes on test and training images, one line per layer, one column per factor."""
    layers = list(dict.fromkeys(probe.layer for probe in found))
    factors = list(dict.fromkeys(probe.factor for probe in found))
    chance = {("chance", probe.factor): probe.chance for probe in found}
    accuracies = {
        "test": {(probe.layer, probe.factor): probe.accuracy for probe in found} | chance,
        "training": {(probe.layer, probe.factor): probe.train_accuracy for probe in found},
    }
    lines = []
    for split, accuracy in accuracies.items():
        lines.append(f"{f'probes, {split}':24}" + "".join(f"{factor:>12}" for factor in factors))
        for layer in [*layers, *(["chance"] if split == "test" else [])]:
            lines.append(f"{layer:24}" + "".join(f"{accuracy[layer, factor]:>12.4f}" for factor in factors))
    return "\n".join(lines)
