"""Scores of disentanglement by information and prediction against closed forms, disent's numbers and known mistakes."""

import json
import math
import pathlib
import sys

import numpy as np
import pytest
from backends import once

import lea_keras
from lea_keras import disentanglement as scores
from lea_keras.disentanglement import arrays, information, intervals
from lea_keras.disentanglement.scores import dci as dci_file

pytestmark = once
GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden" / "disent.json").read_text("utf-8"))
QUICK = {"bootstrap": 0}


def grid(*sizes):
    """Every combination of values once, [n, k]."""
    return np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), -1).reshape(-1, len(sizes))


@pytest.fixture(scope="module")
def identical():
    """Ten factors of ten values, which are the codes."""
    return np.random.default_rng(0).integers(0, 10, (1500, 10))


@pytest.fixture(scope="module")
def gaussian():
    """Ten codes that know nothing, and five factors."""
    generator = np.random.default_rng(1)
    factors = np.stack([generator.integers(0, values, 3000) for values in (2, 3, 4, 5, 6)], axis=1)
    return generator.normal(size=(3000, 10)), factors


def mixed(seed, samples):
    """The arrays that disent's functions were given (version and numbers in tests/golden/disent.json)."""
    generator = np.random.default_rng(seed)
    factors = np.stack([generator.integers(0, n, samples) for n in (3, 4, 5)], axis=1)
    mixing = np.array([[1.0, 0.0, 0.2], [0.3, 1.0, 0.0], [0.0, 0.4, 1.0], [0.0, 0.0, 0.6]])
    return factors @ mixing.T + 0.4 * generator.normal(size=(samples, 4)), factors


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"seed {case['seed']}")
def test_values_are_those_of_disent(case):
    pair, test = (mixed(case[name], size) for name, size in zip(("seed", "test_seed"), GOLDEN["samples"], strict=True))
    assert scores.mig(*pair, **QUICK).score == pytest.approx(case["mig"], abs=1e-6)
    assert scores.sap(*pair, test=test, **QUICK).score == pytest.approx(case["sap_discrete"], abs=1e-6)
    assert scores.sap(*pair, continuous=True, **QUICK).score == pytest.approx(case["sap_continuous"], abs=1e-6)
    found = scores.dci(*pair, test=test, **QUICK)
    told = (found.disentanglement, found.completeness, found.informativeness, found.informativeness_train)
    names = ("disentanglement", "completeness", "informativeness_test", "informativeness_train")
    assert told == pytest.approx([case["dci"][name] for name in names], abs=1e-6)
    assert found.score == found.disentanglement and found.matrix.shape == (4, 3)


@pytest.mark.parametrize("sizes", [(3, 4, 5), (2, 2), (20, 3)])
def test_mig_of_a_whole_grid_is_one(sizes):
    factors = grid(*sizes)
    found = scores.mig(factors[:, ::-1] * 0.7 - 2, factors, **QUICK)
    assert found.score == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(found.matrix, np.diag(np.log(sizes))[::-1], atol=1e-12)
    np.testing.assert_allclose(found.entropies, np.log(sizes), atol=1e-12)


def test_mig_by_hand_and_more_values_than_bins():
    factors = np.array([[0], [0], [1], [1]])
    codes = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    found = scores.mig(codes, factors, bins=2, **QUICK)
    np.testing.assert_allclose(found.matrix, [[math.log(2)], [0.0]], atol=1e-12)
    assert found.gaps == pytest.approx([1.0])
    assert scores.mig(codes[:, :1], factors, **QUICK).score == pytest.approx(1.0)  # a code alone has no second
    many = grid(40, 2)
    assert scores.mig(many, many, **QUICK).gaps == pytest.approx([math.log(20) / math.log(40), 1.0])


