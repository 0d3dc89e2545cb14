"""The line of progress: every half minute, or redrawn on a terminal."""

import io
import sys
import time

import pytest

from lea_keras import utils
from lea_keras.utils import Progress


@pytest.fixture
def now(monkeypatch):
    """The time, in its one element."""
    now = [0.0]
    monkeypatch.setattr(utils.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "00:00"), (62.4, "01:02"), (3599.6, "1:00:00"), (4000, "1:06:40")],
)
def test_clock(seconds, text):
    assert utils.clock(seconds) == text


def test_a_line_every_half_minute(now, capsys):
    line = Progress("deep_fool (1 of 2)", 400, "samples attacked")
    for second, done in ((4, 100), (29.9, 150), (30, 200), (45, 300), (59.9, 350), (90, 390), (130, 400)):
        now[0] = second
        line.update(done)
    line.end("success rate 1.0000")
    assert capsys.readouterr().out.splitlines() == [
        "deep_fool (1 of 2): 200 of 400 samples attacked, about 00:30 left",
        "deep_fool (1 of 2): 390 of 400 samples attacked, about 00:02 left",
        "deep_fool (1 of 2): success rate 1.0000",
    ]


def test_it_is_said_also_while_nothing_more_is_done(now, capsys):
    line = Progress("", 4, "batches done", every=5)
    for second in range(1, 12):
        now[0] = second
        line.tick(f"{second} calls")
    line.update(1)
    now[0] = 15
    line.tick()
    line.end()
    assert capsys.readouterr().out.splitlines() == [
        "0 of 4 batches done, 5 calls",
        "0 of 4 batches done, 10 calls",
        "1 of 4 batches done, about 00:45 left, 11 calls",
    ]


def test_without_a_total_nothing_is_left(now, capsys):
    line = Progress("Epoch 1 of 2", None, "batches done", every=1)
    now[0] = 1
    line.update(7)
    assert capsys.readouterr().out == "Epoch 1 of 2: 7 batches done\n"


def test_silence(now, capsys):
    line = Progress("a", 2, "done", verbose=0, every=0, in_place=True)
    now[0] = 100
    line.update(1)
    line.end("done")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("said", [True, None], ids=["asked_for", "on_a_terminal"])
def test_redrawn_in_its_place(now, monkeypatch, capsys, said):
    if said is None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    line = Progress("a", 3, "samples attacked", in_place=said)
    line.update(1)  # too soon to be drawn
    now[0] = 1
    line.update(2)
    line.end("done")
    Progress("b", None, "seen", in_place=said).end()
    assert capsys.readouterr().out.split("\r\x1b[K")[1:] == [
        "a: 0 of 3 samples attacked",
        "a: 2 of 3 samples attacked, about 00:00 left",
        "a: done\n",
        "b: 0 seen",
        "",
    ]


def test_without_a_standard_output(now, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    line = Progress("a", 2, "done", every=0)
    line.update(1)
    line.end("done")
    monkeypatch.setattr(sys, "stdout", io.StringIO())


def test_half_a_minute_is_over_also_where_one_thing_follows_another(now, capsys):
    utils.say(1, "begun")
    for second in (0, 20, 40):
        now[0] = second
        line = Progress(f"from {second}", 10, "done")
        now[0] = second + 19
        line.update(5)
        line.end()
    assert capsys.readouterr().out.splitlines() == [
        "begun",
        "from 20: 5 of 10 done, about 00:19 left",
    ]
    now[0] = 69
    line.tick()
    assert capsys.readouterr().out == "from 40: 5 of 10 done, about 00:29 left\n"
    now[0] = 200  # long after the last line of anything, half a minute begins anew
    line = Progress("from 200", 10, "done")
    line.tick()
    assert capsys.readouterr().out == ""


def test_what_begins_slowly_is_told_from_the_others(now, capsys):
    line = Progress("", 10, "done", every=1, begins_slowly=True)
    for second, done in ((1, 0), (101, 2), (104, 4)):
        now[0] = second
        line.update(done)
    assert capsys.readouterr().out.splitlines() == ["0 of 10 done", "2 of 10 done", "4 of 10 done, about 00:09 left"]


def test_it_is_said_while_nothing_calls_for_it(capsys):
    line = Progress("a", 3, "done", every=0.02)
    line.update(1)
    with pytest.raises(KeyError), line.meanwhile():
        time.sleep(0.2)
        raise KeyError
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2 and all(text.startswith("a: 1 of 3 done, about ") for text in lines)
    time.sleep(0.1)
    assert capsys.readouterr().out == ""  # whatever ended it, nothing goes on
    for silent in (Progress("a", 3, "done", every=0.01, verbose=0), Progress("a", 3, "done", in_place=True)):
        with silent.meanwhile():
            time.sleep(0.05)
    assert capsys.readouterr().out == "\r\x1b[Ka: 0 of 3 done"
