"""How far an attack has come, and how long it still takes."""

import sys
import time

from lea_keras.callbacks import clock
from lea_keras.probes.caching import say

_SECONDS = 10.0  # between two lines where they do not replace each other


class Progress:
    """One line per attack: redrawn in place on a terminal, elsewhere repeated every ten seconds.

    Args:
        title: what the line begins with.
        total: how many samples there are.
        verbose: 0: silent. 1: prints.
    """

    def __init__(self, title: str, total: int, verbose: int) -> None:
        self._title, self._total, self._verbose = title, total, verbose
        self._in_place = bool(verbose) and sys.stdout.isatty()
        self._started = self._said = time.monotonic()
        if self._in_place:
            self._redraw(f"0 of {total} samples attacked")

    def update(self, done: int) -> None:
        """Notes that so many samples are done."""
        now = time.monotonic()
        if done >= self._total or not (self._in_place or now - self._said >= _SECONDS):
            return
        self._said, left = now, (now - self._started) * (self._total / done - 1)
        text = f"{done} of {self._total} samples attacked, about {clock(left)} left"
        if self._in_place:
            self._redraw(text)
        else:
            say(self._verbose, f"{self._title}: {text}")

    def end(self, text: str) -> None:
        """Prints the last line."""
        if self._in_place:
            self._redraw(text + "\n")
        else:
            say(self._verbose, f"{self._title}: {text}")

    def _redraw(self, text: str) -> None:
        print(f"\r\x1b[K{self._title}: {text}", end="", flush=True)  # back to the beginning, and clear the line
