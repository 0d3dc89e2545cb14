"""Units of work: a run and what is measured of it, with a note in its folder once all is done.

Nothing here imports Keras: thousands of units are looked through in seconds.
"""

import contextlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.config import RunConfig

DONE_FILE = "done.json"
_FAILED = "failed: "


class Unit(NamedTuple):
    """A run to be trained and measured.

    Attributes:
        folder: of the run.
        config: of the run.
        measures: what is measured once it is trained, as ``engines.measures`` takes it.
        trained: whether there is a run at all; without, measures make all they need, from seed, backend and folder of
            the data in ``config`` and from their options.
        pictured: whether what LEAs make is drawn while the run is trained, as ``training.train`` does it.
        eager: whether all is done without tracing, which takes longer than a few steps do, where the backend can.
    """

    folder: pathlib.Path
    config: RunConfig
    measures: Mapping[str, Mapping[str, Any]] = {}
    trained: bool = True
    pictured: bool = False
    eager: bool = False


class Outcome(NamedTuple):
    """What became of a unit.

    Attributes:
        diverged: in one line, why the run is of no use; empty if it is.
        seconds: that it took, training and measurements together; of sessions before the last one, that were
            interrupted, nothing is known.
    """

    diverged: str
    seconds: float


def read_outcome(unit: Unit) -> Outcome | None:
    """What became of a unit; None while there is anything left to do."""
    try:
        done = json.loads((unit.folder / DONE_FILE).read_text(encoding="utf-8"))
        outcome = Outcome(str(done["diverged"]), float(done["seconds"]))
        enough = outcome.diverged or not unit.trained or done["epochs"] >= unit.config.epochs
        measured = all(done["measures"].get(name) == _plain(options) for name, options in unit.measures.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if outcome.diverged:
        return outcome
    has_model = not unit.trained or (unit.folder / "model.keras").is_file()
    return outcome if enough and measured and has_model else None


def write_outcome(unit: Unit, outcome: Outcome) -> None:
    """Notes that nothing is left to do."""
    measures = {name: _plain(options) for name, options in unit.measures.items()}
    about = {"epochs": unit.config.epochs, "measures": measures}
    temporary = unit.folder / f"{DONE_FILE}.tmp"
    temporary.write_text(json.dumps(outcome._asdict() | about, indent=2) + "\n", encoding="utf-8")
    temporary.replace(unit.folder / DONE_FILE)


def failure(unit: Unit, reason: str) -> str:
    """The line in which a process says that a unit cannot be made."""
    return f"{_FAILED}{unit.folder}: {reason}"


def read_failures(log: pathlib.Path) -> dict[str, str]:
    """Why units could not be made, by folder, from what processes printed; nothing where that cannot be read."""
    found = {}
    with contextlib.suppress(OSError):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(_FAILED):
                folder, _, reason = line.removeprefix(_FAILED).partition(": ")
                found[folder] = reason
    return found


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON brings them back."""
    return json.loads(json.dumps(dict(options)))


def to_json(units: Sequence[Unit]) -> str:
    """Units as text, for another process."""
    return json.dumps(
        [unit._asdict() | {"folder": str(unit.folder), "config": json.loads(unit.config.to_json())} for unit in units]
    )


def from_json(text: str) -> list[Unit]:
    """Reads what ``to_json`` wrote."""
    return [
        Unit(**one | {"folder": pathlib.Path(one["folder"]), "config": RunConfig.from_json(json.dumps(one["config"]))})
        for one in json.loads(text)
    ]
