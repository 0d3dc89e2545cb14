"""Errors of the backends where memory does not suffice, told from everything else that they raise."""

import contextlib
from collections.abc import Iterator

from experiments.runs import RunError
from lea_keras.data import pipelines


@contextlib.contextmanager
def in_one_line(what: str = "Memory does not suffice") -> Iterator[None]:
    """Inside, memory that does not suffice is a ``RunError``, "what: the reason"; any other error stays what it is."""
    try:
        yield
    except backend_errors() as error:
        if reason := of_memory(error):
            raise RunError(f"{what}: {reason}") from error
        raise


def backend_errors() -> tuple[type[Exception], ...]:
    """What the backend raises while it computes, and Python where an array finds no memory."""
    if pipelines.on_tensorflow():
        import tensorflow as tf

        return MemoryError, tf.errors.OpError
    import jax

    return MemoryError, jax.errors.JaxRuntimeError


def of_memory(error: Exception) -> str | None:
    """The line in which one of ``backend_errors`` says what did not fit into memory; None if that is not the cause."""
    if not isinstance(error, MemoryError) and not _is_exhausted(error):
        return None
    text = getattr(error, "message", None) or str(error)  # TensorFlow's str() begins with the operation's name
    return text.strip().partition("\n")[0] or type(error).__name__


def _is_exhausted(error: Exception) -> bool:
    if pipelines.on_tensorflow():
        import tensorflow as tf

        return isinstance(error, tf.errors.ResourceExhaustedError)
    return "RESOURCE_EXHAUSTED" in str(error)  # JAX has one class for all
