"""Event files, which TensorBoard reads, written without TensorFlow on every backend.

``tensorboard`` has a writer of its own, ``EventFileWriter``. It imports TensorFlow wherever that is installed, whatever
Keras runs on, and writes from a thread, which a full disk ends with a traceback on the screen. So only its file format
and its summaries are taken from there. They are imported inside functions, so that importing the package stays cheap.
"""

import io
import os
import pathlib
import socket
import time
from typing import Any

import numpy as np

from lea_keras.checks import check_path, fail


class EventFile:
    """One event file. What is added comes to the disk with ``flush``; without any, there is no file and no folder.

    Nothing stays open between two calls, so that a training that is interrupted has nothing to close.

    Args:
        folder: one of TensorBoard's runs; it is made if need be.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = pathlib.Path(check_path("folder", folder))
        self._path: pathlib.Path | None = None
        self._records = io.BytesIO()

    def scalar(self, tag: str, value: Any, step: int, description: str | None = None) -> None:
        """Adds a number, kept as float32; not finite ones too. TensorBoard shows the description beside the curve."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._add(scalar_pb(tag, np.float32(value), description), step)

    def histogram(self, tag: str, values: Any, step: int) -> None:
        """Adds how values are distributed, in TensorBoard's thirty buckets.

        Raises:
            ValueError: if not all of them are finite.
        """
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb

        values = np.asarray(values)
        if not np.all(np.isfinite(values)):
            received = f"minimum {values.min()}, maximum {values.max()}"
            raise fail("values", f"finite to have the histogram {tag!r}", received)
        self._add(histogram_pb(tag, values), step)

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Adds an image, uint8 [rows, columns, 3]."""
        from PIL import Image

        # Its classes are made when it is imported.
        from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
        from tensorboard.plugins.image.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        png = io.BytesIO()
        Image.fromarray(pixels).save(png, format="png")
        rows, columns, _ = pixels.shape
        tensor = make_tensor_proto([b"%d" % columns, b"%d" % rows, png.getvalue()])
        metadata = create_summary_metadata(display_name=None, description=None)
        self._add(Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)]), step)

    def flush(self) -> None:
        """Brings to the disk what was added.

        Raises:
            OSError: if the file cannot be written; it names the file.
        """
        records = self._records.getvalue()
        if not records:
            return
        self._records = io.BytesIO()
        path = self._path or self.folder / _name()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab" if self._path else "xb") as file:
                file.write(records if self._path else _record(file_version="brain.Event:2") + records)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error  # that of a full disk names no file
        self._path = path

    def _add(self, summary: Any, step: int) -> None:
        self._records.write(_record(summary=summary, step=int(step)))


def _name() -> str:
    # TensorBoard knows event files by this beginning and reads those of a folder in the order of their names.
    return f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}.{os.getpid()}"


def _record(**fields: Any) -> bytes:
    """An event as it stands in a file: with its length and checksums."""
    # Its classes are made when it is imported.
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.summary.writer.record_writer import RecordWriter

    record = io.BytesIO()
    RecordWriter(record).write(Event(wall_time=time.time(), **fields).SerializeToString())
    return record.getvalue()
