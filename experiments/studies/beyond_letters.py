"""One image turned into another of its class, with four targets, and codes that are optimised alone."""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration, scales_of

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

NAME = "letters/targets"
#: By the name under which it is measured, what is drawn.
DRAWN = {
    "classifier": "classifier",
    "random": "random image",
    "representative": "representative",
    "mean": "mean image",
    "codes": "optimised codes",
}
_ROWS = {"input": "input", "real": "real image", **DRAWN}
_THESIS = {
    "source": "mnist",
    "target": "fashion_mnist",
    "image_size": None,
    "limit": None,
    "test_limit": None,
    "filters": (32, 64),
    "code_length": 512,
    "epochs": 50,
    "learning_rate": 1e-3,
    "batch_size": 64,
    "judge_filters": (32, 64),
    "judge_epochs": 10,
    "code_steps": 2000,
}
_SMALL = {
    "limit": 4000,
    "test_limit": 1000,
    "filters": (8, 16),
    "code_length": 128,
    "epochs": 8,
    "judge_filters": (16, 32),
    "code_steps": 500,
}
_SMOKE = {
    "source": "sprites",
    "target": "sprites",
    "image_size": 16,
    "limit": 32,
    "test_limit": 16,
    "filters": (2, 2),
    "code_length": 4,
    "epochs": 1,
    "batch_size": 32,
    "judge_filters": (2, 2),
    "judge_epochs": 1,
    "code_steps": 2,
}


def series(scale: Scale) -> list[Series]:
    """All targets of a seed in one run, since what they draw is held against each other."""
    return [Series(NAME, configuration("classic", scale), scale.seeds, {"letters": scale.options}, trained=False)]


def collect(finished: "Finished") -> dict[str, Any]:
    of_runs = finished.stored(NAME, "letters.json")
    measured = {measure: [run[measure] for run in of_runs] for measure in of_runs[0]}
    return {"values": {NAME: {"seeds": finished.seeds(NAME), **measured}}}


def table(stored: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    values = stored["values"][NAME]
    lines = []
    for target, text in {"real": "real test images", **DRAWN}.items():
        found = [values.get(f"{measure}/{target}") for measure in ("accuracy", "error", "alike", "nearest")]
        lines.append([text, *("" if runs is None else f"{statistics.median(runs):.3f}" for runs in found)])
    heads = ["trained on", "accuracy of the judge", "squared distance to the class mean", "to their own mean"]
    return [*heads, "nearest real image"], lines


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    import numpy as np

    from lea_keras.plots.grid import Block, Cell
    from lea_keras.plots.grid import draw as draw_blocks

    shown = finished.arrays(NAME, "letters.npz")
    rows = []
    for name in _ROWS:
        pictures = np.squeeze(shown[name], -1) if shown[name].shape[-1] == 1 else np.clip(shown[name], 0, 1)
        rows.append([Cell(picture, (0.0, 1.0)) for picture in pictures])
    for number, cell in enumerate(rows[0]):
        rows[0][number] = cell._replace(heading=f"class {number}")
    title = "What is drawn of test images, by target; values outside 0 … 1 are black or white"
    return draw_blocks([Block(title, rows, list(_ROWS.values()), side=0.7, gap=0.06, note=stored["differences"])])


STUDY = Study(
    name="letters",
    title="an image turned into another of its class, with four targets",
    document="The assignment",
    thesis="Exercise 2: an encoder-decoder turns Cyrillic letters into Latin ones. Judged by a classifier it reaches "
    "97 % and draws what nobody can read; a random image of the class works, and what is drawn for a class is alike; "
    "one image for all of a class is classification; their mean is called senseless. Then codes alone are optimised. "
    "Its letters are not public: here digits become garments of the same number. Squared distances are in units of "
    "the spread of a class, the mean of its images to their mean; the nearest image of the class is told over that of "
    "real test images.",
    scales=scales_of(_THESIS, _SMALL, _SMOKE),
    series=series,
    collect=collect,
    table=table,
    draw=draw,
)
