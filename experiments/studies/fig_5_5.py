"""Fig. 5.5: LEAs as intelligent pooling, over the size of their windows (section 5.3)."""

from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

WINDOWS, CODES = (2, 4, 8, 16, 32, 64), (1, 10)
SMALL = {"image_size": 32, "limit": 6000, "test_limit": 1000, "epochs": 5, "validate_every": 5, "learning_rate": 1e-3}
SMOKE = {"image_size": 16, "limit": 64, "test_limit": 32, "epochs": 1}
_NAMES = {"pool": "max-pool", "standard": "LEA, standard", "vae": "LEA, VAE"}


def series(scale: Scale) -> list[Series]:
    planned = []
    for code_length in CODES:
        for window_size in scale.options["windows"]:
            shared = {"dataset": "sprites", "window_size": window_size, "code_length": code_length, "epochs": 100}
            for kind in _NAMES:
                fields = shared if kind == "pool" else shared | {"autoencoder": kind}
                config = configuration("pool_fc" if kind == "pool" else "lea_fc", scale, **fields)
                planned.append(Series(name(kind, code_length, window_size), config, scale.seeds))
    return planned


def name(kind: str, code_length: int, window_size: int) -> str:
    """A max-pool has no code; the thesis counts its runs once for both panels."""
    code = "" if kind == "pool" else f"_code_{code_length}"
    return f"pooling/{kind}{code}_window_{window_size:02}"


def collect(finished: "Finished") -> dict[str, Any]:
    values = {one: finished.last(one, "val_accuracy") for one in finished}
    return {"values": values, "windows": sorted({one.config.window_size for one in finished.series.values()})}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from experiments.studies.pictures import Line, Panel, across
    from experiments.studies.pictures import draw as draw_panels

    windows = stored["windows"]
    panels = []
    for code_length in CODES:
        lines = []
        for kind, label in _NAMES.items():
            of_windows = [stored["values"][name(kind, code_length, size)]["val_accuracy"] for size in windows]
            lines.append(Line(label, windows, across(of_windows)))
        ticks = [f"{size}×{size}" for size in windows]
        title = f"code length {code_length}"
        panels.append(Panel(title, "window size", "test accuracy", lines, ticks))
    return draw_panels(panels, stored["differences"])


STUDY = Study(
    name="5.5",
    title="LEAs as intelligent pooling: test accuracy over window sizes",
    thesis="Classification accuracy over the window size, a panel for each code length. With a code of one variable "
    "the standard LEA is at least as good as max-pooling everywhere, and the VAE suffers at 2×2; with ten variables "
    "max-pooling loses with every larger window, the LEAs keep most, and the VAE even gains.",
    scales={
        "thesis": Scale(10, options={"windows": WINDOWS}),
        "small": Scale(3, SMALL, {"windows": (2, 4, 8, 16, 32)}),
        "smoke": Scale(1, SMOKE, {"windows": (16,)}),
    },
    series=series,
    collect=collect,
    draw=draw,
)
