"""Gradients of a loss with respect to tensors and variables, on every backend."""

import keras


def value_and_gradients(function, tensors=(), variables=()):
    """Returns the loss, the others and the gradients of the loss.

    Args:
        function: of the tensors; returns (loss, others), others being tensors without a gradient.
        tensors: arrays.
        variables: Keras variables. What the function assigns to these or others is forgotten under JAX.

    Returns:
        The loss, the others, and gradients for all tensors and then all variables: where the loss does not depend on
        one, None under TensorFlow and zeros under JAX.
    """
    tensors = [keras.ops.convert_to_tensor(tensor) for tensor in tensors]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            loss, others = function(*tensors)
        return loss, others, tape.gradient(loss, [*tensors, *(variable.value for variable in variables)])
    import jax

    def stateless(tensors, values):
        # Layers' losses belong to the scope: outside it they would be tensors of a trace that is over.
        with keras.StatelessScope(list(zip(variables, values, strict=True)), collect_losses=True):
            return function(*tensors)

    # Compiled as one, which takes a fraction of the time that compiling every operation does.
    compiled = jax.jit(jax.value_and_grad(stateless, argnums=(0, 1), has_aux=True))
    (loss, others), found = compiled(tensors, [variable.value for variable in variables])
    return loss, others, [*found[0], *found[1]]


def jacobians(function, tensor):
    """The Jacobian of a function of one tensor as its gradient makes it, and as central differences do."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        theoretical, numerical = tf.test.compute_gradient(function, [tf.constant(tensor)], delta=0.1)
        return theoretical[0], numerical[0]
    import jax

    def flat(values):
        return function(values.reshape(tensor.shape)).ravel()

    values, steps = jax.numpy.ravel(tensor), 0.1 * jax.numpy.eye(tensor.size, dtype=tensor.dtype)
    all_of = jax.jit(jax.vmap(flat))
    return jax.jit(jax.jacrev(flat))(values), (all_of(values + steps) - all_of(values - steps)).T / 0.2
