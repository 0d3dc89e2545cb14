"""Pairs of images of one class: who gets which target, and what the kinds of targets have in common."""

import keras
import numpy as np
import pytest
from keras import layers

from lea_keras import data


def make_set(count, classes=3, seed=0, size=4):
    """Images whose first pixel is their class, and the others noise."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = generator.uniform(size=(count, size, size, 1)).astype("float32")
    images[:, 0, 0, 0] = labels
    return images, labels


def epoch(pairs):
    sources, targets = zip(*pairs, strict=True)
    return np.concatenate(sources), np.concatenate(targets)


@pytest.mark.parametrize("choose", ["random", "mean", "representative"])
@pytest.mark.parametrize("one_hot", [False, True])
def test_every_image_comes_once_with_a_target_of_its_class(choose, one_hot):
    (images, labels), (others, of_others) = make_set(25), make_set(20, seed=1, size=5)
    if one_hot:
        labels, of_others = np.eye(3, dtype="float32")[labels], np.eye(3, dtype="float32")[of_others]
    pairs = data.class_pairs((images, labels), (others, of_others), choose, batch_size=8)
    assert isinstance(pairs, keras.utils.PyDataset) and len(pairs) == 4
    assert [len(batch[0]) for batch in pairs] == [8, 8, 8, 1]
    sources, targets = epoch(pairs)
    assert sources.dtype == targets.dtype == np.float32 and targets.shape == (25, 5, 5, 1)
    assert {each.tobytes() for each in sources} == {each.tobytes() for each in images}
    np.testing.assert_allclose(targets[:, 0, 0, 0], sources[:, 0, 0, 0], rtol=1e-6)


def test_classes_need_not_be_consecutive():
    images, labels = make_set(12)
    sources, targets = epoch(data.class_pairs((images, labels * 7), (images, labels * 7)))
    np.testing.assert_array_equal(sources[:, 0, 0], targets[:, 0, 0])


def test_random_targets_are_drawn_anew_and_uniformly_as_a_function_of_seed_and_epoch():
    images, labels = make_set(300, classes=2)
    others, of_others = make_set(8, classes=2, seed=1)
    arguments = {"shuffle": False, "batch_size": 300}
    pairs = data.class_pairs((images, labels), (others, of_others), **arguments)
    epochs = [epoch(pairs)[1] for _ in range(40)]
    assert not np.array_equal(epochs[0], epochs[1])
    again = data.class_pairs((images, labels), (others, of_others), **arguments)
    np.testing.assert_array_equal(epochs[0], epoch(again)[1])
    other = data.class_pairs((images, labels), (others, of_others), seed=1, **arguments)
    assert not np.array_equal(epochs[0], epoch(other)[1])
    drawn = np.concatenate(epochs)[:, 1, 1, 0]
    counts = [np.sum(drawn == value) for value in others[:, 1, 1, 0]]
    np.testing.assert_allclose(counts, 40 * 300 / 8, rtol=0.1)


def test_the_mean_and_the_representative_are_constant_in_a_class():
    source, (others, of_others) = make_set(30), make_set(20, seed=1)
    sources, targets = epoch(data.class_pairs(source, (others, of_others), "mean"))
    for each in range(3):
        mean = others[of_others == each].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(targets[sources[:, 0, 0, 0] == each], np.tile(mean, (10, 1, 1, 1)), atol=1e-6)
    pairs = data.class_pairs(source, (others, of_others), "representative")
    for sources, targets in (epoch(pairs), epoch(pairs)):  # in every epoch
        for each in range(3):
            unique = np.unique(targets[sources[:, 0, 0, 0] == each], axis=0)
            assert len(unique) == 1 and any(np.array_equal(unique[0], other) for other in others[of_others == each])
    seeds = [epoch(data.class_pairs(source, (others, of_others), "representative", seed=i))[1] for i in range(4)]
    assert len({np.unique(targets, axis=0).tobytes() for targets in seeds}) > 1


def gradient(sources, targets, weights):
    """Of the mean squared error of a linear map, by hand."""
    x, y = sources.reshape(len(sources), -1), targets.reshape(len(targets), -1)
    return 2 * x.T @ (x @ weights - y) / len(x)


def test_random_and_mean_targets_have_the_same_expected_gradient():
    """N4: the document takes them for different. A representative has another one."""
    source, target = make_set(60), make_set(15, seed=1)
    weights = np.random.default_rng(2).normal(size=(16, 16))
    found = {}
    for choose, epochs in (("random", 300), ("mean", 1), ("representative", 1)):
        pairs = data.class_pairs(source, target, choose, shuffle=False, batch_size=60)
        each = [gradient(*epoch(pairs), weights) for _ in range(epochs)]
        found[choose] = np.mean(each, axis=0)
        spread = np.std(each, axis=0).max() / np.sqrt(epochs)
        if choose == "random":
            tolerance = 5 * spread
    np.testing.assert_allclose(found["random"], found["mean"], atol=tolerance)
    assert np.max(np.abs(found["representative"] - found["mean"])) > 5 * tolerance


def test_training_on_a_representative_reaches_an_error_of_0():
    source, target = make_set(30), make_set(9, seed=1)
    images = np.eye(3, dtype="float32")[source[1]].reshape(-1, 1, 3, 1)  # only its class is to be seen of an image
    model = keras.Sequential([keras.Input((1, 3, 1)), layers.Flatten(), layers.Dense(16), layers.Reshape((4, 4, 1))])
    # Each step leaves 0.6 of an error: 2·9.6 / 16 values times the curvatures 1/3 and 4/3 of three classes and a bias.
    model.compile(keras.optimizers.SGD(9.6), "mse", run_eagerly=True)
    pairs = data.class_pairs((images, source[1]), target, "representative", batch_size=30)
    history = model.fit(pairs, epochs=12, verbose=0, shuffle=False)
    assert history.history["loss"][-1] < 1e-4


SOURCE = make_set(6)
WRONG = {
    "choose": (lambda: data.class_pairs(SOURCE, SOURCE, "men"), "`choose` must be one of .* Did you mean 'mean'"),
    "no pair": (lambda: data.class_pairs(SOURCE[0], SOURCE), "`source` must be a pair of images .* source='ndarray'"),
    "rank": (lambda: data.class_pairs((SOURCE[0][0], SOURCE[1]), SOURCE), "`source` must be a pair of images"),
    "labels": (lambda: data.class_pairs(SOURCE, (SOURCE[0], SOURCE[1] * 0.5)), "`target` must be a pair .*float64 of"),
    "fewer": (lambda: data.class_pairs(SOURCE, (SOURCE[0], SOURCE[1][:4])), "`target` must be a pair of images"),
    "lacking": (
        lambda: data.class_pairs(SOURCE, make_set(4, 2)),
        r"every class .*\[0, 1, 2\]. Received: target='no image of \[2\]'",
    ),
    "batch": (lambda: data.class_pairs(SOURCE, SOURCE, batch_size=0), "`batch_size` must be an integer of at least 1"),
    "seed": (lambda: data.class_pairs(SOURCE, SOURCE, seed=-1), "`seed` must be an integer from 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_get_one_line(case):
    make, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
