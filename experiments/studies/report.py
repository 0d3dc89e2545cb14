"""Results of studies: files of each, and the page and the scoreboard that are made from them alone."""

import contextlib
import json
import pathlib
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lea_keras
from experiments import tables
from experiments.claims import scoreboard as claims_scoreboard
from experiments.claims import verdicts
from experiments.claims.registry import CLAIMS
from experiments.config import locks
from experiments.engines import local
from experiments.engines.units import Unit
from experiments.results import Results
from experiments.runs import RunError
from experiments.studies import STUDIES
from experiments.studies.base import SCALES, Series, Study, counted
from experiments.studies.finished import Finished
from lea_keras.utils import Progress, write_atomically

PAGE = "README.md"
_PATIENCE = 600  # seconds
_MADE = "Made by `python study.py`"  # in every page that is
_STORED = ("study", "scale", "values", "runs", "differences", "notes", "command", "commit", "backend")
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
        "commit": "",
        "differences": differences,
        "runs": {one.name: one.seeds for one in series},
        "seconds": round(finished.seconds, 1),
        **collected,
    }
    stored["notes"] = [*finished.notes, *collected.get("notes", ())]
    path = output / scale / f"{study.stem}.json"
    former = _read_one(path, study.name, scale) if path.is_file() else None
    stored["commit"] = _commit_of(stored, former)
    with contextlib.closing(Results(output / scale, [folder])) as results:
        _patiently(lambda: results.reserve(_files(study)))
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
    return "\n".join([text, *stored["notes"], *_lost(stored, former)])


def _lost(stored: Mapping[str, Any], former: Mapping[str, Any] | None) -> list[str]:
    """A line where results have replaced those of more runs, or with less left out."""
    if former is None:
        return []
    before, now = sum(former["runs"].values()), sum(stored["runs"].values())
    lines = [f"These are results of {counted(now)}, in place of those of {before}."] if now < before else []
    missing = [note for note in stored["notes"] if note.startswith("left out") and note not in former["notes"]]
    return [*lines, *(["In the results that these replace, less was left out."] if missing else [])]


def check_places(
    studies: Sequence[Study], scale: str, folder: pathlib.Path, output: pathlib.Path, scoreboard: pathlib.Path
) -> None:
    """Refuses places where results could not be stored, or would replace what is none, before any run is made.

    Args:
        studies: whose results are to be stored; none: only pages are made.
        scale: their scale.
        folder: of the runs of the scale.
        output: of all results.
        scoreboard: the file.

    Raises:
        ValueError: one line, for a folder with results of other runs, and for files that no study has made.
        RunError: one line, for stored results that are damaged.
        OSError: if the folder cannot be written to.
    """
    for path in (output / PAGE, scoreboard):
        if path.exists() and _MADE not in path.read_text(encoding="utf-8", errors="replace"):
            raise ValueError(f"{path} is in the way: not made by study.py, so not replaced")
    read(output)
    claims_scoreboard.read_reasons(output)
    if studies:
        with contextlib.closing(Results(output / scale, [folder])) as results:
            _patiently(lambda: results.reserve([name for study in studies for name in _files(study)]))


