"""Questions of attacks to a foolbox model: logits, gradients of any objective, and labels from a criterion."""

import eagerpy as ep
import foolbox
import gradient_attack_checks as checks
import numpy as np
import pytest
from keras import ops

from lea_keras.robustness.attacks import gradients

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(12, 3))
IMAGES = RNG.uniform(size=(4, 2, 3, 2))


def array_model(channel_axis=-1):
    """Of a linear model, and of one that takes the same images channels first."""
    model = checks.linear_model(WEIGHTS, np.zeros(3))
    if channel_axis == 1:
        model = checks.model_around(lambda x, last=model: last(ops.transpose(x, (0, 2, 3, 1))))
    return gradients.ArrayModel(model, ep.astensor(ops.zeros(1)), channel_axis)


@pytest.mark.parametrize("channel_axis", [-1, 1])
def test_logits_and_gradients_of_a_linear_model(channel_axis):
    model = array_model(channel_axis)
    expected = IMAGES.reshape(4, 12) @ WEIGHTS
    np.testing.assert_allclose(model.logits(IMAGES), expected, atol=1e-6)
    classes, labels = np.array([0, 1, 2, 0]), np.array([1, 2, 0, 2])
    differences, slopes = model.differences(IMAGES, classes, labels)
    np.testing.assert_allclose(differences, expected[range(4), classes] - expected[range(4), labels], atol=1e-6)
    np.testing.assert_allclose(slopes.reshape(4, 12), (WEIGHTS[:, classes] - WEIGHTS[:, labels]).T, atol=1e-6)
    logits, slopes = model.gradients(IMAGES, lambda logits: (logits**2).sum(axis=-1))
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    np.testing.assert_allclose(slopes.reshape(4, 12), 2 * expected @ WEIGHTS.T, atol=1e-5)
    np.testing.assert_allclose(model.array(model.tensor(IMAGES)), IMAGES, atol=1e-7)


def test_likeliest_others():
    logits, labels = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 5.0]]), np.array([0, 2])
    np.testing.assert_array_equal(gradients.likeliest_others(logits, labels, 2), [[2, 1], [1, 0]])
    np.testing.assert_array_equal(gradients.likeliest_others(logits, labels, 1), [[2], [1]])
    np.testing.assert_array_equal(gradients.likeliest_others(logits, labels, 9), [[2, 1], [1, 0]])


def test_labels_of_a_criterion():
    labels = np.array([2, 0])
    assert gradients.labels_of(foolbox.Misclassification(checks.tensor(labels)), "X").tolist() == [2, 0]
    targeted = foolbox.TargetedMisclassification(checks.tensor(labels))
    assert gradients.targets_of(targeted).tolist() == [2, 0]
    with pytest.raises(ValueError, match="Argument `criterion` must be labels, or .* for X. Received: criterion=Targ"):
        gradients.labels_of(targeted, "X")
    with pytest.raises(ValueError, match="one integer class per sample. Received: .*float32"):
        gradients.labels_of(foolbox.Misclassification(checks.tensor([1.0])), "X")
