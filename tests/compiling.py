"""Functions of tensors as XLA compiles them, on every backend."""

import keras


def compiled(function):
    """The same function under XLA. Arrays that it does not get as arguments are constants to the compiler."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)
    import jax

    return jax.jit(function)
