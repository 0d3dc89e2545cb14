"""Surroundings of a measurement: the machine, the versions, the load; without names of hosts or folders."""

import importlib.metadata
import os
import pathlib
import platform
import re

import keras

import lea_keras
from benchmarks import backend

_CACHES = pathlib.Path("/sys/devices/system/cpu/cpu0/cache")


def describe(command: str) -> str:
    """Markdown lines on the machine, versions and command."""
    facts = {
        "CPU": f"{_cpu()}, {backend.cores()} cores, {backend.threads()} threads per operation",
        "caches of a core": _caches(),
        "memory": f"{memory() / 2**30:.0f} GiB" if memory() else "unknown",
        "GPU": ", ".join(backend.accelerators()) or "none",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "versions": ", ".join(_versions()),
        "load when it started": ", ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5 and 15 minutes)",
        "command": f"`{command}`",
    }
    return "".join(f"- {name}: {fact}\n" for name, fact in facts.items() if fact)


def memory() -> int:
    """Bytes of main memory, 0 if unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def _cpu() -> str:
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _caches() -> str:
    found = []
    for folder in sorted(_CACHES.glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        found.append(f"L{level} {kind.lower()} {size.removesuffix('K')} KiB")
    return ", ".join(found)


def _versions() -> list[str]:
    versions = [f"lea_keras {lea_keras.__version__}", f"keras {keras.__version__} on {keras.backend.backend()}"]
    versions += [backend.VERSION, f"python {platform.python_version()}"]
    for name in ("numpy", "jax", "torch") if keras.backend.backend() == "tensorflow" else ("numpy",):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"without {name}")
    return versions
