"""Scores of interventions, of linear classifiers and without labels: closed forms, loops, and known mistakes."""

import math

import numpy as np
import pytest
import scipy.linalg
from backends import once
from sklearn.metrics import roc_auc_score

from lea_keras import disentanglement as scores
from lea_keras.disentanglement.groups import Groups
from lea_keras.disentanglement.scores import explicitness as explicitness_file

pytestmark = once
QUICK = {"bootstrap": 0}
FEW = {"votes": 400, "test_votes": 200}


@pytest.fixture(scope="module")
def identical():
    """Ten factors of ten values, which are the codes."""
    return np.random.default_rng(0).integers(0, 10, (1500, 10))


@pytest.fixture(scope="module")
def three():
    """Three factors of 2, 3 and 4 values."""
    generator = np.random.default_rng(1)
    return np.stack([generator.integers(0, values, 900) for values in (2, 3, 4)], axis=1)


def test_ranges_of_known_representations(identical):
    codes = identical.astype(float)
    zeros, doubled = np.zeros_like(codes), np.repeat(codes, 2, axis=1)
    assert 0.9 < scores.irs(codes, identical, **QUICK).score <= 1
    assert scores.irs(zeros, identical, **QUICK).score <= 0.1
    assert 0.9 < scores.factor_vae(codes, identical, **FEW, **QUICK).score <= 1
    assert scores.factor_vae(zeros, identical, **FEW, **QUICK).score <= 0.2
    assert 0.9 < scores.beta_vae(codes, identical, points=400, test_points=200, **QUICK).score <= 1
    assert 0.9 < scores.modularity(doubled, identical, **QUICK).score <= 1
    assert 0.9 < scores.explicitness(codes[:, :2], identical[:, :2], **QUICK).score <= 1


@pytest.mark.parametrize(
    ("matrix", "score"),
    [
        (np.eye(5), 1),
        (np.array([[1, 0], [0, 1], [0, 0]]), 2 / 3),
        (np.repeat(np.eye(5), 2, axis=1), 1 - 1 / 9),  # five codes, each about two of ten factors
        (np.zeros((3, 4)), 0),
        (np.ones((2, 1)), 1),
    ],
)
def test_modularity_of_matrices(matrix, score):
    of_codes = scores.modularity_of_codes(matrix)
    assert of_codes.shape == (len(matrix),) and of_codes.mean() == pytest.approx(score)
    assert not np.isnan(of_codes).any()  # a dead code is 0/0 without a rule of its own


def test_modularity_counts_dead_codes_and_draws_intervals(three):
    codes = np.zeros((900, 4))
    codes[:, 1:] = three
    found = scores.modularity(codes, three, bootstrap=30)
    assert found.dead_codes == 1 and found.of_codes[0] == 0 and found.score == pytest.approx(0.75, abs=0.01)
    assert found.interval[0] <= found.score <= found.interval[1]


def test_factor_vae_leaves_dead_codes_out(three):
    codes = np.insert(three.astype(float), 1, 0.1, axis=1)  # more codes than factors, the second one constant
    found = scores.factor_vae(codes, three, bootstrap=30, **FEW)
    assert found.score == 1 and found.train_score == 1 and found.interval == (1, 1)
    assert found.dead_codes == 1  # and not the number of all codes, 4
    np.testing.assert_allclose(found.matrix, np.insert(np.eye(3), 1, 0, axis=0))
    # Without leaving it out the relative variance of the dead code is 0/0, which argmin chooses every time.
    batch = codes[three[:, 0] == 0]
    constant = np.where(np.ptp(codes, axis=0) > 0, codes, 0)
    with np.errstate(invalid="ignore"):
        relative = batch.var(axis=0) * (np.ptp(codes, axis=0) > 0) / constant.var(axis=0)
    assert np.argmin(relative) == 1


def test_codes_that_hardly_vary_do_not_vote(three):
    noise = 0.01 * np.random.default_rng(0).normal(size=(900, 1))
    codes = np.concatenate([three, noise], axis=1)
    codes[:, 3] += 0.02 * (three[:, 0] == 0)  # of which it would know the first factor
    assert scores.factor_vae(codes[:, 2:], three, **FEW, **QUICK).matrix[1].sum() == 0
    assert scores.factor_vae(codes[:, 2:], three, dead_below=0, **FEW, **QUICK).matrix[1].sum() > 0