def test_ranges_of_known_representations(identical):
    codes, shuffled = identical.astype(float), np.random.default_rng(2).permutation(identical)
    zeros, doubled = np.zeros_like(codes), np.repeat(codes, 2, axis=1)
    assert 0.9 < scores.mig(codes, identical, **QUICK).score <= 1
    assert scores.mig(zeros, identical, **QUICK).score <= 0.2
    assert 0 <= scores.mig(doubled, identical, **QUICK).score < 0.1
    assert 0.9 < scores.sap(codes, identical, continuous=True, **QUICK).score <= 1
    assert 0 <= scores.sap(doubled, identical, continuous=True, **QUICK).score < 0.2
    quick = {"trees": 3, "limit": 500} | QUICK
    found = scores.dci(codes, identical, **quick)
    assert min(found.score, found.completeness, found.informativeness) > 0.9  # an error would be near 0
    assert scores.dci(shuffled.astype(float), identical, **quick).score <= 0.2
    assert scores.dci(zeros, identical, **quick).score == 0


def test_orientation_of_the_matrix():
    """Of five codes the fourth is the first of two factors: a reshape in place of a transpose moves it elsewhere."""
    factors = grid(3, 3)
    codes = np.zeros((9, 5))
    codes[:, 3] = factors[:, 0]
    matrix = scores.mig(codes, factors, **QUICK).matrix
    assert matrix.shape == (5, 2) and np.unravel_index(matrix.argmax(), matrix.shape) == (3, 0)
    assert np.unravel_index(matrix.T.reshape(5, 2).argmax(), (5, 2)) != (3, 0)


ONE_OF_TWO = np.repeat(np.eye(5), 2, axis=0)  # ten codes, of which two are about each factor


@pytest.mark.parametrize(
    ("matrix", "disentangled", "complete"),
    [
        (np.eye(5), 1, 1),
        (np.zeros((5, 5)), 0, 0),
        (ONE_OF_TWO, 1, 1 - math.log(2) / math.log(10)),
        (ONE_OF_TWO.T, 1 - math.log(2) / math.log(10), 1),
        (np.ones((3, 3)), 0, 0),
        (np.ones((3, 1)), 1, 0),
    ],
)
def test_dci_of_matrices(matrix, disentangled, complete):
    assert scores.disentanglement(matrix) == pytest.approx(disentangled, abs=1e-12)
    assert scores.completeness(matrix) == pytest.approx(complete, abs=1e-12)


def test_codes_after_a_dead_one_count_in_dci():
    matrix = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])

    def stops(matrix):  # at the first dead code, as a published implementation does
        total = 0.0
        for row in matrix:
            if row.sum() == 0:
                break
            total += row.sum() / matrix.sum()
        return total

    assert scores.disentanglement(matrix) == 1 and stops(matrix) == 0


class Booster:
    """Counts how often it is fitted; takes the sign of the first code."""

    fits = 0
    feature_importances_ = np.array([1.0, 0.0])

    def fit(self, codes, labels):
        Booster.fits += 1
        self.samples = len(codes)
        return self

    def predict(self, codes):
        return (codes[:, 0] > 0).astype(int)


def test_intervals_never_fit_again_and_boosters_can_be_chosen():
    codes = np.random.default_rng(0).normal(size=(900, 2))
    factors = (codes > 0).astype(int)
    Booster.fits, made = 0, []

    def booster(state):
        made.append(Booster())
        return made[-1]

    found = scores.dci(codes, factors, booster=booster, bootstrap=50)
    assert Booster.fits == 2 and [one.samples for one in made] == [600, 600]
    np.testing.assert_array_equal(found.matrix, [[1, 1], [0, 0]])
    assert (found.disentanglement, found.completeness, found.interval) == (0, 1, None)
    low, high = found.informativeness_interval
    assert low < found.informativeness < high and found.informativeness == pytest.approx(0.75, abs=0.06)
    scores.dci(codes, factors, booster=booster, limit=100, **QUICK)
    assert made[-1].samples == 100


