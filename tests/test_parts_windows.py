"""What windows of parts see, against a loop over windows."""

import numpy as np
import pytest

from lea_keras.data import parts
from lea_keras.windows import extract_windows


@pytest.mark.parametrize(
    ("window", "strides", "padding", "size"),
    [
        (8, 4, "same", 64),
        ((5, 9), (4, 7), "same", 64),
        (16, None, "valid", 64),
        (7, 5, "valid", 32),
        (64, None, "same", 64),
    ],
)
def test_factors_of_windows_are_those_of_a_loop(window, strides, padding, size):
    few = parts.labels_from_indices(np.arange(5))
    found = parts.factors_of_windows(few, window, strides, padding, size)
    shown, where = parts.part_maps(few, size), parts.places(few, size)
    edges = parts.edge_maps(few, size)
    lines, columns = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5, indexing="ij")
    planes = np.stack(
        [shown, np.nan_to_num(edges, nan=-1), *(np.broadcast_to(axis, shown.shape) for axis in (columns, lines))], -1
    )
    cut = np.asarray(extract_windows(planes.astype(np.float32), window, strides, padding))
    assert cut.shape[:3] == found.part.shape
    for place in np.ndindex(found.part.shape):
        part, edge, x, y = np.moveaxis(cut[place], -1, 0)
        inside = x > 0  # and not padding
        counts = [np.sum(part == number) for number in range(1, 6)]
        of = {name: values[place] for name, values in found._asdict().items()}
        lying = edge[inside & (edge >= 0)].astype(float)
        if len(lying):
            mean = np.mean(np.exp(2j * lying))
            assert of["agreement"] == pytest.approx(abs(mean), abs=1e-6)
            assert abs(mean) < 1e-4 or abs(np.exp(2j * of["edge"]) - mean / abs(mean)) < 1e-4
        else:
            assert np.isnan(of["edge"]) and np.isnan(of["agreement"])
        if not any(counts):
            assert of["part"] == 0 and of["coverage"] == of["visible"] == 0
            assert of["shape"] == of["size"] == of["colour"] == of["orientation"] == -1
            assert np.isnan(of["offset_x"]) and np.isnan(of["offset_y"])
            continue
        number = int(np.argmax(counts))
        told = few.parts[place[0], number]
        assert of["part"] == number + 1
        assert (of["shape"], of["size"], of["colour"]) == (told[0], told[1], told[3])
        assert of["orientation"] == (told[2] + few.scenes[place[0], 3]) % 24
        assert of["coverage"] == pytest.approx(counts[number] / part.size)
        assert of["visible"] == pytest.approx(counts[number] / np.sum(shown[place[0]] == number + 1))
        if np.all(inside):
            assert of["offset_x"] == pytest.approx(where.x[place[0], number] - np.mean(x), abs=1e-4)
            assert of["offset_y"] == pytest.approx(where.y[place[0], number] - np.mean(y), abs=1e-4)


def test_many_images_are_cut_like_few():
    labels = parts.labels_from_indices(np.arange(130))  # more than are summed at once
    last = parts.Labels(labels.scenes[128:], labels.parts[128:])
    for every, few in zip(*(parts.factors_of_windows(of, 16, 8) for of in (labels, last)), strict=True):
        assert len(every) == 130
        np.testing.assert_array_equal(every[128:], few)
    none = parts.factors_of_windows(parts.labels_from_indices(np.zeros(0, int)), 16)
    assert none.part.shape == (0, 4, 4)


def test_labels_of_windows_are_those_of_a_loop():
    labels = parts.labels_from_indices(np.arange(6))
    seen = parts.factors_of_windows(labels, (16, 8), (8, 4))
    found = parts.labels_of_windows(seen, (16, 8), visible=0.4, turns=4, offsets=3)
    counts = 0
    for place in np.ndindex(seen.part.shape):
        of = {name: values[place] for name, values in seen._asdict().items()}
        told = {name: values[place] for name, values in found.items()}
        if not of["part"] or of["visible"] < 0.4:
            assert set(told.values()) == {-1}
            continue
        counts += 1
        assert (told["shape"], told["size"], told["colour"]) == (of["shape"], of["size"], of["colour"])
        nearest = min(range(5), key=lambda turn: abs(of["orientation"] - 6 * turn + 0.1))  # halves go up
        assert told["orientation"] == nearest % 4
        for axis, length in (("offset_x", 8), ("offset_y", 16)):
            third = min(max(int(np.floor(3 * (of[axis] + length / 2) / length)), 0), 2)
            assert told[axis] == third
    assert counts > 50
    for wrong in ({"visible": 0}, {"turns": 7}, {"offsets": 0}):
        with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
            parts.labels_of_windows(seen, (16, 8), **wrong)
