"""Series of networks that the documents beside the thesis show, trained in place of runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.config import RunConfig
from experiments.studies.base import Scale, Series

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

SLIDES = "The slides"
#: Of 28×28 digits at small scale, and of sprites, which need no data, at smoke scale.
SMALL = {"dataset": "mnist", "image_size": None, "limit": 10_000, "test_limit": 2000}
SMOKE = {"dataset": "sprites", "image_size": 16, "limit": 64, "test_limit": 32}
THESIS = {"dataset": "mnist", "image_size": None, "limit": 60_000, "test_limit": 10_000}


def series(name: str, scale: Scale, network: str, arguments: Mapping[str, Any], **training: Any) -> Series:
    """The networks that differ in their seeds alone.

    Args:
        name: of the series.
        scale: whose options have ``data``, ``epochs`` and perhaps ``arguments`` of all networks.
        network: a function of ``models``.
        arguments: of the function.
        **training: ``batch_size`` and what is not Adam at 1e-3, as ``whole_networks.train`` takes it.
    """
    options = {"network": network, "arguments": {**arguments, **scale.options.get("arguments", {})}}
    options |= {"optimizer": "adam", "learning_rate": 1e-3, "epochs": scale.options["epochs"], "batch_size": 128}
    options |= dict(scale.options["data"]) | training
    config = RunConfig(model="autoencoder", window_size=None, optimization="joint", dataset=options["dataset"])
    return Series(name, config, scale.seeds, {"network": options}, trained=False)


def data(finished: "Finished", name: str, split: str, run: int = 0) -> Any:
    """Images and classes that a network was trained or tested on."""
    from experiments import whole_networks

    return whole_networks.load(finished.config(name, run), finished.series[name].measures["network"], split)


def losses(finished: "Finished", name: str, *measures: str) -> dict[str, Any]:
    """What ``evaluate`` said on test data, by measure, for each run."""
    from experiments.whole_networks import RESULTS_FILE

    stored = finished.own(name, RESULTS_FILE)
    return {
        "seeds": finished.seeds(name),
        **{measure: [one["test"][measure] for one in stored] for measure in measures},
    }


def autoencoder(model: Any) -> Any:
    """Of a network."""
    return model.get_layer("lea").autoencoder