def test_dci_is_reproducible_and_bounded(monkeypatch, gaussian):
    codes, factors = gaussian
    quick = {"trees": 2, "limit": 200} | QUICK
    first, again = (scores.dci(codes, factors[:, :2], seed=3, **quick) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, again.matrix)
    made = {}
    from sklearn.ensemble import GradientBoostingClassifier

    init = GradientBoostingClassifier.__init__

    def note(self, **options):
        made.update(options)
        init(self, **options)

    monkeypatch.setattr(GradientBoostingClassifier, "__init__", note)
    fitted = GradientBoostingClassifier.fit
    sizes = []
    monkeypatch.setattr(
        GradientBoostingClassifier, "fit", lambda self, x, y: sizes.append(x.shape) or fitted(self, x, y)
    )
    wide = np.concatenate([codes] * 12, axis=1)  # 120 codes
    scores.dci(wide, factors[:, :1], trees=1, **QUICK)
    assert made["max_features"] == 50 and sizes == [(1000, 120)]
    assert dci_file._VALUES == 50_000


def test_sap_of_continuous_factors():
    codes = np.stack([np.arange(16.0), np.arange(16) % 2], axis=1)
    found = scores.sap(codes, np.arange(16)[:, np.newaxis], continuous=True, **QUICK)
    assert found.score == pytest.approx(0.988235294, abs=1e-9)
    constant = scores.sap(
        np.stack([np.arange(16.0), np.full(16, 0.1)], 1), np.arange(16.0)[:, np.newaxis], continuous=True
    )
    assert constant.matrix[1, 0] == 0 and constant.score == pytest.approx(1.0)


def test_guesses_of_dead_codes_are_what_sap_is_above():
    factors = np.tile(np.arange(4), 300)[:, np.newaxis]
    codes = np.zeros((1200, 3))
    codes[:, 1] = (factors[:, 0] % 2) * 4.0
    test = (codes[:400], factors[:400])
    found = scores.sap(codes, factors, test=test, **QUICK)
    assert found.matrix[:, 0] == pytest.approx([0.25, 0.5, 0.25])
    assert found.score == pytest.approx(0.25) and found.dead_codes == 2  # and not the 0.5 above nothing


def test_constant_factors_are_left_out_with_a_warning():
    factors = np.insert(grid(3, 4), 1, 7, axis=1)  # three columns, of which one has a single value
    with pytest.warns(UserWarning, match=r"left out: columns \[1\]") as told:
        found = scores.mig(factors.astype(float), factors, **QUICK)
    assert pathlib.Path(told[0].filename) == pathlib.Path(__file__)
    assert found.score == pytest.approx(1.0) and found.factors == (0, 2) and found.matrix.shape == (3, 2)
    entropy = information.entropies(np.stack([factors[:, 1] * 0, factors[:, 0]], axis=1))
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.float64(0) / entropy[0])  # what the rule without it would take the mean of
    with pytest.raises(ValueError, match="`factors` must be at least one factor of two or more values"):
        scores.mig(factors.astype(float), factors[:, 1:2])


def test_independent_codes_score_zero_within_intervals(gaussian):
    codes, factors = gaussian
    for found in (scores.mig(codes, factors), scores.sap(codes, factors)):
        assert found.score < 0.02 and found.interval[0] == 0 and found.interval[1] >= found.score
    # Quantiles of resamples alone, which are biased once more, leave out the 0.
    binned = scores.discretise(codes)
    counts = [np.bincount(np.random.default_rng(i).integers(3000, size=3000), minlength=3000) for i in range(20)]
    again = [arrays.best_and_second(scores.mutual_information(binned, factors, each)) for each in counts]
    assert min(np.mean(best - second) for best, second in again) > 0


def test_bias_of_information():
    generator = np.random.default_rng(0)
    codes, factors = generator.uniform(size=(10_000, 10)), generator.integers(0, 40, (10_000, 1))
    found = scores.mutual_information(scores.discretise(codes), factors).mean()
    expected = scores.information_bias(20, 40, 10_000)
    assert expected == pytest.approx(0.03705) and found == pytest.approx(expected, rel=0.06)


def test_information_is_by_histograms():
    codes = np.array([[0.0, 5.0], [1.0, 5.0], [9.9, 5.0], [10.0, 5.0]])
    assert scores.discretise(codes, 2).T.tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    labels = np.array([[0], [0], [1], [1]])
    np.testing.assert_allclose(scores.mutual_information(scores.discretise(codes, 2), labels), [[math.log(2)], [0]])
    for file in pathlib.Path(information.__file__).parent.rglob("*.py"):  # neighbours give a constant code something
        assert "mutual_info_classif(" not in file.read_text("utf-8")


