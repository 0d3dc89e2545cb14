"""Fig. 5.8: the weight of the reconstruction objective in joint training (section 5.6)."""

import statistics
from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

WEIGHTS = (1e2, 1e1, 1.0, 1e-1, 1e-2, 1e-3, 1e-4)
_COLUMNS = ("main_loss", "val_main_loss", "lea_rl", "val_lea_rl", "val_lea_rln", "val_accuracy")
_SMALL = {
    "limit": 4000, "test_limit": 500, "epochs": 10, "capacity_epochs": 10, "learning_rate": 1e-3
}  # fmt: skip


def series(scale: Scale) -> list[Series]:
    planned = []
    for weight in scale.options["weights"]:
        fields = {"dataset": "cifar10", "autoencoder": "capacity_vae", "gamma": 10.0, "capacity": 25.0}
        fields |= {"code_length": 10, "epochs": 200, "lea_weight": weight, "capacity_epochs": 25}
        config = configuration("lea_only", scale, **fields)
        planned.append(Series(name(weight), config, scale.seeds))
    return planned


def name(weight: float) -> str:
    """Of the runs."""
    return f"weights/{weight:g}"


def collect(finished: "Finished") -> dict[str, Any]:
    """All epochs, and the one at which the median test loss of all runs is least: one epoch for all weights."""
    values = {one: finished.epochs(one, *_COLUMNS) for one in finished}
    courses = [run for of_weight in values.values() for run in of_weight["val_main_loss"]]
    medians = [statistics.median(at_epoch) for at_epoch in zip(*courses, strict=True)]
    best = medians.index(min(medians)) + 1
    return {"values": {one: at(of_weight, best) for one, of_weight in values.items()}, "epoch": best}


def at(values: dict[str, Any], epoch: int) -> dict[str, Any]:
    """Values at an epoch, the first being 1."""
    chosen = {column: [run[epoch - 1] for run in values[column]] for column in _COLUMNS}
    return {"seeds": values["seeds"], **chosen}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from experiments.studies.pictures import Line, Panel, across
    from experiments.studies.pictures import draw as draw_panels

    weights = sorted(float(one.partition("/")[2]) for one in stored["values"])
    lines = []
    for column, label in (("main_loss", "log loss"), ("lea_rl", "RL")):
        for split in ("val_", ""):
            runs = across([stored["values"][name(weight)][split + column] for weight in weights])
            lines.append(Line(label, weights, runs, dashed=not split, right=column == "lea_rl"))
    ticks = [f"{weight:g}" for weight in weights]
    title = f"epoch {stored['epoch']}; solid: test, dashed: training"
    panel = Panel(title, "LEA weight λ", "log loss (Eq. 2.21)", lines, ticks, right_label="reconstruction loss (RL)")
    return draw_panels([panel], stored["differences"])


STUDY = Study(
    name="5.8",
    title="the weight of the LEA",
    thesis="Classification loss (left) and reconstruction loss (right) of LEA-only on CIFAR-10, jointly trained, over "
    "λ from 1e-4 to 1e2, at epoch 19, where the test loss is least. RL falls with λ up to 0.1, the class loss rises "
    "with λ, and 0.1 is the best of both, with less overfitting.",
    scales={
        "thesis": Scale(10, options={"weights": WEIGHTS}),
        "small": Scale(3, _SMALL, {"weights": WEIGHTS}),
        "smoke": Scale(
            1, {"limit": 128, "test_limit": 32, "epochs": 1, "capacity_epochs": 1}, {"weights": (1e2, 1e-1)}
        ),
    },
    series=series,
    collect=collect,
    draw=draw,
)
