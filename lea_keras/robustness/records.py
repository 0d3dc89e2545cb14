"""Records of attacks, one per attack and sample, and their summaries."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lea_keras.robustness.attacks.semantics import NEAREST


class Record(NamedTuple):
    """What one attack did to one correctly classified sample.

    Attributes:
        attack: its name.
        sample: the index of the image among those given.
        label: its class.
        predicted_before: what the model took it for, which is the label.
        predicted_after: what the model took the attack's result for, clipped to the bounds.
        found: whether that is another class.
        distance: mean squared error between image and adversarial, both scaled by the bounds to [0, 1] (thesis section
            4.6); None if none was found.
        model_calls: images that passed through the model, forward or backward: the sample's share of its batch, since
            an attack runs on whole batches.
        seconds: the same share of the time.
        semantics: whether the attack is ours ("nearest") or that of foolbox 1.8 ("foolbox18").
    """

    attack: str
    sample: int
    label: int
    predicted_before: int
    predicted_after: int
    found: bool
    distance: float | None
    model_calls: float
    seconds: float
    semantics: str = NEAREST


class Summary(NamedTuple):
    """What one attack reached, over all correctly classified samples; None where there is nothing to average.

    Attributes:
        attack: its name.
        samples: how many were attacked.
        success_rate: the share for which an adversarial was found.
        mean_distance: of the successful ones only, so that it does not depend on the success rate (section 4.6).
        median_distance: of the same.
        model_calls: per sample.
        seconds: per sample.
        semantics: of the attack, as in ``Record``.
    """

    attack: str
    samples: int
    success_rate: float | None
    mean_distance: float | None
    median_distance: float | None
    model_calls: float | None
    seconds: float | None
    semantics: str = NEAREST


def summarize(attack: str, records: Iterable[Record], semantics: str = NEAREST) -> Summary:
    """Sums up those of the records that are of one attack, and of one kind of it."""
    of_attack = [record for record in records if (record.attack, record.semantics) == (attack, semantics)]
    distances = [record.distance for record in of_attack if record.found and record.distance is not None]
    return Summary(
        attack,
        len(of_attack),
        _mean([record.found for record in of_attack]),
        _mean(distances),
        float(np.median(distances)) if distances else None,
        _mean([record.model_calls for record in of_attack]),
        _mean([record.seconds for record in of_attack]),
        semantics,
    )


def to_rows(items: Iterable[Record | Summary]) -> list[dict[str, Any]]:
    """Returns records or summaries as plain dictionaries, for a table, CSV or JSON; ``Record(**row)`` is the way
    back."""
    return [item._asdict() for item in items]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(np.asarray(values, np.float64))) if values else None