def test_values_of_few_samples_are_not_fixed():
    factors = np.arange(60)[:, np.newaxis] // 2  # two samples each
    with pytest.raises(ValueError, match="a value that at least 8 samples have"):
        scores.factor_vae(factors.astype(float), factors, test=(factors.astype(float), factors))


def test_groups_share_the_value_and_reach_all_that_do():
    factors = np.array([[0, 2], [1, 2], [0, 0], [1, 0], [0, 1], [0, 0]])
    groups, generator = Groups(factors), np.random.default_rng(0)
    fixed, anchors = groups.anchors(generator, 500)
    assert set(fixed) == {0, 1} and set(anchors) == set(range(6))
    found = groups.alike(generator, fixed, np.repeat(anchors[:, None], 4, axis=1))
    assert (factors[found, fixed[:, None]] == factors[anchors, fixed][:, None]).all()
    of_zero = found[(fixed == 0) & (anchors == 2)]
    assert set(of_zero.ravel()) == {0, 2, 4, 5}
    assert Groups(factors, 3).usable.tolist() == [0, 1] and set(Groups(factors, 3).anchors(generator, 200)[1]) == {
        0,
        2,
        3,
        4,
        5,
    }


def test_beta_vae_saturates_where_mig_does_not():
    """Rotated codes: each depends on both factors, and differences still tell which of them is shared."""
    factors = np.random.default_rng(0).integers(0, 8, (1500, 2))
    turn = np.array([[math.cos(0.6), math.sin(0.6)], [-math.sin(0.6), math.cos(0.6)]])
    codes = (factors - 3.5) @ turn
    found = scores.beta_vae(codes, factors, points=400, test_points=300, bootstrap=30)
    assert found.score > 0.95 and found.interval[0] > 0.9
    assert scores.mig(codes, factors, **QUICK).score < 0.5
    straight = scores.beta_vae(factors.astype(float), factors, points=400, test_points=300, **QUICK)
    np.testing.assert_allclose(np.diag(straight.matrix), 0, atol=1e-12)
    # Uniform over eight values: E|a − b| / σ = 2.625 / 2.291.
    np.testing.assert_allclose(straight.matrix[[0, 1], [1, 0]], 2.625 / math.sqrt(63 / 12), rtol=0.05)


def test_explicitness_is_the_area_of_scikit_learn(three):
    codes = three @ np.array([[1.0, 0.5], [0.2, 1.0], [0.0, 0.4]]) + np.random.default_rng(2).normal(size=(900, 2))
    found = scores.explicitness(codes, three, test=(codes[:300], three[:300]), bootstrap=20)
    from sklearn.linear_model import LogisticRegression

    scaled = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    told = LogisticRegression(max_iter=1000).fit(scaled, three[:, 2]).predict_proba(scaled[:300])
    expected = [roc_auc_score(three[:300, 2] == value, told[:, value]) for value in range(4)]
    np.testing.assert_allclose(found.matrix[:, 2], expected)
    assert np.isnan(found.matrix[2:, 0]).all() and found.matrix.shape == (4, 3)
    assert found.interval[0] < found.score < found.interval[1]
    counts = np.random.default_rng(0).integers(0, 3, 300)
    curve = explicitness_file._Curve(np.round(told[:, 1], 1), three[:300, 2] == 1)  # with ties
    drawn = np.repeat(np.arange(300), counts)
    area = roc_auc_score(three[:300, 2][drawn] == 1, np.round(told[:, 1], 1)[drawn])
    assert curve.area(counts) == pytest.approx(area)


def test_values_that_are_missing_break_no_explicitness(three):
    codes = three.astype(float)
    few = three[:, 2] < 3
    found = scores.explicitness(codes, three[:, 2:], test=(codes[few], three[few, 2:]), **QUICK)
    assert np.isnan(found.matrix).ravel().tolist() == [False] * 3 + [True] and found.score > 0.8
    new = scores.explicitness(codes[few], three[few, 2:], test=(codes, three[:, 2:]), **QUICK)
    assert np.isnan(new.matrix[3, 0]) and new.score > 0.8


def robustness(codes, factors, quantile):
    """IRS by loops."""
    matrix = np.zeros((codes.shape[1], factors.shape[1]))
    largest = [np.abs(code - code.mean()).max() for code in codes.T]
    for i, code in enumerate(codes.T):
        for k, column in enumerate(factors.T):
            moved = [
                np.quantile(np.abs(code[column == v] - code[column == v].mean()), quantile) for v in np.unique(column)
            ]
            matrix[i, k] = 1 - np.mean(moved) / largest[i]
    return matrix, np.average(matrix.max(axis=1), weights=largest)


