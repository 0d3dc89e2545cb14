"""Run folders before training: one process owns each, a new one is claimed, an existing one resumed, none overwritten.

Nothing here imports Keras, so that a folder that cannot be used is refused at once.
"""

import contextlib
import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

from experiments.config import CONFIGS, RunConfig, checks, locks

CONFIG_FILE = "config.json"
# A folder that holds nothing but this, or a lock file, was claimed by a run that never started, and is free.
_CLAIM = f"{CONFIG_FILE}.tmp"
# A run may go on for longer, find its data elsewhere, and compute with another backend.
CHANGEABLE = ("epochs", "data_dir", "download", "backend")


class RunError(Exception):
    """A run that cannot start or go on; one line says why."""


class DivergedError(RunError):
    """A run whose loss became NaN; another seed of it may do better."""


def new_config(given: dict[str, Any]) -> RunConfig:
    """The named configuration of a model, with the fields that the user gave.

    Raises:
        ValueError: one line, if a field cannot be what it is.
    """
    model = checks.check_choice("model", given.get("model", RunConfig.model), CONFIGS)
    return CONFIGS[model].replace(**given)


def default_run_dir(config: RunConfig) -> pathlib.Path:
    """``runs/<model>_<dataset>_<seed>``."""
    return pathlib.Path("runs") / f"{config.model}_{config.dataset}_{config.seed}"


def default_series_dir(config: RunConfig) -> pathlib.Path:
    """``runs/<model>_<dataset>``, for runs with several seeds."""
    return pathlib.Path("runs") / f"{config.model}_{config.dataset}"


def series(folder: pathlib.Path, config: RunConfig, count: int) -> list[tuple[pathlib.Path, RunConfig]]:
    """Plans runs that differ in their seeds alone, each in a folder numbered by its seed: ``<folder>/003`` for seed 3.

    So more of them may be added later, after or before the ones that are there. Nothing is written.

    Args:
        folder: of all of them.
        config: of the first.
        count: how many.

    Returns:
        Folder and configuration of every run, in the order of the seeds. A folder that ``exists`` holds a run of this
        configuration, with as many epochs or fewer; any other is new or free.

    Raises:
        ValueError: one line, for a count that is not positive, a seed out of range, a run of another configuration, or
            a numbered folder that holds something else. All runs have one backend, since they are compared.
        OSError: if a folder cannot be read.
    """
    count = checks.check_positive_int("runs", count)
    if exists(folder):
        hint = "Choose another --run_dir, or leave out --runs."
        raise checks.fail("run_dir", "a folder for several runs; this one is a run itself", str(folder), hint)
    config.replace(seed=config.seed + count - 1)
    members = []
    for seed in range(config.seed, config.seed + count):
        member = (folder / f"{seed:03}", config.replace(seed=seed))
        _check_member(*member)
        members.append(member)
    return members


def _check_member(run_dir: pathlib.Path, config: RunConfig) -> None:
    if exists(run_dir):
        stored = load_config(run_dir)
        if stored.backend != config.backend:
            allowed = f"{stored.backend!r}, that of the run in {run_dir}, since all runs of a series have one backend"
            raise checks.fail("backend", allowed, config.backend)
        try:
            check_resumable(run_dir, config)
        except ValueError as error:
            raise ValueError(f"{run_dir} holds a run of another configuration. {error}") from None
    elif not _is_free(run_dir):
        raise ValueError(f"{run_dir} holds something that is no run; move it away, or choose another --run_dir")


def find_runs(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folder itself if it is a run, else all runs below it, however deep, in the order of their paths.

    Folders whose names begin with a dot are not looked into, and no folder twice, whatever links lead to it.

    Raises:
        OSError: if a folder cannot be read.
    """
    return [folder] if exists(folder) else _find_below(folder, {folder.resolve()})


def _find_below(folder: pathlib.Path, seen: set[pathlib.Path]) -> list[pathlib.Path]:
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if path.resolve() not in seen:
            seen.add(path.resolve())
            found += ([path] if exists(path) else []) + _find_below(path, seen)
    return found


@contextlib.contextmanager
def owned(run_dir: pathlib.Path) -> Iterator[None]:
    """Inside, this process alone writes to a run folder, which is made if need be.

    What was claimed in it and not confirmed is given up afterwards, and the folder with it if it is empty, so that the
    corrected command may use it.

    Raises:
        BlockingIOError: if another process does; it says who.
        OSError: if the folder cannot be made or written to.
    """
    try:
        with locks.Lock(run_dir) as lock:
            if lock.missing:
                print(lock.missing, file=sys.stderr, flush=True)
            try:
                yield
            finally:
                (run_dir / _CLAIM).unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):  # not empty, or not there: either way it is not ours
            run_dir.rmdir()


def claim(run_dir: pathlib.Path, config: RunConfig) -> None:
    """Writes the configuration of a new run to its folder, which this process owns, not yet under its name.

    Raises:
        ValueError: one line, if something is there already.
        OSError: if it cannot be written to.
    """
    if not _is_free(run_dir):
        hint = "Add --resume to continue the run in it, or choose another --run_dir."
        raise checks.fail("run_dir", "a new or empty folder, since no run is ever overwritten", str(run_dir), hint)
    (run_dir / _CLAIM).write_text(config.to_json(), encoding="utf-8")


def _is_free(run_dir: pathlib.Path) -> bool:
    return not run_dir.is_dir() or all(path.name in (_CLAIM, locks.LOCK_FILE) for path in run_dir.iterdir())


def confirm(run_dir: pathlib.Path) -> None:
    """Makes a claimed folder a run, once data and model have turned out to be there."""
    os.replace(run_dir / _CLAIM, run_dir / CONFIG_FILE)


def exists(run_dir: pathlib.Path) -> bool:
    """Whether the folder holds a run."""
    return (run_dir / CONFIG_FILE).is_file()


def load_config(run_dir: pathlib.Path) -> RunConfig:
    """The configuration of an existing run.

    Raises:
        ValueError: one line, if there is no run or its configuration is damaged.
    """
    path = run_dir / CONFIG_FILE
    if not exists(run_dir):
        raise checks.fail("run_dir", f"the folder of a run, with its {CONFIG_FILE}", str(run_dir))
    try:
        return RunConfig.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def resumed_config(run_dir: pathlib.Path, given: dict[str, Any]) -> RunConfig:
    """The configuration of an existing run, with what the user gave, which must not contradict it.

    Args:
        run_dir: the run's folder.
        given: fields given again; those that are ``CHANGEABLE`` may be different, ``epochs`` only higher.

    Raises:
        ValueError: one line, if there is no run to resume or a field contradicts it.
    """
    stored = load_config(run_dir)
    config = stored.replace(**given)
    for name in given:
        before, now = getattr(stored, name), getattr(config, name)
        if name == "epochs" and now < before:
            raise checks.fail(name, f"at least {before}, the epochs of the run that is resumed", now)
        if name not in CHANGEABLE and now != before:
            raise checks.fail(name, f"{before!r}, as in the run that is resumed, or left out", now)
    return config


def check_resumable(run_dir: pathlib.Path, config: RunConfig) -> None:
    """Raises one line if the run in a folder cannot go on as a whole configuration says.

    Raises:
        ValueError: as from ``resumed_config``.
    """
    resumed_config(run_dir, {field.name: getattr(config, field.name) for field in dataclasses.fields(config)})
