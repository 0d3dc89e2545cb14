"""The generated parts against a loop over pixels and windows, their labels, and what makes their classes differ."""

import hashlib

import numpy as np
import pytest

from experiments.config import RunConfig
from lea_keras import data
from lea_keras.data import parts, sources
from lea_keras.data.parts.labels import Labels
from lea_keras.data.parts.layouts import SLOTS
from lea_keras.data.parts.shapes import OUTLINES, normals


@pytest.fixture(scope="module")
def labels():
    return parts.labels_from_indices(np.arange(400))


@pytest.fixture(scope="module")
def maps(labels):
    return parts.part_maps(labels)


def some(labels, chosen):
    return Labels(labels.scenes[chosen], labels.parts[chosen])


def polygons():
    """Corners of the shapes that have straight sides, from their documentation, along and across."""
    return {
        "wedge": [(1, 0), (-0.6, 0.8), (-0.6, -0.8)],
        "chevron": [(0.6, 0), (-0.1, 0.7), (-0.7, 0.7), (0, 0), (-0.7, -0.7), (-0.1, -0.7)],
        "tee": [(-0.65, -0.75), (-0.2, -0.75), (-0.2, -0.22), (0.95, -0.22)]
        + [(0.95, 0.22), (-0.2, 0.22), (-0.2, 0.75), (-0.65, 0.75)],
    }


