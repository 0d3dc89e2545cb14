"""Locks of the operating system, by which one process at a time writes to a folder.

A lock goes with its process, however that ends; the file that it is on may stay behind and means nothing then. Nothing
here needs more than the standard library, so that a folder in use is refused before Keras is imported.
"""

import contextlib
import datetime
import errno
import json
import os
import pathlib
import socket
import weakref
from typing import Any

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

LOCK_FILE = ".lea_keras.lock"
# What file systems answer that have no locks, or none of this kind.
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_ATTEMPTS = 100


class Lock:
    """A lock on a folder, from when it is made until it is released or nobody refers to it any more.

    ``flock`` is used, which Linux turns into a lock of the server on a network file system (NFS), so that hosts see
    each other there. The file says who holds the lock: process, host and since when.

    Args:
        folder: it is made if need be.
        name: of the file in it that is locked, and gone afterwards.

    Attributes:
        missing: None, or why there is no lock where the file system or the platform has none: a sentence to be shown,
            since nothing keeps others from the folder then.

    Raises:
        BlockingIOError: if somebody else holds the lock; it says who.
        OSError: if the folder cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str = LOCK_FILE) -> None:
        self.path = pathlib.Path(folder) / name
        self.missing: str | None = None
        self._finalizer: weakref.finalize | None = None
        error: OSError = self._refusal(b"")
        for _ in range(_ATTEMPTS):  # since whoever had the lock may just be removing the file and the folder
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                if self._try():
                    _HELD.add(self)
                    return
            except (FileNotFoundError, FileExistsError) as gone:
                error = gone
        raise error

    def _try(self) -> bool:
        """Whether the lock is taken, on the file that has its name; another process may just have removed that."""
        file = self.path.open("a+b")
        try:
            self._lock(file)
            if not os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                file.close()
                return False
            about = {"process": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.datetime.now():%F %T}"}
            file.truncate(0)
            file.write(json.dumps(about).encode() + b"\n")
            file.flush()
        except BaseException:
            file.close()
            raise
        self._finalizer = weakref.finalize(self, _release, self.path, file)
        return True

    def _lock(self, file: Any) -> None:
        try:
            if fcntl is None:
                raise OSError(errno.ENOSYS, "this platform has no flock")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise self._refusal(file.read(4096)) from None
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
            reason = error.strerror or error
            self.missing = f"Nothing keeps other processes from writing to {self.path.parent}: {reason}"

    def _refusal(self, written: bytes) -> BlockingIOError:
        try:
            about = json.loads(written)
            holder = f"process {about['process']} on {about['host']} has been writing to it since {about['since']}"
        except (ValueError, KeyError, TypeError):  # it has not come to write that yet
            holder = "another process writes to it"
        return BlockingIOError(errno.EWOULDBLOCK, holder, str(self.path.parent))

    def release(self) -> None:
        """Lets others have the folder; does nothing when called again."""
        if self._finalizer is not None:
            self._finalizer()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: Any) -> None:
        self.release()


def _release(path: pathlib.Path, file: Any) -> None:
    with contextlib.suppress(OSError):
        path.unlink()  # before the lock goes: afterwards it may be the file of the next one
    file.close()


_HELD: "weakref.WeakSet[Lock]" = weakref.WeakSet()


def _forget() -> None:
    """In a forked process: gives up what it has inherited, since a lock is held until every process has closed it."""
    for lock in list(_HELD):
        inherited = lock._finalizer.detach() if lock._finalizer is not None else None
        if inherited is not None:
            _, _, (_, file), _ = inherited
            file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