def test_irs_against_loops_and_with_dead_codes(three):
    codes = three @ np.array([[1.0, 0.5], [0.2, 1.0], [0.0, 0.4]]) + 0.1 * np.random.default_rng(2).normal(
        size=(900, 2)
    )
    for quantile in (0.99, 1.0):
        found = scores.irs(codes, three, quantile=quantile, bootstrap=20)
        matrix, score = robustness(codes, three, quantile)
        np.testing.assert_allclose(found.matrix, matrix)
        assert found.score == pytest.approx(score) and found.interval[0] <= found.score <= found.interval[1]
    more = scores.irs(np.insert(codes, 1, 0.3, axis=1), three, **QUICK)
    assert more.dead_codes == 1  # a sum of what codes are would be anything
    assert more.score == pytest.approx(scores.irs(codes, three, **QUICK).score)
    np.testing.assert_array_equal(more.matrix[1], 0)


def correlated(r, samples=200):
    """Two codes of variance 1 whose sample correlation is exactly r."""
    noise = np.random.default_rng(0).normal(size=(samples, 2))
    basis = np.linalg.qr(noise - noise.mean(axis=0))[0] * math.sqrt(samples - 1)
    return np.stack([basis[:, 0], r * basis[:, 0] + math.sqrt(1 - r * r) * basis[:, 1]], axis=1)


@pytest.mark.parametrize("r", [0.0, 0.6, -0.9])
def test_correlations_in_closed_form(r):
    codes = correlated(r)
    total = scores.total_correlation(codes, bootstrap=30)
    assert total.score == pytest.approx(-0.5 * math.log(1 - r * r), abs=1e-9)
    np.testing.assert_allclose(total.matrix, [[1, r], [r, 1]], atol=1e-9)
    assert total.interval[0] <= total.score <= total.interval[1]
    assert scores.total_correlation(codes * [3, 0.2], **QUICK).score == pytest.approx(total.score)
    distance = scores.wasserstein_correlation(codes, bootstrap=30)
    assert distance.score == pytest.approx(4 - 2 * (math.sqrt(1 + r) + math.sqrt(1 - r)), abs=1e-9)
    assert distance.relative == pytest.approx(distance.score / 2)
    assert distance.interval[0] <= distance.score <= distance.interval[1]


def test_correlations_of_dead_and_of_doubled_codes():
    codes = np.insert(correlated(0.6), 1, 0.3, axis=1)
    assert scores.total_correlation(codes, **QUICK).score == pytest.approx(-0.5 * math.log(0.64))
    assert scores.total_correlation(codes, **QUICK).dead_codes == 1
    assert scores.total_correlation(np.zeros((5, 2)), **QUICK).score == 0
    assert scores.wasserstein_correlation(np.zeros((5, 2)), **QUICK)[::4] == (0, 0)
    doubled = np.concatenate([codes[:, [0, 2]]] * 2, axis=1)
    assert scores.total_correlation(doubled).score == math.inf and scores.total_correlation(doubled).interval is None
    found = scores.wasserstein_correlation(doubled, **QUICK)
    assert isinstance(found.score, float) and found.score > 0


def test_roots_of_covariances_are_real():
    """``sqrtm`` of a product that is not symmetric makes complex numbers of rounding."""
    noise = np.random.default_rng(2).normal(size=(50, 3))
    codes = np.concatenate([noise, noise[:, :2]], axis=1)
    matrix = np.cov(codes.T)
    root = scipy.linalg.sqrtm(matrix @ np.diag(np.diag(matrix)))
    assert np.iscomplexobj(root)
    found = scores.wasserstein_correlation(codes, **QUICK).score
    assert isinstance(found, float) and found == pytest.approx(2 * np.trace(matrix) - 2 * np.trace(root).real, abs=1e-6)


@pytest.mark.parametrize(
    ("relations", "strength"),
    [
        (np.eye(3), 1),
        ([[1, 1, 0], [1, 1, 0], [0, 0, 1]], 2 / 3),
        (np.ones((3, 3)), 1 / 3),
        (np.zeros((3, 3)), 0),
        (np.zeros((0, 3)), 0),
    ],
)
def test_strength_of_relations(relations, strength):
    assert scores.strength(relations) == pytest.approx(strength)


