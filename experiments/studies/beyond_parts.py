"""What codes of windows say of the parts that the windows see, by autoencoder and window size."""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration, scales_of

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

#: Types of autoencoders that are trained, and what each is given.
LEARNED: dict[str, dict[str, Any]] = {
    "standard": {},
    "k_sparse": {"k": 5, "a": 1.0},
    "vae": {"beta": 0.05},
    "capacity_vae": {"gamma": 1.0, "capacity": 8.0},
}
NOT_LEARNED = ("pca", "random")
STACKED, STACKED_RANDOM = "parts/stacked", "parts/stacked_random"
_WORDS = {
    "standard": "standard",
    "k_sparse": "k-sparse, k = 5",
    "vae": "VAE, β = 0.05",
    "capacity_vae": "VAE, capacity 8",
    "pca": "PCA",
    "random": "random encoder",
}
_KINDS = (*LEARNED, *NOT_LEARNED)
_THESIS = {
    "kinds": _KINDS,
    "windows": (8, 16),
    "image_size": 64,
    "limit": 60_000,
    "test_limit": 10_000,
    "code_length": 10,
    "units": (256,),
    "epochs": 20,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "probed": 20_000,
    "probe_epochs": 20,
    "boosted": 5000,
    "trees": 100,
}
_SMALL = {
    "limit": 2000,
    "test_limit": 1000,
    "units": (128,),
    "epochs": 8,
    "batch_size": 8,
    "probed": 4000,
    "boosted": 1500,
    "trees": 30,
}
_SMOKE = {
    "kinds": ("standard",),
    "windows": (8,),
    "image_size": 32,
    "limit": 8,
    "test_limit": 8,
    "code_length": 4,
    "units": (8,),
    "epochs": 1,
    "batch_size": 8,
    "probed": 60,
    "probe_epochs": 1,
    "boosted": 30,
    "trees": 1,
}


def name(kind: str, window: int) -> str:
    """Of the runs: "parts/vae_16"."""
    return f"parts/{kind}_{window}"


def series(scale: Scale) -> list[Series]:
    """Every kind of code with every window size, windows half over each other; and two LEAs, trained and not."""
    options = dict(scale.options)
    planned = {}
    kinds, windows = options.pop("kinds"), options.pop("windows")
    for window in windows:
        for kind in kinds:
            own = {"kind": kind, "windows": [window], "strides": [window // 2], "arguments": LEARNED.get(kind, {})}
            planned[name(kind, window)] = own
    # Windows of 7×7 codes, two pixels apart, of 4×4 pixels: 16×16 pixels, half over each other.
    stacked = {"windows": [4, 7], "strides": [2, 4], "arguments": {}}
    planned[STACKED] = {"kind": "standard", **stacked}
    if "random" in kinds:
        planned[STACKED_RANDOM] = {"kind": "random", **stacked}
    config = configuration("autoencoder", scale, dataset="parts")
    return [
        Series(one, config, scale.seeds, {"part_codes": options | own}, trained=False) for one, own in planned.items()
    ]


def collect(finished: "Finished") -> dict[str, Any]:
    """Of every run all that was measured, and how many windows it was measured on."""
    values: dict[str, Any] = {}
    for one in finished:
        of_runs = finished.stored(one, "part_codes.json")
        values[one] = {"seeds": finished.seeds(one)}
        values[one] |= {measure: [run[measure] for run in of_runs] for measure in of_runs[0]}
    return {"values": values}


def _of(values: dict[str, Any], measure: str) -> dict[str, Sequence[float]]:
    """A measure of every kind and window size, by what the picture calls them."""
    found = {}
    for one, of_runs in values.items():
        kind, _, window = one.removeprefix("parts/").rpartition("_")
        if kind in _WORDS and measure in of_runs:
            found[f"{_WORDS[kind]}, {window}×{window}"] = of_runs[measure]
    return found


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from experiments.studies.pictures import Dots, draw_dots

    values = stored["values"]
    measures = {
        "separation": ("Orientation from offset", "separation"),
        "dci": ("All factors", "DCI disentanglement"),
        "mig": ("All factors", "MIG"),
        "probe/orientation": ("How the part is turned", "accuracy of a probe"),
        "probe/offset": ("Where the part is", "accuracy of a probe"),
        "probe/shape": ("Which shape it has", "accuracy of a probe"),
        "separation/key": ("Orientation from offset, key alone", "separation"),
        "probe/orientation/key": ("How the key is turned", "accuracy of a probe"),
    }
    panels = []
    for measure, (title, label) in measures.items():
        chance = [of[f"chance/{measure[6:]}"] for of in values.values() if f"chance/{measure[6:]}" in of]
        level = statistics.median(sum(chance, [])) if chance and measure.startswith("probe/") else None
        panels.append(Dots(title, label, _of(values, measure), level))
    note = "; ".join(filter(None, (stored["differences"], "dotted: a probe that always says what is most frequent")))
    figures = {"": draw_dots(panels, note)}
    panels = []
    for about, title in (("edge", "Edge in the middle"), ("shape", "Shape of the part")):
        rows = {}
        for one, words in ((STACKED, "trained"), (STACKED_RANDOM, "random")):
            for which in ("first", "second"):
                if one in values:
                    rows[f"{which} LEA, {words}"] = values[one][f"{about}/{which}"]
        level = statistics.median(values[STACKED][f"chance/{about}"])
        panels.append(Dots(title, "accuracy of a probe", rows, level))
    return figures | {"_stacked": draw_dots(panels, note)}


def table(stored: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Medians of all kinds, of windows that see at least half of a part."""
    measures = ("separation", "dci", "mig", "completeness", "probe/orientation", "probe/offset", "probe/shape")
    measures += ("separation/key", "probe/orientation/key", "dead_codes", "reconstruction")
    lines = []
    for one, of in stored["values"].items():
        if "separation" in of:
            numbers = [f"{statistics.median(of[measure]):.3f}" for measure in measures]
            lines.append([one.removeprefix("parts/"), str(statistics.median(of["windows"])), *numbers])
    heads = ["codes", "windows", "separation", "DCI", "MIG", "completeness", "orientation", "offset", "shape"]
    return [*heads, "separation, key alone", "orientation, key alone", "dead codes", "error"], lines


STUDY = Study(
    name="parts",
    title="what codes of windows say of parts",
    document="The question",
    thesis="The thesis ends with the wish for a data set labelled on every level of its hierarchy, and for a measure "
    "of disentanglement. Of windows of `parts` that see at least half of a part: do codes of a LEA tell how that is "
    "turned apart from where it is, by type of autoencoder and window size, against principal components and a random "
    "encoder (separation: DCI disentanglement of these two)? Probes have one hidden layer. Of two "
    "LEAs, 4×4 pixels and 7×7 of their codes, which are 16×16 pixels: does the first know edges, and the second parts?",
    scales=scales_of(_THESIS, _SMALL, _SMOKE),
    series=series,
    collect=collect,
    draw=draw,
    table=table,
    pictures=("", "_stacked"),
)
