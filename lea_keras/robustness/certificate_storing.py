"""Certificates on disk, batch by batch, so that what was interrupted goes on."""

import contextlib
import json
import os
import pathlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from lea_keras.checks import check_path, fail
from lea_keras.locks import Lock
from lea_keras.utils import write_atomically
from lea_keras.version import __version__


class CertificateStore:
    """A file with what is known of the first images, and of what it is.

    Only a file of exactly the same is gone on with; any other is refused and never overwritten.

    Args:
        folder: made with the first batch; None: nothing is stored.
        name: of the file, without its ending.
        identity: all that the values depend on, by name, as JSON keeps it.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, name: str, identity: Mapping[str, Any]) -> None:
        self.identity = {"lea_keras": __version__, **identity}
        self.path = None if folder is None else pathlib.Path(check_path("output_dir", folder)) / f"{name}.json"
        if self.path is not None and self.path.parent.exists() and not self.path.parent.is_dir():
            raise fail("output_dir", "a folder", str(folder))

    def load(self) -> list[Any]:
        """The values of the first images; none if there is no file.

        Raises:
            ValueError: one line, if the file is damaged or of something else.
            OSError: if it cannot be read.
        """
        if self.path is None or not self.path.exists():
            return []
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            identity, values = dict(stored["identity"]), list(stored["values"])
        except (ValueError, KeyError, TypeError):
            damage = f"{self.path} is damaged or holds no certificates; remove it or choose another folder"
            raise ValueError(damage) from None
        others = [part for part in {**self.identity, **identity} if identity.get(part) != self.identity.get(part)]
        if others:
            what = ", ".join(part.replace("_", " ") for part in others)
            raise ValueError(f"{self.path} holds certificates for other {what}; remove it or choose another folder")
        return values

    def save(self, values: list[Any]) -> None:
        """Writes what is known; the whole file under its name, or what was there before."""
        if self.path is not None:
            contents = {"identity": self.identity, "values": values}
            write_atomically(self.path, json.dumps(contents, allow_nan=False) + "\n")

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Inside, no other process stores the same.

        Raises:
            BlockingIOError: if another one is about to; it says who.
            OSError: if the folder cannot be made or written to.
        """
        if self.path is None:
            yield
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with Lock(self.path.parent, f".{self.path.stem}.lock") as lock:
            if lock.missing:
                warnings.warn(lock.missing, stacklevel=4)
            yield
