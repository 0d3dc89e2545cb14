"""Results of studies: files of each, and the page and the scoreboard that are made from them alone."""

import contextlib
import json
import pathlib
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lea_keras
from experiments import tables
from experiments.claims import scoreboard as claims_scoreboard
from experiments.engines import local
from experiments.engines.units import Unit
from experiments.results import Results
from experiments.studies import STUDIES
from experiments.studies.base import SCALES, Series, Study
from experiments.studies.finished import Finished
from lea_keras.utils import Progress, write_atomically

PAGE = "README.md"
Engine = Callable[..., dict[pathlib.Path, str]]


def work(
    study: Study, todo: Sequence[Unit], parallel: int, logs: pathlib.Path, start: Engine | None
) -> dict[pathlib.Path, str]:
    """Has the runs of a study made, showing how far they are; returns why those failed that did.

    Args:
        study: whose runs they are.
        todo: the runs.
        parallel: how many at a time, on this machine.
        logs: the folder of what they print.
        start: another engine than that of this machine.
    """
    progress = Progress(study.label, len(todo), "runs made")
    with progress.meanwhile():
        failed = (start or local.run)(todo, parallel, logs, progress.update, study.alone)
    progress.end()
    return failed


def make(
    study: Study,
    scale: str,
    series: Sequence[Series],
    folder: pathlib.Path,
    output: pathlib.Path,
    about: Mapping[str, Any],
    data_dir: str | None = None,
) -> str:
    """Collects, draws and stores a study whose runs are finished, and returns a line, or the table.

    Args:
        study: whose runs they are.
        scale: their scale.
        series: the runs.
        folder: of the scale.
        output: of all results.
        about: what is stored beside them.
        data_dir: where TFDS keeps its data sets.

    Raises:
        RunError: one line, if a run is not finished, or all runs of a series diverged.
        ValueError: one line, if the folder holds results of other runs.
        OSError: if it cannot be written to.
    """
    finished = Finished(folder, series, data_dir)
    differences = study.differences(scale)
    collected = study.collect(finished)
    stored = {
        "study": study.name,
        "scale": scale,
        "title": study.title,
        **about,
        "lea_keras": lea_keras.__version__,
        "commit": commit(),
        "differences": differences,
        "runs": {one.name: one.seeds for one in series},
        "seconds": round(finished.seconds, 1),
        **collected,
    }
    stored["notes"] = [*finished.notes, *collected.get("notes", ())]
    names = [f"{study.stem}.json", f"{study.stem}.csv"]
    names += [f"{study.stem}.md"] * (study.table is not None)
    with contextlib.closing(Results(output / scale, [folder])) as results:
        results.reserve(names)
        results.write_json(f"{study.stem}.json", stored)
        results.write_csv(f"{study.stem}.csv", rows(stored["values"]))
        text = f"{study.label}: {output / scale / study.stem}.json"
        if study.table:
            heads, lines = study.table(stored)
            results.write_text(f"{study.stem}.md", tables.markdown(heads, lines))
            widths = [max(map(len, column)) + 2 for column in zip(heads, *lines, strict=True)]
            text = "\n".join([study.label, *tables.aligned([heads, *lines], widths)])
        if study.draw:
            drawn = study.draw(stored, finished)
            for suffix, figure in (drawn if isinstance(drawn, dict) else {"": drawn}).items():
                results.write_picture(f"{study.stem}{suffix}.png", figure)
    return "\n".join([text, *stored["notes"]])


def rows(values: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Stored values as lines of a CSV: one for each number."""
    found = []
    for series, measures in values.items():
        seeds = measures.get("seeds", [None])
        for name, of_runs in measures.items():
            if name == "seeds" or not isinstance(of_runs, list):
                continue
            for seed, value in zip(seeds, of_runs, strict=False):
                several = value if isinstance(value, list) else [value]
                for place, number in enumerate(several, 1):
                    if isinstance(number, (int, float)):
                        position = place if isinstance(value, list) else None
                        found.append(
                            {"series": series, "seed": seed, "measure": name, "place": position, "value": number}
                        )
    return found


def commit() -> str:
    """The commit of this checkout, with "+" if files of it have changed since; empty where there is none."""
    command = ["git", "-C", str(local.ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def read(output: pathlib.Path) -> dict[str, dict[str, dict[str, Any]]]:
    """What is stored, by scale and study, in the order of both."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for scale in SCALES:
        for study in STUDIES.values():
            path = output / scale / f"{study.stem}.json"
            if path.is_file():
                found.setdefault(scale, {})[study.name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write_pages(output: pathlib.Path, scoreboard: pathlib.Path) -> str:
    """Makes the page of all results and the scoreboard from what is stored; returns where they are."""
    stored = read(output)
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(output / PAGE, page(stored))
    scoreboard.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(scoreboard, claims_scoreboard.markdown(stored, claims_scoreboard.read_reasons(output)))
    return f"All results: {output / PAGE}\nScoreboard: {scoreboard}"


def page(stored: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Every study that has results: what the thesis shows, and ours at every scale."""
    lines = ["# The study", "", "Every figure and table with results, each as the thesis shows it, and as our runs do."]
    lines += ["Made by `python study.py`; numbers are in the files beside this page.", ""]
    for study in STUDIES.values():
        of_scales = {scale: studies[study.name] for scale, studies in stored.items() if study.name in studies}
        if not of_scales:
            continue
        lines += [f"## {study.label}: {study.title}", "", f"*{study.document}:* {study.thesis}", ""]
        for scale, one in of_scales.items():
            stem = f"{scale}/{study.stem}"
            for suffix in study.pictures:
                lines += [f"![{study.title}, {scale} scale]({stem}{suffix}.png)", ""]
            if study.table:
                heads, cells = study.table(one)
                lines += [tables.markdown(heads, cells)]
            lines += [_caption(one, stem), ""]
    return "\n".join(lines)


def _caption(stored: Mapping[str, Any], stem: str) -> str:
    count = sum(stored["runs"].values())
    parts = [f"{count} run{'s' * (count != 1)}" if count else "no runs", stored["differences"], *stored["notes"]]
    parts += [f"`{stored['command']}`, commit {stored['commit'] or 'unknown'}, {stored['backend']}"]
    return f"{'. '.join(part.rstrip('.') for part in parts if part)}. [Numbers]({stem}.json)"
