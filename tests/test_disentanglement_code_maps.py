"""Scores over positions of code maps, pooled and flattened codes, and their heat maps."""

import numpy as np
import pytest
from backends import once

from lea_keras import disentanglement as scores
from lea_keras import plots

pytestmark = once


@pytest.fixture(scope="module")
def local():
    """Code maps of 2x3 positions, of which one alone knows the two factors, and one is dead."""
    generator = np.random.default_rng(0)
    factors = generator.integers(0, 4, (800, 2))
    maps = generator.normal(size=(800, 2, 3, 3))
    maps[:, 1, 2, :2] = factors
    maps[:, 0, 0] = 0
    return maps, factors


def test_scores_at_positions_are_those_of_their_codes(local):
    maps, factors = local
    found = scores.at_positions(scores.mig, maps, factors)
    assert found.matrix.shape == found.dead_codes.shape == (2, 3)
    for row in range(2):
        for column in range(3):
            own = scores.mig(maps[:, row, column], factors, bootstrap=0)
            assert found.matrix[row, column] == own.score and found.results[row][column].interval is None
    assert np.unravel_index(found.matrix.argmax(), (2, 3)) == (1, 2) and found.matrix[1, 2] > 0.95
    assert found.dead_codes[0, 0] == 3 and found.matrix[0, 0] == 0
    assert found.score == pytest.approx(found.matrix.mean())
    drawn = scores.at_positions(scores.mig, maps[:, 1:, 2:], factors, bins=4, bootstrap=10)
    assert drawn.results[0][0].interval is not None


def test_windows_have_factors_of_their_own(local):
    maps, factors = local
    own = np.broadcast_to(factors[:, None, None], (800, 2, 3, 2)).copy()
    own[:, 0, 1] = 0  # nothing to know
    own[:, 1, 1, 0] = 2  # one factor alone
    with pytest.warns(UserWarning, match="one value at 2 of 6 positions") as told:
        found = scores.at_positions(scores.mig, maps, own)
    assert len(told) == 1
    assert np.argwhere(np.isnan(found.matrix)).tolist() == [[0, 1]] and found.results[0][1] is None
    assert found.results[1][1].factors == (1,) and found.dead_codes[0, 1] == 0  # they live
    assert found.score == pytest.approx(np.nanmean(found.matrix))
    assert found.matrix[1, 2] == scores.mig(maps[:, 1, 2], factors, bootstrap=0).score


def test_whole_codes_of_maps(local):
    maps, factors = local
    assert scores.pooled(maps).shape == (800, 3)
    np.testing.assert_allclose(scores.pooled(maps)[5], [maps[5, ..., i].mean() for i in range(3)])
    flat = scores.flattened(maps)
    np.testing.assert_array_equal(flat[:, -3:-1], factors)  # the last position's codes come last
    codes, labels = scores.windows(maps, factors)
    assert codes.shape == (4800, 3) and labels.shape == (4800, 2)
    np.testing.assert_array_equal(codes[5], maps[0, 1, 2])
    np.testing.assert_array_equal(labels[6:12], np.repeat(factors[1:2], 6, axis=0))

    assert (
        scores.mig(flat, factors, bootstrap=0).score
        > 0.95
        > scores.mig(scores.pooled(maps), factors, bootstrap=0).score
    )


@pytest.mark.parametrize(
    ("maps", "factors", "message"),
    [
        (np.zeros((4, 2, 2)), np.zeros((4, 1), int), r"`code_maps` must be an array \[n, h, w, d\]"),
        (np.zeros((4, 2, 2, 1)), np.zeros((3, 1), int), r"`factors` must be of shape \[4, k\] or \[4, 2, 2, k\]"),
        (np.zeros((4, 2, 2, 1)), np.zeros((4, 2, 1, 1), int), "`factors`"),
    ],
)
def test_wrong_arguments(maps, factors, message):
    with pytest.raises(ValueError, match=message):
        scores.at_positions(scores.mig, maps, factors)


def values(axes):
    return np.ma.filled(axes.images[0].get_array(), np.nan)


def test_pictures_have_one_scale_and_grey_gaps(local):
    maps, factors = local
    matrix = scores.mig(maps[:, 1, 2], factors, bootstrap=0).matrix
    figure = plots.score_matrix({"a": matrix, "b": 2 * matrix}, ["x", "y"], title="T")
    first, second, bar = figure.axes
    np.testing.assert_array_equal(values(first), matrix)
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0, 2 * matrix.max())
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["x", "y"]
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["1", "2", "3"]
    assert first.get_title() == "a" and figure.get_suptitle() == "T" and bar.get_ylabel() == "mutual information (nats)"
    found = scores.at_positions(scores.mig, maps, factors).matrix
    found[0, 1] = np.nan
    figure = plots.score_maps({"MIG": found})
    np.testing.assert_array_equal(values(figure.axes[0]), found)
    assert figure.axes[0].images[0].get_clim() == (0, 1)
    assert len(figure.axes[0].texts) == 5
    many = plots.score_maps(np.full((20, 20), 0.5))
    assert not many.axes[0].texts and len(many.axes[0].get_xticks()) == 10


def test_wrong_pictures():
    with pytest.raises(ValueError, match="`factors` must be 2 names"):
        plots.score_matrix(np.zeros((3, 2)), ["x"])
    with pytest.raises(ValueError, match="`maps` must be numbers of at least 0"):
        plots.score_maps([[-1.0]])
    with pytest.raises(ValueError, match="`maps` must be at least one"):
        plots.score_maps({})
    with pytest.raises(ValueError, match="`maps` must be arrays of two axes"):
        plots.score_maps(np.zeros(3))
