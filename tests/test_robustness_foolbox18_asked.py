"""The closest adversarial that was ever asked about, on a model that asks whether an image is bright."""

import eagerpy as ep
import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest

from lea_keras.robustness.attacks.base import Batch
from lea_keras.robustness.attacks.foolbox18.asked import Asked


def bright():
    """Class 1 where the mean of four values is above ½."""
    return checks.linear_model(np.ones((4, 2)) * [0, 0.25], [0.5, 0.0])


def grey(*values):
    return np.ones((len(values), 2, 2, 1), "float32") * np.array(values, "float32").reshape(-1, 1, 1, 1)


@pytest.fixture
def started():
    """Two black samples, nothing asked yet: what they are asked through, and the results."""
    x = ep.astensor(checks.tensor(grey(0, 0)))
    results = x.numpy().copy()
    return Asked(Batch(bright(), x, checks.tensor([0, 0]), max_images=2), results), results


def test_the_closest_is_kept_however_late_it_is_asked(started):
    asked, results = started
    both = np.array([0, 0, 1, 0])
    np.testing.assert_array_equal(asked.ask(both, grey(0.9, 0.6, 0.2, 0.7)), [True, True, False, True])
    np.testing.assert_array_equal(results[:, 0, 0, 0], np.float32([0.6, 0]))
    assert asked.distances[0] == pytest.approx(4 * 0.36) and np.isinf(asked.distances[1])
    asked.ask(np.array([0]), grey(0.8))
    np.testing.assert_array_equal(results[0], grey(0.6)[0])
    other = grey(0.6)[..., ::-1] * [[[1.5], [0.5]], [[1.0], [1.0]]]  # adversarial, but further away
    assert not asked.ask(np.array([0]), other.astype("float32"))[0] or asked.distances[0] < 1.5
    seen = asked.see(np.array([1, 1]), grey(0.9, 0.55), np.array([[0, 1.0], [1.0, 0]]))
    np.testing.assert_array_equal(seen, [True, False])  # by the logits, whatever the model would say
    assert results[1, 0, 0, 0] == np.float32(0.9)
    assert asked.ask(np.zeros(0, int), grey()).shape == (0,)


def test_a_search_that_ends_with_its_first_has_not_asked_about_the_next(started):
    asked, results = started
    images = np.stack([grey(0.1, 0.9, 0.6), grey(0.2, 0.3, 0.4)])
    np.testing.assert_array_equal(asked.ask_until_first(np.array([0, 1]), images), [1, -1])
    np.testing.assert_array_equal(results[:, 0, 0, 0], np.float32([0.9, 0]))
    worth = np.array([[True, False, True], [False] * 3])
    np.testing.assert_array_equal(asked.ask_until_first(np.array([0, 1]), images, worth), [2, -1])
    np.testing.assert_array_equal(results[0], grey(0.6)[0])


def test_targets_are_refused():
    x = ep.astensor(checks.tensor(grey(0)))
    batch = Batch(bright(), x, foolbox.TargetedMisclassification(checks.tensor([1])))
    with pytest.raises(ValueError, match="^Argument `criterion` must be labels or a Misclassification, as this attack"):
        Asked(batch, x.numpy())
