"""Access of benchmarks to JAX; ``backend`` hands it on."""

import contextlib
import inspect
import itertools
from collections.abc import Callable
from typing import Any

import jax
import keras


def wait(output: Any) -> None:
    """Returns when tensors are computed, and all that was asked for before them: a device keeps the order."""
    jax.block_until_ready(output)


def product(a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    """A matrix product, compiled with what is around it."""
    return jax.numpy.matmul(a.T if transpose_a else a, b.T if transpose_b else b)


def random(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    """Uniform numbers from 0 to 1 on the device."""
    return jax.random.uniform(jax.random.key(1), shape, dtype)


def compiled(function: Callable[..., Any], xla: bool = True) -> Callable[..., Any]:
    """The function compiled by XLA; JAX knows no other way."""
    if not xla:
        raise ValueError(f"xla must be True on JAX. Received: {xla}")
    return jax.jit(function)


class Stepping:
    """Training steps as ``fit`` runs them, one after the other on the same batch.

    Args:
        model: compiled.
        batch: an array or tuple (x, y), which stays on the device.
    """

    def __init__(self, model: keras.Model, batch: Any) -> None:
        self._batch = jax.device_put(batch if isinstance(batch, tuple) else (batch,))
        self._batches = itertools.repeat(self._batch)
        self._model = model
        model._symbolic_build(data_batch=self._batch)
        model.make_train_function()
        groups = ("trainable", "non_trainable", "optimizer", "metrics")
        wanted = {f"{group}_variables": True for group in groups}
        # The first step takes the variables' memory over: a model must not keep what is no longer there.
        self._state = model._get_jax_state(**wanted, purge_model_variables=True)

    def __call__(self) -> dict[str, Any]:
        """Asks for the next step and returns its metrics, which need not be computed yet."""
        logs, self._state = self._model.train_function(self._state, self._batches)
        return logs

    def operations(self) -> float | None:
        """Compiles the step, if it is not yet, and returns XLA's count of its floating point operations, or None."""
        # Keras keeps the compiled function, which knows its cost, inside the one that it hands out.
        function = inspect.getclosurevars(self._model.train_function).nonlocals["step_function"]
        costs = function.lower(self._state, self._batch).compile().cost_analysis()
        return (costs or {}).get("flops")


def training_step(model: keras.Model, batches: Any) -> Callable[[], dict[str, float]]:
    """One training step as ``fit`` runs it.

    Args:
        model: compiled.
        batches: an array or tuple (x, y) that is trained on again and again.

    Returns:
        A function that takes the next step and returns the metrics as numbers, for which it must have been done.
    """
    stepping = Stepping(model, batches)
    return lambda: {name: float(value) for name, value in stepping().items()}


def precision(name: str | None) -> contextlib.AbstractContextManager[Any]:
    """Inside, float32 matrix products have this precision: as in ``jax.default_matmul_precision``."""
    return jax.default_matmul_precision(name)


def thread_limit() -> int:
    """How many threads one operation may use; 0: as many as there are cores."""
    return 0


def accelerators() -> list[str]:
    """Names of the GPUs that are used; empty on a CPU."""
    return [device.device_kind for device in jax.devices() if device.platform == "gpu"]


def peak_device_memory() -> int | None:
    """Bytes at most in use on the first device since the process began; None where it does not count them."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


VERSION = f"jax {jax.__version__}"
