"""ADef: the deformation itself, the field that solves the linearised difference, and a blob that must move."""

import gradient_attack_checks as checks
import keras
import numpy as np
import pytest

from lea_keras.robustness.attacks.adef import ADefAttack, deform, linearised_field

SIZE = 15
MIDDLE = SIZE // 2


def blob(row=MIDDLE, column=MIDDLE, width=1.5):
    """A Gaussian blob [1, SIZE, SIZE, 1] with its centre there."""
    squares = (np.arange(SIZE)[:, None] - row) ** 2 + (np.arange(SIZE) - column) ** 2
    return np.exp(-squares / (2 * width**2)).astype("float32").reshape(1, SIZE, SIZE, 1)


def centre(images):
    """Centres of mass [n, 2] of images [n, SIZE, SIZE, 1], as (row, column), of NumPy or the backend."""
    positions = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij"), axis=-1).astype("float32")
    xp = np if isinstance(images, np.ndarray) else keras.ops
    total = xp.sum(images, (1, 2, 3))
    moments = xp.sum(images * positions, (1, 2))  # [n, h, w, 1]·[h, w, 2]
    return moments / total[:, None]


def position_model(*directions):
    """Class 0 near the middle; class k where the blob's centre is past distance dₖ in direction (row, column)ₖ."""

    def logits(images):
        shift = centre(images) - float(MIDDLE)
        others = [
            keras.ops.matmul(shift, checks.tensor([float(r), float(c)])) - distance for (r, c), distance in directions
        ]
        return keras.ops.stack([keras.ops.zeros_like(others[0]), *others], axis=1)

    return checks.foolbox_model(logits)


def roughness(field):
    """How much of a field [1, h, w, 2] changes from pixel to pixel."""
    steps = [np.diff(field, axis=axis) for axis in (1, 2)]
    return sum(np.sum(step**2) for step in steps) / np.sum(field**2)


def test_deforming_is_bilinear_reading_at_clipped_positions():
    rng = np.random.default_rng(0)
    images, fields = rng.uniform(size=(3, 5, 4, 2)), rng.normal(size=(3, 5, 4, 2)) * 2
    expected = np.zeros_like(images)
    for n, i, j in np.ndindex(3, 5, 4):
        y, x = np.clip(i + fields[n, i, j, 0], 0, 4), np.clip(j + fields[n, i, j, 1], 0, 3)
        for a, b in np.ndindex(5, 4):
            expected[n, i, j] += max(0, 1 - abs(y - a)) * max(0, 1 - abs(x - b)) * images[n, a, b]
    np.testing.assert_allclose(deform(images, fields), expected, atol=1e-12)
    np.testing.assert_array_equal(deform(images, 0 * fields), images)
    shifted = deform(
        images, np.broadcast_to([0.0, 1.0], fields.shape)
    )  # values come from the right: content moves left
    np.testing.assert_array_equal(shifted[:, :, :-1], images[:, :, 1:])
    np.testing.assert_array_equal(shifted[:, :, -1], images[:, :, -1])


@pytest.mark.parametrize("smooth", [0, 0.5, 1, 3])
def test_the_field_solves_the_linearised_difference(smooth):
    rng = np.random.default_rng(1)
    alpha, differences = rng.normal(size=(4, 7, 6, 2)), -rng.uniform(1, 2, 4)
    fields = linearised_field(differences, alpha, smooth)
    np.testing.assert_allclose(np.sum(alpha * fields, axis=(1, 2, 3)), -differences)
    shortest = linearised_field(differences, alpha, 0)
    sizes, smallest = (np.linalg.norm(x.reshape(4, -1), axis=1) for x in (fields, shortest))
    np.testing.assert_allclose(smallest, -differences / np.linalg.norm(alpha.reshape(4, -1), axis=1))
    if smooth:
        assert np.all(sizes > smallest)
        assert roughness(fields[:1]) < 0.5 * roughness(shortest[:1])
    assert not np.any(linearised_field(differences, 0 * alpha, smooth))


@pytest.mark.parametrize("direction", [(0, 1), (0, -1), (1, 0), (-1, 0)])
def test_the_blob_moves_the_right_way(direction):
    image, model = blob(), position_model((direction, 1.0))
    fields, success = ADefAttack().deformations(model, checks.tensor(image), checks.tensor([0]))
    results, found = checks.attacked(ADefAttack(), model, image, np.array([0]))
    assert success[0] and found[0]
    np.testing.assert_allclose(results, deform(image, fields), atol=1e-6)
    moved = centre(results)[0] - MIDDLE
    assert 1.0 < moved @ direction < 1.02  # no further than it must
    assert abs(moved @ direction[::-1]) < 0.05
    # Where the blob is, values come from the side that it moves away from; the wrong sign would move it back.
    mean = np.sum(fields * image, axis=(0, 1, 2)) / np.sum(image)
    assert mean @ direction < -0.3
    wrong = centre(deform(image, -fields).astype("float32"))[0] - MIDDLE
    assert wrong @ direction < 0


