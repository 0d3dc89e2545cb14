"""Checks of every gradient-based attack of this package, whatever its algorithm; and models to attack."""

import eagerpy as ep
import foolbox
import keras
import numpy as np
import pytest
from backends import BACKEND
from keras import ops

if BACKEND == "tensorflow":
    import tensorflow as tf
else:
    import jax

    from lea_keras.robustness.victim_jax import compile_for_few_sizes

slow_on_jax = pytest.mark.skipif(
    BACKEND == "jax", reason="asks about the algorithm, in many sizes of batches; what JAX has to do others ask"
)


def tensor(values, dtype=None):
    """Values as the backend's own tensor."""
    return ops.convert_to_tensor(values, dtype)


def foolbox_model(function, bounds=(0, 1)):
    """A foolbox model of a function from images to logits, both the backend's own tensors.

    JAX compiles it as it does the models that are attacked: else each size of a batch would compile each operation.
    """
    if BACKEND == "jax":
        apply = lambda _, images: (function(images), {})  # noqa: E731
        forward = compile_for_few_sizes(apply, dict, lambda _: None, lambda _: None, chunk=256)
        return model_around(forward, bounds)
    return model_around(function, bounds)


def model_around(function, bounds=(0, 1)):
    """The same of a function that calls another foolbox model, or does something that is not to be compiled."""
    if BACKEND == "tensorflow":
        return foolbox.TensorFlowModel(function, bounds=bounds, device="/CPU:0")
    return foolbox.JAXModel(function, bounds, data_format=keras.config.image_data_format())


def linear_model(weights, biases, bounds=(0, 1)):
    """Logits = images · weights [d, classes] + biases [classes], of images flattened to [n, d]."""
    weights, biases = tensor(weights, "float32"), tensor(biases, "float32")

    def logits(images):
        return ops.reshape(images, (ops.shape(images)[0], weights.shape[0])) @ weights + biases

    return foolbox_model(logits, bounds)


def array_model(function, bounds=(0, 1)):
    """A foolbox model of a function from images to logits that are arrays, for attacks that ask for no gradients: of a
    few images NumPy takes a tenth of the time that the backend's operations take, one by one."""
    return model_around(lambda images: tensor(function(np.asarray(images)), "float32"), bounds)


def network(shape=(6, 6, 1), classes=4, units=12, seed=0, bounds=(0, 1), activation=ops.relu):
    """A random network with one hidden layer, of ReLUs or tanh.

    On TensorFlow it is NumPy with gradients of its own, which takes a third of the time.
    """
    if BACKEND != "tensorflow":
        return backend_network(shape, classes, units, seed, bounds, activation)
    size = int(np.prod(shape))
    first, second = kernels(size, classes, units, seed)

    @tf.custom_gradient
    def logits(images):  # in float64, as float32 is rounded in another way for each number of images
        values = (images.numpy().reshape(-1, size) - 0.5) @ first
        hidden = np.maximum(values, 0) if activation is ops.relu else np.tanh(values)
        slopes = values > 0 if activation is ops.relu else 1 - hidden**2

        def back(gradients):
            slope = ((gradients.numpy() @ second.T) * slopes) @ first.T
            return tf.constant(slope.reshape(images.shape), tf.float32)

        return tf.constant(hidden @ second, tf.float32), back

    return model_around(logits, bounds)


def backend_network(shape=(6, 6, 1), classes=4, units=12, seed=0, bounds=(0, 1), activation=ops.relu):
    """The same of the backend's own operations."""
    size = int(np.prod(shape))
    first, second = (tensor(kernel, "float32") for kernel in kernels(size, classes, units, seed))

    def logits(images):
        return activation(ops.reshape(images - 0.5, (ops.shape(images)[0], size)) @ first) @ second

    return foolbox_model(logits, bounds)


def kernels(size, classes, units, seed):
    """Those of the two layers of ``network``."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, units)) * 2 / np.sqrt(size), rng.normal(size=(units, classes))


def predictions(model, images):
    return np.argmax(np.array(model(tensor(images))), axis=1)


def attacked(attack, model, images, labels):
    """The attack's results and successes, as arrays."""
    criterion = labels if isinstance(labels, foolbox.criteria.Criterion) else tensor(labels)
    raw, clipped, success = attack(model, tensor(images), criterion, epsilons=None)
    np.testing.assert_array_equal(raw, clipped)
    return np.array(raw), np.array(success)


def distances(results, images):
    return np.linalg.norm((results - images).reshape(len(images), -1).astype(np.float64), axis=1)


