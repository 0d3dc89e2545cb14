"""Units of work and the engine of this machine: what is done is known, what is killed goes on to the same numbers."""

import json
import os
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
    os.kill(json.loads((folder / ".lea_keras.lock").read_text())["process"], signal.SIGKILL)


@pytest.fixture(scope="module")
def worked(quick, tmp_path_factory):
    """What two workers made of these units, and what another one made of them all once more; the failures of both.

    ``killed``, whose worker is killed in its second epoch, and ``twin``, the same run; ``broken``, that cannot be made,
    and ``made``, which is trained in place of a run.
    """
    folder = tmp_path_factory.mktemp("worked")
    killed, broken = make(folder / "runs", 2, epochs=3)
    twin = killed._replace(folder=folder / "twin")
    broken.folder.mkdir(parents=True)
    (broken.folder / "config.json").write_text("{}")
    made = base.units(STUDIES["defences"].plan("smoke", backend="jax"), folder / "made")[1]
    few = {"units": (4,), "attacked": 1, "attack_steps": 1}
    made = made._replace(measures={"defences": made.measures["defences"] | few})
    todo = {"killed": killed, "twin": twin, "broken": broken, "made": made}
    assert local.packs(list(todo.values()), 2) == [[killed, twin], [broken, made]]
    killer = threading.Thread(target=kill_in_second_epoch, args=[killed.folder])
    killer.start()
    progress = []
    first = local.run(list(todo.values()), 2, folder / "logs", progress.append)
    killer.join()
    assert progress[-1] == 2 and len(metrics(killed.folder)) < 3
    second = local.run(list(todo.values()), 1, folder / "logs", progress.append)
    assert progress[-1] == 3
    assert len(list((folder / "logs").glob("worker_*.log"))) == 4
    return todo, first, second


def test_a_killed_worker_loses_at_most_its_epoch(worked):
    todo, first, second = worked
    killed, twin = todo["killed"], todo["twin"]
    assert "SIGKILL" in first[killed.folder] and killed.folder not in second
    assert units.read_outcome(twin)  # another worker took what the first had not come to
    assert metrics(killed.folder) == metrics(twin.folder) and len(metrics(twin.folder)) == 3


def test_what_a_unit_fails_with_is_told_and_the_next_one_made(worked):
    todo, first, second = worked
    assert first.keys() == {todo["killed"].folder, todo["broken"].folder} and second.keys() == {todo["broken"].folder}
    assert all("lacks the fields" in failed[todo["broken"].folder] for failed in (first, second))
    assert units.read_outcome(todo["made"])


def test_workers_make_what_is_trained_in_place_of_runs(worked):
    made = worked[0]["made"]
    assert units.read_outcome(made) and not made.trained
    assert (made.folder / "evaluation" / "defences.json").is_file()
