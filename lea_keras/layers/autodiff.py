"""Loops and gradients, which Keras leaves to each backend: three functions that mean the same on all of them."""

from collections.abc import Callable, Sequence
from typing import Any

import keras


def _unknown() -> NotImplementedError:
    return NotImplementedError(f"lea_keras runs on tensorflow and jax. Received: backend={keras.backend.backend()!r}")


def scan(
    body: Callable[[Any, Any], tuple[Any, list[Any]]], carry: Any, count: Any, kept: Sequence[tuple[Any, str]] = ()
) -> tuple[Any, list[Any]]:
    """Calls ``body(i, carry)`` for i = 0 … count − 1.

    Args:
        body: returns the next carry, of the same structure, shapes and dtypes, and a list of tensors to keep.
        carry: list, tuple or dictionary of tensors.
        count: how often; an int, or (TensorFlow) a scalar tensor.
        kept: shape and dtype of each tensor that is kept; sizes may be None (TensorFlow).

    Returns:
        The last carry, and what was kept: each tensor stacked, [count, …].
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def step(i: Any, carry: Any, arrays: Any) -> tuple[Any, Any, Any]:
            carry, values = body(i, carry)
            return i + 1, carry, [array.write(i, value) for array, value in zip(arrays, values, strict=True)]

        arrays = [tf.TensorArray(dtype, count, element_shape=tf.TensorShape(shape)) for shape, dtype in kept]
        start = (tf.constant(0), carry, arrays)
        _, carry, arrays = tf.while_loop(lambda i, *_: i < count, step, start, parallel_iterations=1)
        return carry, [array.stack() for array in arrays]
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.scan(lambda carry, i: body(i, carry), carry, jax.numpy.arange(count))
    raise _unknown()


def vjp(function: Callable[..., tuple[Any, Any]], primals: Sequence[Any], upstream: Any) -> tuple[Any, Any, list[Any]]:
    """Runs a function and takes the gradient of Σ outputs · upstream.

    Args:
        function: of the primals; returns (outputs, others), others without a gradient.
        primals: float tensors.
        upstream: of the structure and shapes of the outputs.

    Returns:
        Outputs, others, and a gradient for each primal.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        primals = [tf.identity(primal) for primal in primals]  # a tape takes one tensor given twice for one
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(primals)
            outputs, others = function(*primals)
        flat, weights = tf.nest.flatten(outputs), tf.nest.flatten(upstream)
        zero = tf.UnconnectedGradients.ZERO
        return outputs, others, tape.gradient(flat, primals, weights, unconnected_gradients=zero)
    if keras.backend.backend() == "jax":
        import jax

        outputs, pull, others = jax.vjp(function, *primals, has_aux=True)
        return outputs, others, list(pull(upstream))
    raise _unknown()


def with_gradient(
    function: Callable[..., tuple[Any, ...]], gradient: Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
) -> Callable[..., tuple[Any, ...]]:
    """Returns a function of tensors with a gradient of its own.

    Args:
        function: of float tensors, returns a tuple of them.
        gradient: of the arguments and the gradient with respect to each output; returns one for each argument.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.custom_gradient
        def wrapped(*arguments: Any) -> tuple[Any, Any]:
            # Tapes would build the gradients of all loops in here, which nothing asks for.
            results = function(*(tf.stop_gradient(argument) for argument in arguments))
            return results, lambda *upstream: gradient(arguments, upstream)

        return wrapped
    if keras.backend.backend() == "jax":
        import jax

        wrapped = jax.custom_vjp(function)
        wrapped.defvjp(
            lambda *arguments: (function(*arguments), arguments),
            lambda arguments, upstream: tuple(gradient(arguments, upstream)),
        )
        return wrapped
    raise _unknown()
