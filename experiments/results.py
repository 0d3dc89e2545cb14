"""A folder of results that may be written again without touching what others put there.

Nothing here imports Keras, so that a folder that cannot be used is refused before any work.
"""

import csv
import io
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.config import checks, locks

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

CONTENTS_FILE = "contents.json"


class Results:
    """Files that are complete under their names or not there, in a folder that keeps a list of them.

    ``contents.json`` says of which runs the results are and which files were written. Results of the same runs replace
    the files of that list, each by renaming a complete new one, and no other file: what somebody else put there stays,
    and where it has the name of a result, the whole evaluation is refused. So are results of other runs.

    From the moment when files are reserved until ``close`` the folder is locked, so that one process at a time writes.

    Args:
        folder: where they go; it is made with the first file.
        sources: the folders of the runs that they come from. They are noted relative to ``folder``, so that all of
            them may be moved together.

    Raises:
        ValueError: one line, if the folder holds results of other runs or its list is damaged.
        OSError: if it cannot be read.
    """

    def __init__(self, folder: pathlib.Path, sources: Iterable[pathlib.Path]) -> None:
        self.folder = folder
        self.sources = sorted(os.path.relpath(source.resolve(), folder.resolve()) for source in sources)
        self.files = self._read_contents()
        self._lock: Any = None

    def _read_contents(self) -> list[str]:
        """The files of which the folder says that they may be replaced."""
        folder, path = self.folder, self.folder / CONTENTS_FILE
        if not path.is_file():
            if path.exists() or folder.exists() and not folder.is_dir():
                raise checks.fail("output_dir", "a folder", str(folder))
            return []
        try:
            contents = json.loads(path.read_text(encoding="utf-8"))
            former, files = list(contents["sources"]), [str(name) for name in contents["files"]]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path} is no list of files of results, or damaged; choose another --output_dir"
            ) from None
        if former != self.sources:
            if not any((folder / name).exists() for name in files):  # of a command that ended before it had any
                return []
            theirs = (os.path.relpath((folder / str(source)).resolve()) for source in former)
            hint = f"This one holds results of {', '.join(theirs)}."
            raise checks.fail("output_dir", "a new folder or that of the same runs", str(folder), hint)
        return files

    def reserve(self, names: Sequence[str]) -> None:
        """Notes the files that are about to be written.

        Raises:
            ValueError: one line, if one of them is there and not from an earlier call of ours.
            BlockingIOError: if another process writes to the folder; it says who.
            OSError: if the folder cannot be made or written to.
        """
        if self._lock is None:
            self._lock = locks.Lock(self.folder)
            if self._lock.missing:
                print(self._lock.missing, file=sys.stderr, flush=True)
            self.files = self._read_contents()  # of another process, perhaps, that has just finished
        for name in names:
            if name not in self.files and (self.folder / name).exists():
                raise ValueError(
                    f"{self.folder / name} is in the way: not written by an earlier command, so not replaced"
                )
        self.files = sorted({*self.files, *names})
        contents = {"sources": self.sources, "files": self.files}
        self._write(CONTENTS_FILE, lambda path: _write_text(path, _json(contents)))

    def close(self) -> None:
        """Lets other processes have the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        self.write_text(name, _json(values))

    def write_csv(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes rows under the names of all of them; floats in full precision, nothing where a row has no value."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write_text(name, text.getvalue())

    def write_text(self, name: str, text: str) -> None:
        self._write_reserved(name, lambda path: _write_text(path, text))

    def write_arrays(self, name: str, arrays: "Mapping[str, np.ndarray]") -> None:
        """Writes arrays by their names as NPZ, compressed."""
        import numpy as np

        def write(path: pathlib.Path) -> None:
            with path.open("wb") as file:  # since NumPy would give a path another ending
                np.savez_compressed(file, allow_pickle=False, **arrays)

        self._write_reserved(name, write)

    def write_picture(self, name: str, figure: "Figure") -> None:
        """Writes a figure as PNG."""
        self._write_reserved(name, lambda path: figure.savefig(path, format="png"))

    def _write_reserved(self, name: str, write: Callable[[pathlib.Path], Any]) -> None:
        if name not in self.files:
            self.reserve([name])
        self._write(name, write)

    def _write(self, name: str, write: Callable[[pathlib.Path], Any]) -> None:
        temporary = self.folder / f"{name}.tmp"
        try:
            write(temporary)
            os.replace(temporary, self.folder / name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def _write_text(path: pathlib.Path, text: str) -> None:
    """Writes UTF-8; of a path that is none, each such byte as ``\\udc80`` to ``\\udcff``, which JSON reads back."""
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
