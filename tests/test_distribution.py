"""Several devices of one process; several processes are in `test_processes.py`."""

import keras
import numpy as np
import pytest
from backends import BACKEND
from layer_checks import compile_model, make_data, make_model

from experiments import distribution
from experiments.jobs import Job

if BACKEND != "jax":
    pytest.skip("Keras has data parallelism for JAX only", allow_module_level=True)

import jax


class Batches(keras.utils.PyDataset):
    """A batch of 8, which two devices share, and one of 3, which they do not; or the first alone."""

    def __init__(self, count=2):
        super().__init__()
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return tuple(array[8 * index : 8 * index + 8] for array in make_data(11))


class Seen(keras.layers.Layer):
    """Notes over how many devices each batch is spread."""

    def __init__(self, note, **kwargs):
        super().__init__(**kwargs)
        self.note = note

    def call(self, images):
        def note(sharding):
            self.note((images.shape[0], sharding.shard_shape(images.shape)[0]))

        jax.debug.inspect_array_sharding(images, callback=note)
        return images


def train(model, validated=2):
    model.fit(Batches(), validation_data=Batches(validated), verbose=0, shuffle=False)
    return model


def test_there_are_two_devices():
    assert len(jax.devices()) == 2  # start_of_tests.py


def test_every_device_takes_its_part():
    found = {}
    for divided in (False, True):
        found[divided] = []
        with distribution.devices(Job()):
            inputs = keras.Input((8, 8, 1))
            outputs = keras.layers.Dense(3)(keras.layers.Flatten()(Seen(found[divided].append)(inputs)))
            model = keras.Model(inputs, outputs)
            model.compile("sgd", "mse")
            if divided:
                distribution.divide_batches(model)
            train(model)
    assert set(found[True]) == {(8, 4), (3, 3)}
    assert set(found[False]) == {(8, 8), (3, 3)}


def test_losses_and_weights_are_those_of_one_device():
    """With noise, with optimizers of its own for each LEA, and with a batch that devices cannot share."""
    models = []
    for job in (None, Job()):
        with distribution.devices(job):
            model = compile_model(make_model("alternate", "capacity_vae", leas=1, units=()), metrics=[])
            distribution.divide_batches(model)
            models.append(train(model, validated=1))
    alone, divided = models
    assert len(divided.trainable_variables[0].value.sharding.device_set) == 2
    assert len(alone.trainable_variables[0].value.sharding.device_set) == 1
    for name, values in alone.history.history.items():
        np.testing.assert_allclose(divided.history.history[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    for ours, theirs in zip(alone.get_weights(), divided.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_keras_own_data_parallelism():
    """Where a user sets it, batches come divided to a LEAModel."""
    images, labels = make_data(16)
    found = []
    for strategy in (None, keras.distribution.DataParallel()):
        keras.distribution.set_distribution(strategy)
        try:
            model = compile_model(make_model("joint", "vae", leas=1, units=()), metrics=[])
            found.append(model.fit(images, labels, batch_size=8, epochs=2, verbose=0, shuffle=False).history["loss"])
        finally:
            keras.distribution.set_distribution(None)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_what_one_process_does_alone():
    calls = []

    class Note(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            calls.append(("begin", keras.distribution.distribution()))

        def on_epoch_end(self, epoch, logs=None):
            calls.append((self.model is copy, keras.distribution.distribution()))
            if self.model is copy:
                assert len(copy.trainable_variables[0].value.sharding.device_set) == 1
                for ours, theirs in zip(copy.get_weights(), model.get_weights(), strict=True):
                    np.testing.assert_array_equal(ours, theirs)

    with distribution.devices(Job()):
        model = compile_model(make_model("joint", leas=1))
        with distribution.alone():
            copy = make_model("joint", leas=1, seed=1)
        images, labels = make_data(8)
        callback = distribution.OnlyHere([Note()], [Note()], copy)
        model.fit(images, labels, epochs=1, verbose=0, callbacks=[callback])
        assert keras.distribution.distribution() is not None
    assert keras.distribution.distribution() is None
    assert calls == [("begin", None)] * 2 + [(True, None), (False, None)]
