"""Helpers of several rooms: progress of long work, files that are whole or not there, seeded orders, slices."""

import contextlib
import math
import os
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from lea_keras.checks import check_path

SECONDS = 30.0  # between two lines where they do not replace each other
_REDRAWN = 0.1  # seconds between two drawings of a line in its place
_last_said = -math.inf  # when there was the last line of any progress


class Progress:
    """One line: redrawn in its place on a terminal, elsewhere repeated every half minute.

    Args:
        title: what the line begins with; may be empty.
        total: how much there is to do; None if that is not known.
        done: what has become of so much, such as "samples attacked".
        verbose: 0: silent. 1: prints.
        every: seconds from one line to the next where they do not replace each other. None: half a minute.
        in_place: whether the line is redrawn in its place. None: on a terminal.
        begins_slowly: whether the first takes longer than the others, as where something is compiled: how long the rest
            takes is then told from the others.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        done: str,
        *,
        verbose: int = 1,
        every: float | None = None,
        in_place: bool | None = None,
        begins_slowly: bool = False,
    ) -> None:
        self._title, self._total, self._what, self._verbose = title, total, done, verbose
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._in_place = bool(verbose) and (on_terminal if in_place is None else in_place)
        self._every = _REDRAWN if self._in_place else SECONDS if every is None else every
        self._started = self._said = now = time.monotonic()
        if 0 <= now - _last_said < self._every:  # one thing after the other may take less than that each
            self._said = _last_said
        self._done, self._done_at_start, self._begins_slowly = 0, 0, begins_slowly
        self._detail, self._lock = "", threading.Lock()
        if self._in_place:
            self._draw(self._text(self._started))

    def update(self, done: int) -> None:
        """Notes that so much is done, and says it if it is time."""
        if self._begins_slowly and done:
            self._started, self._done_at_start, self._begins_slowly = time.monotonic(), done, False
        self._done = done
        if done != self._total:
            self.tick()

    def tick(self, detail: str = "") -> None:
        """Says what is done if it is time: to be called as often as may be, also while no more is.

        Args:
            detail: what the line ends with, now and until there is another.
        """
        self._detail = detail or self._detail
        with self._lock:
            now = time.monotonic()
            if now - self._said < self._every:
                return
            self._said = now
        text = self._text(now) + (f", {self._detail}" if self._detail else "")
        if self._in_place:
            self._draw(text)
        else:
            say(self._verbose, text)

    def meanwhile(self) -> contextlib.AbstractContextManager[None]:
        """Inside, the line is also said while nothing calls for it, as where the first step is compiled for minutes."""
        if self._in_place or not self._verbose:
            return contextlib.nullcontext()
        return repeating(self.tick, self._every)

    def end(self, text: str = "") -> None:
        """Prints the last line; without a text, none: one that was drawn in its place goes."""
        if text:
            text = f"{self._prefix()}{text}"
        if self._in_place:
            self._draw(text + "\n" if text else "")
        elif text:
            say(self._verbose, text)

    def _text(self, now: float) -> str:
        of_total = "" if self._total is None else f" of {self._total}"
        text = f"{self._prefix()}{self._done}{of_total} {self._what}"
        since_start = self._done - self._done_at_start
        if not self._total or since_start <= 0 or self._done >= self._total:
            return text
        return f"{text}, about {clock((now - self._started) * (self._total - self._done) / since_start)} left"

    def _prefix(self) -> str:
        return f"{self._title}: " if self._title else ""

    def _draw(self, text: str) -> None:
        _note()
        print(f"\r\x1b[K{text}", end="", flush=True)  # back to the beginning, and clear the line


@contextlib.contextmanager
def repeating(tick: Callable[[], None], every: float) -> Iterator[None]:
    """Inside, another thread calls ``tick``, which says something if it is time, four times every so many seconds."""
    stopped = threading.Event()

    def repeat() -> None:
        while not stopped.wait(every / 4):
            tick()

    if not every:  # then each call of another says it
        yield
        return
    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def say(verbose: int, text: str) -> None:
    """Prints a line of progress."""
    if verbose:
        _note()
        print(text, flush=True)


def _note() -> None:
    global _last_said
    _last_said = time.monotonic()


def clock(seconds: float) -> str:
    """ "1:02:03" or, below an hour, "02:03"."""
    seconds = round(seconds)
    minutes, hours = seconds // 60 % 60, seconds // 3600
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes:02}:{seconds % 60:02}"


def write_atomically(path: str | os.PathLike[str], contents: str | bytes) -> None:
    """Writes a file that is complete under its name or, after an interruption, not changed at all; text as UTF-8."""
    path = pathlib.Path(check_path("path", path, "the path of a file"))
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(contents.encode("utf-8") if isinstance(contents, str) else contents)
    flush(temporary)
    os.replace(temporary, path)


def flush(path: pathlib.Path) -> None:
    """Brings a file to the disk, so that renaming it cannot come before its contents in a power cut."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def permutation(size: int, *seeds: int) -> np.ndarray:
    """Returns the numbers below `size` in an order that depends on `seeds` alone.

    `RandomState` because NumPy promises never to change its stream, which a resumed training may rely on.
    """
    return np.random.RandomState(seeds).permutation(size).astype(np.int64)  # [size]


def slices(count: int, size: int) -> Iterator[slice]:
    """Returns slices of at most ``size`` that cover ``count``."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
