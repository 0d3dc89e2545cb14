"""Fig. 5.6: learning from few samples (section 5.4)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import samples
from experiments.studies.base import Scale, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    return samples.draw(stored)


STUDY = Study(
    name="5.6",
    title="sample complexity",
    thesis="Classification loss over 20 epochs with 10, 500, 5,000 and 50,000 samples of dSprites, Classic against "
    "CNN-LEA, training and test. With 10 and 500, Classic's loss rises while its accuracy stays, the LEA's does not; "
    "Classic converges faster, and both end alike.",
    scales={
        "thesis": Scale(10, options={"limits": (10, 500, 5000, 50_000)}),
        "small": Scale(3, samples.CNN | {"test_limit": 500}, {"limits": (10, 500, 2000)}),
        "smoke": Scale(1, samples.SMOKE, {"limits": (10,)}),
    },
    series=samples.series,
    collect=samples.collect,
    draw=draw,
)
