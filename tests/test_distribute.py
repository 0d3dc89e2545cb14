"""MirroredStrategy on two logical devices: the same steps as one device on the same global batches."""

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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("optimization", ["joint", "alternate"])
def test_two_replicas_equal_one_device(strategy, optimization):
    images, labels = make_data()
    leas = 2 if optimization == "alternate" else 1  # whose losses are scaled one by one
    one = compile_model(make_model(optimization, leas=leas), keras.optimizers.SGD(0.05), run_eagerly=EAGERLY)
    with strategy.scope():
        two = compile_model(make_model(optimization, leas=leas), keras.optimizers.SGD(0.05))
    histories = [fit(model, epochs=2, validation_data=(images, labels)) for model in (one, two)]
    for name in histories[0]:
        if not name.endswith("rln"):  # RLN's range of values is that of the replica's part of the batch
            np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=1e-4, err_msg=name)
    for ours, theirs in zip(one.get_weights(), two.get_weights(), strict=True):
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
        model = compile_model(Subclassed())
    history = fit(model, epochs=2)
    assert np.all(np.isfinite(history["lea_kl"]))
    assert int(model.lea_layers[0].autoencoder.step) == 4


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_replica_without_images(strategy):
    images, labels = make_data(9)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)  # the second batch has one image for two
    one = make_model("alternate", leas=1)
    compile_model(one, keras.optimizers.SGD(0.05), metrics=[], run_eagerly=EAGERLY)
    with strategy.scope():
        two = compile_model(make_model("alternate", leas=1), keras.optimizers.SGD(0.05), metrics=[])
    histories = [model.fit(data, shuffle=False, verbose=0).history for model in (one, two)]
    np.testing.assert_allclose(histories[1]["main_loss"], histories[0]["main_loss"], rtol=1e-5)
    assert all(np.all(np.isfinite(values)) for values in histories[1].values())
    assert all(np.all(np.isfinite(values)) for values in two.get_weights())
