"""Flags of ``evaluate.py --disentanglement`` and what they stand for; nothing here imports Keras."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments import extras
from experiments.cli import Flag, chosen_names
from experiments.config import checks

NAME = "disentanglement"
SAMPLES, VALUES = 5000, 8
#: Scores that are measured at every position in no time, and all that can be.
MAPS = ("mig", "modularity", "irs")
OF_MAPS = (*MAPS, "dci", "sap", "factor_vae", "beta_vae", "explicitness")


class Settings(NamedTuple):
    """What is measured of codes.

    Attributes:
        samples: on so many test images at most.
        values: neighbouring values of a factor are put together to so many at most; None: they stay as they are.
        maps: scores that are measured at every position of code maps.
    """

    samples: int = SAMPLES
    values: int | None = VALUES
    maps: tuple[str, ...] = MAPS


FLAGS = (
    Flag(
        NAME,
        "",
        "measure how far codes stand for the factors of sprites, dsprites or parts, of every LEA, instead of losses: "
        "all scores of codes of whole images, of code maps pooled and flattened, and at every position; of runs that "
        "differ in their seeds alone how alike their codes are (UDR), too; about a CPU minute for each LEA and run. On "
        "other data only what needs no labels",
    ),
    Flag("disentanglement_samples", "N", f"on N test images at most [{SAMPLES}]"),
    Flag(
        "disentanglement_values",
        "N",
        f"put neighbouring values of a factor together to N at most, since boosted trees take time for each; all: "
        f"leave them as they are [{VALUES}]",
    ),
    Flag(
        "disentanglement_maps",
        "NAMES",
        f"scores at every position, of {', '.join(OF_MAPS)}, or all [{','.join(MAPS)}]; those that fit something take "
        "long",
    ),
)


def check(given: Mapping[str, Any]) -> Settings:
    """The settings that a command line asks for.

    Raises:
        ValueError: one line, for what cannot be, or if scikit-learn is not installed.
    """
    known = {flag.name for flag in FLAGS} | {"run_dir", "backend", "data_dir", "download", "output_dir"}
    for name in given:
        if name not in known:
            raise checks.fail(name, f"left out with --{NAME}, which measures nothing else", given[name])
    samples = checks.check_positive_int("disentanglement_samples", given.get("disentanglement_samples", SAMPLES), 12)
    values = given.get("disentanglement_values", VALUES)
    values = None if values == "all" else checks.check_positive_int("disentanglement_values", values, 2)
    maps = chosen_names("disentanglement_maps", given.get("disentanglement_maps", ",".join(MAPS)), OF_MAPS)
    extras.check_installed(f"--{NAME}", *extras.SKLEARN)
    return Settings(samples, values, tuple(maps))
