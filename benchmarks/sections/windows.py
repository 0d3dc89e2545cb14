"""Phase 2 of the alternate step from a thousand windows to a million: time per window, and peak memory.

Models without a main loss: a LEA (4×4 windows, stride 2, fc VAE) on feature maps of 32 channels, and the same behind a
convolution, so that its windows are not the same in every pass.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import backend, machine, memory
from benchmarks.memory import CODE_LENGTH, STRIDES, WINDOW
from benchmarks.settings import Settings
from benchmarks.table import Goal, Row
from benchmarks.timing import Ratio, Times, compare, median

GOAL = Goal(at_least=0.85, at_most=1.15)
LARGE = 200_000  # windows; fewer turns of these, which take seconds


class Size(NamedTuple):
    """Feature maps [batch, side, side, channels]."""

    batch: int
    side: int
    channels: int = 32

    @property
    def windows(self) -> int:
        """How many there are."""
        return self.batch * (self.side // STRIDES) ** 2

    def __str__(self) -> str:
        count = f"{self.windows:,}".replace(",", " ")
        return f"{count} windows of {self.batch}×{self.side}×{self.side}×{self.channels}"


SIZES = [Size(1, 64), Size(1, 128), Size(1, 256), Size(1, 512), Size(4, 512), Size(16, 512)]
TOY = [Size(2, 16, 2)]
MODES = (None, "auto")


def rows(settings: Settings) -> list[Row]:
    """Time per window over that of a middle size, with the peak of memory beside it, for both kinds of models."""
    sizes = TOY if settings.toy else SIZES
    found = []
    for convolution in (False,) if settings.toy else (False, True):
        steps, refused = _steps(settings, sizes, convolution)
        base = sizes[0] if settings.toy else sizes[2]
        times = _measure(settings, steps, base)
        for mode in MODES:
            for size in sizes:
                found.append(_row(settings, times, size, base, mode, convolution, refused))
        both = [size for size in sizes if (size, None) in steps]
        for size in dict.fromkeys([base, *both[-1:]]) if base in both else ():
            ratio = compare(times, _name(size, "auto"), _name(size, None))
            found.append(Row(f"{_what(size, 'auto', convolution)}, time", "chunk_windows=None", ratio))
    return found


def activations(size: Size) -> int:
    """Bytes, roughly, that a step holds at once without chunks: windows, hidden values and reconstructions, and most of
    them once more on the way back."""
    values = WINDOW**2 * size.channels
    return 4 * size.windows * (2 * 6 * values + 4 * CODE_LENGTH)


def _what(size: Size, mode: str | None, convolution: bool) -> str:
    return f"{'LEA behind a convolution' if convolution else 'LEA'}, chunk_windows={mode}, {size}"


def _name(size: Size, mode: str | None) -> str:
    return f"{mode} {size.windows}"


def _steps(
    settings: Settings, sizes: list[Size], convolution: bool
) -> tuple[dict[Any, Callable[[], Any]], dict[Any, str]]:
    """Steps by size and mode, and why others are left out."""
    steps, refused = {}, {}
    for size in sizes:
        data = backend.random((size.batch, size.side, size.side, size.channels))
        for mode in MODES:
            limit = 0 if backend.accelerators() else machine.memory() // 2
            if mode is None and limit and activations(size) > limit:
                refused[size, mode] = f"left out: would take more than half of the memory, {limit / 2**30:.0f} GiB"
                continue
            step = backend.training_step(memory.model(size.side, size.channels, mode, convolution), data)
            settings.say(f"  {_what(size, mode, convolution)}")
            try:
                step()
            except backend.OutOfMemory:
                refused[size, mode] = "left out: does not fit into the GPU's memory"
                continue
            steps[size, mode] = step
    return steps, refused


def _measure(settings: Settings, steps: dict[Any, Callable[[], Any]], base: Size) -> Times:
    """All small sizes in turn, then the large ones, in turn with the base "again"."""
    small = {_name(*key): step for key, step in steps.items() if key[0].windows < LARGE}
    times = settings.measure("small sizes", small, turns=15)
    large = {_name(*key): step for key, step in steps.items() if key[0].windows >= LARGE}
    if large:
        again = {f"{_name(base, mode)} again": steps[base, mode] for mode in MODES if (base, mode) in steps}
        times |= settings.measure("large sizes", again | large, turns=3, warmups=0)
    return times


def _ratio(times: Times, size: Size, base: Size, mode: str | None) -> Ratio:
    """Time per window over that of the base size, in the same turns."""
    other = _name(base, mode) + (" again" if size.windows >= LARGE else "")
    return compare(times, _name(size, mode), other).times(base.windows / size.windows)


def _row(
    settings: Settings,
    times: Times,
    size: Size,
    base: Size,
    mode: str | None,
    convolution: bool,
    refused: dict[Any, str],
) -> Row:
    what = f"{_what(size, mode, convolution)}, time per window"
    if (size, mode) in refused:
        return Row(what, beside=refused[size, mode])
    beside = f"{1e6 * median(times, _name(size, mode)) / size.windows:.2f} µs per window"
    if not settings.toy or (size, mode) == (TOY[-1], "auto"):
        settings.say(f"  memory: {_what(size, mode, convolution)}")
        beside += f"; {_memory(size, mode, convolution)}"
    goal = GOAL if mode == "auto" else None
    return Row(what, f"{base.windows:,} windows".replace(",", " "), _ratio(times, size, base, mode), goal, beside)


def _memory(size: Size, mode: str | None, convolution: bool) -> str:
    """Memory before a step and at its peak. On a CPU in a process of its own, whose peak nothing else has raised; a GPU
    counts its peak anew, and would not be there for two processes."""
    arguments = {**size._asdict(), "chunk_windows": mode, "convolution": convolution}
    if backend.accelerators():
        before, peak = memory.measure(**arguments)
    else:
        command = [sys.executable, "-m", "benchmarks.memory", json.dumps(arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:  # ended by the system, perhaps, for want of memory
            return f"its process for measuring memory ended with {done.returncode}: {done.stderr[-200:]}"
        before, peak = json.loads(done.stdout.splitlines()[-1])
    maps = 4 * size.batch * size.side**2 * size.channels
    before, more, maps = (f"{count / 2**20:.0f} MiB" for count in (before, peak - before, maps))
    return f"memory {before} before the step, at its peak {more} more (the feature maps: {maps})"
