"""The latent attack: projection, its steps against a NumPy loop, pairs alone and together, any grid of windows."""

import re

import keras
import numpy as np
import pytest
from backends import BACKEND, once

import lea_keras
from lea_keras import robustness
from lea_keras.robustness.latent import LatentAttack
from lea_keras.robustness.reconstructing import Reconstructor

SHAPE = (4, 4, 1)
BOUNDS = (0.0, 1.0)


@pytest.fixture(scope="module")
def whole():
    """A linear autoencoder of whole images."""
    keras.utils.set_random_seed(0)
    return Reconstructor(lea_keras.image_autoencoder("standard", SHAPE, code_length=3, units=()), SHAPE)


def pictures(count, seed=0):
    return np.random.RandomState(seed).rand(count, *SHAPE).astype("float32")


def attacked(reconstructor, attack, sources, targets, seeds=None):
    """The last iterates, and where they began."""
    codes = reconstructor.representations(targets)
    starts = attack.starts(sources, seeds or [(0, i) for i in range(len(sources))], reconstructor.bounds)
    return attack.compile(reconstructor)(sources, starts, codes, np.ones(codes.shape[1], "float32")), starts


def test_it_stays_in_box_and_bounds_each_of_which_can_be_switched_off(whole):
    sources, targets = pictures(3), pictures(3, 1)
    both, starts = attacked(whole, LatentAttack(epsilon=0.1, steps=5, learning_rate=0.1), sources, targets)
    assert np.max(np.abs(starts - sources)) > 0.3  # so that only the projection brings them back
    assert np.max(np.abs(both - sources)) <= 0.1 + 1e-6
    assert both.min() >= 0 and both.max() <= 1
    alone, _ = attacked(whole, LatentAttack(epsilon=None, steps=5, learning_rate=0.1), sources, targets)
    assert np.max(np.abs(alone - sources)) > 0.3
    assert alone.min() >= 0 and alone.max() <= 1
    attack = LatentAttack(epsilon=0.4, steps=5, learning_rate=0.1, within_bounds=False)
    free, starts = attacked(whole, attack, sources, targets)
    assert starts.min() < 0 and (free.min() < 0 or free.max() > 1)
    assert np.max(np.abs(free - sources)) <= 0.4 + 1e-6
    nothing, _ = attacked(whole, LatentAttack(epsilon=0.0, steps=1), sources, targets)
    np.testing.assert_array_equal(nothing, sources)


def by_hand(kernel, bias, source, start, target, factors, attack, power=1):
    """The attack on a linear encoder; with ``power=2`` on squares instead of norms, as it is not meant."""
    image, first, second = start.astype("float64").ravel(), 0.0, 0.0
    flat = source.astype("float64").ravel()
    for step in range(1, attack.steps + 1):
        pixels, codes = image - flat, (image @ kernel + bias - target) * factors
        pull = kernel @ (codes * factors)
        if power == 1:
            gradient = attack.weight * pixels / np.linalg.norm(pixels) + pull / np.linalg.norm(codes)
        else:
            gradient = 2 * attack.weight * pixels + 2 * pull
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        image = image - attack.learning_rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        image = np.clip(image, np.maximum(flat - attack.epsilon, 0), np.minimum(flat + attack.epsilon, 1))
    return image.reshape(source.shape)


def test_steps_are_those_of_adam_on_norms(whole):
    kernel, bias = (np.asarray(keras.ops.convert_to_numpy(w), "float64") for w in whole.autoencoder.code.weights)
    attack = LatentAttack(weight=0.7, epsilon=0.3, steps=12, learning_rate=0.02)
    sources, targets = pictures(2), pictures(2, 1)
    codes, factors = whole.representations(targets), np.array([1.0, 0.5, 2.0], "float32")
    starts = attack.starts(sources, [(0,), (1,)], BOUNDS)
    found = attack.compile(whole)(sources, starts, codes, factors)
    for i in range(2):
        expected = by_hand(kernel, bias, sources[i], starts[i], codes[i], factors, attack)
        np.testing.assert_allclose(found[i], expected, atol=1e-4)
        wrong = by_hand(kernel, bias, sources[i], starts[i], codes[i], factors, attack, power=2)
        assert np.max(np.abs(wrong - expected)) > 0.01


def test_pairs_together_are_pairs_alone(whole):
    attack = LatentAttack(steps=20, learning_rate=0.01)
    sources, targets = pictures(5), pictures(5, 1)
    together, _ = attacked(whole, attack, sources, targets)
    alone, _ = attacked(whole, attack, sources[3:4], targets[3:4], [(0, 3)])
    np.testing.assert_allclose(together[3:4], alone, atol=1e-5)
    assert np.max(np.abs(together[3] - sources[3])) > 0.05


@once
def test_a_reachable_target_is_reached_without_penalty_and_box(whole):
    sources, targets = pictures(2), pictures(2, 1)
    attack = LatentAttack(weight=0.0, epsilon=None, steps=300, learning_rate=0.01, within_bounds=False)
    found, _ = attacked(whole, attack, sources, targets)
    before, after = (
        np.linalg.norm(whole.representations(x) - whole.representations(targets)) for x in (sources, found)
    )
    assert after < 0.05 * before
    assert np.max(np.abs(found - targets)) > 0.1  # the code, not the image


