"""Trains a reference model and stores what it learned in a run folder; ``python train.py --help`` lists the flags."""

import contextlib
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from experiments import backends, cli, jobs, runs
from experiments.cli import Flag
from experiments.config import CONFIGS, RunConfig, joined
from experiments.runs import RunError
from experiments.startup import quiet_import

INTRODUCTION = """\
usage: python train.py [--flag=value ...]

Trains a model with locally embedded autoencoders and writes configuration, model, metrics, TensorBoard logs and a
picture of the code maps to a run folder. Without flags: lea_fc on sprites, in less than two minutes on two cores.
"""


GROUPS: dict[str, tuple[Flag, ...]] = {
    **cli.hyperparameters(),
    "Devices": (
        Flag(
            "distribution",
            "NAME",
            f"{' or '.join(jobs.DISTRIBUTIONS)}: each batch is divided among all devices of this host, and of the "
            "others with the three flags below; needs --backend=jax",
            "one device",
        ),
        Flag("coordinator", "HOST:PORT", "where process 0 is; start the same command once per process"),
        Flag("processes", "N", "how many processes train together"),
        Flag("process", "N", "which of them this is, from 0; process 0 alone writes and shows progress"),
    ),
    "Run": (
        Flag("run_dir", "FOLDER", "folder of the run, never overwritten [runs/<model>_<dataset>_<seed>]"),
        Flag("resume", "", "continue an interrupted run after its last finished epoch; --epochs may be raised"),
        Flag(
            "runs",
            "N",
            "train N runs with the seeds --seed, --seed + 1, … in folders of --run_dir [runs/<model>_<dataset>] that "
            "are numbered by seed; the same command goes on after an interruption and skips what is finished",
        ),
        Flag(
            "pictures",
            "",
            "draw what LEAs make of a few test images, about five times for TensorBoard and as codes.png; "
            "--nopictures: do not, which saves seconds in every run [--pictures]",
        ),
    ),
}


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """Returns the flags that were given, converted but not checked."""
    return cli.parse(argv, GROUPS)


def help_text() -> str:
    """The flags by group, defaults in brackets."""
    return cli.help_text(INTRODUCTION, GROUPS, _default)


def _default(flag: Flag) -> str:
    """ " [8; 2 for classic; …]": the default of the default model, and those of the models that differ."""
    if flag.name not in RunConfig.__dataclass_fields__:
        return ""

    def show(config: RunConfig) -> str:
        value = getattr(config, flag.name)
        if isinstance(value, tuple):
            return joined(value)
        return flag.none if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    shown = {name: show(config) for name, config in CONFIGS.items()}
    usual = shown[RunConfig.model]
    if usual == "False":
        return ""
    if flag.name == "model":
        return f" [{usual}]"
    others = [value for value in dict.fromkeys(shown.values()) if value != usual]
    exceptions = [f"; {', '.join(name for name in shown if shown[name] == value)}: {value}" for value in others]
    return f" [{usual}{''.join(exceptions)}]"


def run(argv: Sequence[str]) -> str:
    """Trains what the command line says and returns the table of results.

    Raises:
        RunError: one line, for everything that a user can get wrong.
    """
    given = parse(argv)
    resume, pictured = given.pop("resume", False), given.pop("pictures", True)
    run_dir = given.pop("run_dir", None)
    count = given.pop("runs", None)
    devices = {name: given.pop(name) for name in jobs.FLAGS if name in given}
    if count is not None:
        return _run_series(argv, given, devices, run_dir, count, resume, pictured)
    try:
        if not resume:
            given = _with_backend(given)
        config = None if resume and run_dir else runs.new_config(given)
        run_dir = pathlib.Path(run_dir) if run_dir else runs.default_run_dir(config)
        if resume:
            config = runs.resumed_config(run_dir, given)
        job = jobs.from_flags(devices, config.backend)
        backends.use(config.backend)
    except ValueError as error:
        raise RunError(str(error)) from None
    except OSError as error:
        raise _unusable(run_dir, error) from None
    again = [f"--run_dir={run_dir}", "--resume", *([] if pictured else ["--nopictures"])]
    if job is None:
        return _train(config, run_dir, resume, None, again, pictured)
    # Looking for devices would come too early for JAX.
    distribution = quiet_import("experiments.distribution", look_for_devices=False)
    again += [f"--{name}={value}" for name, value in devices.items()]
    command = cli.command("train.py", *again)
    watch = distribution.join(job, f"Continue with --resume in every process, here: {command}")
    if watch is None:
        return _train(config, run_dir, resume, job, again)
    try:
        text = _train(config, run_dir, resume, job, again, pictured)
    except RunError:
        raise
    except Exception:
        watch.settle()
        raise
    watch.done()
    return text


