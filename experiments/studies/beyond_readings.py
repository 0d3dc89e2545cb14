"""The VAEs of Fig. 5.5 under the two other readings of what a VAE hands on, which the thesis does not say."""

from typing import TYPE_CHECKING, Any

from experiments.studies import fig_5_5
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

READINGS = {"sample": "samples", "sample_in_training": "samples in training"}


def series(scale: Scale) -> list[Series]:
    vaes = [one for one in fig_5_5.series(scale) if "/vae_" in one.name]
    return [
        one._replace(name=f"{one.name}_{reading}", config=one.config.replace(code_maps=reading))
        for one in vaes
        for reading in READINGS
    ]


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from experiments.studies.pictures import Line, Panel, across
    from experiments.studies.pictures import draw as draw_panels

    windows = stored["windows"]
    panels = []
    for code_length in fig_5_5.CODES:
        lines = []
        for reading, label in READINGS.items():
            names = [f"{fig_5_5.name('vae', code_length, size)}_{reading}" for size in windows]
            lines.append(Line(label, windows, across([stored["values"][one]["val_accuracy"] for one in names])))
        ticks = [f"{size}×{size}" for size in windows]
        panels.append(Panel(f"code length {code_length}", "window size", "test accuracy", lines, ticks))
    return draw_panels(panels, stored["differences"])


STUDY = Study(
    name="readings",
    title="the VAEs of Fig. 5.5 that hand on samples",
    thesis="Whether the code maps of a VAE are its means or samples the thesis does not say; Fig. 5.5 has the means. "
    "Claims about VAEs are tried under all readings.",
    scales={
        "thesis": Scale(10, options={"windows": fig_5_5.WINDOWS}),
        "small": Scale(3, fig_5_5.SMALL, {"windows": (2, 8, 32)}),
        "smoke": Scale(1, fig_5_5.SMOKE, {"windows": (16,)}),
    },
    series=series,
    collect=fig_5_5.collect,
    draw=draw,
)
