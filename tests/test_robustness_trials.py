"""Trying any part of a batch: labels go with the candidates, and calls stay small."""

import eagerpy as ep
import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops

from lea_keras.robustness.attacks.base import Batch, Pixels

IMAGES = np.random.default_rng(0).uniform(size=(5, 3, 4, 2)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1])


def class_is(images):
    """Logits that are highest for the class that the first value of an image, times three, says."""
    return ops.one_hot(ops.cast(images[:, 0, 0, 0] * 3, "int32"), 3)


def trials(criterion=None, model=None, **options):
    criterion = foolbox.Misclassification(checks.tensor(LABELS)) if criterion is None else criterion
    return Batch(model or checks.foolbox_model(class_is), ep.astensor(checks.tensor(IMAGES)), criterion, **options)


def shows(classes):
    images = np.zeros((len(classes), 3, 4, 2), "float32")
    images[:, 0, 0, 0] = (np.array(classes) + 0.5) / 3
    return images


def test_each_candidate_is_judged_by_the_label_of_its_sample():
    rows = np.array([4, 0, 0, 2])
    batch = trials()
    np.testing.assert_array_equal(batch.classes(rows), [1, 0, 0, 2])
    fooled = batch.is_adversarial(rows, batch.tensor(shows([1, 0, 2, 1])))
    np.testing.assert_array_equal(fooled, [False, False, True, True])
    targeted = trials(foolbox.TargetedMisclassification(checks.tensor(LABELS)))
    np.testing.assert_array_equal(targeted.is_adversarial(rows, batch.tensor(shows([1, 0, 2, 1]))), ~fooled)
    assert targeted.targeted and not batch.targeted
    assert batch.is_adversarial(rows[:0], batch.tensor(shows([]))).shape == (0,)


def test_a_candidate_that_is_not_finite_fools_nobody():
    batch, images = trials(), shows([1, 1, 1])
    images[1, 2, 2], images[2, 2, 2] = np.nan, np.inf
    fooled = batch.is_adversarial(np.zeros(3, int), batch.tensor(images))
    np.testing.assert_array_equal(fooled, [True, False, False])


def test_bare_labels_and_who_is_left():
    batch = trials(checks.tensor(LABELS))
    right = np.floor(IMAGES[:, 0, 0, 0] * 3) == LABELS
    assert 0 < right.sum() < 5
    np.testing.assert_array_equal(batch.running(), np.flatnonzero(right))


@pytest.mark.parametrize("max_images", [1, 2, 100])
def test_model_calls_are_small(max_images):
    sizes = []
    batch = trials(model=checks.model_around(lambda x: sizes.append(len(x)) or class_is(x)), max_images=max_images)
    logits = batch.logits(shows([2, 0, 1, 1, 0]))
    np.testing.assert_array_equal(logits.argmax(axis=1), [2, 0, 1, 1, 0])
    batch.running()
    assert max(sizes) <= max_images and sum(sizes) == 10
    assert len(batch.logits(shows([]))) == 0


def test_other_criteria_are_refused():
    good = foolbox.Misclassification(checks.tensor(LABELS))
    for wrong in (good & good, checks.tensor(LABELS[:3]), checks.tensor(LABELS, "float32")):
        with pytest.raises(ValueError, match="^Argument `criterion` must be .* Received: criterion="):
            trials(wrong)


def test_pixels_and_back():
    batch = trials()
    pixels = Pixels(batch)
    assert (pixels.rows, pixels.columns) == (3, 4)
    np.testing.assert_array_equal(pixels.images(pixels.values), IMAGES)
    expected = IMAGES[[3, 3]].copy()
    expected[0, 1, 2], expected[1, 2, 3] = 0.25, 0.75
    changed = pixels.changed(np.array([3, 3]), np.array([6, 11]), np.array([[0.25], [0.75]]))
    np.testing.assert_array_equal(changed, expected)
    np.testing.assert_array_equal(pixels.images(pixels.values), IMAGES)  # only copies change


def test_where_the_channels_are():
    assert trials().channel_axis() == 3
    assert [trials().channel_axis(axis) for axis in (1, 3, -1)] == [1, 3, 3]
    for axis in (0, 2, 1.0, True):
        with pytest.raises(ValueError, match="^Argument `channel_axis` must be 1, 3, -1 or None"):
            trials().channel_axis(axis)
