"""What is measured of a trained run, by name: probes of its layers, attacks on it; or what is trained in its place."""

import contextlib
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from experiments import (
    attacking,
    certificates,
    defences,
    disentangled_networks,
    evaluation,
    joint,
    letters,
    networks,
    part_codes,
    probing,
    two_points,
    whole_networks,
)
from experiments.config import RunConfig
from experiments.results import Results


def probe(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Probes every layer, as ``evaluate.py --probes`` does; results are in the run's folder of results."""
    settings = probing.Settings(**options)
    rows, number = evaluation.choose_epoch(folder, config, "last")
    data = probing.load(config, settings)
    with networks.precision(config), contextlib.closing(Results(folder / evaluation.FOLDER, [folder])) as results:
        results.reserve(probing.FILES)
        probing.probe(evaluation.load_model(folder, config, number), data, config.seed, settings, results, len(rows))


def attack(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Attacks the run, as ``evaluate.py --attacks=all`` does; results are in the run's folder of results."""
    with contextlib.closing(Results(folder / evaluation.FOLDER, [folder])) as results:
        attacking.attack([(folder, config)], attacking.Settings(**options), results)


#: By name: measures a run from its folder, its configuration and options.
MEASURES: dict[str, Callable[[pathlib.Path, RunConfig, Mapping[str, Any]], None]] = {
    "probes": probe,
    "attacks": attack,
    "network": whole_networks.train,
    "two_points": two_points.train,
    "letters": letters.measure,
    "defences": defences.measure,
    "certificates": certificates.measure,
    "disentanglement": disentangled_networks.measure,
    "part_codes": part_codes.measure,
    "joint": joint.measure,
}
