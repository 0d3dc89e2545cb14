"""Independent runs that differ in their seeds alone, one after the other in one process."""

import contextlib
import filecmp
import pathlib
from collections.abc import Iterator, Sequence

import keras

from experiments import cli, comparison, compiling, runs, training
from experiments.config import RunConfig
from experiments.runs import DivergedError, RunError
from experiments.startup import many_models
from lea_keras import callbacks

Member = tuple[pathlib.Path, RunConfig]


def train(members: Sequence[Member], pictured: bool = True) -> str:
    """Trains those runs that are not finished, each as if it were alone.

    A run whose loss becomes NaN does not keep the others from being trained; anything else that goes wrong would go
    wrong in all of them and ends the series.

    Args:
        members: folder and configuration of every run, from ``runs.series``.
        pictured: as in ``training.train``.

    Returns:
        The table of medians and ranges over all runs.

    Raises:
        RunError: one line, as from ``training.train``, or at the end if runs diverged.
        OSError: if a folder cannot be written to.
    """
    diverged = []
    for i, (run_dir, config) in enumerate(members):
        if is_finished(run_dir, config):
            continue
        print(f"Run {i + 1} of {len(members)}, seed {config.seed}: {run_dir}{_time_left(members)}", flush=True)
        try:
            train_one(run_dir, config, pictured)
        except DivergedError as error:
            print(error, flush=True)
            diverged.append(str(run_dir))
    failed = RunError(f"{len(diverged)} of {len(members)} runs diverged: {', '.join(diverged)}")
    if len(diverged) == len(members):
        raise failed
    text = _table(members)
    if diverged:
        print(text, flush=True)
        raise failed
    return text


def train_one(run_dir: pathlib.Path, config: RunConfig, pictured: bool = True) -> None:
    """Trains a run, or goes on with it, as if it were alone.

    Args:
        run_dir: of the run.
        config: of the run.
        pictured: as in ``training.train``.

    Raises:
        RunError: one line, as from ``training.train``, or if the folder holds a run of another configuration.
        OSError: if the folder cannot be written to.
    """
    resume = runs.exists(run_dir)
    with nothing_kept(), many_models():
        try:
            with runs.owned(run_dir):
                if resume:
                    runs.check_resumable(run_dir, config)
                else:
                    runs.claim(run_dir, config)
                training.train(config, run_dir, resume, pictured=pictured)
        except ValueError as error:
            raise RunError(str(error)) from None


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Nothing of former models is seen inside, and nothing of the ones made inside is kept: no state and no memory."""
    keras.utils.clear_session(free_memory=False)  # whoever used it has freed what it took
    try:
        with compiling.graphs_let_go():
            yield
    finally:
        keras.utils.clear_session()


def is_finished(run_dir: pathlib.Path, config: RunConfig) -> bool:
    """Whether a run has its last epoch and a whole model of it."""
    if not runs.exists(run_dir) or _epochs_done(run_dir) < config.epochs:
        return False
    last = callbacks.checkpoint_path(run_dir, _epochs_done(run_dir))
    if not last.exists():  # somebody may have kept model.keras alone
        return (run_dir / callbacks.MODEL_FILE).is_file()
    if callbacks.checkpoint_damage(last):
        return False
    model = run_dir / callbacks.MODEL_FILE
    if not model.exists() or not filecmp.cmp(model, last, shallow=False):
        with runs.owned(run_dir):
            callbacks.publish_model(run_dir)  # an interruption came just before that
    return True


def _epochs_done(run_dir: pathlib.Path) -> int:
    return len(_rows(run_dir))


def _rows(run_dir: pathlib.Path) -> list[dict[str, float]]:
    try:
        return callbacks.read_metrics(run_dir)
    except ValueError as error:
        raise RunError(str(error)) from None


def _time_left(members: Sequence[Member]) -> str:
    """ ", about 1:02:03 left", if each epoch that is left takes as long as those that are done; "" if none is."""
    times = [row["seconds"] for run_dir, _ in members for row in _rows(run_dir) if "seconds" in row]
    if not times:
        return ""
    left = sum(max(config.epochs - _epochs_done(run_dir), 0) for run_dir, config in members)
    return f", about {callbacks.clock(left * sum(times) / len(times))} left"


def _table(members: Sequence[Member]) -> str:
    """Medians and ranges over all runs, and where to see more of them."""
    found, notes = comparison.read_runs([run_dir for run_dir, _ in members if runs.exists(run_dir)])
    aggregates, source = comparison.aggregate(comparison.group_runs(found))
    folder = members[0][0].parent
    hint = f"With curves and as files: {cli.command('evaluate.py', f'--compare={folder}')}"
    return "\n".join([comparison.table(aggregates), *notes, source, hint])
