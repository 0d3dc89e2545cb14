"""Single Pixel of foolbox 1.8: the pixel that was drawn first."""

import gradient_attack_checks as checks
import numpy as np
from keras import ops

from lea_keras.robustness.attacks.foolbox18.single_pixel import SinglePixel18
from lea_keras.robustness.attacks.registry import get


def test_the_first_success_in_the_order_drawn():
    """Any white pixel is enough: ours takes the brightest, 1.8 the first drawn, whose black it tries before."""

    def logits(images):
        whitest = ops.max(images, axis=(1, 2, 3)) - 0.9
        return ops.stack([-whitest, whitest], axis=1)

    images = np.full((3, 4, 5, 1), 0.2, "float32")
    images[:, 2, 3] = 0.7
    model, labels = checks.foolbox_model(logits), np.zeros(3, int)
    results, success = checks.attacked(SinglePixel18(seed=3), model, images, labels)
    assert success.all()
    for index in range(3):
        expected = images[index].copy().reshape(20, 1)
        expected[np.random.default_rng((3, index)).permutation(20)[0]] = 1.0
        np.testing.assert_array_equal(results[index], expected.reshape(4, 5, 1))
    nearest, _ = checks.attacked(get("single_pixel", 3), model, images, labels)
    assert np.all(nearest[:, 2, 3] == 1) and np.all(checks.distances(nearest, images) < 0.31)
    assert np.any(checks.distances(results, images) > 0.79)

    def darkest(images):
        return logits(1 - images)

    results, _ = checks.attacked(SinglePixel18(seed=3), checks.foolbox_model(darkest), images, labels)
    assert [np.count_nonzero(image == 0) for image in results] == [1, 1, 1]


def test_what_every_attack_does():
    checks.check_attack(SinglePixel18())
