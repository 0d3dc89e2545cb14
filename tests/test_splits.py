"""Samples of a split: the validation part against counting, and what must not move with it."""

import numpy as np
import pytest

from lea_keras.data import splits


def both(size, limit=None, validation=0.1, seed=0):
    return [splits.choose(split, size, limit, validation, seed) for split in ("train", "validation")]


@pytest.mark.parametrize(
    ("size", "limit", "validation", "count"),
    [
        (1000, None, 0.1, 100),
        (1000, 30, 0.1, 3),
        (1000, 10, 0.1, 1),
        (100, None, 0.29, 29),  # 100·0.29 is 28.999… in floating point
        (1000, 7, 0.5, 4),
        (1000, 10, 0.94, 9),
        (59_972, None, 0.1, 5_997),
    ],
)
def test_sizes_and_no_sample_on_both_sides(size, limit, validation, count):
    train, validating = both(size, limit, validation)
    assert len(validating) == count == splits.validation_size(limit or size, validation)
    together = np.concatenate([train, validating])
    assert len(np.unique(together)) == len(together) == (limit or size)
    # The samples are those of the same limit without a validation part, and no others.
    assert set(together) == set(splits.choose("train", size, limit))


def test_the_part_depends_on_the_seed_alone_and_is_spread():
    np.random.seed(3)  # of no account
    first, again = both(1000, seed=5)[1], both(1000, seed=5)[1]
    np.testing.assert_array_equal(first, again)
    other = both(1000, seed=6)[1]
    # Two independent choices of a tenth share about ten samples of a hundred: the first or last tenth would share all.
    assert 0 < len(set(first) & set(other)) < 30
    assert abs(first.mean() - 499.5) < 100
    # Of every ten in the seeded order the fifth, where 0.1·n is rounded up. Golden: another choice would make results
    # incomparable with earlier ones.
    np.testing.assert_array_equal(first, np.random.RandomState([5]).permutation(1000)[4::10])
    assert first[:3].tolist() == [151, 466, 439]


def test_a_larger_limit_divides_the_samples_of_a_smaller_one_alike():
    parts = [both(1000, limit, 0.3, seed=2) for limit in (10, 11, 50, 500, None)]
    for smaller, larger in zip(parts, parts[1:], strict=False):
        for few, many in zip(smaller, larger, strict=True):
            assert set(few) <= set(many)
            np.testing.assert_array_equal(few, many[: len(few)])


def test_without_a_part_all_is_as_it_was():
    np.testing.assert_array_equal(splits.choose("train", 20), np.arange(20))
    expected = np.random.RandomState([3]).permutation(20)
    np.testing.assert_array_equal(splits.choose("train", 20, 6, seed=3), expected[:6])
    for limit in (None, 6):
        np.testing.assert_array_equal(splits.choose("test", 20, limit, 0.5, 3), splits.choose("test", 20, limit, 0, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", 10, None, 0.04), "`validation` must be 0, or leave some of the 10 training samples on either side"),
        (("validation", 10, None, 0.96), r"`validation` must be 0, or .*Received: validation=0.96"),
        (("train", 1000, 1, 0.5), "some of the 1 training samples on either side"),
        (("validation", 10), "`validation` must be above 0 for the split 'validation'. Received: validation=0.0"),
        (("train", 10, None, 1), "`validation` must be a number of at least 0 and below 1. Received: validation=1"),
        (("test", 10, None, -0.1), "`validation` must be a number of at least 0 and below 1"),
        (("valid", 10), "`split` must be one of .* Did you mean 'validation'"),
    ],
)
def test_what_cannot_be_divided_is_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        splits.choose(*arguments)
    assert "\n" not in str(error.value)


def test_labelled_samples_are_of_the_chosen_ones_and_weigh_as_much_as_all():
    chosen = splits.choose("train", 1000, 300, 0.1, seed=4)
    weights = {share: splits.weigh(chosen, 1000, share, seed=4) for share in (0.01, 0.1, 0.5)}
    labelled = {share: set(np.flatnonzero(of)) for share, of in weights.items()}
    assert [len(of) for of in labelled.values()] == [3, 27, 135]  # of 270, rounded
    assert labelled[0.01] < labelled[0.1] < labelled[0.5] <= set(chosen)
    for of in weights.values():
        assert of.shape == (1000,) and of.dtype == np.float32
        np.testing.assert_allclose(of[chosen].mean(), 1, rtol=1e-6)
    assert splits.weigh(chosen, 1000, 1.0) is None
    assert labelled[0.1] != set(np.flatnonzero(splits.weigh(chosen, 1000, 0.1, seed=5)))
    # The tempting rule, the first samples in the order of what is stored, would take those at the front alone.
    everything = np.arange(1000)
    assert np.flatnonzero(splits.weigh(everything, 1000, 0.01)).max() > 100


@pytest.mark.parametrize("labelled", [0, -0.1, 1.1, float("nan"), "some"])
def test_a_share_of_labels_out_of_range_is_one_line(labelled):
    with pytest.raises(ValueError, match="`labelled` must be"):
        splits.weigh(np.arange(10), 10, labelled)


def test_a_share_that_leaves_no_label_is_refused():
    with pytest.raises(ValueError, match="enough for one of the 10 training samples. Received: labelled=0.01"):
        splits.weigh(np.arange(10), 10, 0.01)
