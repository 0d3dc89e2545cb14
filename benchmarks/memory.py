"""Peak memory of one LEA step: ``python -m benchmarks.memory '{"batch": 1, "side": 64, …}'``, a process for each."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json  # noqa: E402
import pathlib  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402

import keras  # noqa: E402

import lea_keras  # noqa: E402
from benchmarks import backend  # noqa: E402

WINDOW = 4
STRIDES = 2
CODE_LENGTH = 10
_STATUS = pathlib.Path("/proc/self/status")


def model(side: int, channels: int, chunk_windows: int | str | None, convolution: bool) -> lea_keras.LEAModel:
    """A LEA, or a convolution and a LEA, that is trained on its own loss alone; compiled."""
    inputs = images = keras.Input((side, side, channels))
    if convolution:
        images = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(images)
    autoencoder = lea_keras.VariationalAutoencoder(CODE_LENGTH)
    lea = lea_keras.LocallyEmbeddedAutoencoder(WINDOW, autoencoder, strides=STRIDES, chunk_windows=chunk_windows)
    built = lea_keras.LEAModel(inputs, lea(images))
    built.compile(keras.optimizers.Adam(1e-4), loss=None, jit_compile=False)
    return built


def measure(
    batch: int, side: int, channels: int, chunk_windows: int | str | None, convolution: bool
) -> tuple[int, int]:
    """Bytes before a step, its data being there, and at the peak of it.

    Of a GPU, or of this whole process, whose libraries, threads and pools a step of one small image has set up before.
    """
    small = min(side, 16)
    backend.training_step(
        model(small, channels, chunk_windows, convolution), backend.random((1, small, small, channels))
    )()
    step = backend.training_step(
        model(side, channels, chunk_windows, convolution), backend.random((batch, side, side, channels))
    )
    if backend.accelerators():
        before = backend.restart_device_memory()
        step()
        return before, backend.peak_device_memory()
    before = _restart()
    step()
    return before, max(before, _peak())  # the system counts pages roughly, and may count fewer afterwards


def _peak() -> int:
    """Bytes of main memory that this process held at most.

    From /proc where there is one: ``ru_maxrss`` of a process starts with that of the one that started it.
    """
    if _STATUS.exists():
        return 1024 * _status("VmHWM")
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else 1024 * usage


def _restart() -> int:
    """Counts the peak anew where the system can, and returns where it stands."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    return _peak()


def _status(name: str) -> int:
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next(int(fields[1]) for fields in lines if fields[0] == f"{name}:")


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
