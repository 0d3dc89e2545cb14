"""Flags of ``evaluate.py --attacks=latent``, checked before Keras is imported."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.cli import Flag
from experiments.config import RunConfig, checks
from experiments.runs import RunError

NAME = "latent"
SCALES = ("raw", "standardised")
EPSILON, STEPS = 0.1, 1000  # those of the document
Member = tuple[pathlib.Path, RunConfig]

FLAGS = (
    Flag(
        "judge",
        "FOLDER",
        f"with --attacks={NAME}, which attacks the codes of autoencoders in targeted pairs: a run of a classifier of "
        "the same images, which says what becomes of their reconstructions",
    ),
    Flag("attack_epsilon", "X or none", f"how far it may change a pixel; none: as far as it likes [{EPSILON:g}]"),
    Flag("attack_steps", "N", f"of its optimisation [{STEPS}]"),
    Flag(
        "attack_scale",
        "NAME",
        "raw or standardised: codes are compared as they are, or in units of each variable's standard deviation [raw]",
    ),
)
_OWN = tuple(flag.name for flag in FLAGS)
_SHARED = ("attacks", "baseline", "attack_samples", "attack_seed", "run_dir", "backend", "data_dir", "download")


class Settings(NamedTuple):
    """What autoencoders are attacked with.

    Attributes:
        samples: sources, as many of each class.
        seed: of targets and starts.
        epsilon: of the box; None: there is none.
        steps: of the optimisation.
        scale: of ``SCALES``.
        baseline: as in ``attacking.Settings``.
    """

    samples: int
    seed: int = 0
    epsilon: float | None = EPSILON
    steps: int = STEPS
    scale: str = SCALES[0]
    baseline: str | None = None


def refuse_elsewhere(given: Mapping[str, Any]) -> None:
    """Raises if a flag of this command comes with other attacks, or none of them.

    Raises:
        RunError: one line.
    """
    for name in _OWN:
        if name in given:
            if NAME in str(given.get("attacks", "")).split(","):
                raise checks.fail("attacks", f"{NAME} alone, without others", given["attacks"])
            raise RunError(f"Add --attacks={NAME} to --{name}, which is of no use without it")


def settings(given: Mapping[str, Any], samples: int) -> Settings:
    """Checks the flags.

    Args:
        given: by name.
        samples: how many sources there are if no flag says so.

    Raises:
        ValueError: one line, for a flag that has nothing to do with it, or a value that is not allowed.
        RunError: without a judge.
    """
    for name in given:
        if name not in (*_OWN, *_SHARED, "output_dir"):
            raise checks.fail(name, f"left out with --attacks={NAME}", given[name])
    if "judge" not in given:
        raise RunError(f"Add --judge=FOLDER to --attacks={NAME}: a run of a classifier, which judges reconstructions")
    epsilon = given.get("attack_epsilon", EPSILON)
    if epsilon != "none":
        try:
            epsilon = checks.check_number("attack_epsilon", float(epsilon))
        except ValueError:
            raise checks.fail("attack_epsilon", "a number of at least 0, or none", epsilon) from None
    return Settings(
        checks.check_positive_int("attack_samples", given.get("attack_samples", samples)),
        checks.check_seed(given.get("attack_seed", 0), "attack_seed"),
        None if epsilon == "none" else epsilon,
        checks.check_positive_int("attack_steps", given.get("attack_steps", STEPS)),
        checks.check_choice("attack_scale", given.get("attack_scale", SCALES[0]), SCALES),
        given.get("baseline"),
    )


def check_members(members: Sequence[Member], judges: Sequence[Member], given: Mapping[str, Any]) -> None:
    """Checks that all runs see the same images, and that the judge is one run of a classifier.

    Raises:
        ValueError: one line.
    """
    if len(judges) != 1:
        raise checks.fail("judge", f"one run, not {len(judges)}", given["judge"])
    ((folder, judge),) = judges
    if judge.main_loss is None:
        raise checks.fail("judge", "a run of a classifier", str(folder))
    for path, config in members:
        if (config.dataset, config.image_shape) != (judge.dataset, judge.image_shape):
            theirs, its = (f"{c.dataset} at {c.image_shape[0]}x{c.image_shape[1]}" for c in (config, judge))
            raise checks.fail("judge", f"a run on the images of {path}, {theirs}", f"{folder}, on {its}")
