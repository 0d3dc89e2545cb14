"""Table 3.1: parameters of autoencoders on whole images and on windows (section 3.3.1)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.studies.base import Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished


def collect(finished: "Finished") -> dict[str, Any]:
    from experiments import parameters

    counts = {f"{row.autoencoder}_{row.coders}": row for row in parameters.count()}
    values = {name: {"whole_image": [row.whole_image], "window": [row.window]} for name, row in counts.items()}
    return {"values": values}


def table(stored: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    lines = []
    for name, counts in stored["values"].items():
        kind, _, coders = name.rpartition("_")
        (whole,), (window,) = counts["whole_image"], counts["window"]
        lines.append([kind, coders, f"{whole:,}", f"{window:,}", f"{1 - window / whole:.2%}"])
    return ["autoencoder", "coders", "28×28×1", "4×4×32", "reduction"], lines


STUDY = Study(
    name="T3.1",
    title="parameters on whole images and on windows",
    thesis="sb 52,053 and 42,196 (VAE), 51,723 and 41,866 (standard); fc 2,509,604 and 1,081,876, 2,493,914 "
    "and 1,071,626; conv 25,776,516 and 301,716, 25,776,186 and 301,386 parameters: windows need up to 98.83 % fewer.",
    collect=collect,
    table=table,
    pictures=(),
)
