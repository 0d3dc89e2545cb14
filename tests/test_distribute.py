"""MirroredStrategy on two logical devices: the same steps as one device on the same global batches."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from layer_checks import EAGERLY, compile_model, fit, make_data, make_lea, make_model

import lea_keras


@pytest.fixture(scope="module")
def strategy():
    # One for all tests: a second one in the same process would reuse the first one's collective keys.
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def fit_batches(model, samples, **arguments):
    """As `fit`, with batches whose size may change without another trace."""
    data = tf.data.Dataset.from_tensor_slices(make_data(samples)).batch(8)
    return model.fit(data, shuffle=False, verbose=0, **arguments).history


@pytest.fixture(scope="module")
def trained(strategy):
    """Trains a model on one device and on two replicas, once for each optimisation: models, histories, weights."""

    @functools.cache
    def train(optimization):
        leas = 2 if optimization == "alternate" else 1  # whose losses are scaled one by one
        # Replicas evaluate the same way whatever the optimisation, and to hand them an epoch's data takes a second.
        validation = {"validation_data": make_data()} if optimization == "joint" else {}
        metrics = ["accuracy"] if optimization == "joint" else None
        options = {"optimizer": keras.optimizers.SGD(0.05), "metrics": metrics}
        one = compile_model(make_model(optimization, leas=leas), **options, run_eagerly=EAGERLY)
        with strategy.scope():
            options["optimizer"] = keras.optimizers.SGD(0.05)
            two = compile_model(make_model(optimization, leas=leas), **options)
        histories = [fit_batches(model, 16, **validation) for model in (one, two)]
        return (one, two), histories, [model.get_weights() for model in (one, two)]

    return train


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("optimization", ["joint", "alternate"])
def test_two_replicas_equal_one_device(trained, optimization):
    _, histories, weights = trained(optimization)
    assert ("val_loss" in histories[0]) == (optimization == "joint")
    for name in histories[0]:
        if not name.endswith("rln"):  # RLN's range of values is that of the replica's part of the batch
            np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=1e-4, err_msg=name)
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_subclassed_model_is_built_inside_fit(strategy):
    class Subclassed(lea_keras.LEAModel):
        def __init__(self):
            super().__init__(optimization="alternate")
            self.stack = [make_lea("capacity_vae"), layers.Flatten(), layers.Dense(3, activation="softmax")]

        def call(self, images, training=False):
            for layer in self.stack:
                images = layer(images)
            return images

    with strategy.scope():
        model = compile_model(Subclassed(), keras.optimizers.SGD(1e-3), metrics=None)
    history = fit(model)
    assert np.all(np.isfinite(history["lea_kl"]))
    assert int(model.lea_layers[0].autoencoder.step) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_replica_without_images(trained):
    (one, two), _, _ = trained("alternate")
    two.set_weights(one.get_weights())
    histories = [fit_batches(model, 9) for model in (one, two)]  # the second batch has one image for two
    np.testing.assert_allclose(histories[1]["main_loss"], histories[0]["main_loss"], rtol=1e-5)
    assert all(np.all(np.isfinite(values)) for values in histories[1].values())
    assert all(np.all(np.isfinite(values)) for values in two.get_weights())
