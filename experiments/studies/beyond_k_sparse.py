"""Features of k-sparse autoencoders for a linear classifier (slides, Table 1; Makhzani and Frey, 2013)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import networks
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

#: Of the table, with the test error in per cent that it prints.
PRINTED = {40: 1.54, 25: 1.35, 10: 2.10}
RAW = "raw pixels"
RAW_PRINTED = 7.20


def series(scale: Scale) -> list[Series]:
    return [networks.series(name(k), scale, "k_sparse", {"k": k}) for k in scale.options["ks"]]


def name(k: int) -> str:
    """Of the series."""
    return f"slides/k_sparse_{k}"


def collect(finished: "Finished") -> dict[str, Any]:
    """Test errors of softmax regression on codes, and once on the images."""
    values: dict[str, Any] = {one: networks.losses(finished, one, "rl") | {"error": []} for one in finished}
    values[RAW] = {"seeds": [], "error": []}
    for one in finished:
        layers = ("lea",) if values[RAW]["seeds"] else ("input", "lea")  # images are the same for all
        errors = [_probe(finished, one, run, layers) for run in range(len(values[one]["seeds"]))]
        values[one]["error"] = [of_run["lea"] for of_run in errors]
        if "input" in layers:
            values[RAW] = {"seeds": values[one]["seeds"], "error": [of_run["input"] for of_run in errors]}
    return {"values": values}


def _probe(finished: "Finished", one: str, run: int, layers: tuple[str, ...]) -> dict[str, float]:
    from lea_keras import probes

    (train, classes), (test, test_classes) = (networks.data(finished, one, split, run) for split in ("train", "test"))
    with finished.network(one, run) as model:
        found = probes.measure(
            model,
            (train, {"class": classes}),
            (test, {"class": test_classes}),
            factors=("class",),
            layers=layers,
            units=None,
            epochs=30,
            seed=finished.config(one, run).seed,
            verbose=0,
        )
    return {probe.layer: 1 - probe.accuracy for probe in found}


def draw(stored: dict[str, Any], finished: "Finished") -> dict[str, Any]:
    from experiments.studies.pictures import Dots, draw_dots
    from lea_keras import plots

    rows, figures = {}, {}
    for one in finished:
        k = int(one.rpartition("_")[2])
        rows[f"k = {k} (slides: {PRINTED.get(k, float('nan')):.2f} %)"] = _per_cent(stored["values"][one]["error"])
        with finished.network(one) as model:
            figures[f"_filters_{k}"] = plots.filters(model, max_filters=64, name=f"k = {k}")
    rows[f"{RAW} (slides: {RAW_PRINTED:.2f} %)"] = _per_cent(stored["values"][RAW]["error"])
    panel = Dots("softmax on the features", "test error, %", rows)
    return {"": draw_dots([panel], stored["differences"]), **figures}


def _per_cent(errors: list[float]) -> list[float]:
    return [100 * error for error in errors]


STUDY = Study(
    name="k_sparse",
    title="features of k-sparse autoencoders, and their filters",
    document=networks.SLIDES,
    thesis="Test errors of a classifier on frozen features of MNIST: 1.54 % with k = 40, 1.35 % with 25, 2.10 % with "
    "10 of 1000 units, and 7.20 % on raw pixels. Filters are local strokes for large k and whole digits for small.",
    scales={
        "thesis": Scale(3, options={"data": networks.THESIS, "epochs": 50, "ks": (40, 25, 10)}),
        "small": Scale(3, options={"data": networks.SMALL, "epochs": 15, "ks": (40, 25, 10)}),
        "smoke": Scale(
            1, options={"data": networks.SMOKE, "epochs": 1, "ks": (40, 25, 10), "arguments": {"code_length": 40}}
        ),
    },
    series=series,
    collect=collect,
    draw=draw,
    pictures=("", "_filters_40", "_filters_25", "_filters_10"),
)
