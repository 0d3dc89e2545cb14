"""Packs: runs that are divided among jobs, and what a job does that runs into its time limit."""

import importlib.util
import time

import pytest
from backends import once

from experiments.config import RunConfig
from experiments.engines import estimates, packs, units
from experiments.engines.packs import Pack
from experiments.engines.units import Unit

pytestmark = once


def make_units(folder, count, **fields):
    return [Unit(folder / f"{i:03}", RunConfig(model="pool_fc", seed=i, **fields)) for i in range(count)]


def test_two_thousand_runs_are_planned_in_seconds(tmp_path):
    began = time.monotonic()
    todo = make_units(tmp_path, 2000, limit=6000, epochs=20)
    divided = packs.divide(todo)
    assert time.monotonic() - began < 5
    assert [unit for pack in divided for unit in pack] == todo
    work = [sum(map(estimates.work, pack)) for pack in divided]
    assert len(divided) > 2 and min(work[:-1]) >= packs.HALF_HOUR
    without_last = [sum(map(estimates.work, pack[:-1])) for pack in divided]
    assert max(without_last) < packs.HALF_HOUR  # and none is longer than need be
    assert packs.divide([]) == []


@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="submitit is not installed")
def test_a_job_that_gets_on_is_queued_again_and_a_run_that_does_not_is_given_up(tmp_path, capsys):
    first, second = todo = make_units(tmp_path, 2)
    first.folder.mkdir()
    pack = Pack(units.to_json(todo))
    for rows, stalled in ((0, 1), (1, 0), *((1, number) for number in range(1, packs._STALLED))):
        pack._before, pack._current = pack._progress(), first
        (first.folder / "metrics.csv").write_text("\n" * rows)
        pack = pack.checkpoint().function
        assert (pack._stalled, units.from_json(pack._text)) == (stalled, todo)
    pack._before, pack._current = pack._progress(), first
    pack = pack.checkpoint().function  # the other one is still to be made
    assert (pack._stalled, units.from_json(pack._text)) == (0, [second])
    assert capsys.readouterr().out.startswith(f"failed: {first.folder}: 5 jobs in a row ended before an epoch")
    pack._stalled, pack._current = packs._STALLED - 1, second
    assert pack.checkpoint() is None
