"""Fig. 4.2: classification accuracy and loss of the alternate CNN-LEA (section 4.3)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import local
from experiments.studies.base import Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished


def collect(finished: "Finished") -> dict[str, Any]:
    columns = ("accuracy", "val_accuracy", "main_loss", "val_main_loss")
    return {"values": {local.NAME: finished.epochs(local.NAME, *columns)}}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from experiments.studies.pictures import Line, Panel
    from experiments.studies.pictures import draw as draw_panels

    values = stored["values"][local.NAME]
    panels = []
    for split, title in (("val_", "test"), ("", "training")):
        lines = []
        for measure, label in (("accuracy", "accuracy"), ("main_loss", "log loss")):
            runs = values[split + measure]
            lines.append(Line(label, range(1, len(runs[0]) + 1), runs, right=measure == "main_loss"))
        panels.append(Panel(title, "epoch", "accuracy", lines, right_label="log loss (Eq. 2.21)"))
    return draw_panels(panels, stored["differences"])


STUDY = Study(
    name="4.2",
    title="accuracy and loss of the classification",
    thesis="Median accuracy and loss of the shape classification on dSprites over the same 20 epochs.",
    scales=local.SCALES,
    series=local.series,
    collect=collect,
    draw=draw,
)
