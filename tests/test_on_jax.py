"""The tests that do not depend on the backend, once more under JAX, in a process that has no TensorFlow."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest
from backends import ON_JAX

TESTS = pathlib.Path(__file__).parent


def test_under_jax_without_tensorflow(jax_environment):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    command = [sys.executable, "-m", "pytest", "--numprocesses=0", "-p", "no:cacheprovider", *ON_JAX]
    environment = jax_environment | {"KERAS_BACKEND": "jax"}
    result = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert " passed" in result.stdout, result.stdout  # not all of them skipped
