"""How much longer a CNN-LEA trains than Classic (chapter 6)."""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

MODELS = ("classic", "cnn_lea")
_SMALL = {"image_size": 32, "limit": 640, "test_limit": 64, "epochs": 4}


def series(scale: Scale) -> list[Series]:
    """The CNN-LEA of Fig. 5.6 and its baseline, each with nothing beside it."""
    planned = []
    for model in MODELS:
        fields = {"dataset": "sprites", "epochs": 20, "code_length": 5}
        fields |= {"autoencoder": "vae"} if model == "cnn_lea" else {}
        planned.append(Series(f"time/{model}", configuration(model, scale, **fields), scale.seeds))
    return planned


def collect(finished: "Finished") -> dict[str, Any]:
    """Seconds of the median epoch, validation among it, without the first, in which all is compiled."""
    values = {}
    for one in finished:
        seconds = finished.epochs(one, "seconds")
        medians = [statistics.median(of_run[1:] or of_run) for of_run in seconds["seconds"]]
        values[one] = {"seeds": seconds["seeds"], "seconds": medians}
    return {"values": values}


def table(stored: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    seconds = {model: statistics.median(stored["values"][f"time/{model}"]["seconds"]) for model in MODELS}
    lines = [[model, f"{own:.2f}", f"{own / seconds['classic']:.1f}"] for model, own in seconds.items()]
    return ["model", "seconds an epoch", "over classic"], lines


STUDY = Study(
    name="time",
    title="time of an epoch of CNN-LEA and of Classic",
    thesis="Chapter 6: training takes up to ten times as long as that of a comparable CNN.",
    scales={
        "thesis": Scale(3),
        "small": Scale(3, _SMALL),
        "smoke": Scale(1, {"image_size": 16, "filters": (2, 2), "limit": 64, "test_limit": 32, "epochs": 2}),
    },
    series=series,
    collect=collect,
    table=table,
    pictures=(),
    alone=True,
)
