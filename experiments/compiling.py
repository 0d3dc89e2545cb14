"""Compilation of a function of a batch on each backend, and release of what is kept of compiled functions."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from lea_keras.data import Dataset, pipelines

Step = Callable[[Any, Any], Any]


def compiled(step: Step, variables: Sequence[keras.Variable], data: Dataset) -> Step:
    """Compiles a function of batches.

    Args:
        step: maps images [b, h, w, c] and labels [b, classes] to tensors in dictionaries or lists, and may move
            variables.
        variables: all that it reads or moves.
        data: what the batches come from.

    Returns:
        The same function with NumPy arrays in place of the tensors that it returns.
    """
    run = _on_tensorflow(step, data) if pipelines.on_tensorflow() else _on_jax(step, variables)
    return lambda images, labels: keras.tree.map_structure(keras.ops.convert_to_numpy, run(images, labels))


def _on_tensorflow(step: Step, data: Dataset) -> Step:
    import tensorflow as tf

    # One signature for all batches: the last one, which may be smaller, is not traced again.
    return tf.function(step, input_signature=data.element_spec)


def _on_jax(step: Step, variables: Sequence[keras.Variable]) -> Step:
    import jax

    # Values are handed in and out: what is read while tracing is a constant from then on, what is assigned is lost.
    @jax.jit
    def stateless(values: list[Any], images: Any, labels: Any) -> tuple[Any, list[Any]]:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            found = step(images, labels)
        return found, [scope.get_current_value(variable) for variable in variables]

    def run(images: Any, labels: Any) -> Any:
        found, values = stateless([variable.value for variable in variables], images, labels)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return found

    return run


@contextlib.contextmanager
def graphs_let_go() -> Iterator[None]:
    """Of what TensorFlow traces inside, nothing is kept afterwards; what JAX compiles goes with its function."""
    if not pipelines.on_tensorflow():
        yield
        return
    from tensorflow.python.framework import ops

    # TensorFlow keeps a traced ``tf.custom_gradient`` (every update by a Keras optimizer makes one, a LEA's chunks do)
    # registered for good, and with it the whole graph around it. It has no public way to let go of them.
    registered = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
    before = set(registered)
    try:
        yield
    finally:
        for name in set(registered) - before:
            if name.startswith("CustomGradient-"):
                del registered[name]


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Inside, TensorFlow traces no function but those of data sets; JAX cannot do without."""
    if not pipelines.on_tensorflow():
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Even though the `tf.config.experimental_run_functions_eagerly`")
            yield
    finally:
        tf.config.run_functions_eagerly(before)
