"""Access of benchmarks to TensorFlow; ``backend`` hands it on."""

import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf


def wait(output: Any) -> None:
    """Returns when a tensor is computed, and all that was asked for before it."""
    del output
    tf.test.experimental.sync_devices()


def product(a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    """A matrix product, at once."""
    return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)


def random(shape: tuple[int, ...]) -> Any:
    """Uniform float32 numbers from 0 to 1, made without a temporary copy."""
    return tf.raw_ops.RandomUniform(shape=shape, dtype=tf.float32, seed=1, seed2=1)


def compiled(function: Callable[..., Any], xla: bool = False) -> Callable[..., Any]:
    """The function as a graph, compiled by XLA or not."""
    return tf.function(function, jit_compile=xla, autograph=False)


def training_step(model: keras.Model, batches: Any) -> Callable[[], dict[str, float]]:
    """One training step as ``fit`` runs it.

    Args:
        model: compiled.
        batches: an array or tuple (x, y) that is trained on again and again, or a ``tf.data.Dataset`` of batches that
            starts anew at its end.

    Returns:
        A function that takes the next step and returns the metrics as numbers, for which it must have been done.
    """
    if not isinstance(batches, tf.data.Dataset):
        batches = tf.data.Dataset.from_tensors(batches if isinstance(batches, tuple) else (batches,))
        options = tf.data.Options()
        options.autotune.enabled = False  # on few cores, it can stall
        batches = batches.with_options(options)
    model.make_train_function()
    iterator: Iterator[Any] = iter(batches.repeat())

    def step() -> dict[str, float]:
        return {name: float(value) for name, value in model.train_function(iterator).items()}

    return step


def thread_limit() -> int:
    """How many threads one operation may use; 0: as many as there are cores."""
    return tf.config.threading.get_intra_op_parallelism_threads()


def accelerators() -> list[str]:
    """Names of the GPUs that are used; empty on a CPU."""
    devices = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(device).get("device_name", "GPU") for device in devices]


def coarse_products() -> bool:
    """Whether matrix products on a GPU are computed in TensorFloat-32."""
    return tf.config.experimental.tensor_float_32_execution_enabled()


def restart_device_memory() -> int:
    """Bytes in use on the first GPU, from which its peak is counted anew."""
    tf.config.experimental.reset_memory_stats("GPU:0")
    return tf.config.experimental.get_memory_info("GPU:0")["current"]


def peak_device_memory() -> int:
    """Bytes at most in use on the first GPU since then."""
    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def operations(function: Callable[[], Any]) -> dict[str, float]:
    """Seconds that each operation took in one call, by "its name:its type" (XLA's: by name alone), from the profiler.

    Operations that only call others are left out.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        function()
        tf.profiler.experimental.stop()
        (file,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    found: dict[str, float] = {}
    for plane in space.planes:
        if plane.name.startswith(("/host:CPU", "/device:GPU")):
            for event in (event for line in plane.lines for event in line.events):
                name = plane.event_metadata[event.metadata_id].name.removeprefix("StatefulPartitionedCall/")
                if _OPERATION.fullmatch(name) and not name.endswith(_CALLS):
                    found[name] = found.get(name, 0.0) + event.duration_ps / 1e12
    return found


# "lea_1/mean/MatMul:MatMul" as TensorFlow names it, "fusion.12" as XLA does.
_OPERATION = re.compile(r"[\w./-]+:_?[A-Z]\w+|[a-zA-Z_][\w-]*\.\d+|\w*(?:fusion|MatMul|convolution)")
_CALLS = (":While", ":StatelessWhile", ":StatefulPartitionedCall", ":PartitionedCall", ":_XlaRun", ":If")

# Many models share the function that trains them, which looks like retracing.
tf.get_logger().setLevel("ERROR")

OutOfMemory = tf.errors.ResourceExhaustedError
VERSION = f"tensorflow {tf.__version__}"
