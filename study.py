"""Makes the thesis' figures and tables and says which claims hold; ``python study.py --help`` lists the flags."""

import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from experiments import backends, cli
from experiments.claims.registry import CLAIMS
from experiments.cli import Flag
from experiments.config import BACKENDS, CONFIGS, checks
from experiments.engines import ENGINES, estimates, units
from experiments.engines.units import Unit
from experiments.runs import RunError
from experiments.startup import quiet_import
from experiments.studies import STUDIES, base
from experiments.studies.base import SCALES, SMALL, SMOKE, Study

INTRODUCTION = """\
usage: python study.py --list
       python study.py [--figure=5.5 | --table=3.2 | --claim=12 | --study=NAME] [--scale=small] [--flag=value ...]

Trains the runs behind the figures and tables of the thesis, draws and stores what came out, and judges the claims that
they decide by rules that were written down before. Without a choice: all studies. The same command goes on after an
interruption: what is finished is not made again.
"""
RUN_DIR = pathlib.Path("runs/study")


def _names(flag: str) -> list[str]:
    """What a flag may ask for."""
    kinds = {"table": lambda name: name[0] == "T", "figure": lambda name: name[0].isdigit()}
    is_one = kinds.get(flag, lambda name: name[0].islower())
    return [name.removeprefix("T") for name in STUDIES if is_one(name)]


def _numbers() -> str:
    """Those of all claims: "1 to 39, 50 to 58"."""
    starts = [number for number in sorted(CLAIMS) if number - 1 not in CLAIMS]
    ends = [number for number in sorted(CLAIMS) if number + 1 not in CLAIMS]
    return ", ".join(f"{start} to {end}" for start, end in zip(starts, ends, strict=True))


GROUPS: dict[str, tuple[Flag, ...]] = {
    "What": (
        Flag("list", "", "list all studies, with the number of their runs and how long they take here"),
        Flag("figure", "NAMES", f"figures of the thesis, with commas between them: {', '.join(_names('figure'))}"),
        Flag("table", "NAMES", f"its tables: {', '.join(_names('table'))}"),
        Flag("study", "NAMES", f"others: {', '.join(_names('study'))}"),
        Flag("claim", "N", f"what decides a claim: {_numbers()}"),
        Flag("scale", "NAME", f"{', '.join(SCALES)}: every number as printed, hours on two cores, seconds [{SMALL}]"),
        Flag("runs", "N", "how many runs of each kind [10, or what the scale says]"),
        Flag("only_print", "", "print the configurations of the runs, and their number, and do nothing"),
    ),
    "Data": (
        cli.flag_of("data_dir"),
        cli.flag_of("download"),
        Flag("backend", "NAME", f"{' or '.join(BACKENDS)}, on which Keras runs [KERAS_BACKEND, or {BACKENDS[0]}]"),
    ),
    "Where": (
        Flag(
            "engine", "NAME", f"{' or '.join(ENGINES)}: processes on this machine, or jobs on a cluster [{ENGINES[0]}]"
        ),
        Flag("parallel", "N", "local: N processes, between which the CPUs are divided; 0: in this one [1]"),
        Flag("slurm_partition", "NAME", "slurm: the partition of the jobs [the cluster's own]"),
        Flag("slurm_gpus", "N", "slurm: GPUs a job [0]"),
        Flag("slurm_minutes", "N", "slurm: time limit of a job; a run that needs more goes on in the next [60]"),
        Flag("slurm_options", "KEY=VALUE,…", "slurm: any other options of sbatch"),
        Flag("run_dir", "FOLDER", f"of all runs, by scale [{RUN_DIR}]"),
        Flag("output_dir", "FOLDER", "of results, by scale, with a page that shows them all [<run_dir>/results]"),
        Flag("scoreboard", "FILE", "where the table of claims is written [<output_dir>/SCOREBOARD.md]"),
        Flag("only_report", "", "train nothing: make the page and the scoreboard anew from what is stored"),
    ),
}


def help_text() -> str:
    """The flags by group, defaults in brackets."""
    return cli.help_text(INTRODUCTION, GROUPS)


def run(argv: Sequence[str]) -> str:
    """Does what the command line says and returns what is printed at the end.

    Raises:
        RunError: one line, for everything that a user can get wrong.
    """
    given = cli.parse(argv, GROUPS)
    _check_combination(given)
    try:
        return _run(given, argv)
    except ValueError as error:
        raise RunError(str(error)) from None
    except OSError as error:
        path = f"{error.filename}: " if error.filename else ""
        raise RunError(f"A folder of runs or results cannot be used: {path}{error.strerror or error}") from error
    except KeyboardInterrupt as error:  # an engine may have said what has become of its jobs
        raise KeyboardInterrupt(f"{error} Continue with: {cli.command('study.py', *argv[1:])}".lstrip()) from None


