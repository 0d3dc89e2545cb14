"""Table 3.2: how long autoencoders train (section 3.3.3)."""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.studies import autoencoders
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

_ROWS = (("vae", "conv"), ("standard", "conv"), ("standard", "fc"), ("vae", "fc"), ("standard", "sb"), ("vae", "sb"))


def series(scale: Scale) -> list[Series]:
    """Runs of their own, and not those of Figs. 3.3 to 3.5, since nothing may run beside them **(chosen)**."""
    planned = [autoencoders.series(*row, scale) for row in _ROWS]
    return [one._replace(name=one.name.replace("autoencoders/", "time/")) for one in planned]


def collect(finished: "Finished") -> dict[str, Any]:
    """Seconds of the median epoch, in which the first, with all that is compiled, has no weight; and parameters."""
    values = {}
    for name in finished:
        seconds = finished.epochs(name, "seconds")
        with finished.model(name) as model:
            parameters = model.count_params()
        medians = [statistics.median(of_run[1:] or of_run) for of_run in seconds["seconds"]]
        values[name] = {"seeds": seconds["seeds"], "seconds": medians, "parameters": [parameters] * len(medians)}
    return {"values": values}


def table(stored: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    lines = []
    values = {name: stored["values"][f"time/{name[0]}_{name[1]}"] for name in _ROWS}
    fc = {kind: statistics.median(values[kind, "fc"]["seconds"]) for kind, _ in _ROWS}
    for (kind, coders), of_runs in values.items():
        seconds, parameters = statistics.median(of_runs["seconds"]), of_runs["parameters"][0]
        cells = [f"{seconds:.2f}", f"{seconds / fc[kind]:.2f}", f"{parameters:,}", f"{1e6 * seconds / parameters:.3g}"]
        lines.append([kind, coders, *cells])
    return ["autoencoder", "coders", "seconds an epoch", "over fc of the type", "parameters", "µs a parameter"], lines


STUDY = Study(
    name="T3.2",
    title="time of training",
    thesis="Median time of 800 epochs on a GTX 1080 Ti: 2 h 31 min for conv, 2 h 05 min for fc, 1 h 52 min for sb, "
    "hardly different for standard autoencoders and VAEs; per parameter 0.35, 3.0 and 130 ms.",
    scales={
        "thesis": Scale(10),
        "small": Scale(3, autoencoders.SMALL | {"epochs": 4, "kernels": 32, "limit": 512, "test_limit": 128}),
        "smoke": Scale(1, autoencoders.SMOKE),
    },
    series=series,
    collect=collect,
    table=table,
    pictures=(),
    alone=True,
)
