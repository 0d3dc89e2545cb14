"""Fig. 4.5: what attacks do to Classic (section 4.6)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import robustness
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished


def series(scale: Scale) -> list[Series]:
    return [robustness.classic(scale)]


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from lea_keras.plots import robustness_plot

    return robustness_plot.heatmap(robustness.summaries(stored), colours="linear")


STUDY = Study(
    name="4.5",
    title="attacks on Classic",
    thesis="One row of thirteen attacks on Classic: the colour is the mean squared distance of successful "
    "adversarials, darker for larger ones, the circle their share. SLSQP overshadows all others.",
    scales=robustness.SCALES,
    series=series,
    collect=robustness.collect,
    draw=draw,
)
