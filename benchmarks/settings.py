"""Settings that every section is given."""

import dataclasses
import sys
from collections.abc import Callable, Mapping

from benchmarks.timing import Times, interleaved


def to_stderr(text: str) -> None:
    """Says what is being done, beside the results."""
    print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        toy: tiny sizes and few turns, only to see that everything works.
        data_dir: folder of TFDS data sets to feed steps from, or None.
        say: takes lines on what is being done.
    """

    toy: bool = False
    data_dir: str | None = None
    say: Callable[[str], None] = to_stderr

    def measure(
        self,
        what: str,
        functions: Mapping[str, Callable[[], object]],
        turns: int,
        *,
        warmups: int = 2,
        pause: float = 0.0,
    ) -> Times:
        """As ``interleaved``; with two turns of everything at toy size."""
        self.say(f"  {what}: {', '.join(functions)}")
        turns, warmups = (2, 1) if self.toy else (turns, warmups)
        return interleaved(functions, turns, warmups=warmups, pause=pause)
