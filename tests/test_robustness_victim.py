"""The attacked model: what passes through it is counted, its gradients right; what cannot be attacked is refused."""

import eagerpy as ep
import keras
import numpy as np
import pytest

import lea_keras
from lea_keras import robustness
from lea_keras.robustness import inputs

layers = keras.layers
SHAPE = (4, 4, 1)


def images(count=6, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).random((count, *shape)).astype("float32")


def linear(shape=SHAPE, classes=3, **dense):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(classes, **dense)])


def gradients(victim, batch):
    """Of the sum of the first logits."""

    def first(tensor):
        return victim.foolbox_model(tensor)[:, 0].sum()

    return ep.value_and_grad(first, ep.astensor(victim.tensor(batch)))[1].numpy()


def test_logits_and_gradients_are_those_of_the_model():
    model, batch = linear(), images()
    victim = robustness.Victim(model, SHAPE)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(victim.logits(batch), batch.reshape(6, -1) @ kernel + bias, atol=1e-6)
    np.testing.assert_allclose(gradients(victim, batch).reshape(6, -1), np.tile(kernel[:, 0], (6, 1)), atol=1e-6)
    assert victim.foolbox_model.bounds == (0, 1)


def test_images_are_counted_forward_and_backward(monkeypatch):
    monkeypatch.setattr("lea_keras.robustness.victim._CHUNK", 4)  # more than that goes through in parts
    victim, batch = robustness.Victim(linear(), SHAPE), images(10)
    assert victim.model_calls == 0
    logits = victim.foolbox_model(victim.tensor(batch))
    assert victim.model_calls == 10
    np.testing.assert_allclose(logits, victim.logits(batch), atol=1e-6)
    assert victim.model_calls == 20
    assert gradients(victim, batch).shape == batch.shape
    assert victim.model_calls == 40


def test_batches_of_any_size_are_traced_once():
    class Counting(keras.Model):
        calls = 0

        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, inputs):
            Counting.calls += 1
            return self.dense(keras.ops.reshape(inputs, (-1, 16)))

    victim = robustness.Victim(Counting(), SHAPE)  # subclassed, and not built before
    victim.logits(images(5))
    before = Counting.calls
    for count in (1, 2, 7):
        gradients(victim, images(count))
        victim.logits(images(count))
    assert Counting.calls == before


def test_weights_that_change_are_those_that_count():
    model, batch = linear(), images()
    victim = robustness.Victim(model, SHAPE)
    before, slopes = victim.logits(batch), gradients(victim, batch)
    model.set_weights([2 * weights for weights in model.get_weights()])
    np.testing.assert_allclose(victim.logits(batch), 2 * before, atol=1e-6)
    np.testing.assert_allclose(gradients(victim, batch), 2 * slopes, atol=1e-6)


def test_a_batch_of_no_images():
    victim = robustness.Victim(linear(), SHAPE)
    assert victim.foolbox_model(victim.tensor(images(0))).shape == (0, 3)
    assert gradients(victim, images(0)).shape == (0, *SHAPE) and victim.model_calls == 0


def test_no_decoder_is_run(monkeypatch):
    inputs_ = keras.Input((8, 8, 1))
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, lea_keras.VariationalAutoencoder(code_length=2), name="lea")
    model = lea_keras.LEAModel(inputs_, layers.Dense(3)(layers.Flatten()(lea(inputs_))))
    expected = model.predict(images(3, (8, 8, 1)), verbose=0)

    def fail(*_):
        raise AssertionError("the decoder ran")

    monkeypatch.setattr(type(lea.autoencoder), "objective", fail)
    victim = robustness.Victim(model, (8, 8, 1))
    np.testing.assert_allclose(victim.check(images(3, (8, 8, 1))), expected, atol=1e-6)
    assert np.any(gradients(victim, images(3, (8, 8, 1))))


def test_channels_first():
    keras.config.set_image_data_format("channels_first")
    victim = robustness.Victim(linear((3, 4, 5)), (3, 4, 5))
    assert victim.logits(images(2, (3, 4, 5))).shape == (2, 3)
    assert victim.foolbox_model.data_format == "channels_first"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_logits_are_float32_under_any_policy(policy):
    keras.config.set_dtype_policy(policy)
    victim = robustness.Victim(linear(), SHAPE)
    assert victim.check(images()).dtype == gradients(victim, images()).dtype == np.float32
    assert np.all(np.any(gradients(victim, images()), axis=(1, 2, 3)))


class Blocked(layers.Layer):
    """No gradient passes."""

    def call(self, inputs):
        return keras.ops.stop_gradient(inputs)


def test_masked_gradients():
    batch, labels = images(), np.zeros(6, np.int64)
    assert not robustness.Victim(linear(), SHAPE).masked_gradients(batch, labels).any()
    blocked = keras.Sequential([keras.Input(SHAPE), Blocked(), layers.Flatten(), layers.Dense(3)])
    assert robustness.Victim(blocked, SHAPE).masked_gradients(batch, labels).all()
    # Logits so far apart that the softmax is 1 and 0 exactly, but for the image that is black.
    kernel = np.zeros((16, 3))
    kernel[:, 0] = 1000
    saturated = linear(use_bias=False)
    saturated.set_weights([kernel])
    batch[2] = 0
    found = robustness.Victim(saturated, SHAPE).masked_gradients(batch, labels)
    assert found.tolist() == [True, True, False, True, True, True]
    assert len(robustness.Victim(saturated, SHAPE).masked_gradients(batch[:0], labels[:0])) == 0


class Random(layers.Layer):
    """Noise whatever ``training`` says."""

    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        return inputs + keras.random.normal(keras.ops.shape(inputs), seed=self.generator)


