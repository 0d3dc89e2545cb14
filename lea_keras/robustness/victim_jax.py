"""The attacked model on JAX: compiled for few sizes of batches, and with a random stream of its own."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import eagerpy as ep
import foolbox
import jax
import jax.numpy as jnp
import keras
import numpy as np

from lea_keras.layers.scope import forward_pass
from lea_keras.utils import slices

_SMALLEST = 8  # images that the compiler is asked for at least


@contextlib.contextmanager
def draw_from(seed: int) -> Iterator[None]:
    """Inside, what an attack draws through eagerpy comes from ``seed``, and the caller's stream stands still.

    foolbox's own attacks all draw from one key of the process, which starts the same in each.
    """
    stream = ep.JAXTensor
    former, stream.key = stream.key, jax.random.PRNGKey(seed)
    try:
        yield
    finally:
        stream.key = former


def make_foolbox_model(
    model: keras.Model, bounds: tuple[float, float], count: Callable[[int], None], chunk: int
) -> foolbox.models.JAXModel:
    """The foolbox model of a Keras model.

    Args:
        model: built.
        bounds: of the images' values.
        count: is told how many images pass through the model, forward or backward.
        chunk: images that the model takes at once.
    """
    variables = model.variables  # those of random generators among them

    def apply(values: list[jax.Array], images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits, and the values of variables that the pass moved, by their places as text, since JAX sorts them."""
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope, forward_pass("codes"):
            before = [scope.get_current_value(variable) for variable in variables]
            logits = model(images, training=False)
            after: list[Any] = [scope.get_current_value(variable) for variable in variables]
        moved = {str(i): new for i, (old, new) in enumerate(zip(before, after, strict=True)) if new is not old}
        return logits.astype("float32"), moved

    def move(values: dict[str, jax.Array]) -> None:
        for place, value in values.items():
            variables[int(place)].assign(value)

    logits = compile_for_few_sizes(apply, lambda: [variable.value for variable in variables], move, count, chunk)
    return foolbox.JAXModel(
        lambda images: logits(images.astype("float32")), bounds, data_format=keras.config.image_data_format()
    )


def compile_for_few_sizes(
    apply: Callable[[Any, Any], tuple[Any, Any]],
    values: Callable[[], Any],
    move: Callable[[Any], None],
    count: Callable[[int], None],
    chunk: int,
) -> Callable[[Any], Any]:
    """A function of images [n, …] on JAX, with gradients, that is compiled for few sizes of batches.

    Args:
        apply: of values and images; returns logits, and what is to be moved.
        values: returns those of now.
        move: is given what is to be moved, after every forward pass.
        count: is told how many images pass through, forward or backward.
        chunk: images that pass through at once.

    Returns:
        Logits [n, classes] of images [n, …], float32 JAX arrays. It is not to be traced.
    """
    forward = jax.jit(apply)
    # A compiled function may return a gradient that is still to be taken, with all that its forward pass kept.
    forward_for_gradients = jax.jit(
        lambda values, images: jax.vjp(lambda images: forward(values, images), images, has_aux=True)
    )
    backward = jax.jit(lambda pull, gradients: pull(gradients)[0])

    def run(function: Callable[..., Any], images: jax.Array) -> list[Any]:
        """Runs the images through in batches; of each what ``function`` returns besides what is to be moved."""
        count(len(images))
        results = []
        for batch in _fill_batches(images, chunk):
            *result, moved = function(values(), batch)
            move(moved)
            results.append(result)
        return results

    # JAX calls these three as they are, outside whatever it traces: they see numbers, and every time.
    @jax.custom_vjp
    def logits(images: jax.Array) -> jax.Array:
        return _join([result for (result,) in run(forward, images)], len(images))

    def logits_and_pulls(images: jax.Array) -> tuple[jax.Array, list[Any]]:
        results = run(forward_for_gradients, images)
        return _join([result for result, _ in results], len(images)), [pull for _, pull in results]

    def gradients_of_images(pulls: list[Any], gradients: jax.Array) -> tuple[jax.Array]:
        count(len(gradients))
        pairs = zip(pulls, _fill_batches(gradients, chunk), strict=True)
        return (_join([backward(pull, batch) for pull, batch in pairs], len(gradients)),)

    logits.defvjp(logits_and_pulls, gradients_of_images)
    return logits


def _fill_batches(array: Any, chunk: int) -> Iterator[Any]:
    """A JAX array [n, …] in parts, each filled up with zeros to one of the few sizes that are compiled for.

    It is done in NumPy: JAX would compile every slice of a length that it has not met.
    """
    for part in slices(max(1, len(array)), chunk):
        length = min(part.stop, len(array)) - part.start
        size = min(max(_SMALLEST, 1 << max(0, length - 1).bit_length()), chunk)
        if length == size == len(array):
            yield array
        else:
            filled = np.zeros((size, *array.shape[1:]), array.dtype)
            filled[:length] = np.asarray(array)[part]
            yield filled


def _join(parts: list[Any], count: int) -> Any:
    """The first ``count`` images of all parts together, as one JAX array."""
    if len(parts) == 1 and len(parts[0]) == count:
        return parts[0]
    return jnp.asarray(np.concatenate([np.asarray(part) for part in parts])[:count])
