"""Locks on folders: who has one, how it goes, and file systems that have none."""

import errno
import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys

import pytest

from lea_keras import locks
from lea_keras.locks import LOCK_FILE, Lock

pytestmark = pytest.mark.skipif(locks.fcntl is None, reason="this platform has no flock")

# Locks a folder in a process that imports no Keras, says so, and waits.
HOLD = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("locks", sys.argv[1])
locks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(locks)
lock = locks.Lock(sys.argv[2])
print("locked", flush=True)
time.sleep(60)
"""


def refused(folder):
    with pytest.raises(BlockingIOError) as error:
        Lock(folder)
    assert error.value.filename == str(folder)
    return error.value.strerror


def test_one_at_a_time_and_it_says_who(tmp_path):
    folder = tmp_path / "new" / "folder"
    with Lock(folder) as lock:
        assert lock.missing is None
        assert refused(folder).startswith(f"process {os.getpid()} on {socket.gethostname()} has been writing to it sin")
        with Lock(folder, "other"):
            assert {path.name for path in folder.iterdir()} == {LOCK_FILE, "other"}
    assert list(folder.iterdir()) == []
    lock.release()
    with Lock(folder):
        lock.release()  # of one that is over, it is not the next one's
        refused(folder)


def test_it_goes_with_its_process_and_a_file_alone_means_nothing(tmp_path):
    command = [sys.executable, "-c", HOLD, locks.__file__, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        assert refused(tmp_path).startswith(f"process {process.pid} on ")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (tmp_path / LOCK_FILE).exists()
    with Lock(tmp_path):
        assert f"process {os.getpid()} on" in refused(tmp_path)
    (tmp_path / LOCK_FILE).write_bytes(b"\xff{")
    Lock(tmp_path).release()


def test_a_holder_that_has_not_yet_said_who_it_is(tmp_path):
    with Lock(tmp_path) as lock:
        lock.path.write_bytes(b"")
        assert refused(tmp_path) == "another process writes to it"


def test_it_goes_with_the_last_reference(tmp_path):
    lock = Lock(tmp_path)
    refused(tmp_path)
    del lock
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:.*fork")
def test_processes_that_are_forked_do_not_have_it(tmp_path):
    lock, context = Lock(tmp_path), multiprocessing.get_context("fork")
    begun, end = context.Event(), context.Event()
    process = context.Process(target=lambda: (begun.set(), end.wait(30)))
    process.start()
    try:
        assert begun.wait(30)
        refused(tmp_path)
        lock.release()
        Lock(tmp_path).release()  # although a process that has inherited it lives
    finally:
        end.set()
        process.join()


def take_turns(folder, mark, rounds):
    done = 0
    while done < rounds:
        try:
            lock = Lock(folder)
        except BlockingIOError:
            continue
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))  # fails if there are two
        os.unlink(mark)
        lock.release()
        try:
            os.rmdir(folder)
        except OSError:
            pass
        done += 1


@pytest.mark.filterwarnings("ignore:.*fork")
def test_never_two_also_while_file_and_folder_come_and_go(tmp_path):
    context = multiprocessing.get_context("fork")
    arguments = (tmp_path / "folder", tmp_path / "mark", 30)
    processes = [context.Process(target=take_turns, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]


def test_a_file_system_without_locks_says_so(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks.fcntl, "flock", none)
    with Lock(tmp_path) as lock:
        assert lock.missing == f"Nothing keeps other processes from writing to {tmp_path}: No locks available"
    monkeypatch.setattr(locks, "fcntl", None)
    with Lock(tmp_path) as lock:
        assert "this platform has no flock" in lock.missing


def test_what_is_no_folder_or_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError):
        Lock(tmp_path / "file")
    with pytest.raises(OSError):
        Lock("/proc/nothing")
    assert (tmp_path / "file").read_text() == "mine"