def crosses(corners, u, v):
    """Whether a point is in a polygon, by the number of sides that a ray from it meets."""
    inside = False
    for (u0, v0), (u1, v1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (v0 > v) != (v1 > v) and u < u0 + (v - v0) / (v1 - v0) * (u1 - u0):
            inside = not inside
    return inside


@pytest.mark.parametrize("shape", polygons())
def test_shapes_with_straight_sides_are_polygons(shape):
    points = np.random.RandomState(0).uniform(-1.1, 1.1, (500, 2))
    expected = [crosses(polygons()[shape], u, v) for u, v in points]
    np.testing.assert_array_equal(OUTLINES[shape](*points.T) >= 0, expected)


def test_round_shapes_by_their_areas():
    u, v = (axis.ravel() for axis in np.meshgrid(*[(np.arange(400) + 0.5) / 200 - 1] * 2))
    area = {shape: np.mean(outline(u, v) >= 0) * 4 for shape, outline in OUTLINES.items()}
    assert area["half"] == pytest.approx(np.pi * 0.92**2 / 2, rel=0.01)
    ring, opening = np.pi * (0.95**2 - 0.45**2), 0.6 * 0.5  # about: its ends are arcs
    assert area["ring"] == pytest.approx(ring - opening, rel=0.02)
    for outline in OUTLINES.values():
        assert not np.any(outline(u, v)[u * u + v * v > 1] >= 0)
        np.testing.assert_array_equal(outline(u, v), outline(u, -v))
        for quarter in ((v, u), (-u, v), (-v, u)):  # the same after no turn: orientations are told apart
            assert np.mean((outline(u, v) >= 0) != (outline(*quarter) >= 0)) > 0.02


def test_normals_are_unit_steps_inwards():
    along, across = normals("wedge", np.array([-0.6, 0.2]), np.array([0.1, 0.4]))
    np.testing.assert_allclose(along / 2e-4, [1, -1 / np.sqrt(5)], atol=1e-9)
    np.testing.assert_allclose(across / 2e-4, [0, -2 / np.sqrt(5)], atol=1e-9)


def test_part_maps_are_those_of_a_loop_over_pixels(labels, maps):
    for image in range(6):
        where = parts.places(some(labels, slice(image, image + 1)))
        expected = np.zeros((64, 64), int)
        for part in range(parts.VALUES["count"][labels.scenes[image, 1]]):
            angle = 2 * np.pi / 24 * where.orientation[0, part]
            outline = OUTLINES[parts.SHAPES[labels.parts[image, part, 0]]]
            for line in range(64):
                for column in range(64):
                    dx = (column + 0.5 - where.x[0, part]) / where.radius[0, part]
                    dy = (line + 0.5 - where.y[0, part]) / where.radius[0, part]
                    u, v = dx * np.cos(angle) - dy * np.sin(angle), dx * np.sin(angle) + dy * np.cos(angle)
                    if outline(np.array(u), np.array(v)) >= 0:
                        expected[line, column] = part + 1
        np.testing.assert_array_equal(maps[image], expected)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_labels_give_the_image_back(size, labels):
    few = some(labels, slice(20))
    drawn = parts.draw(few, size)
    shown = parts.part_maps(few, size)
    for image in range(20):
        levels = [parts.BACKGROUNDS[few.scenes[image, 6]], *parts.GREYS[few.parts[image, :, 3]]]
        np.testing.assert_array_equal(drawn[image, ..., 0], np.array(levels)[shown[image]])
    coloured = parts.draw(few, size, colour=True)
    is_there, image = shown > 0, np.nonzero(shown)[0]
    colours = parts.COLOURS[few.parts[image, shown[is_there].astype(int) - 1, 3]]
    np.testing.assert_array_equal(coloured[is_there], colours)
    np.testing.assert_array_equal(coloured[~is_there], np.repeat(drawn[~is_there], 3, axis=-1))


def test_images_are_the_same_on_every_machine():
    few = parts.labels_from_indices([0, 1, 59_999, 60_000, 10**12])
    found = [
        hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
        for array in (
            few.scenes.astype("<i8"),
            few.parts.astype("<i8"),
            parts.draw(few),
            parts.draw(few, 128, colour=True),
        )
    ]
    assert found == GOLDEN


GOLDEN = ["50318b8960c9fafb", "55dc49f3090daf0d", "2009cb48ee9b80bc", "540d6ad8dc1b9f1f"]


def test_every_part_is_seen_whole_and_none_covers_another(labels):
    where = parts.places(labels)
    assert np.nanmin([where.x - where.radius, where.y - where.radius]) > 0
    assert np.nanmax([where.x + where.radius, where.y + where.radius]) < 64
    corners = parts.labels_from_indices(np.arange(7 * 3))
    scenes, every = corners.scenes.copy(), np.zeros_like(corners.parts)
    scenes[:, 0], scenes[:, 1], scenes[:, 2], scenes[:, 4:6] = *np.divmod(np.arange(21), 3), 3, 15
    every[..., 1], every[..., 4:6] = 2, [0, 4]
    every[:, 1::2, 4:6] = [4, 0]
    every[np.arange(5) >= scenes[:, 1, np.newaxis] + 3] = -1
    where = parts.places(Labels(scenes, every))  # the largest parts at the ends of all ranges
    distances = np.hypot(*(axis[:, :, np.newaxis] - axis[:, np.newaxis] for axis in (where.x, where.y)))
    touching = where.radius[:, :, np.newaxis] + where.radius[:, np.newaxis]
    others = ~np.eye(5, dtype=bool) & ~np.isnan(touching)
    assert np.all(distances[others] > 0.9 * touching[others])
    assert np.nanmax([where.x + where.radius, where.y + where.radius]) < 64
    shown = parts.part_maps(labels)
    for part in range(1, 6):
        np.testing.assert_array_equal(np.any(shown == part, axis=(1, 2)), labels.parts[:, part - 1, 0] >= 0)


def test_factors_are_uniform_and_independent():
    scenes, of_parts = parts.labels_from_indices(np.arange(60_000))
    for column, size in enumerate(parts.FACTORS.values()):
        counts = np.bincount(scenes[:, column], minlength=size)
        assert np.sum((counts - 60_000 / size) ** 2 / (60_000 / size)) < size + 5 * np.sqrt(2 * size)
    values = np.concatenate([scenes[:, :], of_parts[:, :3].reshape(len(scenes), -1)], axis=1).astype(float)
    correlations = np.corrcoef(values[:, np.std(values, axis=0) > 0].T) - np.eye(np.sum(np.std(values, axis=0) > 0))
    assert np.max(np.abs(correlations)) < 5 / np.sqrt(60_000)
    assert np.all(of_parts[:, 0, 0] == 0) and np.all(of_parts[:, 1:, 0] != 0)  # one key
    assert np.all((of_parts >= 0).all(-1).sum(-1) == parts.VALUES["count"][scenes[:, 1]])


def test_classes_differ_in_the_places_of_the_same_parts(labels):
    few = some(labels, slice(40))
    images = []
    for number in range(len(parts.CLASSES)):
        scenes = few.scenes.copy()
        scenes[:, 0] = number
        images.append(parts.draw(Labels(scenes, few.parts)))
    pixels = [np.sort(image.reshape(40, -1), axis=1).astype(float) for image in images]
    for one in range(1, len(images)):
        assert np.mean(np.any(images[one] != images[0], axis=(1, 2, 3))) == 1
        assert np.mean(pixels[one] != pixels[0]) < 0.02  # of all pixels: roundings at outlines
    # The tempting mistake: layouts of which two are one. Distances between all parts, the key's apart, tell them.
    for count in range(3):
        told = set()
        for slots in SLOTS[:, count, : count + 3]:
            distances = np.hypot(*np.moveaxis(slots[:, np.newaxis] - slots, -1, 0))
            told.add((tuple(np.sort(distances.ravel()).round(6)), tuple(np.sort(distances[0]).round(6))))
            nearest = distances + 9 * np.eye(len(distances))
            np.testing.assert_allclose(nearest.min(axis=1), 1)
        assert len(told) == len(parts.CLASSES)


def test_edges_run_along_outlines():
    scenes = np.zeros((24, 7), np.int64)
    scenes[:, 2], scenes[:, 3] = 3, np.arange(24)  # of all orientations, in the middle but for half a pixel
    few = np.tile(np.array([0, 2, 0, 0, 2, 2]), (24, 5, 1))
    few[:, 1:, 0] = 4  # tees, whose sides all run along or across
    few[:, 3:] = -1
    labels = Labels(scenes, few)
    shown, edges = parts.part_maps(labels), parts.edge_maps(labels)
    assert edges.dtype == np.float32
    tees = ~np.isnan(edges) & (shown > 1)
    image = np.nonzero(tees)[0]
    from_side = np.mod(edges[tees] - np.pi / 12 * image, np.pi / 2)
    assert np.max(np.minimum(from_side, np.pi / 2 - from_side)) < 1e-5
    ring = ~np.isnan(edges) & (shown == 1)
    where = parts.places(labels)
    image, line, column = np.nonzero(ring)
    dx, dy = column + 0.5 - where.x[image, 0], line + 0.5 - where.y[image, 0]
    angle = scenes[image, 3] * np.pi / 12
    behind = dx * np.cos(angle) - dy * np.sin(angle) < -1
    tangent = np.mod(np.arctan2(-dx, -dy) - edges[ring], np.pi)[behind]  # across the radius, as seen
    assert np.max(np.minimum(tangent, np.pi - tangent)) < 1e-5
    assert np.all(edges[~np.isnan(edges)] >= 0) and np.all(edges[~np.isnan(edges)] < np.pi)
    # Edges are where a neighbour is of something else, and nowhere else.
    for image, line, column in np.argwhere(shown > 0)[::37]:
        around = [shown[image, line - 1, column], shown[image, line + 1, column]]
        around += [shown[image, line, column - 1], shown[image, line, column + 1]]
        assert np.isnan(edges[image, line, column]) == all(one == shown[image, line, column] for one in around)


@pytest.mark.parametrize("name", ["parts", "parts_colour"])
def test_load_gives_the_drawn_images(name, monkeypatch):
    options = dict(batch_size=8, limit=16, shuffle=False, seed=3)
    images, classes = data.take(data.load(name, "test", **options), 16)
    channels = 3 if name == "parts_colour" else 1
    assert images.shape == (16, 64, 64, channels) and classes.shape == (16, 7)
    chosen = parts.indices("test")[data.datasets.choose("test", 10_000, 16, 0.0, 3)]
    labels = parts.labels_from_indices(chosen)
    np.testing.assert_array_equal(images, parts.draw(labels, 64, channels == 3).astype(np.float32) / 255)
    np.testing.assert_array_equal(classes.argmax(-1), labels.scenes[:, 0])
    _, turns = data.take(data.load(name, "test", label="orientation", **options), 16)
    np.testing.assert_array_equal(turns.argmax(-1), labels.scenes[:, 3])
    assert data.info(name, image_size=128).image_shape == (128, 128, channels)
    assert data.info(name, "count").classes == 3 and data.file_size(name) is None
    monkeypatch.setattr(parts, "indices", lambda split: np.arange(20))
    assert sources.draw_all.__wrapped__(name, "test", 32)[0].shape == (20, 32, 32, channels)


def test_splits_share_no_image():
    assert not set(parts.indices("train")) & set(parts.indices("test"))
    assert len(parts.indices("train")) == data.info("parts").train_size == 60_000
    assert len(parts.indices("test")) == data.info("parts").test_size == 10_000
    keys = {
        tuple(scene) + tuple(of.ravel())
        for scene, of in zip(*parts.labels_from_indices(np.arange(70_000)), strict=True)
    }
    assert len(keys) == 70_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda of: data.info("parts", "shape"), "`label`"),
        (lambda of: data.info("parts", image_size=31), "`image_size`.*32"),
        (lambda of: RunConfig(dataset="parts", image_size=31), "`image_size`.*32"),
        (lambda of: parts.draw(of, 31), "`image_size`"),
        (lambda of: parts.factors_of_windows(of, 8, image_size=8), "`image_size`"),
        (lambda of: parts.factors_of_windows(of, 80, padding="valid"), "`window_size`"),
        (lambda of: parts.factors_of_windows(of, 0), "`window_size`"),
        (lambda of: parts.indices("validation"), "`split`"),
        (lambda of: parts.labels_from_indices([-1]), "`numbers`.*-1"),
        (lambda of: parts.labels_from_indices([0.5]), "`numbers`"),
        (lambda of: parts.labels_from_indices([[1]]), "`numbers`"),
        (lambda of: parts.draw(of.scenes), "`labels`"),
        (lambda of: parts.draw((of.scenes + 1, of.parts)), "`labels`"),
        (lambda of: parts.draw((of.scenes, np.abs(of.parts))), "`labels`.*-1"),
        (lambda of: parts.draw((of.scenes, of.parts[:, :4])), "`labels`"),
        (lambda of: parts.draw((of.scenes, of.parts * 9)), "`labels`"),
    ],
)
def test_mistakes_are_named(call, message, labels):
    with pytest.raises(ValueError, match=message):
        call(labels)
