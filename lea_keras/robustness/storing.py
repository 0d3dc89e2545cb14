"""Results of attacks on disk, each as soon as it has finished, so that an interrupted evaluation goes on."""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from lea_keras.checks import check_path, fail
from lea_keras.locks import Lock
from lea_keras.robustness.attacks.semantics import NEAREST
from lea_keras.robustness.records import Record
from lea_keras.utils import write_atomically
from lea_keras.version import __version__


class AttackResults(NamedTuple):
    """What one attack found.

    Attributes:
        records: one per attacked sample or, of targeted attacks, per pair.
        images: what the attack made of them, [samples, …], or None if they were not kept.
    """

    records: list[Any]
    images: np.ndarray | None


class Store:
    """A folder with one ``<attack>.json`` for each finished attack, and one ``<attack>.npy`` where images are kept.

    Those of foolbox 1.8 have names of their own, ``foolbox18_<attack>``.

    Each file says of what it is: digests of the weights, the images, the labels and the predictions, the seed, the
    batch size, and the attack with its options. Only a file of exactly the same is taken over; any other is refused and
    never overwritten.

    Args:
        folder: made with the first file.
        identity: what all attacks share, by name.
        semantics: of all of them, a name of ``SEMANTICS``.
    """

    def __init__(self, folder: str | os.PathLike[str], identity: Mapping[str, Any], semantics: str = NEAREST) -> None:
        self.folder = pathlib.Path(check_path("output_dir", folder))
        self.identity = {"lea_keras": __version__, "semantics": semantics, **identity}
        self.semantics = semantics
        if self.folder.exists() and not self.folder.is_dir():
            raise fail("output_dir", "a folder", str(folder))

    def load(self, name: str, options: str, with_images: bool, record: type = Record) -> AttackResults | None:
        """What an attack found when it ran to its end before; None if it has not, or if its images were not kept.

        Args:
            name: of the attack, or of a part of it.
            options: of the attack.
            with_images: whether its images are wanted.
            record: what its rows are.

        Raises:
            ValueError: one line, if its file is damaged or of something else.
            OSError: if it cannot be read.
        """
        path = self._path(name)
        if not path.exists():
            return None
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            # Files from before there were two kinds do not say which they hold.
            identity, digest = {"semantics": NEAREST, **stored["identity"]}, stored["images"]
            shared = {"attack": name, "semantics": self.semantics} if record is Record else {}
            records = [record(**{**row, **shared}) for row in stored["records"]]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path} is damaged or no result of attacks; remove it or choose another folder") from None
        expected = self._identity(options)
        others = [part for part in {**expected, **identity} if identity.get(part) != expected.get(part)]
        if others:
            what = ", ".join(part.replace("_", " ") for part in others)
            raise ValueError(f"{path} holds results for other {what}; remove it or choose another folder")
        if not with_images:
            return AttackResults(records, None)
        return None if digest is None else AttackResults(records, self._load_images(name, digest))

    def _load_images(self, name: str, digest: str) -> np.ndarray:
        path = self._path(name).with_suffix(".npy")
        try:
            images = np.load(path)
        except (OSError, ValueError):
            images = None
        if images is None or digest_of(images) != digest:
            raise ValueError(f"{path} is missing or damaged; remove {self._path(name)} to run the attack again")
        return images

    def save(self, name: str, options: str, results: AttackResults) -> None:
        """Writes what an attack found; complete under its name, or not there at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if results.images is not None:
            buffer = io.BytesIO()
            np.save(buffer, results.images)
            write_atomically(self._path(name).with_suffix(".npy"), buffer.getvalue())
        contents = {
            "identity": self._identity(options),
            "images": None if results.images is None else digest_of(results.images),
            "records": [
                {key: value for key, value in record._asdict().items() if key not in ("attack", "semantics")}
                for record in results.records
            ],
        }
        write_atomically(self._path(name), json.dumps(contents, indent=1, allow_nan=False) + "\n")

    @contextlib.contextmanager
    def owned(self, name: str) -> Iterator[None]:
        """Inside, no other process stores what this attack finds.

        Raises:
            BlockingIOError: if another one is about to; it says who.
            OSError: if the folder cannot be made or written to.
        """
        with Lock(self.folder, f".{self._path(name).stem}.lock") as lock:
            if lock.missing:
                warnings.warn(lock.missing, stacklevel=4)
            yield

    def _path(self, name: str) -> pathlib.Path:
        return self.folder / (f"{name}.json" if self.semantics == NEAREST else f"{self.semantics}_{name}.json")

    def _identity(self, options: str) -> dict[str, Any]:
        return {**self.identity, "attack": options}


def digest_of(*arrays: np.ndarray) -> str:
    """A short digest of shapes, types and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def digest_of_weights(model: keras.Model) -> str:
    """A digest of a model's weights, whatever their names."""
    return digest_of(*(np.asarray(weight, np.float32) for weight in model.get_weights()))


def describe(attack: Any, depth: int = 8) -> str:
    """An attack with its options, and those of what it is made of: the same text for equal ones, in any process."""
    if isinstance(attack, (bool, int, float, str, np.generic)) or attack is None:
        return repr(attack)
    if isinstance(attack, np.ndarray):
        return f"array {digest_of(attack)}"
    if isinstance(attack, Sequence):
        return f"[{', '.join(describe(item, depth - 1) for item in attack)}]"
    if hasattr(attack, "__qualname__"):  # a function or a class
        return attack.__qualname__
    options = dict(attack) if isinstance(attack, Mapping) else getattr(attack, "__dict__", {})
    described = [f"{key}={describe(options[key], depth - 1)}" for key in sorted(options, key=str)] if depth else ["…"]
    return f"{type(attack).__qualname__}({', '.join(described)})"