def _patiently(take: Callable[[], Any]) -> Any:
    """What is taken from a folder of results, once other commands, which hold it while they draw, have let it go."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return take()
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _files(study: Study) -> list[str]:
    """Of its results."""
    tables = [f"{study.stem}.md"] * (study.table is not None)
    pictures = [f"{study.stem}{suffix}.png" for suffix in study.pictures]
    return [f"{study.stem}.json", f"{study.stem}.csv", *tables, *pictures]


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


def _commit_of(stored: Mapping[str, Any], former: Mapping[str, Any] | None) -> str:
    """The commit at which these numbers first came out: that of the former results, if they had the same, so that what
    is only drawn anew does not look as if it had been run anew."""
    now = json.loads(json.dumps(stored))
    if former is not None and all(former[name] == now[name] for name in ("values", "runs", "backend")):
        return former["commit"]
    return commit()


def commit() -> str:
    """The commit of this checkout, with "+" if code of it has changed since, for results lie beside it; empty where
    there is none."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
        return head + "+" * bool(_git("status", "--porcelain", "--", "*.py"))
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(local.ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def read(output: pathlib.Path) -> dict[str, dict[str, dict[str, Any]]]:
    """What is stored, by scale and study, in the order of both.

    Raises:
        RunError: one line, if it is damaged.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for scale in SCALES:
        for study in STUDIES.values():
            path = output / scale / f"{study.stem}.json"
            if path.is_file():
                found.setdefault(scale, {})[study.name] = _read_one(path, study.name, scale)
    return found


def _read_one(path: pathlib.Path, study: str, scale: str) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        stored = None
    if not isinstance(stored, dict) or any(name not in stored for name in _STORED):
        raise RunError(f"The results {path} are damaged. Move them away, and the command of the study makes them anew")
    if (stored["study"], stored["scale"]) != (study, scale):
        told = f"{path} must hold results of study {study!r} at {scale} scale"
        raise RunError(f"{told}. Received: those of {stored['study']!r} at {stored['scale']} scale")
    return stored


def write_pages(output: pathlib.Path, scoreboard: pathlib.Path) -> str:
    """Makes the page of all results and the scoreboard from what is stored; returns where they are."""
    lock = _patiently(lambda: locks.Lock(output))
    try:
        stored = read(output)
        write_atomically(output / PAGE, page(stored))
        scoreboard.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(scoreboard, claims_scoreboard.markdown(stored, claims_scoreboard.read_reasons(output)))
    finally:
        lock.release()
    return f"All results: {output / PAGE}\nScoreboard: {scoreboard}"


def verdict(output: pathlib.Path, number: int, scale: str) -> str:
    """What stored results of a scale say of a claim, in a line; that its studies have none, if they have not."""
    claim = CLAIMS[number]
    statements = claims_scoreboard.judge(claim, read(output).get(scale, {}))
    told = "not all of its studies have results" if statements is None else verdicts.verdict(statements)
    return f"Claim {number}, {scale} scale: {told}. {claim.words}"


def page(stored: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Every study that has results: what the thesis shows, and ours at every scale."""
    lines = ["# The study", "", "Every figure and table with results, each as the thesis shows it, and as our runs do."]
    lines += [f"{_MADE}; numbers are in the files beside this page.", ""]
    for study in STUDIES.values():
        of_scales = {scale: studies[study.name] for scale, studies in stored.items() if study.name in studies}
        if not of_scales:
            continue
        lines += [f"## {study.label}: {study.title}", "", f"*{study.document}:* {study.thesis}", ""]
        for scale, one in of_scales.items():
            stem = f"{scale}/{study.stem}"
            for suffix in study.pictures:
                alternative = ", ".join([study.title, *filter(None, [_words(suffix)]), f"{scale} scale"])
                lines += [f"![{alternative}]({stem}{suffix}.png)", ""]
            if study.table:
                heads, cells = study.table(one)
                lines += [tables.markdown(heads, cells)]
            lines += [_caption(one, stem), ""]
    return "\n".join(lines)


def _words(suffix: str) -> str:
    """What tells a picture from the others of a study: "_filters_40" → "filters 40"."""
    return suffix.replace("_", " ").strip()


def _caption(stored: Mapping[str, Any], stem: str) -> str:
    count = sum(stored["runs"].values())
    parts = [counted(count) if count else "no runs", stored["differences"], *stored["notes"]]
    parts += [f"`{stored['command']}`, commit {stored['commit'] or 'unknown'}, {stored['backend']}"]
    return f"{'. '.join(part.rstrip('.') for part in parts if part)}. [Numbers]({stem}.json)"
