"""What Slurm is asked by its commands, and what it answers.

Nothing is asked of its accounting, which many clusters and all of one node are without.
"""

import contextlib
import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from experiments import cli, extras
from experiments.config import checks

MINUTES = 60
_PATIENCE = 60  # seconds within which Slurm answers
#: States in which a job does nothing more.
ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}
# Options of sbatch that are the engine's own, and those that have a flag.
_OWN = {
    *("array", "chdir", "error", "job-name", "no-requeue", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output"),
    *("parsable", "quiet", "requeue", "signal", "test-only", "wait", "wrap"),
}
_FLAGS = {"gpus-per-node": "slurm_gpus", "partition": "slurm_partition", "time": "slurm_minutes"}


class Settings(NamedTuple):
    """What is asked of the cluster for every job.

    Attributes:
        partition: None for the cluster's own.
        gpus: of a job.
        minutes: after which a job ends, to be queued again.
        options: others of sbatch.
    """

    partition: str | None = None
    gpus: int = 0
    minutes: int = MINUTES
    options: Mapping[str, str] = {}

    def of_sbatch(self) -> dict[str, str]:
        """As options of sbatch, without submitit's and the engine's own."""
        found = {"time": str(self.minutes), **self.options}
        found |= {"partition": self.partition} if self.partition else {}
        return found | ({"gpus-per-node": str(self.gpus)} if self.gpus else {})


class Job(NamedTuple):
    """What the queue says of a job."""

    id: str
    state: str


def read_options(text: str) -> dict[str, str]:
    """ "account=x,mem=8G,nodelist=a,b" → {"account": "x", "mem": "8G", "nodelist": "a,b"}: names as sbatch has them.

    A comma begins a new option where a name and "=" come after it.

    Raises:
        ValueError: one line, for anything else, a name that comes twice, or one that is not the user's to choose.
    """
    found: dict[str, str] = {}
    for part in re.split(r",(?=[A-Za-z][\w-]*=)", text):
        name, _, value = part.partition("=")
        name = name.replace("_", "-")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name) or not value or not value.isprintable():
            raise checks.fail("slurm_options", "options of sbatch, as in account=mine,mem=8G", text)
        if name in _FLAGS:
            raise checks.fail("slurm_options", f"without {name}, for which there is --{_FLAGS[name]}", text)
        if name in _OWN:
            raise checks.fail("slurm_options", f"without {name}, which the engine chooses itself", text)
        if name in found:
            raise checks.fail("slurm_options", f"with one {name}", text)
        found[name] = value
    return found


def check_installed() -> None:
    extras.check_installed("--engine=slurm", "submitit", "submitit", "slurm")
    missing = [name for name in ("sbatch", "squeue", "scancel", "scontrol", "srun") if shutil.which(name) is None]
    if missing:
        raise ValueError(
            f"--engine=slurm needs Slurm's commands, of which {', '.join(missing)} cannot be found: log in to a "
            "machine of the cluster that has them, or install them (Debian: slurm-client), or choose --engine=local"
        )


def check_partition(settings: Settings) -> None:
    """Refuses a partition that there is not, and a time limit that keeps jobs waiting in it for ever."""
    lines = [line.split("|") for line in ask("sinfo", "--noheader", "--all", "--format=%R|%P|%l").splitlines()]
    limits = {name: limit for name, _, limit in lines}
    chosen = [name for name, shown, _ in lines if shown.endswith("*")]
    if settings.partition is not None:
        # Of several Slurm takes the one that is free first.
        chosen = [checks.check_choice("slurm_partition", name, limits) for name in settings.partition.split(",")]
    most = max((read_minutes(limits[name]) for name in chosen), default=math.inf)
    if settings.minutes > most:
        raise checks.fail("slurm_minutes", f"at most {most:g}, the limit of {' and '.join(chosen)}", settings.minutes)


def check_accepted(settings: Settings, text: str) -> None:
    """Has sbatch look at the options without submitting anything."""
    command = ["sbatch", "--test-only", *(f"--{name}={value}" for name, value in settings.of_sbatch().items())]
    done = call(*command, "--wrap=true")
    # Nodes that are down at the moment may be up when the jobs have their turn.
    if done.returncode == 0 or "down, drained or reserved" in done.stderr:
        return
    said = read_refusal(done.stderr)
    if settings.options:
        raise checks.fail("slurm_options", "options that sbatch accepts", text, hint=f"It says: {said}.")
    given = {"slurm_partition": settings.partition, "slurm_gpus": settings.gpus, "slurm_minutes": settings.minutes}
    received = ", ".join(f"{name}={value}" for name, value in given.items() if value)
    raise ValueError(f"Slurm would refuse such jobs: {said}. Received: {received}")


def read_queue() -> dict[tuple[str, int], Job] | None:
    """This user's jobs, and those that ended minutes ago, by name and index; None where Slurm does not answer."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "--format=%i|%T|%j"]
    try:
        text = ask(*command)
    except ValueError:
        return None
    found = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"(\d+(?:_(\d+))?)\|(\w+)\|(.*)", line.strip()):
            found[match[4], int(match[2] or 0)] = Job(match[1], match[3])
    return found


def cancel(name: str) -> None:
    """Cancels this user's jobs of a name; where Slurm does not answer they stay."""
    command = ["scancel", "--quiet", f"--user={os.getuid()}", f"--name={name}"]
    with contextlib.suppress(ValueError):
        call(*command)


def read_largest_array(configuration: str) -> int:
    """How many jobs an array may have, from what ``scontrol show config`` prints: indices are below MaxArraySize."""
    size = re.search(r"^MaxArraySize\s*=\s*(\d+)", configuration, re.M)
    return max(1, int(size[1]) - 1) if size else 1


def read_minutes(text: str) -> float:
    """A duration as Slurm prints it, in minutes: "30:00", "2:00:00", "1-12:00:00"; infinite for what is none."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not match:
        return math.inf
    days, hours, minutes, _ = (int(part or 0) for part in match.groups())
    return days * 1440 + hours * 60 + minutes


def read_refusal(text: str) -> str:
    """The reason in what commands of Slurm print on failure, without their names and the lines around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(sbatch|scontrol|sinfo|allocation failure|.*: error:)", line)]
    told = (errors or lines or ["no reason given"])[0]
    return cli.one_line(re.sub(r"^(\w+: |allocation failure: )?((error|fatal): )?", "", told)).rstrip(".")


def ask(*command: str) -> str:
    """What a command of Slurm prints.

    Raises:
        ValueError: one line, if it fails.
    """
    done = call(*command)
    if done.returncode:
        raise ValueError(f"Slurm does not answer: {read_refusal(done.stderr)}")
    return done.stdout


def call(*command: str) -> "subprocess.CompletedProcess[str]":
    """How a command of Slurm ended, whatever it says.

    Raises:
        ValueError: one line, if it cannot be run or takes too long.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        raise ValueError(f"Slurm does not answer: {cli.one_line(str(error))}") from None