def smooth_images(count, size=6, channels=1, lower=0.0, upper=1.0, seed=0):
    """Images [count, size, size, channels] with something to deform in each, float32, between the bounds."""
    rng = np.random.default_rng(seed)
    rows, columns, where = np.arange(size)[:, None], np.arange(size), rng.uniform(1, size - 2, (count, channels, 2))
    squares = (rows - where[..., :1, None]) ** 2 + (columns - where[..., 1:, None]) ** 2  # [count, channels, h, w]
    return np.moveaxis(lower + (upper - lower) * np.exp(-squares / 4), 1, -1).astype("float32")


def check_attack(attack, make_network=network):
    """All that does not depend on the algorithm.

    Args:
        attack: of a class of this package, with options under which it is quick.
        make_network: ``network`` or ``backend_network``.
    """
    lower, upper = -0.5, 2.0
    model = make_network(bounds=(lower, upper))
    images = smooth_images(9, lower=lower, upper=upper)
    labels = predictions(model, images)
    labels[2] = (labels[2] + 1) % 4  # misclassified before anything happens

    results, success = attacked(attack, model, images, labels)
    assert isinstance(attack, foolbox.attacks.base.MinimizationAttack)
    assert results.dtype == np.float32 and results.shape == images.shape
    assert np.mean(success) > 0.7
    np.testing.assert_array_equal(success, predictions(model, results) != labels)
    np.testing.assert_array_equal(results[~success], images[~success])
    np.testing.assert_array_equal(results[2], images[2])
    assert np.all(distances(results, images)[success & (np.arange(9) != 2)] > 0)
    assert np.all((results >= lower) & (results <= upper))

    named = foolbox.Misclassification(tensor(labels))
    np.testing.assert_array_equal(attacked(attack, model, images, named)[0], results)  # the same once more
    # No matter who else is in the batch, nor how many.
    alone = attack.run(model, ep.astensor(tensor(images[:1])), tensor(labels[:1]))
    assert isinstance(alone, ep.Tensor)
    np.testing.assert_allclose(alone.numpy(), results[:1], atol=1e-3)
    others = np.concatenate([images[:4], 1.5 - images[4:6]])
    part, found = attacked(attack, model, others, labels[:6])
    np.testing.assert_array_equal(found[:4], success[:4])
    np.testing.assert_allclose(part[:4], results[:4], atol=1e-3)

    flat = foolbox_model(lambda x: ops.zeros((len(x), 3)) + 0 * ops.sum(x, (1, 2, 3))[:, None], (lower, upper))
    results, success = attacked(attack, flat, images[:2], np.zeros(2, int))  # nothing to go by
    np.testing.assert_array_equal(results, images[:2])
    assert not np.any(success)

    both = named & named
    with pytest.raises(ValueError, match="Argument `criterion` must be"):
        attack(model, tensor(images), both, epsilons=None)
    with pytest.raises(ValueError, match="Argument `criterion` must be"):
        attack(model, tensor(images), tensor(labels, "float32"), epsilons=None)
    with pytest.raises(TypeError, match="unexpected keyword"):
        attack(model, tensor(images), tensor(labels), epsilons=None, steps=3)
    assert type(attack).__name__ in repr(attack)


def check_arguments(attack_class, wrong):
    """Every wrong argument is refused in one line that names it."""
    for name, value in wrong:
        with pytest.raises(ValueError) as error:
            attack_class(**{name: value})
        assert str(error.value).startswith(f"Argument `{name}` must be")
        assert str(error.value).endswith(f"Received: {name}={value!r}")
        assert "\n" not in str(error.value)


def seed_streams(seed):
    """Seeds NumPy's stream and those of the backend, from which ``draw`` draws."""
    np.random.seed(seed)
    if BACKEND == "tensorflow":
        tf.random.set_seed(seed)
    else:  # JAX has no stream of its own, but Keras and eagerpy do on it
        keras.utils.set_random_seed(seed)
        ep.JAXTensor.key = jax.random.PRNGKey(seed)


def draw():
    """The next numbers of these streams."""
    if BACKEND == "tensorflow":
        return np.random.uniform(), float(tf.random.uniform(()))
    of_eagerpy = ep.uniform(ep.astensor(ops.zeros(1)), 1).item()
    return np.random.uniform(), float(keras.random.uniform(())), of_eagerpy


def check_random_streams(attack, model=None, images=None, labels=None):
    """NumPy's and the backend's go on as if there had been no attack."""
    if model is None:
        model, images = network(), smooth_images(3)
        labels = predictions(model, images)
    states = []
    for attacks in (False, True):
        seed_streams(3)
        if attacks:
            attacked(attack, model, images, labels)
        states.append(draw())
    assert states[0] == states[1]
