"""Steps of LEA models on a GPU, with JAX alone: ``python benchmarks/gpu.py``.

Measures ``cnn_lea`` and ``lea_fc`` in alternate optimisation on images of the size of dSprites', in float32, TF32 and
bfloat16, and prints a table last. Without a GPU it goes on with toy sizes, to see that it works. Needs JAX and Keras.
"""

import argparse
import contextlib
import importlib.util
import itertools
import pathlib
import sys
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in this folder there is a module `profile`, as in Python itself

from benchmarks import results, table  # noqa: E402
from benchmarks.settings import to_stderr  # noqa: E402
from benchmarks.worker import Worker, WorkerError, WorkerTimeout  # noqa: E402

MODELS = ("cnn_lea", "lea_fc")
PRECISIONS = ("float32", "TF32", "bfloat16")
SECONDS = 470.0  # in all: an H100 took 460; ten minutes are the limit, and a process that is late must end, too
LEAST = 5.0  # seconds without which nothing new is begun
STEPPING = 8.0  # seconds of steps for each model and precision, at most
RATING = 3.0  # seconds of matrix products for each precision, at most
TOY_STEPPING = 0.1
HEADER = (
    "model",
    "precision",
    "steps/s",
    "quartiles",
    "ms per step",
    "GFLOP per step",
    "by XLA's count",
    "TFLOP/s",
    "matrix rate, TFLOP/s",
    "share",
    "peak memory, MiB",
    "plain products, ms",
    "step over them",
    "compiled in, s",
)
NOTHING = "–"


class Clock:
    """The time that all may take.

    Args:
        seconds: of it.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self._started = seconds, time.monotonic()

    def left(self) -> float:
        """Seconds that remain, negative if it took longer."""
        return self._started + self.seconds - time.monotonic()

    def say(self, text: str) -> None:
        """A line of progress."""
        left = self.left()
        to_stderr(f"[{self.seconds - left:.0f} s, at most {max(left, 0):.0f} s left] {text}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        sys.exit(f"gpu.py: {message}")


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0, or 1 if something failed; what there was no time for has not."""
    options = _parse(arguments)
    for name in ("numpy", "jax", "keras"):
        if importlib.util.find_spec(name) is None:
            sys.exit(f"gpu.py: needs jax and keras (pip install jax keras). Received: no {name}")
    if options.output is not None and not options.output.parent.is_dir():
        sys.exit(f"gpu.py: --output must be a file in a folder that exists. Received: {options.output}")
    clock = Clock(options.seconds)
    try:
        return _run(options, clock)
    except WorkerError as error:
        sys.exit(f"gpu.py: {error}")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="python benchmarks/gpu.py", description=__doc__)
    parser.add_argument(
        "--toy", action=argparse.BooleanOptionalAction, help="tiny sizes, as without a GPU; --no-toy: never those"
    )
    parser.add_argument(
        "--models", type=_models, default=MODELS, help=f"which, with commas between them ({','.join(MODELS)})"
    )
    parser.add_argument("--seconds", type=_seconds, default=SECONDS, help="that it takes at most (%(default).0f)")
    parser.add_argument("--output", type=pathlib.Path, help="Markdown file whose section GPU is written anew")
    return parser.parse_args(arguments)