@once
def test_units_are_those_of_the_range():
    """Images in [0, 255] and an encoder that divides by 255 are attacked as images in [0, 1]."""
    found = {}
    for top in (1.0, 255.0):
        keras.utils.set_random_seed(0)
        model = lea_keras.image_autoencoder("standard", SHAPE, code_length=3, units=())
        kernel, bias = model.get_layer("lea").autoencoder.code.weights
        kernel.assign(kernel / top)
        reconstructor = Reconstructor(model, SHAPE, (0.0, top))
        attack = LatentAttack(epsilon=0.2, steps=10, learning_rate=0.02)
        sources, targets = top * pictures(2), top * pictures(2, 1)
        found[top] = attacked(reconstructor, attack, sources, targets)[0] / top
    np.testing.assert_allclose(found[1.0], found[255.0], atol=1e-4)


@once
def test_standardised_entries_weigh_by_their_spread():
    codes = np.array([[0.0, 10.0, 7.0], [2.0, -10.0, 7.0]], "float32")  # the last one is constant
    np.testing.assert_allclose(LatentAttack(scale="standardised").factors(codes), [1.0, 0.1, 0.0])
    np.testing.assert_array_equal(LatentAttack().factors(codes), [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(LatentAttack(scale="standardised").factors(codes[:1]), [0.0, 0.0, 0.0])


@once
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_any_grid_of_windows(padding):
    keras.utils.set_random_seed(1)
    autoencoder = lea_keras.VariationalAutoencoder(2, code_maps="sample")
    lea = lea_keras.LocallyEmbeddedAutoencoder(3, autoencoder, strides=2, padding=padding)
    inputs = keras.Input((7, 7, 1))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(lea(inputs)))
    reconstructor = Reconstructor(model, (7, 7, 1))
    images = np.random.RandomState(0).rand(2, 7, 7, 1).astype("float32")
    windows = lea_keras.windows.extract_windows(images, 3, 2, padding)
    flat = keras.ops.reshape(windows, (-1, 3, 3, 1))
    codes = keras.ops.convert_to_numpy(autoencoder.representation(flat))
    np.testing.assert_allclose(reconstructor.representations(images), codes.reshape(2, -1), rtol=1e-5, atol=1e-6)
    assert reconstructor.length == codes.size // 2
    if BACKEND == "tensorflow":  # elsewhere an inspection is compiled for long
        (view,) = lea_keras.inspect(model, images)  # which decodes means, too
        np.testing.assert_allclose(reconstructor.reconstructions(images), np.clip(view.unclipped, 0, 1), atol=1e-5)
    attack = LatentAttack(steps=3, learning_rate=0.05)
    found, starts = attacked(reconstructor, attack, images[:1], images[1:])
    assert found.shape == (1, 7, 7, 1) and np.any(found != images[:1])


@once
def test_models_without_one_autoencoder_of_the_images_are_refused():
    def refused(model, said, shape=SHAPE):
        with pytest.raises(ValueError, match=re.escape(said)):
            Reconstructor(model, shape)

    inputs = keras.Input(SHAPE)
    lea = lea_keras.LocallyEmbeddedAutoencoder(2, "standard", name="local")
    refused(keras.Model(inputs, keras.layers.Flatten()(inputs)), "an autoencoder, or a model with a LEA")
    refused(keras.Model(inputs, lea(keras.layers.ReLU()(inputs) * 2.0)), "one LEA that takes the images as they are")
    refused(keras.Model(inputs, lea(inputs)), "of the shape that the model takes", (8, 8, 1))
    refused(lea_keras.StandardAutoencoder(3), "built: encode an image first")
    refused("model", "an autoencoder, or a model with a LEA. Received: model='str'")
    free = lea_keras.LocallyEmbeddedAutoencoder(2, "standard", loss_weight=0.0)
    refused(keras.Model(inputs, free(inputs)), "one whose LEA has a trained decoder")
    for name, value in (("weight", -1), ("steps", 0), ("scale", "other"), ("epsilon", "no"), ("within_bounds", 1)):
        with pytest.raises(ValueError, match=f"`{name}`"):
            LatentAttack(**{name: value})


@once
def test_the_other_attacks_go_through_a_judge(whole):
    """A linear judge of the reconstructions."""
    inputs = keras.Input(SHAPE)
    judge = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(2)])
    judge.set_weights([np.random.RandomState(2).randn(16, 2), np.zeros(2)])
    model = lea_keras.LEAModel(inputs, keras.layers.Flatten()(whole.layer(inputs)))
    victim = robustness.judged(model, judge, SHAPE)
    images = pictures(12)
    logits = keras.ops.convert_to_numpy(victim(images))
    expected = keras.ops.convert_to_numpy(judge(whole.reconstructions(images)))
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    names = ["gradient_sign", "contrast_reduction"]
    labels = np.argmax(expected, axis=1)
    result = robustness.evaluate(victim, images, labels, names, keep_images=True, verbose=0)
    assert result.accuracy == 1.0
    for name in names:
        found = np.array([record.found for record in result.records if record.attack == name])
        again = np.argmax(judge.predict(whole.reconstructions(result.images[name]), verbose=0), axis=1)
        np.testing.assert_array_equal(again != labels, found)
    assert any(record.found for record in result.records)
