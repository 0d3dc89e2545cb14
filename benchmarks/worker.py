"""A process with another Keras backend: ``python -m benchmarks.worker``, driven over its standard streams.

A process has one backend. What another measures can take turns with what this one does, since a ``Worker`` hands out
functions that return when the work over there is done; the message to and fro takes a tenth of a millisecond.
"""

import contextlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, TextIO

ROOT = pathlib.Path(__file__).parents[1]
PATIENCE = 20  # seconds in which a process that has nothing to do must end


class WorkerError(RuntimeError):
    """What went wrong in a worker, in one line; the whole story is a note of the exception."""


class WorkerTimeout(WorkerError):
    """A worker was not done in time, and was ended."""


class Worker:
    """Starts a process and calls functions in it; as a context manager, ends it.

    Args:
        backend: of Keras.
        **environment: variables for the process beside those of this one.
    """

    def __init__(self, backend: str = "jax", **environment: str) -> None:
        # A GPU has to do for several processes at a time, and its peak of memory is to say what is needed.
        own = {"KERAS_BACKEND": backend, "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            cwd=ROOT,
            env=os.environ | own | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # it has ended, and what it was last sent is still here
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, function: str, within: float | None = None, /, **arguments: Any) -> Any:
        """Calls a function and returns its result; both ways through JSON.

        Args:
            function: "module:name".
            within: seconds, after which the process is ended; None: however long it takes.
            **arguments: of the function.

        Raises:
            WorkerTimeout: if it was not done in time.
            WorkerError: if the function raised, or the process ended.
        """
        return self._send(within, function=function, arguments=arguments)

    def make(self, function: str, /, **arguments: Any) -> Callable[[], None]:
        """Calls a function that returns a function; returns one that calls that, over there, without its result.

        Args:
            function: "module:name".
            **arguments: of the function.

        Raises:
            WorkerError: as ``ask`` does; so does the function returned.
        """
        number = self._send(None, function=function, arguments=arguments, keep=True)
        return lambda: self._send(None, run=number)

    def _send(self, within: float | None, **request: Any) -> Any:
        ended = threading.Event()

        def end() -> None:
            ended.set()
            self._process.kill()

        timer = threading.Timer(within, end) if within is not None else None
        if timer is not None:
            timer.start()
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:  # it ended before
            line = ""
        finally:
            if timer is not None:
                timer.cancel()
        if not line:
            status = self._process.wait()
            if ended.is_set():
                raise WorkerTimeout(f"not done within {within:.0f} s")
            raise WorkerError(f"the process of {request.get('function', 'a function')} ended with status {status}")
        answer = json.loads(line)
        if "error" in answer:
            error = WorkerError(answer["error"])
            error.add_note(answer["traceback"])
            raise error
        return answer["result"]


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answers requests, one a line, until there are no more."""
    kept: list[Callable[[], Any]] = []
    for line in requests:
        try:
            answer = {"result": _answer(json.loads(line), kept)}
        except Exception as error:  # whoever asked raises it
            answer = {"error": one_line(error), "traceback": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


def one_line(error: Exception) -> str:
    """The kind of an exception and the first line of what it says."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"


def _answer(request: dict[str, Any], kept: list[Callable[[], Any]]) -> Any:
    if "run" in request:
        kept[request["run"]]()
        return None
    module, name = request["function"].split(":")
    result = getattr(importlib.import_module(module), name)(**request["arguments"])
    if not request.get("keep"):
        return result
    kept.append(result)
    return len(kept) - 1


if __name__ == "__main__":
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        # Keras brings it along where it is installed: seconds and memory that belong to nothing that is measured.
        sys.modules["tensorflow"] = None
    stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand among the answers
    serve(sys.stdin, stream)
