"""Devices and processes that train a run, as flags say it, and the end of a process that others wait for.

Nothing here imports Keras, so that flags that cannot be right are refused at once.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from experiments.config import checks

DISTRIBUTIONS = ("data_parallel",)
FLAGS = ("distribution", "coordinator", "processes", "process")


class Job(NamedTuple):
    """What one process has to do with the training of a run.

    Attributes:
        coordinator: "host:port" at which process 0 is found by the others; None: there is one process.
        processes: how many there are.
        process: which one this is, from 0. Only process 0 writes.
    """

    coordinator: str | None = None
    processes: int = 1
    process: int = 0


def from_flags(given: Mapping[str, Any], backend: str) -> Job | None:
    """The job that flags describe, or None where they say nothing of devices.

    Raises:
        ValueError: one line, if they contradict each other or the backend.
    """
    if not any(name in given for name in FLAGS):
        return None
    if "distribution" not in given:
        first = next(name for name in FLAGS if name in given)
        raise checks.fail("distribution", f"given with --{first}: {' or '.join(DISTRIBUTIONS)}", None)
    checks.check_choice("distribution", given["distribution"], DISTRIBUTIONS)
    if backend != "jax":
        raise checks.fail("backend", "'jax' with --distribution, since Keras has none for the other", backend)
    several = [name for name in FLAGS[1:] if name in given]
    if not several:
        return Job()
    missing = [name for name in FLAGS[1:] if name not in given]
    if missing:
        raise checks.fail(missing[0], f"given with --{several[0]}", None)
    coordinator, processes, process = (given[name] for name in FLAGS[1:])
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise checks.fail("coordinator", "HOST:PORT of process 0", coordinator)
    checks.check_positive_int("processes", processes)
    if not 0 <= process < processes:
        raise checks.fail("process", f"from 0 to {processes - 1}, one less than --processes", process)
    return Job(coordinator, processes, process) if processes > 1 else Job()


def is_joined() -> bool:
    """Whether this process has joined others."""
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def end(status: int) -> None:
    """Ends this process at once, where an ordinary exit of JAX would wait for the others for minutes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # of a stream that is full, closed or missing
            stream.flush()
    os._exit(status)
