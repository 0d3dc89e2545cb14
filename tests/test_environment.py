"""Plotting backends that the environment names: those that are there are kept, others keep nobody from anything."""

import os
import pathlib
import subprocess
import sys

import pytest

import lea_keras

# Without the rest of the package, and so without Keras.
SCRIPT = f"""
import os, runpy, sys
run = runpy.run_path({str(pathlib.Path(lea_keras.__file__).with_name("environment.py"))!r})
before = os.environ.get("MPLBACKEND")
run["import_matplotlib"]()
assert os.environ.get("MPLBACKEND") == before
print("matplotlib" in sys.modules)
import matplotlib.pyplot
print(dict.__getitem__(matplotlib.rcParams, "backend"))
from matplotlib.figure import Figure
Figure().savefig(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        (None, None),
        ("svg", "svg"),
        ("module://a.backend.that.is.not.there", "module://a.backend.that.is.not.there"),
        ("no backend at all", None),
    ],
)
def test_backends(name, backend, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    if name is not None:
        environment["MPLBACKEND"] = name
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "a.png")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    imported, shown = done.stdout.splitlines()
    assert imported == str(name is not None)  # without the variable, matplotlib is left to who needs it
    assert shown == backend if backend else shown.startswith("<object")  # that is to be looked for at the first figure
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
