"""Units of work and the engine of this machine: what is done is known, what is killed goes on to the same numbers."""

import os
import pathlib
import signal
import threading
import time

import pytest
import tensorflow as tf
from backends import once
from command_checks import metrics

from experiments.config import RunConfig
from experiments.engines import local, units, worker
from experiments.engines.units import Outcome, Unit
from experiments.studies import STUDIES, base

pytestmark = once
TINY = RunConfig(
    **{"model": "pool_fc", "dataset": "sprites", "window_size": 4, "image_size": 16, "limit": 64, "test_limit": 32},
    **{"seed": 3, "backend": "jax"},
)


def make(folder, count=1, **fields):
    return [Unit(folder / f"{i:03}", TINY.replace(seed=i, **fields)) for i in range(count)]


def done(unit, **changed):
    unit.folder.mkdir(parents=True, exist_ok=True)
    (unit.folder / "model.keras").touch()
    units.write_outcome(unit._replace(**changed), Outcome("", 1.5))


def test_units_survive_json(tmp_path):
    unit = Unit(tmp_path / "a", TINY.replace(filters=(3, 4)), {"probes": {"limit": None}})
    assert units.from_json(units.to_json([unit])) == [unit]


def test_a_unit_is_done_when_nothing_is_left_to_do(tmp_path):
    unit = Unit(tmp_path / "a", TINY, {"attacks": {"samples": 20, "rows": (1, 2)}})
    assert units.read_outcome(unit) is None
    done(unit)
    assert units.read_outcome(unit) == Outcome("", 1.5)
    assert units.read_outcome(unit._replace(config=TINY.replace(epochs=TINY.epochs + 1))) is None
    assert units.read_outcome(unit._replace(measures={"attacks": {"samples": 21}})) is None
    assert units.read_outcome(unit._replace(measures={})) == Outcome("", 1.5)
    (unit.folder / "model.keras").unlink()
    assert units.read_outcome(unit) is None
    (unit.folder / units.DONE_FILE).write_text("{")
    assert units.read_outcome(unit) is None


def test_nothing_is_traced_for_a_unit_that_is_eager(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(worker, "_work", lambda unit: seen.append(tf.config.functions_run_eagerly()))
    for eager in (True, False):
        worker.work(Unit(tmp_path, TINY, eager=eager))
    assert seen == [True, False] and not tf.config.functions_run_eagerly()


def test_runs_of_studies_are_drawn_only_where_a_picture_needs_it(tmp_path):
    pictured = {
        name: {unit.pictured for unit in base.units(STUDIES[name].plan("smoke"), tmp_path)} for name in ("4.3", "5.5")
    }
    assert pictured == {"4.3": {True}, "5.5": {False}}


def test_a_diverged_run_is_done(tmp_path):
    unit = Unit(tmp_path, TINY)
    units.write_outcome(unit, Outcome("loss is NaN", 2.0))
    assert units.read_outcome(unit) == Outcome("loss is NaN", 2.0)


@pytest.mark.parametrize(("count", "parallel", "most", "sizes"), [
    (5, 2, 12, [3, 2]),
    (30, 2, 12, [12, 12, 6]),
    (1, 4, 12, [1]),
    (0, 2, 12, []),
    (3, 8, 12, [1, 1, 1]),
])  # fmt: skip
def test_packs(tmp_path, count, parallel, most, sizes):
    todo = make(tmp_path, count)
    packs = local.packs(todo, parallel, most)
    assert [len(pack) for pack in packs] == sizes
    assert [unit for pack in packs for unit in pack] == todo


def test_packs_have_one_backend(tmp_path):
    todo = [Unit(tmp_path / str(i), TINY.replace(backend=name)) for i, name in enumerate(("jax", "jax", "tensorflow"))]
    assert [len(pack) for pack in local.packs(todo, 1)] == [2, 1]


@pytest.fixture(scope="module")
def quick(jax_environment, tmp_path_factory):
    """Workers under JAX, and without what takes seconds to import and is not needed: they start quickly."""
    without = tmp_path_factory.mktemp("without")
    for name in ("tensorflow", "sklearn", "matplotlib"):
        (without / f"{name}.py").write_text('raise ImportError("not needed here")')
    paths = [without, *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (jax_environment | {"PYTHONPATH": os.pathsep.join(map(str, paths))}).items():
            patch.setenv(name, value)
        yield


def kill_in_second_epoch(folder):
    """Kills whoever trains a run as soon as its first epoch is stored."""
    while not (folder / "metrics.csv").is_file():
        time.sleep(0.02)
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"experiments.engines.worker" in command and os.getppid() != int(process.name):
            if int((process / "stat").read_text().split()[3]) == os.getpid():
                os.kill(int(process.name), signal.SIGKILL)


def test_a_killed_worker_loses_at_most_its_epoch(quick, tmp_path):
    todo = make(tmp_path / "killed", 2, epochs=3)
    todo[1] = todo[1]._replace(config=todo[0].config)  # the same run, which nobody kills
    killer = threading.Thread(target=kill_in_second_epoch, args=[todo[0].folder])
    killer.start()
    progress = []
    failed = local.run(todo, 1, tmp_path / "logs", progress.append)
    killer.join()
    assert list(failed) == [todo[0].folder] and "SIGKILL" in failed[todo[0].folder]
    assert units.read_outcome(todo[1])  # another worker took what the first had not come to
    assert local.run(todo, 1, tmp_path / "logs", progress.append) == {}
    assert progress[-1] == 2
    assert metrics(todo[0].folder) == metrics(todo[1].folder)


@pytest.fixture(scope="module")
def worked(quick, tmp_path_factory):
    """A unit that cannot be made, one after it that is trained in place of a run, and another of a second worker."""
    folder = tmp_path_factory.mktemp("worked")
    (broken,) = make(folder / "broken")
    broken.folder.mkdir(parents=True)
    (broken.folder / "config.json").write_text("{}")
    first, second = base.units(STUDIES["defences"].plan("smoke", backend="jax")[:2], folder / "runs")
    todo = [broken, first, second]
    assert local.packs(todo, 2) == [[broken, first], [second]]
    return *todo, local.run(todo, 2, folder / "logs", lambda count: None)


def test_what_a_unit_fails_with_is_told_and_the_next_one_made(worked):
    broken, fine, _, failed = worked
    assert list(failed) == [broken.folder] and "lacks the fields" in failed[broken.folder]
    assert units.read_outcome(fine)


def test_two_workers_make_what_is_trained_in_place_of_runs(worked):
    _, *made, _ = worked
    assert all(units.read_outcome(unit) and not unit.trained for unit in made)
    assert all((unit.folder / "evaluation" / "defences.json").is_file() for unit in made)
