"""The flags of ``evaluate.py --certify``, and what it does with them; nothing here imports Keras."""

from collections.abc import Mapping
from typing import Any

from experiments.cli import Flag
from experiments.config import checks

FLAGS = (
    Flag(
        "certify",
        "X",
        "certify the runs, instead of measuring them, which takes minutes: the error on --attack_samples test images "
        "[100] under any change of pixels by X at most, from 0 to 1, beside that under Gradient Sign and projected "
        "gradient descent; and of each image the largest change that is certified, beside the smallest that fools, by "
        "--attacks [gradient_sign,projected_gradient_descent]",
    ),
)
_KNOWN = {"certify", "attacks", "attack_samples", "attack_seed", "run_dir", "backend", "data_dir", "download"}


def settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``certifying.Settings``.

    Raises:
        ValueError: one line, for flags that are not what they must be, or of no use here.
    """
    for name in given:
        if name not in _KNOWN | {"output_dir"}:
            raise checks.fail(name, "left out with --certify, which measures nothing else", given[name])
    settings: dict[str, Any] = {"epsilon": checks.check_number("certify", given["certify"], 0.0, 1.0)}
    settings["samples"] = checks.check_positive_int("attack_samples", given.get("attack_samples", 100))
    settings["seed"] = checks.check_seed(given.get("attack_seed", 0), "attack_seed")
    return settings | {name: given[name] for name in ("attacks",) if name in given}