def _run(given: dict[str, Any], argv: Sequence[str]) -> str:
    scale = checks.check_choice("scale", given.get("scale", SMALL), SCALES)
    studies = _chosen(given)
    folder = pathlib.Path(given.get("run_dir", RUN_DIR))
    output = pathlib.Path(given.get("output_dir", folder / "results"))
    scoreboard = pathlib.Path(given.get("scoreboard", output / "SCOREBOARD.md"))
    _check_paths(given)
    engine = checks.check_choice("engine", given.get("engine", ENGINES[0]), ENGINES)
    parallel = checks.check_positive_int("parallel", given.get("parallel", 1), 0)
    seeds = checks.check_positive_int("runs", given["runs"]) if "runs" in given else None
    slurm = {name: value for name, value in given.items() if name.startswith("slurm_")}
    if slurm and engine != "slurm":
        raise checks.fail(next(iter(slurm)), "left out without --engine=slurm", next(iter(slurm.values())))
    if given.get("only_report"):
        backends.use_any()
        report = quiet_import("experiments.studies.report")
        if not output.is_dir():
            raise RunError(f"No results are stored in {output}")
        report.check_places((), scale, folder / scale, output, scoreboard)
        return report.write_pages(output, scoreboard)
    backend = checks.check_choice("backend", given.get("backend", backends.default()), BACKENDS)
    elsewhere = {name: given[name] for name in ("data_dir", "download") if name in given} | {"backend": backend}
    planned = {study.name: study.plan(scale, seeds, **elsewhere) for study in studies}
    todo = {name: base.units(series, folder / scale) for name, series in planned.items()}
    if given.get("list"):
        return _listed(studies, todo, parallel, scale)
    if given.get("only_print"):
        return _printed(studies, todo)
    if engine == "slurm":
        start = quiet_import("experiments.engines.slurm", look_for_devices=False).start(slurm)
    else:
        start = None
    backends.use(backend)
    left = [unit for of_study in todo.values() for unit in of_study if units.read_outcome(unit) is None]
    quiet_import("experiments.engines.requirements").check(left)
    report = quiet_import("experiments.studies.report")
    report.check_places(studies, scale, folder / scale, output, scoreboard)
    failed: dict[pathlib.Path, str] = {}
    texts = []
    data_dir = given.get("data_dir")
    about = {"backend": backend}
    for study in studies:
        of_study = [unit for unit in todo[study.name] if units.read_outcome(unit) is None]  # others may have made some
        of_study = [unit._replace(eager=scale == SMOKE) for unit in of_study]
        if of_study:
            print(f"{study.label}: {len(of_study)} of {base.counted(len(todo[study.name]))} to be made", flush=True)
            reasons = report.work(study, of_study, parallel, folder / "logs", start)
            if reasons:
                failed |= reasons
                first, reason = next(iter(reasons.items()))
                told = f"{len(reasons)} of {base.counted(len(of_study))} failed; the first, {first}: {reason}"
                print(f"{study.label}: {told}", file=sys.stderr, flush=True)
                continue
        try:
            about["command"] = _command(study, scale, seeds)
            texts.append(report.make(study, scale, planned[study.name], folder / scale, output, about, data_dir))
        except (RunError, ValueError, OSError) as error:
            failed[output / scale / study.stem] = str(error)
            print(f"{study.label}: {error}", file=sys.stderr, flush=True)
    if texts and "claim" in given:
        texts.append(report.verdict(output, given["claim"], scale))
    if texts:  # without any result there is nothing new to show
        texts.append(report.write_pages(output, scoreboard))
    if failed:
        print("\n".join(texts), flush=True)
        first, reason = next(iter(failed.items()))
        raise RunError(f"Not all runs or studies could be made: {len(failed)} failed; the first, {first}: {reason}")
    return "\n".join(texts)


