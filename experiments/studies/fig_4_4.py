"""Fig. 4.4: code maps of the first LEA of the alternate CNN-LEA (section 4.5)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import local
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

_IMAGES = 4


def series(scale: Scale) -> list[Series]:
    return local.series(scale)


def collect(finished: "Finished") -> dict[str, Any]:
    return {"values": {local.NAME: finished.last(local.NAME, "val_lea_1_rln", "val_lea_1_kl")}}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    import lea_keras

    images, _ = lea_keras.data.take(finished.data(local.NAME), _IMAGES)
    with finished.model(local.NAME) as model:
        first = lea_keras.inspect(model, images)[0]
        return lea_keras.plots.code_maps(first, max_images=_IMAGES)


STUDY = Study(
    name="4.4",
    title="code maps of the first LEA",
    thesis="An image and the five code maps of the first LEA of a CNN on dSprites; every code shows a pattern of its "
    "own. Images come from a single run.",
    scales={name: scale._replace(seeds=1) for name, scale in local.SCALES.items()},
    series=series,
    collect=collect,
    draw=draw,
)
