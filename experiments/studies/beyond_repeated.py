"""Fig. 5.6 once more, with epochs of full length however few the samples are: the other reading of section 5.4."""

from typing import TYPE_CHECKING, Any

from experiments.studies import samples
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished


def series(scale: Scale) -> list[Series]:
    return samples.series(scale, scale.options["steps"])


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    return samples.draw(stored, steps=1)


STUDY = Study(
    name="repeated",
    title="sample complexity with epochs of full length",
    thesis="Fig. 5.6 again: with 10 samples an epoch of one pass is a single step, so that 20 epochs hardly train. "
    "If an epoch kept its number of steps instead, the few samples were repeated.",
    scales={
        "thesis": Scale(10, options={"limits": (10, 500), "steps": 938}),
        "small": Scale(3, samples.CNN | {"test_limit": 500}, {"limits": (10, 500), "steps": 20}),
        "smoke": Scale(1, samples.SMOKE, {"limits": (10,), "steps": 2}),
    },
    series=series,
    collect=samples.collect,
    draw=draw,
)