@pytest.mark.parametrize("relation", ["lasso", "spearman"])
def test_udr_of_permuted_and_turned_codes(relation):
    codes = np.random.default_rng(0).normal(size=(800, 4))
    copy = -codes[:, [2, 0, 3, 1]] * 5
    alike = scores.udr([codes, copy, codes[:, :3]], relation=relation)
    assert 0.8 <= alike.score <= 1 and alike.of_models.shape == (3,) and np.isnan(np.diag(alike.matrix)).all()
    turned = scores.udr(
        [codes, codes @ np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]], relation=relation
    )
    assert turned.score < 0.6


def test_udr_drops_codes_by_the_threshold_that_is_asked_for():
    codes = np.random.default_rng(0).normal(size=(400, 3))
    first, second = codes, codes[:, ::-1]
    kl = [[1.0, 1.0, 0.05], [0.05, 1.0, 1.0]]
    kept, dropped = (scores.udr([first, second], kl=kl, kl_threshold=limit) for limit in (0.01, 0.1))
    assert kept.dead_codes.tolist() == [0, 0] and dropped.dead_codes.tolist() == [1, 1]
    assert dropped.score == pytest.approx(0.9, abs=0.02)
    none = scores.udr([first, second, first], kl=[*kl, [0.0, 0.0, 0.0]])  # of an empty mask there is no maximum
    assert none.of_models[2] == 0 and none.dead_codes[2] == 3
    noise = scores.udr([np.insert(first, 3, 1e-3 * codes[:, 0], axis=1), second])
    assert noise.dead_codes.tolist() == [1, 0] and noise.score == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        ([np.zeros((4, 2))], {}, "at least two models"),
        ([np.zeros((4, 2)), np.zeros((5, 2))], {}, r"of the same images.*\[4, 5\]"),
        ([np.zeros((4, 2))] * 2, {"kl": [[1.0], [1.0, 1.0]]}, "`kl` must be a number for every code"),
        ([np.zeros((4, 2))] * 2, {"relation": "spearmen"}, "Did you mean 'spearman'"),
    ],
)
def test_wrong_arguments_of_udr(codes, options, message):
    with pytest.raises(ValueError, match=message):
        scores.udr(codes, **options)


def test_all_at_once(three):
    codes = three + 0.1 * np.random.default_rng(0).normal(size=three.shape)
    options = {
        "dci": {"trees": 2, "limit": 200},
        "factor_vae": FEW,
        "beta_vae": {"points": 100, "test_points": 100, "pairs": 8},
    }
    found = scores.measure(codes, three, options=options, bootstrap=0)
    assert tuple(found) == scores.SCORES and len(scores.SCORES) == 10
    for one in found.values():
        assert one._fields[:4] == ("score", "matrix", "dead_codes", "interval")
        assert one.interval is None and one.dead_codes == 0 and math.isfinite(one.score)
    assert scores.measure(codes, three, ["mig"], bootstrap=0)["mig"].score == found["mig"].score
    with pytest.raises(ValueError, match="`scores`"):
        scores.measure(codes, three, ["mgi"])


@pytest.mark.parametrize(("arguments", "message"), [
    ({"scores": "mig"}, "`scores` must be a sequence of names"),
    ({"scores": ["mgi"]}, "`scores`.*Did you mean 'mig'"),
    ({"options": {"mgi": {}}}, "`options`.*Did you mean 'mig'"),
    ({"bins": 3}, "`shared` must be one of"),
])  # fmt: skip
def test_measure_takes_no_name_that_there_is_not(arguments, message, three):
    with pytest.raises(ValueError, match=message):
        scores.measure(np.zeros((len(three), 2)), three, **arguments)


def test_what_is_no_count_no_score_and_no_divergence():
    with pytest.raises(ValueError, match="`samples`"):
        scores.information_bias(20, 4, 0)
    with pytest.raises(ValueError, match="`score` must be a function"):
        scores.at_positions("mig", np.zeros((4, 1, 1, 2)), np.arange(4)[:, None])
    codes = np.random.default_rng(0).normal(size=(2, 50, 2))
    for kl in ([[np.nan, 1], [1, 1]], [[1, 1], [-1, 1]]):
        with pytest.raises(ValueError, match="`kl` must be numbers of at least 0"):
            scores.udr(codes, kl=kl)
