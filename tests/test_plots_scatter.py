"""Scatter plots of codes: every point in its place, classes that can be told apart without colours."""

import numpy as np
import pytest
from generated_pictures import CODES

from lea_keras import plots
from lea_keras.plots.scatter import _apart

LABELS = np.arange(60) % 10


@pytest.mark.parametrize("one_hot", [False, True])
def test_every_class_has_its_points_colour_and_marker_and_a_name_on_its_median(one_hot):
    figure = plots.codes(CODES, np.eye(10)[LABELS] if one_hot else LABELS)
    (axes,) = figure.axes
    assert len(axes.collections) == 10
    for label, points in enumerate(axes.collections):
        np.testing.assert_array_equal(points.get_offsets(), CODES[LABELS == label])
    looks = {(tuple(p.get_facecolor()[0]), p.get_paths()[0].vertices.tobytes()) for p in axes.collections}
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 10
    assert [text.get_text() for text in axes.texts] == list("0123456789")
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_aspect()) == ("code 1", "code 2", 1)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list("0123456789")


def test_names_stand_apart_and_else_where_the_medians_are():
    far = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    np.testing.assert_array_equal(_apart(far, 1.0), far)
    near = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.0], [3.0, 3.0]])
    moved = _apart(near, 1.0)
    distances = [np.hypot(*(moved[i] - moved[j])) for i in range(4) for j in range(i)]
    assert min(distances) > 0.9 and np.array_equal(moved[3], near[3])
    figure = plots.codes(np.concatenate([far] * 3), np.arange(9) % 3)
    np.testing.assert_allclose([text.get_position() for text in figure.axes[0].texts], far)


def test_several_codes_stand_side_by_side_and_classes_have_names():
    figure = plots.codes({"PCA": CODES[:6], "AE": CODES[6:12]}, [0, 2, 0, 2, 0, 2], names=["a", "b", "$c"])
    assert [axes.get_title() for axes in figure.axes] == ["PCA", "AE"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["a", "$c"]
    np.testing.assert_array_equal(figure.axes[1].collections[1].get_offsets(), CODES[7:12:2])
    assert plots.pixels(figure).min() < 255


WRONG = {
    "length": (lambda: plots.codes(np.ones((4, 3)), np.arange(4)), r"`codes` must be finite numbers of shape \[n, 2\]"),
    "infinite": (lambda: plots.codes(np.full((4, 2), np.inf), np.arange(4)), "`codes` must be finite numbers"),
    "nothing": (lambda: plots.codes({}, np.arange(4)), "`codes` must be at least one panel's"),
    "labels": (lambda: plots.codes(CODES, np.arange(4)), "`labels` must be one for each of 60 codes"),
    "floats": (lambda: plots.codes(CODES, LABELS / 2), r"`labels` must be integers from 0, \[n\], or one-hot"),
    "names": (lambda: plots.codes(CODES, LABELS, ["a"]), "`names` must be at least 10, one for each label"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_get_one_line(case):
    draw, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as error:
        draw()
    assert "\n" not in str(error.value)
