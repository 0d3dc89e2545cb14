"""Noise of foolbox 1.8: its deviations, its draws, and how often it starts again."""

import eagerpy as ep
import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops

from lea_keras.robustness.attacks.base import Batch
from lea_keras.robustness.attacks.foolbox18 import noise
from lea_keras.robustness.attacks.foolbox18.noise import AdditiveGaussianNoise18, SaltAndPepper18, season
from lea_keras.robustness.attacks.registry import get


def power_above(threshold):
    """Class 1 where values are further than that from ½, in the root mean square."""

    def logits(images):
        power = ops.mean(ops.square(images - 0.5), axis=(1, 2, 3)) - threshold**2
        return ops.stack([-power, power], axis=1)

    return checks.foolbox_model(logits)


def test_the_deviation_is_the_square_and_every_level_draws():
    """At ε = 0.4 it is 0.4²/√3 = 0.092; ours has 0.4/√3 = 0.231, of the same noise as at any other ε."""
    x = ep.astensor(checks.tensor(np.full((2, 50, 50, 1), 0.5, "float32")))
    batch, both = Batch(power_above(0.1), x, checks.tensor([0, 0])), np.arange(2)

    def deviations(attack, level):
        return attack.make_path(batch, both)(both, np.full(2, level)).numpy() - 0.5

    new, ours = AdditiveGaussianNoise18(), get("additive_gaussian_noise")
    np.testing.assert_allclose(deviations(new, 0.4).std(axis=(1, 2)), 0.4**2 / np.sqrt(3), rtol=0.05)
    np.testing.assert_allclose(deviations(ours, 0.4).std(axis=(1, 2)), 0.4 / np.sqrt(3), rtol=0.1)
    correlations = [
        np.corrcoef(deviations(attack, 0.4).ravel(), deviations(attack, 0.401).ravel())[0, 1] for attack in (new, ours)
    ]
    assert abs(correlations[0]) < 0.1 and correlations[1] > 0.99
    np.testing.assert_array_equal(deviations(new, 0.4), deviations(new, 0.4))
    assert np.any(deviations(AdditiveGaussianNoise18(seed=1), 0.4) != deviations(new, 0.4))


def test_the_first_level_that_succeeds():
    images, labels = np.full((2, 6, 6, 1), 0.5, "float32"), np.zeros(2, int)
    model = power_above(0.1)
    results, success = checks.attacked(AdditiveGaussianNoise18(), model, images, labels)
    assert success.all()
    for index in range(2):
        for level in range(1, 1001):
            drawn = np.random.default_rng((0, index, level)).standard_normal((6, 6, 1), np.float32)
            noisy = np.clip(0.5 + np.float32((level / 1000) ** 2 / np.sqrt(3)) * drawn, 0, 1)
            if np.mean((noisy - 0.5) ** 2) > 0.01:
                break
        np.testing.assert_allclose(results[index], noisy, atol=1e-6)
        assert 250 < level < 450  # √(0.1·√3) = 0.416 on average, sooner by luck; ours needs 0.173


def test_salt_and_pepper_of_draws():
    images, draws = np.full((1, 1, 5, 2), 0.5), np.array([0.04, 0.2, 0.45, 0.55, 0.96]).reshape(1, 1, 1, 5, 1)
    grown = np.broadcast_to(draws, (1, 3, 1, 5, 1))
    noisy = season(images, grown, np.array([[0.1, 0.5, 1.2]]), (0.0, 1.0))
    assert noisy.shape == (1, 3, 1, 5, 2) and np.all(noisy[..., 0] == noisy[..., 1])
    np.testing.assert_array_equal(noisy[0, 0, 0, :, 0], [0, 0.5, 0.5, 0.5, 1])
    np.testing.assert_array_equal(noisy[0, 1, 0, :, 0], [0, 0, 0.5, 0.5, 1])
    np.testing.assert_array_equal(noisy[0, 2, 0, :, 0], [0, 0, 0.5, 0.5, 1])  # both: as it was


def changed_above(share):
    """Class 1 where more than that share of the pixels is black or white."""

    def logits(images):
        changed = ops.mean(ops.cast(ops.abs(images - 0.5) > 0.4, "float32"), axis=(1, 2, 3)) - share
        return ops.stack([-changed, changed], axis=1)

    return checks.foolbox_model(logits)


def test_repetitions_end_a_fifth_beyond_the_last_success(monkeypatch):
    seen = []
    monkeypatch.setattr(noise, "season", lambda *arguments: seen.append(arguments[2]) or season(*arguments))
    images = np.full((1, 10, 12, 1), 0.5, "float32")
    results, success = checks.attacked(SaltAndPepper18(), changed_above(0.25), images, np.zeros(1, int))
    assert success[0]
    tried = np.concatenate(seen, axis=1)[0]
    starts = np.flatnonzero(np.diff(tried, prepend=1.0) < 0)
    assert len(starts) == 10 and tried[0] == 0.01  # of a hundred levels
    highest = 100 * tried[starts]
    assert highest[0] == 1 and np.all(highest[1:] < 0.5)
    assert np.count_nonzero(results != 0.5) == 31  # more than 30 of 120 must change; one draw of many gave just that
    ours, _ = checks.attacked(get("salt_and_pepper"), changed_above(0.25), images, np.zeros(1, int))
    assert np.count_nonzero(ours != 0.5) == 31


def test_what_is_no_closer_is_not_asked_about():
    asked = []
    model = changed_above(0.25)
    counting = checks.model_around(lambda x: asked.append(len(x)) or model._model(x))
    images = np.full((1, 10, 12, 1), 0.5, "float32")
    checks.attacked(SaltAndPepper18(repetitions=1), counting, images, np.zeros(1, int))
    once = sum(asked)
    asked.clear()
    checks.attacked(SaltAndPepper18(), counting, images, np.zeros(1, int))
    assert once < 45 and sum(asked) < 10 * 100
    few = SaltAndPepper18(epsilons=7, repetitions=1)
    assert checks.attacked(few, changed_above(0.25), images, np.zeros(1, int))[1][0]


@pytest.mark.parametrize("attack", [AdditiveGaussianNoise18(steps=60), SaltAndPepper18(repetitions=2)])
@checks.slow_on_jax
def test_what_every_attack_does(attack):
    checks.check_attack(attack)


def test_bad_arguments():
    checks.check_arguments(AdditiveGaussianNoise18, [("steps", 0), ("seed", -1), ("max_images", 0)])
    checks.check_arguments(SaltAndPepper18, [("epsilons", 0), ("repetitions", 0), ("seed", -1), ("max_images", 0)])
