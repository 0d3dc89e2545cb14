"""Local Search of foolbox 1.8: the lowest scores, which is the wrong end as a rule, and right for grey."""

import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops

from lea_keras.robustness.attacks.foolbox18.local_search import LocalSearch18
from lea_keras.robustness.attacks.local_search import LocalSearchAttack


def looking_at(row, column, threshold):
    """Class 1 if that pixel is above the threshold; it notices nothing else."""

    def logits(images):
        score = 4 * (images[:, row, column, 0] - threshold)
        return ops.stack([-score, score], axis=1)

    return checks.foolbox_model(logits)


@pytest.mark.parametrize(("grey", "threshold", "lowest_is_right"), [(0.0, 0.5, False), (0.6, 0.62, True)])
def test_which_end_of_the_scores(grey, threshold, lowest_is_right):
    """A black pixel is tried blacker and comes back in bright: the highest score is the one that matters. A pixel
    of 0.6 is tried brighter, and gets brighter: 0.65."""
    images, labels = np.full((1, 6, 7, 1), grey, "float32"), np.zeros(1, int)
    model, options = looking_at(2, 3, threshold), {"max_candidates": 42, "t": 2, "rounds": 3}
    results, success = checks.attacked(LocalSearch18(**options), model, images, labels)
    _, ours = checks.attacked(LocalSearchAttack(**options), model, images, labels)
    assert success[0] == lowest_is_right != ours[0]
    if lowest_is_right:
        assert results[0, 2, 3, 0] == pytest.approx(0.65)
        assert np.count_nonzero(results != images) <= 6


def test_scores_and_draws():
    attack = LocalSearch18(max_candidates=5)
    logits = np.array([[0.0, np.log(3)], [80, 0], [30, 0]])
    np.testing.assert_allclose(attack.scores(logits, np.zeros(3, int), False), [0.25, 1, 1], rtol=1e-6)
    drawn = attack.draw(np.random.default_rng(0), np.arange(9))
    assert len(set(drawn)) == 5 and list(drawn) != sorted(drawn)
    assert set(LocalSearch18().draw(np.random.default_rng(0), np.arange(9))) == set(range(9))


def test_targets_are_refused():
    target = foolbox.TargetedMisclassification(checks.tensor([1]))
    with pytest.raises(ValueError, match="^Argument `criterion` must be labels or a Misclassification"):
        checks.attacked(LocalSearch18(), looking_at(1, 1, 0.5), np.zeros((1, 6, 6, 1), "float32"), target)
