"""Fig. 5.7: attacks on CNN-LEAs against Classic, with Fig. A.1, the same as it is (section 5.5, appendix A.2)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import robustness
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished


def series(scale: Scale) -> list[Series]:
    return [robustness.classic(scale), *robustness.leas(scale)]


def draw(stored: dict[str, Any], finished: "Finished") -> dict[str, Any]:
    from lea_keras.plots import robustness_plot

    rows = robustness.summaries(stored)
    drawn = [f"{kind}_{coders}" for kind, coders in robustness.ROWS]
    shown = {name: rows[name] for name in ("classic", *drawn) if name in rows}
    return {
        "": robustness_plot.heatmap(shown, baseline="classic"),
        "_raw": robustness_plot.heatmap(rows, colours="linear"),
    }


STUDY = Study(
    name="5.7",
    title="attacks on CNN-LEAs, standardised on Classic; Fig. A.1: as they are",
    thesis="Seven CNN-LEAs against thirteen attacks, in standard deviations about Classic: colour the distance, blue "
    "for larger, circle the success rate. ADef, Deep Fool and SLSQP succeed more often, Single Pixel less for "
    "standard and capacity VAE; otherwise no pattern. Fig. A.1 has the same without standardisation.",
    scales=robustness.SCALES,
    series=series,
    collect=robustness.collect,
    draw=draw,
    pictures=("", "_raw"),
)
