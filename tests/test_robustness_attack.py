"""Images of every floating type, and batches of none: each attack works in them and gives them back."""

import contextlib

import eagerpy as ep
import foolbox
import gradient_attack_checks as checks
import keras
import numpy as np
import pytest
from backends import BACKEND, few
from keras import layers, ops

from lea_keras import robustness
from lea_keras.robustness.attacks.registry import ATTACKS, get

SHORT = {
    "projected_gradient_descent": {"steps": 3, "halvings": 4},
    "deep_fool": {"steps": 10, "candidates": 2},
    "adef": {"max_iter": 3, "subsample": 2, "shrink_steps": 3},
    "slsqp": {"max_iter": 3, "classes": 1, "subsample": 2},
    "local_search": {"rounds": 5},
    "spatial": {"num_translations": 3, "num_rotations": 1},
    "saliency_map": {"max_iter": 20},
    "gaussian_blur": {"steps": 20},
    "contrast_reduction": {"steps": 20},
    "additive_gaussian_noise": {"steps": 20},
    "salt_and_pepper": {"steps": 20, "repeats": 5},
}
TYPES = ("float16", "bfloat16", "float64")
# On JAX each type is compiled for anew, and what it has to do is the same for all attacks.
NAMES = list(ATTACKS) if BACKEND == "tensorflow" else ["adef"]


@contextlib.contextmanager
def every_type():
    """JAX has float64 where it is asked to."""
    if BACKEND != "jax":
        yield
        return
    import jax

    with jax.enable_x64(True):
        yield


def strict_model(dtype, asked, bounds=(0, 1)):
    """A network that takes images of one type only, as most do, computes in it, and notes what it was asked about."""
    rng = np.random.default_rng(0)
    first, second = (checks.tensor(rng.normal(size=size), dtype) for size in ((36, 12), (12, 4)))

    def logits(images):
        asked.add(images.dtype.name)
        images = ops.reshape(images, (ops.shape(images)[0], 36))
        return ops.relu(images @ first) @ second

    return checks.foolbox_model(logits, bounds)


def name(tensor):
    return tensor.dtype.name


@pytest.mark.parametrize("dtype", few(TYPES, ["float16"]))
@pytest.mark.parametrize("attack", NAMES)
def test_images_of_every_floating_type(attack, dtype):
    with every_type():
        asked = set()
        model = strict_model(dtype, asked)
        images = checks.tensor(checks.smooth_images(6), dtype)
        labels = np.argmax(np.array(ops.cast(model(images), "float32")), axis=1)
        labels[0] = (labels[0] + 1) % 4  # misclassified as it is, and to be left alone
        made, clipped, success = get(attack, **SHORT.get(attack, {}))(
            model, images, checks.tensor(labels), epsilons=None
        )
        assert name(made) == name(clipped) == dtype and asked == {dtype}
        success, before, after = np.array(success), np.array(images), np.array(made)
        changed = np.any(before != after, axis=(1, 2, 3))
        assert success[0] and not changed[0]
        assert np.isfinite(after.astype("float64")).all() and after.min() >= 0 and after.max() <= 1
        np.testing.assert_array_equal(changed[1:], success[1:])  # what is changed fools the model, as it is returned
        if attack == "single_pixel":
            assert np.all(np.count_nonzero(before != after, axis=(1, 2, 3)) <= 1)