def test_the_field_is_smooth():
    image, model = blob(), position_model(((0, 1), 0.5))
    rough = {}
    for smooth in (0, 1, 2):
        fields, success = ADefAttack(smooth=smooth).deformations(model, checks.tensor(image), checks.tensor([0]))
        assert success[0]
        rough[smooth] = roughness(fields)
    assert rough[2] < rough[1] < 0.7 * rough[0]


def test_a_shift_larger_than_the_derivatives_reach_takes_several_steps():
    image, model = blob(), position_model(((0, 1), 2.5))
    fields, success = ADefAttack().deformations(model, checks.tensor(image), checks.tensor([0]))
    assert success[0]
    assert np.max(np.linalg.norm(fields, axis=-1)) > 1.0
    assert not ADefAttack(max_iter=1).deformations(model, checks.tensor(image), checks.tensor([0]))[1][0]
    results, _ = checks.attacked(ADefAttack(max_iter=1), model, image, np.array([0]))
    np.testing.assert_array_equal(results, image)
    one, _ = ADefAttack(max_iter=1, max_step=0.25).deformations(model, checks.tensor(image), checks.tensor([0]))
    assert np.max(np.linalg.norm(one, axis=-1)) == pytest.approx(0.25)


def test_the_class_with_the_smallest_field_wins():
    image = blob()
    directions = [((0, 1), 1.0), ((1, 0), 0.4), ((0, -1), 0.8)]
    result, _ = checks.attacked(ADefAttack(), position_model(*directions), image, np.array([0]))
    assert checks.predictions(position_model(*directions), result)[0] == 2
    # A class three times as sensitive is near although its logit is the furthest behind.
    directions = [((0, 1), 1.0), ((3, 0), 1.2), ((0, -1), 0.9)]
    model = position_model(*directions)
    assert checks.predictions(model, checks.attacked(ADefAttack(), model, image, np.array([0]))[0])[0] == 2
    only = ADefAttack(subsample=2)  # the runner-up and no other
    assert checks.predictions(model, checks.attacked(only, model, image, np.array([0]))[0])[0] == 3


def test_shrinking_finds_the_smallest_multiple():
    image, model = blob(), position_model(((0, 1), 0.5))
    large, _ = ADefAttack(overshoot=1.0, shrink_steps=0).deformations(model, checks.tensor(image), checks.tensor([0]))
    small, success = ADefAttack(overshoot=1.0).deformations(model, checks.tensor(image), checks.tensor([0]))
    factor = np.linalg.norm(small) / np.linalg.norm(large)
    assert success[0] and factor < 0.9
    np.testing.assert_allclose(small, factor * large)
    less = deform(image, (factor - 2 / 1024) * large).astype("float32")
    assert checks.predictions(model, less)[0] == 0


def test_channels_first():
    images, attack = checks.smooth_images(5, channels=3), ADefAttack(max_iter=5, shrink_steps=4)
    model = checks.network((6, 6, 3))
    labels = checks.predictions(model, images)
    results, success = checks.attacked(attack, model, images, labels)
    fields, _ = attack.deformations(model, checks.tensor(images), checks.tensor(labels))
    keras.config.set_image_data_format("channels_first")
    turned = checks.model_around(lambda x: model(keras.ops.transpose(x, (0, 2, 3, 1))))
    first, found = checks.attacked(attack, turned, np.moveaxis(images, -1, 1), labels)
    np.testing.assert_array_equal(found, success)
    assert success.any()
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), results, atol=1e-5)
    others, _ = attack.deformations(turned, checks.tensor(np.moveaxis(images, -1, 1)), checks.tensor(labels))
    np.testing.assert_allclose(others, fields, atol=1e-4)


def test_nothing_is_deformed_where_there_is_nothing_to_move():
    model = checks.linear_model(np.stack([np.zeros(36), np.ones(36)], axis=1), [0.0, -20.0])
    flat = np.full((1, 6, 6, 1), 0.5, "float32")  # brighter would be enough, but no deformation makes it brighter
    results, success = checks.attacked(ADefAttack(), model, flat, np.array([0]))
    assert not success[0]
    np.testing.assert_array_equal(results, flat)


def test_what_every_attack_must_do():
    checks.check_attack(ADefAttack(max_iter=8))


def test_images_it_cannot_deform():
    for shape in ((2, 9), (2, 1, 9, 1)):
        model = checks.network((9,), units=3) if len(shape) == 2 else checks.network(shape[1:], units=3)
        with pytest.raises(ValueError, match="Argument `inputs` must be images"):
            checks.attacked(ADefAttack(), model, np.zeros(shape, "float32"), np.zeros(2, int))


def test_wrong_arguments():
    wrong = [("max_iter", 0), ("smooth", -1), ("subsample", 1), ("overshoot", "much"), ("max_step", 0)]
    checks.check_arguments(ADefAttack, [*wrong, ("shrink_steps", -1)])
