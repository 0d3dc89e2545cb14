"""Standard streams of a command line that never fail, whoever reads them, and whatever characters they can write.

Nothing here imports Keras.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class Tolerant:
    """A text stream that replaces what it cannot encode, and goes on where nothing can be written.

    Args:
        stream: to write to; None: there is none, as after ``>&-``.

    Attributes:
        error: why something could not be written; None while everything was.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.error: str | None = None

    def write(self, text: str) -> int:
        """Writes as much of a text as can be; returns its length, as of any stream."""
        if self._stream is None:
            self.error = self.error or "it is closed"
            return len(text)
        try:
            self._write(text)
        except (OSError, ValueError) as error:  # ValueError: the stream was closed meanwhile
            self._note(error)
        return len(text)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeError:  # streams of notebooks and the like have no handler of errors that could be set
            encoding = getattr(self._stream, "encoding", None) or "ascii"
            self._stream.write(text.encode(encoding, "replace").decode(encoding))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self._stream is None:
            return
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._note(error)

    def settle(self) -> None:
        """Lets what cannot be written go, which Python would try again, and complain about, when it ends."""
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError) as error:
            self._note(error)
            with contextlib.suppress(OSError, ValueError):
                if self._stream.fileno() in (1, 2):  # no file of somebody who calls us
                    _null_instead(self._stream.fileno())
                    self._stream.flush()

    def isatty(self) -> bool:
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False

    def _note(self, error: Exception) -> None:
        self.error = self.error or getattr(error, "strerror", None) or str(error)

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # before it is set
            raise AttributeError(name)
        if self._stream is None:
            raise io.UnsupportedOperation(name) if name == "fileno" else AttributeError(name)
        return getattr(self._stream, name)


@contextlib.contextmanager
def tolerant() -> Iterator[Tolerant]:
    """Inside, ``sys.stdout`` and ``sys.stderr`` raise nothing, whatever is written to whomever; the former is returned.

    Files that are opened inside get none of the numbers 0 to 2, to which libraries write without asking Python.
    """
    _open_missing()
    former = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = output, errors = Tolerant(former[0]), Tolerant(former[1])
    try:
        with _replacing(former[0]), _replacing(former[1]):
            yield output
    finally:
        sys.stdout, sys.stderr = former
        output.settle()
        errors.settle()


def _open_missing() -> None:
    """Opens the null device in place of standard streams that the process was started without."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _null_instead(number)


def _null_instead(number: int) -> None:
    """Makes a file descriptor one of the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)


@contextlib.contextmanager
def _replacing(stream: Any) -> Iterator[None]:
    """Inside, a stream replaces what it cannot encode, if it can be told to."""
    errors = getattr(stream, "errors", None)
    if not isinstance(stream, io.TextIOWrapper) or stream.closed:
        yield
        return
    with contextlib.suppress(OSError):  # of what is still to be written, which this does first
        stream.reconfigure(errors="replace")
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            stream.reconfigure(errors=errors)
