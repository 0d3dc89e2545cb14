"""Fig. 4.6: images of the data sets (section 4.8)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.studies import datasets
from experiments.studies.base import Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

_IMAGES = 4


def collect(finished: "Finished") -> dict[str, Any]:
    images, notes = datasets.load(finished, _IMAGES)
    return {"values": {name: {"mean": [float(np.mean(found))]} for name, found in images.items()}, "notes": notes}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from lea_keras.plots.grid import Block, Cell
    from lea_keras.plots.grid import draw as draw_blocks

    images, _ = datasets.load(finished, _IMAGES)
    rows = [[Cell(np.squeeze(one, -1) if one.shape[-1] == 1 else one, (0.0, 1.0)) for one in images[n]] for n in images]
    return draw_blocks([Block("The first test images of each data set", rows, list(images))])


STUDY = Study(
    name="4.6",
    title="the data sets",
    thesis="Four images each of MNIST, Fashion-MNIST, dSprites (here: sprites) and CIFAR-10.",
    collect=collect,
    draw=draw,
)
