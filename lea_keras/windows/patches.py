"""Windows cut by TensorFlow's own operation with the fold as its gradient, since the stock one takes several times
as long.

TensorFlow finds the gradient by a name that is registered once for each way to cut windows. What ``tf.custom_gradient``
registers in every trace stays for good, with all of the graph around it.
"""

import functools
import uuid
from typing import Any

import keras

from lea_keras.windows.blocks import fold


def cut(images: Any, window_size: tuple[int, int], strides: tuple[int, int], padding: str) -> Any:
    """Cuts images into windows; on TensorFlow alone.

    Args:
        images: [b, h, w, c]; h and w may be unknown until the graph runs.
        window_size: (rows, columns), in pixels.
        strides: (rows, columns), in pixels.
        padding: "same" or "valid".

    Returns:
        [b, rows, columns, wh·ww·c].
    """
    import tensorflow as tf

    def extract(images: Any) -> Any:
        return tf.image.extract_patches(images, (1, *window_size, 1), (1, *strides, 1), (1, 1, 1, 1), padding.upper())

    if tf.executing_eagerly():  # where a custom gradient is recorded and not registered

        @tf.custom_gradient
        def extract_eagerly(images: Any) -> tuple[Any, Any]:
            return extract(images), lambda slopes: _fold(slopes, images, window_size, strides, padding)

        return extract_eagerly(images)

    # A tape inside a graph asks for the gradient of a function, not for that of the operations in it, and a function
    # takes it from the names in its graph.
    @tf.function(autograph=False)
    def extract_in_graph(images: Any) -> Any:
        name = _gradient_name(window_size, strides, padding)
        with tf.compat.v1.get_default_graph().gradient_override_map({"IdentityN": name}):
            return tf.identity_n([extract(images), images])[0]

    return extract_in_graph(images)


def may_be_compiled() -> bool:
    """Whether TensorFlow traces a graph, of which nothing tells whether XLA will compile it."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.executing_eagerly()


@functools.cache
def _gradient_name(window_size: tuple[int, int], strides: tuple[int, int], padding: str) -> str:
    """The name under which TensorFlow finds the gradient of such windows; registered at the first call."""
    import tensorflow as tf

    name = f"lea_keras_fold_{uuid.uuid4().hex}"

    @tf.RegisterGradient(name)
    def gradient(_: Any, slopes: Any, images: Any) -> tuple[None, Any]:
        # Nothing uses the images that are handed on, so that what comes back for them are zeros in their shape. They
        # are read instead of the operation, which there is none of when TensorFlow saves a gradient with a graph.
        return None, _fold(slopes, images, window_size, strides, padding)

    return name


def _fold(slopes: Any, images: Any, window_size: tuple[int, int], strides: tuple[int, int], padding: str) -> Any:
    """The gradient with respect to images [b, h, w, c], given that with respect to windows."""
    import tensorflow as tf

    height, width = (images.shape[axis] or tf.shape(images)[axis] for axis in (1, 2))
    rows, columns = (slopes.shape[axis] or tf.shape(slopes)[axis] for axis in (1, 2))
    # [b, rows, columns, wh·ww·c] -> [b, rows, columns, wh, ww, c]
    windows = tf.reshape(slopes, (-1, rows, columns, *window_size, images.shape[3]))
    return fold(windows, (height, width), strides, padding)
