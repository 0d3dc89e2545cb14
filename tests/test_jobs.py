"""Flags that say which devices and processes train a run."""

import pytest

import train
from experiments import jobs
from experiments.jobs import Job

PARALLEL = {"distribution": "data_parallel"}
SEVERAL = PARALLEL | {"coordinator": "10.0.0.1:1234", "processes": 3, "process": 2}


@pytest.mark.parametrize(
    ("given", "job"),
    [
        ({}, None),
        (PARALLEL, Job()),
        (SEVERAL, Job("10.0.0.1:1234", 3, 2)),
        (SEVERAL | {"coordinator": "[::1]:9"}, Job("[::1]:9", 3, 2)),
        (SEVERAL | {"processes": 1, "process": 0}, Job()),
    ],
)
def test_jobs(given, job):
    assert jobs.from_flags(given, "jax") == job


def without(name):
    return {key: value for key, value in SEVERAL.items() if key != name}


@pytest.mark.parametrize(
    ("given", "backend", "message"),
    [
        ({"processes": 2}, "jax", "Argument `distribution` must be given with --processes: data_parallel. Received"),
        ({"distribution": "model_parallel"}, "jax", "Argument `distribution` must be one of ('data_parallel',)"),
        (PARALLEL, "tensorflow", "Argument `backend` must be 'jax' with --distribution"),
        (without("coordinator"), "jax", "Argument `coordinator` must be given with --processes. Received"),
        (without("processes"), "jax", "Argument `processes` must be given with --coordinator. Received"),
        (without("process"), "jax", "Argument `process` must be given with --coordinator. Received"),
        (
            SEVERAL | {"process": 3},
            "jax",
            "Argument `process` must be from 0 to 2, one less than --processes. Received",
        ),
        (SEVERAL | {"process": -1}, "jax", "Argument `process` must be from 0 to 2"),
        (SEVERAL | {"processes": 0}, "jax", "Argument `processes` must be"),
        *(
            (SEVERAL | {"coordinator": wrong}, "jax", "Argument `coordinator` must be HOST:PORT of process 0. Received")
            for wrong in ("host", ":1", "host:", "host:0", "host:65536", "host:port")
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line(given, backend, message):
    with pytest.raises(ValueError) as error:
        jobs.from_flags(given, backend)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--distribution=data_parallel"], "Argument `backend` must be 'jax' with --distribution"),
        (["--process=1"], "Argument `distribution` must be given with --process"),
        (["--runs=2", "--distribution=data_parallel"], "Argument `distribution` must be left out with --runs"),
    ],
)
def test_on_the_command_line(flags, message, tmp_path, capsys):
    assert train.main(["train.py", f"--run_dir={tmp_path / 'run'}", *flags]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"train.py: {message}") and errors.count("\n") == 1
    assert not (tmp_path / "run").exists()
