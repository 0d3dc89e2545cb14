"""Fig. 3.3: what ten autoencoders make of the same images (section 3.3.3)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.studies import autoencoders
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

_PANELS = (
    ("standard", "fc"),
    ("standard", "conv"),
    ("k_sparse", "fc"),
    ("k_sparse", "conv"),
    ("vae", "fc"),
    ("vae", "conv"),
    ("vae", "sb"),
    ("capacity_vae", "fc"),
    ("capacity_vae", "conv"),
    ("capacity_vae", "sb"),
)
# Those that Figs. 3.4 and 3.5 train as well: every type, and every pair of coders.
_SHARED = tuple((kind, coders) for kind, coders in _PANELS if coders == "fc" or kind == "vae")
_CHOSEN = {len(panels): panels for panels in (_PANELS, _SHARED)}
_IMAGES = 8  # the first of the test data (chosen)


def series(scale: Scale) -> list[Series]:
    return [autoencoders.series(kind, coders, scale) for kind, coders in _CHOSEN[scale.options["panels"]]]


def collect(finished: "Finished") -> dict[str, Any]:
    return {"values": {name: finished.last(name, "val_lea_rl", "val_lea_rln") for name in finished}}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    import lea_keras
    from lea_keras.plots.grid import Block, Cell
    from lea_keras.plots.grid import draw as draw_blocks

    panels = [panel for panel in _PANELS if autoencoders.name(*panel) in stored["values"]]
    names = [autoencoders.name(*panel) for panel in panels]
    images, _ = lea_keras.data.take(finished.data(names[0]), _IMAGES)
    rows = [images]
    for name in names:
        with finished.model(name) as model:
            rows.append(lea_keras.inspect(model, images)[0].reconstructions)
    labels = ["images"]
    for (kind, coders), name in zip(panels, names, strict=True):
        labels.append(f"{kind}, {coders}: RL {stored['values'][name]['val_lea_rl'][0]:.1f}")
    cells = [[Cell(np.squeeze(image, -1), (0.0, 1.0)) for image in row] for row in rows]
    return draw_blocks(
        [Block("Test images and their reconstructions", cells, labels, side=0.75, gap=0.06, note=stored["differences"])]
    )


STUDY = Study(
    name="3.3",
    title="reconstructions of Fashion-MNIST by ten autoencoders",
    thesis="Eleven panels, the images and what ten autoencoders make of them, one run each. All reconstruct; standard "
    "ones are sharper but have artifacts, k-sparse ones are bad at times, VAEs are blurrier and lose fine details.",
    scales={
        "thesis": Scale(1, options={"panels": len(_PANELS)}),
        "small": Scale(1, autoencoders.SMALL, {"panels": len(_PANELS)}),
        "smoke": Scale(1, autoencoders.SMOKE, {"panels": len(_SHARED)}),
    },
    series=series,
    collect=collect,
    draw=draw,
)