def _run_series(
    argv: Sequence[str],
    given: dict[str, Any],
    devices: dict[str, Any],
    run_dir: str | None,
    count: int,
    resume: bool,
    pictured: bool,
) -> str:
    """Trains runs that differ in their seeds alone and returns the table of their medians and ranges."""
    if devices:
        first = next(iter(devices))
        raise RunError(f"Argument `{first}` must be left out with --runs. Received: {first}={devices[first]!r}")
    if resume:
        raise RunError("Argument `resume` must be left out with --runs, which goes on by itself. Received: resume=True")
    try:
        config = runs.new_config(_with_backend(given))
        folder = pathlib.Path(run_dir) if run_dir else runs.default_series_dir(config)
        members = runs.series(folder, config, count)
        backends.use(config.backend)
    except ValueError as error:
        raise RunError(str(error)) from None
    except OSError as error:
        raise _unusable(pathlib.Path(run_dir), error) from None
    print(f"Folder of the runs: {folder}", flush=True)
    try:
        return quiet_import("experiments.series").train(members, pictured)
    except OSError as error:
        raise _unusable(folder, error) from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Continue with: {cli.command('train.py', *argv[1:])}") from None


def _with_backend(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a new run, with the backend that a flag or else the environment names."""
    return given if "backend" in given else given | {"backend": backends.default()}


def _train(
    config: RunConfig,
    run_dir: pathlib.Path,
    resume: bool,
    job: jobs.Job | None,
    again: list[str],
    pictured: bool = True,
) -> str:
    writes = job is None or job.process == 0
    try:
        with runs.owned(run_dir) if writes else contextlib.nullcontext():
            if writes:
                _begin(config, run_dir, resume)
                print(f"Run folder: {run_dir}", flush=True)
            training = quiet_import("experiments.training")  # only now, since importing Keras takes seconds
            return training.train(config, run_dir, resume, job, pictured)
    except OSError as error:
        raise _unusable(run_dir, error) from error
    except KeyboardInterrupt:
        command = cli.command("train.py", *again)
        raise KeyboardInterrupt(f"Continue with: {command}" if runs.exists(run_dir) else "") from None


def _begin(config: RunConfig, run_dir: pathlib.Path, resume: bool) -> None:
    """Claims a new folder; of an old one, looks once more whether another process has not changed it meanwhile."""
    try:
        if resume:
            runs.check_resumable(run_dir, config)
        else:
            runs.claim(run_dir, config)
    except ValueError as error:
        raise RunError(str(error)) from None


def _unusable(run_dir: pathlib.Path, error: OSError) -> RunError:
    where = pathlib.Path(error.filename) if isinstance(error.filename, str) else run_dir
    which = f"{where.relative_to(run_dir)}: " if where != run_dir and where.is_relative_to(run_dir) else ""
    return RunError(f"The run folder {run_dir} cannot be used: {which}{error.strerror or error}")


def main(argv: Sequence[str]) -> int:
    """Runs the command line and returns the exit status; whatever a user can get wrong is one line on stderr."""
    status = cli.main(argv, "train.py", run, help_text)
    if status and jobs.is_joined():
        jobs.end(status)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv))