def _check_combination(given: dict[str, Any]) -> None:
    """Refuses flags beside each other of which one would be taken and do nothing."""
    kinds = ("list", "only_print", "only_report")
    chosen = [name for name in kinds if given.get(name)]
    others = [
        name for name in ("figure", "table", "study", "claim", "runs", "scale", "engine", "parallel") if name in given
    ]
    if len(chosen) > 1:
        raise RunError(f"Flag `{chosen[1]}` must be left out with --{chosen[0]}")
    if chosen == ["only_report"] and others:
        told = "it makes the pages of everything that is stored"
        raise RunError(
            f"Flag `{others[0]}` must be left out with --only_report: {told}. Received: {given[others[0]]!r}"
        )


def _check_paths(given: dict[str, Any]) -> None:
    """Refuses what cannot be written to before anything is trained."""
    for name in ("run_dir", "output_dir"):
        if name in given:
            path = pathlib.Path(given[name])
            first = next((one for one in (path, *path.parents) if one.exists()), path)
            if not first.is_dir() or not os.access(first, os.W_OK):
                raise checks.fail(name, "a folder that can be written to", given[name])
    if "scoreboard" in given and pathlib.Path(given["scoreboard"]).is_dir():
        raise checks.fail("scoreboard", "a file and no folder", given["scoreboard"])


def _command(study: Study, scale: str, seeds: int | None) -> str:
    """The command that makes a study anew, without what is of no matter to its numbers."""
    flag = "table" if study.name[0] == "T" else "figure" if study.name in _names("figure") else "study"
    name = study.name.removeprefix("T")
    return cli.command("study.py", f"--{flag}={name}", f"--scale={scale}", *([f"--runs={seeds}"] if seeds else []))


def _chosen(given: dict[str, Any]) -> list[Study]:
    """The studies that flags name; all if they name none."""
    names: list[str] = []
    for flag, prefix in (("figure", ""), ("table", "T"), ("study", "")):
        for name in given[flag].split(",") if flag in given else ():
            names.append(prefix + checks.check_choice(flag, name, _names(flag)))
    if "claim" in given:
        if given["claim"] not in CLAIMS:
            raise checks.fail("claim", f"one of {_numbers()}", given["claim"])
        names += CLAIMS[given["claim"]].studies
    return [STUDIES[name] for name in dict.fromkeys(names)] or list(STUDIES.values())


def _listed(studies: Sequence[Study], todo: dict[str, list[Unit]], parallel: int, scale: str) -> str:
    lines = [f"{'':12} {'runs':>5} {'done':>5}  {'left, about':>12}  {scale} scale"]
    seen: set[pathlib.Path] = set()
    total = 0.0
    for study in studies:
        new = [unit for unit in todo[study.name] if unit.folder not in seen]
        seen |= {unit.folder for unit in new}
        done = sum(units.read_outcome(unit) is not None for unit in todo[study.name])
        beside = 1 if study.alone else parallel
        total += estimates.seconds_left(new, beside)
        left = estimates.told(estimates.seconds_left(todo[study.name], beside))
        lines.append(f"{study.label:12} {len(todo[study.name]):>5} {done:>5}  {left:>12}  {study.title}")
    lines.append(f"{'all':12} {len(seen):>5} {'':5}  {estimates.told(total):>12}  runs of several studies counted once")
    return "\n".join(lines)


def _printed(studies: Sequence[Study], todo: dict[str, list[Unit]]) -> str:
    """Every run as a command, with the number of all."""
    lines, folders = [], set()
    for study in studies:
        lines.append(f"# {study.label}: {study.title}")
        for unit in todo[study.name]:
            if unit.folder not in folders:
                folders.add(unit.folder)
                if not unit.trained:
                    lines += [f"{unit.folder}: {name}, {options}" for name, options in unit.measures.items()]
                    continue
                flags = [f"--{name}={value}" for name, value in _flags(unit)]
                lines.append(cli.command("train.py", *flags, f"--run_dir={unit.folder}"))
    return "\n".join([*lines, base.counted(len(folders))])


def _flags(unit: Unit) -> list[tuple[str, str]]:
    """The fields in which a configuration differs from the reference model's, as flags have them."""
    usual = CONFIGS[unit.config.model]
    found = [("model", unit.config.model)]
    for name in usual.__dataclass_fields__:
        value = getattr(unit.config, name)
        if name != "model" and value != getattr(usual, name) and value is not None:
            text = ",".join(map(str, value)) or "linear" if isinstance(value, tuple) else str(value)
            found.append((name, text))
    return found


def main(argv: Sequence[str]) -> int:
    """Runs the command line and returns the exit status; whatever a user can get wrong is one line on stderr."""
    return cli.main(argv, "study.py", run, help_text)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
