"""Data sets under JAX, where TensorFlow is missing."""

import warnings

import keras
import numpy as np
import pytest
from backends import BACKEND

import lea_keras

if BACKEND != "jax":
    pytest.skip("about the containers that JAX gets", allow_module_level=True)

import jax

BATCH_SIZE, SEED = 16, 7


class Recorder(keras.Sequential):
    """A model that keeps the images it is trained on and tested on."""

    def __init__(self):
        super().__init__([keras.Input((64, 64, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        self.trained, self.tested = [], []

    def train_step(self, state, data):
        self.trained.append(np.asarray(data[0]))
        return super().train_step(state, data)

    def test_step(self, state, data):
        self.tested.append(np.asarray(data[0]))
        return super().test_step(state, data)


class StopAfter(keras.callbacks.Callback):
    """Stops training within an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True


def recorder(**options):
    model = Recorder()
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), run_eagerly=True, **options)
    return model


def load(split="train", limit=40, first_epoch=0):
    return lea_keras.data.load("sprites", split, batch_size=BATCH_SIZE, limit=limit, seed=SEED, first_epoch=first_epoch)


def epochs(numbers, limit=40):
    """The images of epochs by their numbers, each from a data set that begins with it."""
    return [images for number in numbers for images, _ in load(limit=limit, first_epoch=number)]


def check_same(found, expected):
    assert len(found) == len(expected), (len(found), len(expected))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(params=["cpu", "gpu"])
def device(request, monkeypatch):
    """The second is one for which Keras reads one batch ahead."""
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return request.param


@pytest.mark.parametrize("limit", [40, 16, 32])
@pytest.mark.parametrize(
    ("device", "options"), [("cpu", {"shuffle": False}), ("cpu", {}), ("gpu", {})], ids=str, indirect=["device"]
)
def test_fit(device, limit, options):
    """Epochs of `fit`, of a second `fit`, of a resumed one, and of a loop take one number each."""
    model, dataset, test = recorder(), load(limit=limit), load("test", limit=20)
    model.fit(dataset, validation_data=test, epochs=3, verbose=0, **options)
    model.fit(dataset, epochs=1, verbose=0, **options)
    check_same(model.trained, epochs(range(4), limit))
    check_same(model.tested, 3 * [images for images, _ in load("test", limit=20)])
    check_same([images for images, _ in dataset], epochs([4], limit))
    resumed = recorder()
    resumed.fit(load(limit=limit, first_epoch=2), epochs=4, initial_epoch=2, verbose=0, **options)
    check_same(resumed.trained, epochs([2, 3], limit))


def test_other_uses(device):
    """Several steps at a time, epochs in parts, a stop within one, testing on what is trained on."""
    model, dataset = recorder(steps_per_execution=2), load()
    model.fit(dataset, epochs=2, verbose=0)  # three batches, two at a time
    check_same(model.trained, epochs([0, 1]))

    model, dataset = recorder(), load()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        model.fit(dataset, epochs=4, steps_per_epoch=2, verbose=0)  # two batches, the third, and again
    check_same(model.trained, epochs([0, 1]))

    model, dataset = recorder(), load()
    model.fit(dataset, epochs=2, verbose=0, callbacks=[StopAfter()])
    model.fit(dataset, epochs=1, verbose=0)
    check_same(model.trained, epochs([0])[:1] + epochs([1]))

    model, dataset = recorder(), load()  # the same data to train and to test
    model.fit(dataset, validation_data=dataset, epochs=2, verbose=0)
    check_same(model.trained, epochs([0, 2]))
    check_same(model.tested, epochs([1, 3]))
    assert len(model.evaluate(dataset, verbose=0, return_dict=True)) == 1
    check_same(model.tested[-3:], epochs([4]))

    dataset = load()
    assert model.predict(dataset, verbose=0).shape == (40, 3)
    check_same([images for images, _ in dataset], epochs([1]))


def test_learning():
    """Resumed training ends with the weights of an uninterrupted one."""

    def train(*parts):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((64, 64, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        for start, stop in parts:
            model.fit(load(limit=80, first_epoch=start), initial_epoch=start, epochs=stop, verbose=0)
        return model.get_weights()[0]

    whole = train((0, 4))
    check_same([whole], [train((0, 2), (2, 4))])
    assert not np.array_equal(whole, train((0, 2), (0, 2)))  # which sees the first two epochs twice


def test_errors():
    for name in ("mnist", "dsprites"):
        try:
            lea_keras.data.load(name)
        except ImportError as error:
            message = str(error)
        assert "\n" not in message and repr(name) in message and "pip install tensorflow" in message
    try:
        recorder().fit(lea_keras.data.load("sprites", limit=20), verbose=0)
    except ValueError as error:
        message = str(error)
    assert "(64, 64, 1)" in message, message