def _models(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= set(MODELS):
        raise argparse.ArgumentTypeError(f"must be of {', '.join(MODELS)}. Received: {text!r}")
    return names


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0. Received: {text!r}")
    return seconds


def _run(options: argparse.Namespace, clock: Clock) -> int:
    clock.say("starting JAX")
    failures = []
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(Worker("jax"))
        found = worker.ask("benchmarks.gpu_steps:device", clock.left(), command=_command(options))
        gpu = ", ".join(found["gpus"])
        toy = options.toy if options.toy is not None else not gpu
        print(f"GPU: {gpu}." if gpu else f"No GPU found: {'toy' if toy else 'full'} sizes on the CPU.", flush=True)
        rates = {}
        for precision in PRECISIONS:
            clock.say(f"matrix products in {precision}")
            seconds = TOY_STEPPING if toy else min(RATING, clock.left() / 40)
            rates[precision] = worker.ask(
                "benchmarks.gpu_steps:rate", clock.left(), precision=precision, toy=toy, seconds=seconds
            )
        if gpu:
            stack.close()  # what it holds of the GPU's memory is free for the others
        rows = []
        pairs = list(itertools.product(options.models, PRECISIONS))
        for i, (model, precision) in enumerate(pairs):
            clock.say(f"{model} in {precision}, {len(pairs) - i} to go")
            seconds = TOY_STEPPING if toy else min(STEPPING, clock.left() / (len(pairs) - i) / 4)
            arguments = {"model": model, "precision": precision, "toy": toy, "seconds": max(seconds, TOY_STEPPING)}
            try:
                rows.append(_cells(arguments, _measure(worker, gpu, clock, arguments), rates))
            except WorkerTimeout:
                rows.append(_left_out(arguments, "left out: the time was over"))
            except WorkerError as error:  # the others may do
                failures.append(f"{model}, {precision}: {error}")
                rows.append(_left_out(arguments, f"failed: {error}"))
    clock.say("done")
    body = _body(found["facts"], gpu, toy, rows)
    if options.output is not None:
        try:
            former = options.output.read_text(encoding="utf-8") if options.output.exists() else ""
            options.output.write_text(results.put(former, results.GPU, body), encoding="utf-8")
        except OSError as error:  # what was measured is printed all the same
            failures.append(f"--output: {error}")
    if failures:
        to_stderr(f"gpu.py: {'; '.join(failures)}")
    print(f"\n{body}", end="", flush=True)
    return int(bool(failures))


def _measure(worker: Worker, gpu: str, clock: Clock, arguments: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own on a GPU, whose count of its peak of memory nobody can set back; a CPU has none."""
    if clock.left() < LEAST:
        raise WorkerTimeout(f"less than {LEAST:.0f} s left")
    if not gpu:
        return worker.ask("benchmarks.gpu_steps:measure", clock.left(), **arguments)
    with Worker("jax") as own:
        return own.ask("benchmarks.gpu_steps:measure", clock.left(), **arguments)


def _cells(arguments: dict[str, Any], measured: dict[str, Any], rates: dict[str, float]) -> list[str]:
    step, low, high = measured["step"]
    alone = measured["products"][0]
    counted, peak, rate = measured["counted"], measured["peak"], measured["needed"] / step
    best = rates[arguments["precision"]]
    return [
        arguments["model"],
        arguments["precision"],
        table.number(1 / step),
        f"{table.number(1 / high)} to {table.number(1 / low)}",
        table.number(1e3 * step),
        table.number(1e-9 * measured["needed"]),
        NOTHING if counted is None else table.number(1e-9 * counted),
        table.number(1e-12 * rate),
        table.number(1e-12 * best),
        f"{rate / best:.1%}",
        NOTHING if peak is None else f"{peak / 2**20:.0f}",
        table.number(1e3 * alone),
        table.number(step / alone),
        f"{measured['compiled']:.0f}",
    ]


def _left_out(arguments: dict[str, Any], why: str) -> list[str]:
    return [arguments["model"], arguments["precision"], why, *[""] * (len(HEADER) - 3)]


def _body(facts: str, gpu: str, toy: bool, rows: list[list[str]]) -> str:
    """The section without its heading."""
    text = f"{facts}\n"
    if not gpu:
        text += "No GPU was found: this is the CPU, which knows no TF32 and does not count its memory.\n"
    if toy:
        text += "Toy sizes: these numbers say that the command works, and nothing else.\n"
    if toy or not gpu:
        text += "\n"
    text += "`benchmarks/README.md` says how to read the table.\n\n"
    return text + table.markdown(HEADER, rows)


def _command(options: argparse.Namespace) -> str:
    """What to type to measure the same; paths are the reader's own."""
    command = "python benchmarks/gpu.py"
    if options.toy is not None:
        command += " --toy" if options.toy else " --no-toy"
    if options.models != MODELS:
        command += f" --models={','.join(options.models)}"
    if options.seconds != SECONDS:
        command += f" --seconds={options.seconds:g}"
    if options.output is not None:
        command += f" --output={options.output.name if options.output.is_absolute() else options.output}"
    return command


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
