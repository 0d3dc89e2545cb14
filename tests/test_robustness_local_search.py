"""``LocalSearchAttack``: against its algorithm in loops, and on models that look at single pixels."""

import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops

from lea_keras.robustness.attacks import local_search
from lea_keras.robustness.attacks.local_search import LocalSearchAttack

RNG = np.random.default_rng(0)


def looking_at(row, column, threshold=0.5):
    """Class 1 if the mean of that pixel's channels is above the threshold; it notices nothing else."""

    def logits(images):
        score = 4 * (ops.mean(images[:, row, column], axis=-1) - threshold)
        return ops.stack([-score, score], axis=1)

    return checks.foolbox_model(logits)


def black(rows=6, columns=9, channels=1, count=2):
    return np.zeros((count, rows, columns, channels), "float32")


@pytest.mark.parametrize("place", [(0, 0), (5, 8), (5, 0), (2, 7)])
def test_the_pixel_that_decides_is_found(place):
    images = black(channels=2)
    attack = LocalSearchAttack(max_candidates=60, t=3)
    results, success = checks.attacked(attack, looking_at(*place), images, np.zeros(2, int))
    assert success.all()
    # −½ times 1.5 comes back in at ¼, a bright 0.75, in all channels; nothing else gets other values in one round.
    np.testing.assert_allclose(results[:, place[0], place[1]], 0.75, atol=1e-6)
    assert set(np.unique(np.round(results, 5))) <= {np.float32(v) for v in (0.0, 0.75, 0.875, 0.0625, 0.84375)}


def test_a_neighbourhood_leads_to_the_pixel():
    def slope(images):
        """Brighter pixels to the right pull the decision less than the one at the right end."""
        weights = checks.tensor(np.linspace(0.1, 1.0, 12) ** 4, "float32")
        score = ops.sum(images[:, 0, :, 0] * weights, axis=1) - 0.7
        return ops.stack([-score, score], axis=1)

    attack = LocalSearchAttack(max_candidates=2, t=1, d=2, seed=3)
    results, success = checks.attacked(attack, checks.foolbox_model(slope), black(1, 12), np.zeros(2, int))
    assert success.all() and np.all(results[:, 0, 11] > 0)


def test_no_success_where_a_change_cannot_decide():
    images = black()
    for threshold in (0.99, 1.5):  # in from the other end means 0.75, then 0.875 and back to 0.0625
        model = looking_at(2, 3, threshold)
        results, success = checks.attacked(LocalSearchAttack(rounds=30), model, images, np.zeros(2, int))
        assert not success.any()
        np.testing.assert_array_equal(results, images)
    far = LocalSearchAttack(rounds=1, max_candidates=1, seed=1)
    assert not checks.attacked(far, looking_at(2, 3), images[:1], np.zeros(1, int))[1].any()


def in_loops(model, image, label, seed, r=1.5, p=10.0, d=2, t=2, rounds=4, most=5):
    """The algorithm for the first sample of a batch, one candidate at a time: the image in the end, and if it fools."""
    source = np.random.default_rng((seed, 0))
    rows, columns, _ = image.shape
    current = image.astype(np.float64)
    places = source.choice(rows * columns, max(1, min(int(0.1 * rows * columns), most)), replace=False)
    for _ in range(rounds):
        scores = []
        for place in places:
            candidate = current.copy()
            pixel = candidate[place // columns, place % columns]
            pixel[:] = p * np.sign(pixel - 0.5) + 0.5
            logits = np.array(model(checks.tensor(candidate[None], "float32")), np.float64)[0]
            scores.append((logits - np.log(np.sum(np.exp(logits))))[label])
        best = places[np.argsort(-np.array(scores), kind="stable")[:t]]
        for place in best:
            for channel in range(image.shape[2]):
                value = r * (current[place // columns, place % columns, channel] - 0.5)
                value = value + 1 if value < -0.5 else value - 1 if value > 0.5 else value
                current[place // columns, place % columns, channel] = value + 0.5
        near = {
            (row, column)
            for place in best
            for row in range(max(0, place // columns - d), min(rows, place // columns + d + 1))
            for column in range(max(0, place % columns - d), min(columns, place % columns + d + 1))
        }
        if checks.predictions(model, current[None].astype("float32"))[0] != label:
            return current, True
        places = np.array(sorted(row * columns + column for row, column in near))
        if len(places) > most:
            places = source.choice(places, most, replace=False)
    return current, False


@pytest.mark.parametrize("seed", range(4))
def test_against_loops(seed):
    model = checks.network((6, 6, 2), seed=seed)
    images = RNG.uniform(size=(3, 6, 6, 2)).astype("float32")
    labels = checks.predictions(model, images)
    expected, found = in_loops(model, images[0], labels[0], seed)
    attack = LocalSearchAttack(d=2, t=2, rounds=4, max_candidates=5, seed=seed, max_images=7)
    results, success = checks.attacked(attack, model, images, labels)
    assert success[0] == found
    np.testing.assert_allclose(results[0], expected if found else images[0], atol=1e-5)


def test_changes_are_taken_that_harm_most_not_those_whose_trials_do():
    """A trial blackens a black pixel further, a change brightens it, so the softmax after the trial must be highest."""
    weights = np.array([3.0, -3.0, 0.5, -0.5])

    def logits(images):
        score = ops.matmul(ops.reshape(images, (-1, 4)), checks.tensor(weights, "float32"))
        return ops.stack([score + 1.5, -score - 1.5], axis=1)

    attack = LocalSearchAttack(t=1, d=3, max_candidates=4, seed=0, rounds=12)
    results, success = checks.attacked(attack, checks.foolbox_model(logits), black(2, 2, count=8), np.zeros(8, int))
    assert success.all()
    # The first pixel is one at random, as a tenth of four is; then it is the second, which brightness harms most.
    assert np.all(results[:, 0, 1] == 0.75)
    assert np.mean(results[:, 0, 0] > 0) < 0.5


def test_target_class():
    model = checks.network(seed=1)
    images = checks.smooth_images(6)
    target = (checks.predictions(model, images) + 1) % 4
    criterion = foolbox.TargetedMisclassification(checks.tensor(target))
    results, success = checks.attacked(LocalSearchAttack(rounds=60), model, images, criterion)
    assert success.any()
    np.testing.assert_array_equal(checks.predictions(model, results) == target, success)


def test_log_softmax_where_the_softmax_rounds_to_one():
    logits = np.array([[80.0, 0.0, 0.0], [81.0, 0.0, 0.0], [0.0, 3.0, -1.0], [-900.0, 0.0, 1.0]])
    values = local_search._log_softmax(logits.copy(), np.zeros(4, int))
    assert values[0] == pytest.approx(-2 * np.exp(-80), rel=1e-9) and values[1] > values[0]
    assert values[2] == pytest.approx(-np.log(1 + np.exp(3) + np.exp(-1)))
    assert values[3] == pytest.approx(-900 - np.log(1 + np.exp(1)))


def test_what_every_attack_does():
    checks.check_attack(LocalSearchAttack(rounds=40))


@pytest.mark.usefixtures("own_kernels")
def test_the_callers_random_streams_are_left_alone():
    checks.check_random_streams(LocalSearchAttack(), looking_at(1, 1), black(), np.zeros(2, int))


def test_bad_arguments():
    wrong = [("r", -1.0), ("r", 2.5), ("p", "10"), ("d", -1), ("t", 0), ("rounds", 0), ("max_candidates", 0)]
    checks.check_arguments(LocalSearchAttack, wrong + [("seed", 2**32), ("max_images", 0)])