def test_weights_are_repeated_samples():
    generator = np.random.default_rng(0)
    binned, labels, counts = (
        generator.integers(0, 5, (50, 2)),
        generator.integers(0, 3, (50, 2)),
        generator.integers(0, 4, 50),
    )
    drawn = np.repeat(np.arange(50), counts)
    np.testing.assert_allclose(
        scores.mutual_information(binned, labels, counts), scores.mutual_information(binned[drawn], labels[drawn])
    )
    np.testing.assert_allclose(information.entropies(labels, counts), information.entropies(labels[drawn]))


def test_intervals_of_a_share_are_those_of_its_standard_error():
    hits = (np.arange(400) < 120).astype(float)
    low, high = intervals.interval(lambda counts: counts @ hits / 400, 0.3, 400, 2000, 0)
    error = 1.96 * math.sqrt(0.3 * 0.7 / 400)
    assert (0.3 - low, high - 0.3) == pytest.approx((error, error), rel=0.12)
    assert intervals.interval(lambda counts: 0.0, 0.3, 400, 0, 0) is None
    # A bias that is larger than the spread: the interval goes to the other side, and holds the score.
    assert intervals.interval(lambda counts: 0.4, 0.3, 10, 20, 0) == pytest.approx((0.2, 0.3))


def test_dead_codes():
    codes = np.stack([np.linspace(-1, 1, 100), np.linspace(0, 0.1, 100), np.full(100, 0.3)], axis=1)
    assert arrays.is_dead(codes).tolist() == [False, True, True]
    assert arrays.is_dead(codes, 0.0).tolist() == [False, False, True]  # a threshold of 0 with < would keep it
    assert scores.mig(codes, grid(10, 10), **QUICK).dead_codes == 2
    assert scores.mig(codes, grid(10, 10), dead_below=0, **QUICK).dead_codes == 1


PAIR = (np.zeros((6, 2)), np.tile([[0], [1]], (3, 1)))


@pytest.mark.parametrize(
    ("codes", "factors", "options", "message"),
    [
        (np.zeros(6), PAIR[1], {}, r"`codes` must be an array \[n, d\].*shape \(6,\)"),
        (np.zeros((1, 2)), PAIR[1][:1], {}, "at least two samples"),
        (np.full((6, 2), np.nan), PAIR[1], {}, "`codes` must be finite"),
        (PAIR[0], PAIR[1][:5], {}, "`factors` must be an array .* of 6 samples"),
        (PAIR[0], PAIR[1] + 0.5, {}, "np.digitize"),
        (*PAIR, {"bins": 1}, "`bins` must be an integer of at least 2"),
        (*PAIR, {"bootstrap": -1}, "`bootstrap`"),
        (*PAIR, {"dead_below": -1}, "`dead_below`"),
    ],
)
def test_wrong_arguments_of_mig(codes, factors, options, message):
    with pytest.raises(ValueError, match=message):
        scores.mig(codes, factors, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": 3}, "`test` must be a pair"),
        ({"test": (np.zeros((4, 3)), np.tile([[0], [1]], (2, 1)))}, "`test` must be of 2 codes and 1 factors"),
        ({"held_out": 0.0}, "`held_out` must be a share that leaves something of 6"),
        ({"held_out": 1.0}, "`held_out`"),
        ({"limit": 1}, "`limit`"),
        ({"trees": 0}, "`trees`"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_wrong_arguments_of_dci(options, message):
    with pytest.raises(ValueError, match=message):
        scores.dci(*PAIR, **options)


def test_labels_may_be_words():
    words = np.array([["square"], ["heart"]] * 50)
    codes = (words == "heart").astype(float)
    assert scores.mig(codes, words, **QUICK).score == pytest.approx(1.0)
    with pytest.raises(ValueError, match="`factors` must be numbers"):
        scores.sap(codes, words, continuous=True)


def test_what_is_missing_is_told_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(ImportError, match=r"needs scikit-learn: pip install 'lea_keras\[metrics\]'"):
        scores.sap(*PAIR, test=PAIR)
    assert "disentanglement" in dir(lea_keras)
