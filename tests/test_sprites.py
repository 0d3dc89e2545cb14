"""The generated sprites against a loop over pixels, the formulas' limits and 43 images of the original data set."""

import ast
import math
import pathlib

import numpy as np
import pytest
from real_data import DATA

from lea_keras.data import sprites


def heart_by_even_odd(u, v):
    """Whether a ray from the point crosses the outline an odd number of times."""
    corners = sprites.heart_outline().tolist()
    crossings = 0
    for (u0, v0), (u1, v1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (v0 > v) != (v1 > v) and u < u0 + (v - v0) * (u1 - u0) / (v1 - v0):
            crossings += 1
    return crossings % 2 == 1


def draw_slowly(shape, scale, orientation, x, y, pixels=64):
    """One image, one pixel at a time, from the formulas of the data set's description."""
    image = np.zeros((pixels, pixels), np.uint8)
    size, turn = 0.5 + 0.1 * scale, 2.0 * math.pi * orientation / 39
    centre_x, centre_y = 16.0 + 32.0 * x / 31, 16.0 + 32.0 * y / 31
    for row in range(pixels):
        for column in range(pixels):
            dx = ((column + 0.5) * 64 / pixels - centre_x) / size
            dy = ((row + 0.5) * 64 / pixels - centre_y) / size
            u = dx * math.cos(turn) - dy * math.sin(turn)
            v = dx * math.sin(turn) + dy * math.cos(turn)
            if shape == 0:
                image[row, column] = abs(u) < 9.6 and abs(v) < 9.6
            elif shape == 1:
                image[row, column] = (u / 12.76) ** 2 + (v / 7.22) ** 2 < 1.0
            elif max(abs(u), abs(v)) < 14.0:
                image[row, column] = heart_by_even_odd(u, v)
    return image


def originals():
    """The 43 original images [43, 64, 64] and their labels [43, 5]."""
    path = DATA / "dsprites_samples.npz"
    if not path.exists():
        pytest.skip(f"the original sample images are not at {path}")
    with np.load(path) as samples:
        labels = [samples[name] for name in ("shape", "scale", "orientation", "x_position", "y_position")]
        return samples["images"], np.stack(labels, axis=-1)


def test_grid_has_the_size_of_dsprites():
    assert math.prod(sprites.FACTORS.values()) == sprites.GRID_SIZE == 737_280
    assert [len(values) for values in sprites.VALUES.values()] == list(sprites.FACTORS.values())


def test_labels_and_indices_are_inverse_and_y_varies_fastest():
    indices = np.random.RandomState(0).randint(0, sprites.GRID_SIZE, 1000)
    labels = sprites.labels_from_indices(indices)
    assert labels.dtype == np.int64 and labels.shape == (1000, 5)
    np.testing.assert_array_equal(sprites.indices_from_labels(labels), indices)
    np.testing.assert_array_equal(sprites.labels_from_indices([0, 1, 32]), [[0] * 5, [0, 0, 0, 0, 1], [0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(sprites.labels_from_indices([sprites.GRID_SIZE - 1]), [[2, 5, 39, 31, 31]])


@pytest.mark.parametrize("shape", range(3), ids=sprites.SHAPES)
@pytest.mark.parametrize("pixels", [16, 64, 80])
def test_draw_equals_loop_over_pixels(shape, pixels):
    random = np.random.RandomState(shape)
    labels = np.array(
        [[shape, *(random.randint(0, n) for n in (6, 40, 32, 32))] for _ in range(4)] + [[shape, 5, 5, 31, 31]]
    )
    expected = np.stack([draw_slowly(*label, pixels) for label in labels.tolist()])
    np.testing.assert_array_equal(sprites.draw(labels, pixels)[..., 0], expected)
    assert expected.any(axis=(1, 2)).all()


def test_draw_equals_originals_up_to_the_fit():
    images, labels = originals()
    differences = (sprites.draw(labels)[..., 0] != images).sum(axis=(1, 2))
    assert (differences == 0).sum() >= 36
    assert differences.sum() <= 15


def test_originals_catch_swapped_axes_and_a_wrong_turn():
    images, labels = originals()
    swapped = sprites.draw(labels[:, [0, 1, 2, 4, 3]])
    turned = labels.copy()
    turned[:, 2] = 39 - turned[:, 2]
    for wrong in (swapped, sprites.draw(turned)):
        assert (wrong[..., 0] != images).sum() > 1000


def test_images_are_binary_and_never_reach_the_edge():
    # The corners of the grid are the sprites nearest to the edges.
    grid = np.stack(np.meshgrid(range(3), [0, 5], range(40), [0, 31], [0, 31], indexing="ij"), axis=-1).reshape(-1, 5)
    images = sprites.draw(grid)
    assert images.dtype == np.uint8 and images.shape == (len(grid), 64, 64, 1)
    assert set(np.unique(images)) == {0, 1}
    assert not images[:, [0, 1, -2, -1]].any() and not images[:, :, [0, 1, -2, -1]].any()


def test_first_and_last_orientation_look_the_same_and_size_grows():
    labels = sprites.labels_from_indices(np.random.RandomState(1).randint(0, sprites.GRID_SIZE, 50))
    first, last = labels.copy(), labels.copy()
    first[:, 2], last[:, 2] = 0, 39
    np.testing.assert_array_equal(sprites.draw(first), sprites.draw(last))
    areas = sprites.draw([[shape, scale, 7, 10, 20] for shape in range(3) for scale in range(6)]).sum(axis=(1, 2, 3))
    assert (np.diff(areas.reshape(3, 6).astype(int)) > 0).all()
    # At scale 1, the areas of the square and the ellipse are 19.2² and π · 12.76 · 7.22.
    np.testing.assert_allclose(areas.reshape(3, 6)[:2, 5], [19.2**2, math.pi * 12.76 * 7.22], rtol=0.02)


def test_order_chunks_and_form_of_the_factors_do_not_matter(monkeypatch):
    indices = np.random.RandomState(2).randint(0, sprites.GRID_SIZE, 300)
    images = sprites.draw(indices)
    np.testing.assert_array_equal(sprites.draw(sprites.labels_from_indices(indices)), images)
    np.testing.assert_array_equal(sprites.draw(indices[::-1]), images[::-1])
    monkeypatch.setattr(sprites, "_CHUNK", 3)
    np.testing.assert_array_equal(sprites.draw(indices), images)
    assert sprites.draw([]).shape == (0, 64, 64, 1)


def test_examples_have_the_fields_of_tfds():
    records = sprites.examples(np.random.RandomState(3).randint(0, sprites.GRID_SIZE, 2000))
    factors = {"shape": (3, 1, 3), "scale": (6, 0.5, 1), "orientation": (40, 0, 2 * math.pi)}
    factors |= {"x_position": (32, 0, 1), "y_position": (32, 0, 1)}
    assert set(records) == {"image", *(f"{kind}_{name}" for kind in ("label", "value") for name in factors)}
    for name, (size, low, high) in factors.items():
        labels, values = records[f"label_{name}"], records[f"value_{name}"]
        assert labels.dtype == np.int64 and values.dtype == np.float32
        assert set(labels) == set(range(size))
        np.testing.assert_allclose(values, low + (high - low) * labels / (size - 1), rtol=1e-6)


@pytest.mark.parametrize(
    "function, factors, match",
    [
        (sprites.draw, [737_280], "Argument `indices` must be from 0 to 737279. Received: indices=737280"),
        (sprites.draw, [-1], "Argument `indices` must be from 0"),
        (sprites.draw, [0.5], "Argument `indices` must be an array of integers"),
        (sprites.draw, 3, r"Argument `indices` must be an array of shape \[n\]"),
        (sprites.draw, [[0, 0, 0, 0]], r"Argument `labels` must be an array of shape \[n, 5\]"),
        (
            sprites.draw,
            [[0, 6, 0, 0, 0]],
            "Argument `labels` must be from 0 to 5 for the factor 'scale'. Received: lab",
        ),
        (sprites.indices_from_labels, [0, 0, 0, 0, 0], "Argument `labels` must be an array of shape"),
        (sprites.indices_from_labels, [[0, 0, 0, 0, 1.5]], "Argument `labels` must be an array of integers"),
    ],
)
def test_wrong_factors_are_named(function, factors, match):
    with pytest.raises(ValueError, match=match):
        function(factors)


def test_needs_numpy_alone():
    tree = ast.parse(pathlib.Path(sprites.__file__).read_text(encoding="utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert set(modules) == {"collections.abc", "types", "typing", "numpy", "lea_keras"}
