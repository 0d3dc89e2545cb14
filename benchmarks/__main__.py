"""``python -m benchmarks``: measures everything and prints one table."""

import argparse
import contextlib
import os
import pathlib
import sys
import time
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # a process with JAX takes turns with this one

from benchmarks import results, table  # noqa: E402
from benchmarks.sections import SECTIONS, load  # noqa: E402
from benchmarks.settings import Settings, to_stderr  # noqa: E402


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0, or 1 if a section failed."""
    options = _parse(arguments)
    settings = Settings(toy=options.toy, data_dir=options.data_dir)
    from benchmarks import machine

    head = "# Benchmark results\n\n" + machine.describe(_command(options))
    if options.toy:
        head += "\nToy sizes: these numbers say that the command works, and nothing else.\n"
    head += "\n`benchmarks/README.md` says how to read the table.\n"
    print(head, flush=True)
    rows: list[tuple[str, table.Row]] = []
    failed = False
    started = time.perf_counter()
    for i, name in enumerate(options.only):
        to_stderr(f"{name}:")
        try:
            with _compiled(name, options.toy):
                found = load(name)(settings)
        except Exception as error:  # what the other sections measure, in many minutes, is not lost
            traceback.print_exc()
            found, failed = [table.Row("failed", beside=_first_line(error))], True
        rows += [(name, row) for row in found]
        print(table.draw(((name, row) for row in found), judge=not options.toy), flush=True)
        _save(options.output, head, rows, options)
        to_stderr(_remaining(options.only[: i + 1], options.only[i + 1 :], time.perf_counter() - started))
    print("# All\n\n" + table.draw(rows, judge=not options.toy), flush=True)
    return int(failed)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--toy", action="store_true", help="tiny sizes and few repetitions, to see that it works")
    parser.add_argument("--only", type=_names, default=list(SECTIONS), help="of " + ",".join(SECTIONS))
    parser.add_argument("--output", type=pathlib.Path, help="Markdown file for the table; its notes are kept")
    parser.add_argument("--data_dir", help="folder of TFDS data sets for the section `data`")
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"must be some of {', '.join(SECTIONS)}. Received: {name!r}")
    return names


def _command(options: argparse.Namespace) -> str:
    """What to type to measure the same; paths are the reader's own."""
    command = "python -m benchmarks" + (" --toy" if options.toy else "")
    if options.only != list(SECTIONS):
        command += f" --only={','.join(options.only)}"
    if options.data_dir:
        command += " --data_dir=DIR"
    if options.output:
        command += f" --output={options.output.name if options.output.is_absolute() else options.output}"
    return command


def _compiled(name: str, toy: bool) -> contextlib.AbstractContextManager[None]:
    """At toy size, where to trace a step takes much longer than to run it, a section that compiles in every way is
    enough."""
    from experiments import compiling

    return compiling.eager() if toy and name != "step" else contextlib.nullcontext()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def _save(path: pathlib.Path | None, head: str, rows: list[tuple[str, table.Row]], options: argparse.Namespace) -> None:
    """Writes what there is so far, after every section."""
    if path is None:
        return
    former = path.read_text(encoding="utf-8") if path.exists() else ""
    text = f"{head}\n{table.draw(rows, judge=not options.toy)}\n{results.kept(former)}"
    path.write_text(text, encoding="utf-8")


def _remaining(done: list[str], left: list[str], elapsed: float) -> str:
    text = f"{done[-1]} is done after {elapsed:.0f} s in total"
    if not left:
        return text
    estimate = elapsed / sum(SECTIONS[name][1] for name in done) * sum(SECTIONS[name][1] for name in left)
    return f"{text}; {len(left)} to go, about {estimate / 60:.1f} min"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
