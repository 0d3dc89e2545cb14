"""Fig. 4.1: reconstruction loss as it is and normalised, behind a convolution (section 4.2)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import local
from experiments.studies.base import Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

_LEAS = ("lea_1", "lea_2")  # which of them the thesis shows, it does not say


def collect(finished: "Finished") -> dict[str, Any]:
    columns = [f"{split}{lea}_{measure}" for lea in _LEAS for measure in ("rl", "rln") for split in ("", "val_")]
    return {"values": {local.NAME: finished.epochs(local.NAME, *columns)}}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from experiments.studies.pictures import Line, Panel
    from experiments.studies.pictures import draw as draw_panels

    values = stored["values"][local.NAME]
    panels = []
    for lea in _LEAS:
        lines = []
        for measure in ("rl", "rln"):
            for split in ("", "val_"):
                runs = values[f"{split}{lea}_{measure}"]
                epochs = range(1, len(runs[0]) + 1)
                lines.append(Line(measure.upper(), epochs, runs, dashed=not split, right=measure == "rln"))
        titled = f"{lea} (solid: test, dashed: training)"
        panels.append(Panel(titled, "epoch", "RL", lines, right_label="RLN"))
    # The two LEAs have windows of features of their own.
    return draw_panels(panels, stored["differences"], compared=False)


STUDY = Study(
    name="4.1",
    title="reconstruction loss, raw and normalised",
    thesis="RL and RLN of a LEA behind a convolution, over 20 epochs of dSprites, alternately trained. RL seems to "
    "increase while RLN, in units of the range of the features that grow, decreases.",
    scales=local.SCALES,
    series=local.series,
    collect=collect,
    draw=draw,
)