def ending_in(*last):
    return keras.Sequential([keras.Input(SHAPE), layers.Flatten(), *last])


def two_outputs():
    x = keras.Input(SHAPE)
    flat = layers.Flatten()(x)
    return keras.Model(x, [layers.Dense(3)(flat), layers.Dense(3)(flat)])


def broken():
    model = linear()
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    return model


REFUSED = {
    "random": (
        lambda: ending_in(Random(), layers.Dense(3)),
        "Argument `model` must be deterministic outside training; two passes .* Received: model='logits that differ by",
    ),
    "softmax": (
        lambda: ending_in(layers.Dense(3, activation="softmax")),
        "must be a model that returns logits. These look like probabilities: drop the softmax at its end. Received: ",
    ),
    "nan": (broken, "whose logits are finite. Received: model='NaN or infinite logits of 6 of 6 images'"),
    "two outputs": (two_outputs, "with one input and one output. Received: model='1 inputs, 2 outputs'"),
    "one class": (
        lambda: ending_in(layers.Dense(1)),
        r"logits \[n, classes\] of at least two classes. Received: model='\(1, 1\) for one image'",
    ),
    "maps": (lambda: keras.Sequential([keras.Input(SHAPE), layers.Conv2D(2, 1)]), "of at least two classes. Received"),
    "larger images": (
        lambda: linear((8, 8, 1)),
        r"`images` must be of the shape that the model takes, \(None, 8, 8, 1\). Received: images='an array of shape "
        r"\(None, 4, 4, 1\)'",
    ),
    "no model": (lambda: abs, "Argument `model` must be a keras.Model. Received: model=<built-in function abs>"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_attacked_is_refused_in_one_line(case):
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as error:
        robustness.Victim(make(), SHAPE).check(images())
    assert "\n" not in str(error.value)


def test_a_subclassed_model_that_takes_something_else():
    class Picky(keras.Model):
        def call(self, inputs):
            return keras.ops.matmul(keras.ops.reshape(inputs, (-1, 9)), keras.ops.ones((9, 2)))

    with pytest.raises(ValueError, match="`images` must be of a shape that the model takes. It says: ") as error:
        robustness.Victim(Picky(), SHAPE)
    assert "\n" not in str(error.value)


def test_dropout_obeys_and_almost_probabilities_are_logits():
    """What resembles a refused model but is none: dropout that is off, and logits that only sum to one."""
    assert robustness.Victim(ending_in(layers.Dropout(0.5), layers.Dense(3)), SHAPE).check(images()).shape == (6, 3)
    model = linear(classes=2, use_bias=True)
    kernel = np.ones((16, 2)) * [1, -1]
    model.set_weights([kernel, np.array([0.0, 1.0])])
    logits = robustness.Victim(model, SHAPE).check(images())
    np.testing.assert_allclose(logits.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("array", "bounds", "message"),
    [
        (
            np.full((2, *SHAPE), 200),
            (0, 1),
            "finite and within the bounds, 0 to 1. Divide 8-bit images by 255. Received",
        ),
        (np.full((2, *SHAPE), 2.0), (-1, 1), "within the bounds, -1 to 1. Received: .* minimum 2, maximum 2'"),
        (np.full((2, *SHAPE), np.nan), (0, 1), "minimum nan, maximum nan"),
        (np.full((2, *SHAPE), np.inf), (0, 1), "maximum inf"),
        (np.zeros((4, 4, 1)), (0, 1), r"at least one image, \[n, rows, columns, channels\]. Received: images='float64"),
        (np.zeros((0, *SHAPE)), (0, 1), "at least one image"),
        (np.full((1, *SHAPE), "a"), (0, 1), "`images` must be numbers"),
    ],
)
def test_bad_images(array, bounds, message):
    with pytest.raises(ValueError, match=message) as error:
        inputs.check_images(array, inputs.check_bounds(bounds))
    assert "\n" not in str(error.value)


def test_images_in_any_bounds_and_type():
    found = inputs.check_images(np.full((2, *SHAPE), 255, "uint8"), (0.0, 255.0))
    assert found.dtype == np.float32 and np.all(found == 255)
    assert np.all(inputs.check_images(np.full((2, *SHAPE), 0.1), (0.0, 0.1)) == np.float32(0.1))  # rounded upwards


@pytest.mark.parametrize("bounds", [(1, 0), (0, 0), (0,), 3, (0, np.inf), (np.nan, 1), "ab", None])
def test_bad_bounds(bounds):
    with pytest.raises(ValueError, match="`bounds` must be a pair .* of finite numbers, the first below the second"):
        inputs.check_bounds(bounds)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [0, 1],
            r"one of 3 classes for each of 4 images: integers \[4\] or one-hot \[4, 3\]. Received: labels='int64 arr",
        ),
        ([0.0, 1.0, 2.0, 1.0], "Received: labels='float64 array of shape"),
        (np.zeros((4, 2)), "integers"),
        (np.zeros((4, 1), int), "integers"),
        ([0, 1, 2, 3], "from 0 to 2, as the model has 3 classes. Received: .* maximum 3'"),
        ([0, 1, 2, -1], "minimum -1"),
        (np.full((4, 3), 1 / 3), "one-hot, with exactly one 1 among zeros in every row"),
        (np.ones((4, 3)), "one-hot"),
        (np.zeros((4, 3)), "one-hot"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message) as error:
        inputs.check_labels(labels, 4, 3)
    assert "\n" not in str(error.value)


def test_labels():
    for labels in ([0, 2, 1], np.array([0, 2, 1], "uint8"), np.eye(3)[[0, 2, 1]], np.eye(3, dtype=bool)[[0, 2, 1]]):
        found = inputs.check_labels(labels, 3, 3)
        assert found.dtype == np.int64 and found.tolist() == [0, 2, 1]
