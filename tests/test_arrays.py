"""Data sets as arrays, and outputs of layers batch by batch."""

import keras
import numpy as np
from backends import once

from experiments import arrays
from experiments.config import RunConfig

pytestmark = once


def test_images_and_their_classes_whatever_the_seed_of_the_run():
    images, labels = arrays.load(RunConfig(seed=1), "sprites", "train", 700, 16)
    assert images.shape == (700, 16, 16, 1) and labels.shape == (700,) and set(labels) == {0, 1, 2}
    again = arrays.load(RunConfig(seed=2), "sprites", "train", 700, 16)
    np.testing.assert_array_equal(images, again.images)
    other = arrays.load(RunConfig(data_seed=2), "sprites", "train", 700, 16)
    assert np.any(images != other.images)
    few = again.where(slice(3))
    assert len(few.images) == 3 and list(few.labels) == list(labels[:3])


def test_computed_as_outside_training():
    inputs = np.random.default_rng(0).normal(size=(501, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Rescaling(2.0)])
    np.testing.assert_array_equal(arrays.computed(model, inputs), 2 * inputs)
    np.testing.assert_array_equal(arrays.computed(lambda part: part + 1, inputs), inputs + 1)


def test_few_steps():
    images = np.zeros((65, 1))
    assert arrays.few_steps(images, 32, 2) and not arrays.few_steps(images, 32, 3)  # three batches an epoch