@checks.slow_on_jax
def test_results_at_the_boundary_hold_in_half_precision():
    """There logits of an image depend on its batch, by much more than in float32."""
    counts = {}
    for dtype in ("float32", *TYPES):
        model, images = strict_model(dtype, set()), checks.tensor(checks.smooth_images(12), dtype)
        labels = np.argmax(np.array(ops.cast(model(images), "float32")), axis=1)
        attack = get("slsqp", classes=1, subsample=2, max_iter=20)
        counts[dtype] = int(np.sum(attack(model, images, checks.tensor(labels), epsilons=None)[2]))
    assert set(counts.values()) == {12}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_batch_of_no_images_comes_back(attack):
    model, images = strict_model("float32", set()), checks.tensor(np.zeros((0, 6, 6, 1)), "float32")
    labels = checks.tensor(np.zeros(0, int))
    made, clipped, success = get(attack)(model, images, labels, epsilons=None)
    assert made.shape == clipped.shape == (0, 6, 6, 1) and name(made) == "float32"
    assert success.shape == (0,) and name(success) == "bool"
    made, clipped, success = get(attack)(model, images, labels, epsilons=[0.1, None])
    assert [one.shape for one in (*made, *clipped)] == [(0, 6, 6, 1)] * 4
    assert success.shape == (2, 0) and name(success) == "bool"
    assert get(attack).run(model, images, labels).shape == (0, 6, 6, 1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_whole_numbers_and_unknown_keywords_are_refused(attack):
    model, images = strict_model("float32", set()), np.zeros((2, 6, 6, 1))
    labels = checks.tensor(np.zeros(2, int))
    with pytest.raises(ValueError, match="^Argument `inputs` must be images of a floating type. Received: .*int32"):
        get(attack)(model, checks.tensor(images, "int32"), labels, epsilons=None)
    with pytest.raises(TypeError, match="stepz"):
        get(attack)(model, checks.tensor(images, "float32"), labels, epsilons=None, stepz=1)


@checks.slow_on_jax
def test_large_images_in_half_precision():
    """The norm of the way to grey is 2¹⁷ here, which float16 does not hold."""
    weights = np.stack([np.ones(64 * 64), np.zeros(64 * 64)], 1)
    asked = set()

    def logits(images):
        asked.add(images.dtype.name)
        flat = ops.reshape(ops.cast(images, "float32"), (-1, 64 * 64))
        return flat @ checks.tensor(weights, "float32") - checks.tensor([[1.2e7, 0]], "float32")

    model = checks.foolbox_model(logits, (0, 4096))
    images = checks.tensor(np.full((1, 64, 64, 1), 4096), "float16")
    made, _, success = get("contrast_reduction")(model, images, checks.tensor(np.zeros(1, int)), epsilons=None)
    assert bool(success[0]) and asked == {"float16"}
    assert float(made[0, 0, 0, 0]) == pytest.approx(1.2e7 / 64**2, rel=0.01)


@checks.slow_on_jax
def test_epsilons_are_obeyed_in_half_precision():
    model = strict_model("float16", set())
    images = checks.tensor(checks.smooth_images(4), "float16")
    labels = checks.tensor(np.argmax(np.array(model(images)), axis=1))
    _, clipped, success = get("gradient_sign")(model, images, labels, epsilons=[1e-4, 0.9])
    assert [name(one) for one in clipped] == ["float16"] * 2
    assert np.max(np.abs(np.array(clipped[0], "float32") - np.array(images, "float32"))) < 1e-3
    assert np.sum(success[1]) > np.sum(success[0])
    assert isinstance(get("deep_fool"), foolbox.attacks.L2DeepFoolAttack)


@pytest.mark.skipif(BACKEND != "jax", reason="about eagerpy on JAX")
def test_what_foolbox_draws_on_jax_comes_from_the_seed():
    """Of an attack that draws through eagerpy: it depends on the seed and the batch, but on nothing drawn before."""

    class Bright(foolbox.attacks.base.MinimizationAttack):
        distance = foolbox.distances.l2

        def run(self, model, inputs, criterion, *, early_stop=None, **kwargs):
            images, restore = ep.astensor_(inputs)
            return restore(images.uniform(images.shape, 0.6, 1.0))

    model = keras.Sequential([keras.Input((3, 3, 1)), layers.Flatten(), layers.Dense(2)])
    model.set_weights([np.ones((9, 2)) * [0, 1 / 9], np.array([0.0, -0.5])])  # class 1 where the mean is above ½
    images = np.full((2, 3, 3, 1), 0.1, "float32")

    def drawn(seed):
        options = {"seed": seed, "batch_size": 1, "keep_images": True, "verbose": 0}
        return robustness.evaluate(model, images, [0, 0], {"bright": Bright()}, **options).images["bright"]

    first = drawn(3)
    checks.draw()
    np.testing.assert_array_equal(drawn(3), first)
    assert np.all(drawn(2**32 - 1) != first) and np.all(first[0] != first[1]) and np.all(first >= 0.6)
    checks.seed_streams(1)
    expected = checks.draw()
    checks.seed_streams(1)
    drawn(3)
    assert checks.draw() == expected
