"""``robustness.evaluate_reconstructions``: pairs, what counts, means, going on after an interruption, refusals."""

import json
import pathlib
import re

import keras
import numpy as np
import pytest

import lea_keras
from lea_keras import robustness
from lea_keras.locks import Lock
from lea_keras.robustness import reconstructions, success
from lea_keras.robustness.success import KINDS, PairRecord

SHAPE = (4, 4, 1)
TABLES = json.loads((pathlib.Path(__file__).parent / "golden" / "latent_attack_tables.json").read_text("utf-8"))
ATTACK = robustness.LatentAttack(weight=0.01, epsilon=0.5, steps=30, learning_rate=0.05)


@pytest.fixture(scope="module")
def case():
    """An autoencoder that hands an image's four quarters on, a judge that names the brightest, images of three."""
    model = lea_keras.image_autoencoder("standard", SHAPE, code_length=4, units=())
    quarters = np.zeros((4, 4, 4), "float32")
    for one in range(4):
        quarters[one // 2 * 2 : one // 2 * 2 + 2, one % 2 * 2 : one % 2 * 2 + 2, one] = 1.0
    flat = quarters.reshape(16, 4)
    autoencoder = model.get_layer("lea").autoencoder
    autoencoder.code.set_weights([flat / 4, np.zeros(4)])
    autoencoder.decoder.set_weights([flat.T, np.zeros(16)])
    judge = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(4)])
    judge.set_weights([flat, np.zeros(4)])
    labels = np.array([0, 0, 1, 1, 2, 2, 0, 1])  # and none of class 3
    images = np.random.RandomState(0).uniform(0.2, 0.4, (8, *SHAPE)).astype("float32")
    for image, label in zip(images, labels, strict=True):
        image[..., 0] += 0.3 * quarters[..., label]
    labels[7] = 0  # which the judge does not get right
    return model, judge, images, labels


def evaluated(case, attack=ATTACK, **options):
    options = {"verbose": 0, "batch_size": 4} | options
    return robustness.evaluate_reconstructions(*case, attack, **options)


@pytest.fixture(scope="module")
def result(case):
    return evaluated(case, keep_images=True)


def test_which_pairs_are_attacked_and_what_counts(case, result):
    _, judge, images, labels = case
    assert (result.classes, result.samples, result.kept) == (4, 8, 7)
    assert result.accuracy == 7 / 8 and result.accuracy_by_class == [3 / 4, 1.0, 1.0, None]
    assert len(result.records) == 7 * 2  # of each kept source one pair for each other class with images
    assert all(record.source != 7 for record in result.records)
    for record, adversarial in zip(result.records, result.adversarials, strict=True):
        assert record.source_class == labels[record.source] != record.target_class == labels[record.target]
        change = adversarial - images[record.source]
        np.testing.assert_allclose(record.distance, np.mean(change**2), rtol=1e-4)
        np.testing.assert_allclose([record.l2, record.linf], [np.linalg.norm(change), np.abs(change).max()], rtol=1e-4)
        assert record.latent_after < record.latent_before
    seen = np.argmax(judge.predict(result.adversarials, verbose=0), axis=1)
    # This autoencoder keeps the means of quarters, by which the judge goes.
    np.testing.assert_array_equal(seen, [record.predicted_after for record in result.records])
    assert result.mean().target > 0.5


def test_means_and_empty_cells(result):
    matrices = {kind: result.matrix(kind) for kind in KINDS}
    empty = ~np.isfinite(matrices["target"])
    np.testing.assert_array_equal(empty, np.eye(4, dtype=bool) | (np.arange(4) == 3) | (np.arange(4) == 3)[:, None])
    assert np.all(matrices["target"][~empty] <= matrices["ignore_target"][~empty])
    assert result.mean().ignore_target == np.mean(matrices["ignore_target"][~empty])
    assert np.isnan(result.by_source().target[3]) and np.isnan(result.by_target().target[3])
    rows = {(row["source_class"], row["target_class"]): row for row in result.to_rows()}
    assert len(rows) == 12
    assert rows[0, 3]["target"] is None and rows[0, 3]["pairs"] == 0 and rows[0, 3]["l2"] is None
    assert rows[0, 1]["pairs"] == 3
    low, high = result.interval("target")
    assert 0 <= low <= result.mean().target <= high <= 1
    nothing = result._replace(records=[])
    assert nothing.mean() == (None, None) and nothing.interval() is None and nothing.mean_of("l2") is None


def pair(source, label, target, predicted):
    return PairRecord(source, 0, label, target, predicted, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_the_mean_is_of_cells_and_not_of_pairs():
    records = [pair(0, 0, 1, 1), pair(1, 0, 1, 1), pair(2, 0, 1, 1), pair(3, 1, 0, 1), pair(4, 2, 0, 1)]
    np.testing.assert_array_equal(success.matrix(records, 3, "target")[0], [np.nan, 1, np.nan])
    assert success.mean_of_cells(success.matrix(records, 3, "target")) == 1 / 3  # of pairs it is 3/5
    assert success.mean_of_cells(success.matrix(records, 3, "ignore_target")) == 2 / 3
    assert success.interval(records, 3, "target") == (1 / 3, 1 / 3)  # sources of a class are all alike


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", KINDS)
def test_means_of_the_documents_tables(name, kind):
    """Tables 7.1 to 7.3 are the cells, 5.1 to 5.3 their rows' means."""
    cells = np.array([[np.nan if value is None else value for value in row] for row in TABLES[name][kind]])
    expected = TABLES[name]["by_source"][kind]
    np.testing.assert_allclose(success.by_source(cells), expected, atol=0.01)
    assert np.max(np.abs(success.by_target(cells) - expected)) > 1
    assert success.mean_of_cells(cells) == pytest.approx(TABLES[name]["mean"][kind], abs=0.01)


def test_sources_are_stratified_and_more_contain_fewer():
    labels = np.array([0, 0, 0, 1, 2, 2, 0])
    np.testing.assert_array_equal(reconstructions.stratified(labels, 3), [0, 3, 4])
    np.testing.assert_array_equal(reconstructions.stratified(labels, 5), [0, 1, 3, 4, 5])
    np.testing.assert_array_equal(reconstructions.stratified(labels, None), np.arange(7))
    pairs = reconstructions.draw_pairs(np.array([0, 5]), labels, 3, 0)
    np.testing.assert_array_equal(pairs[2:], reconstructions.draw_pairs(np.array([5]), labels, 3, 0))
    np.testing.assert_array_equal(labels[pairs[:, 1]], [1, 2, 0, 1])
    drawn = {int(reconstructions.draw_pairs(np.array([3]), labels, 3, seed)[0, 1]) for seed in range(20)}
    assert drawn == {0, 1, 2, 6}


def test_batches_change_nothing(case, result):
    other = evaluated(case, batch_size=5, samples=8, keep_images=True)
    np.testing.assert_allclose(other.adversarials, result.adversarials, atol=1e-4)
    assert [r[:5] for r in other.records] == [r[:5] for r in result.records]


def test_it_goes_on_where_it_was_killed(case, result, tmp_path, monkeypatch, capsys):
    class Killed(Exception):
        pass

    attack_batch, attacked = reconstructions._attack_batch, []

    def counted(*arguments):
        if len(attacked) == 2:
            raise Killed
        attacked.append(arguments[3])
        return attack_batch(*arguments)

    monkeypatch.setattr(reconstructions, "_attack_batch", counted)
    with pytest.raises(Killed):
        evaluated(case, output_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["latent_00000.json", "latent_00001.json"]
    attacked.clear()
    resumed = evaluated(case, output_dir=tmp_path, verbose=1)
    assert len(attacked) == 2  # of four
    assert "8 of 14 pairs were attacked before" in capsys.readouterr().out
    assert [r[:10] for r in resumed.records] == [pytest.approx(r[:10]) for r in result.records]
    attacked.clear()
    assert evaluated(case, output_dir=tmp_path).records == resumed.records and not attacked
    with pytest.raises(ValueError, match="holds results for other attack; remove it or choose another folder"):
        evaluated(case, robustness.LatentAttack(), output_dir=tmp_path)
    with pytest.raises(ValueError, match="holds results for other pairs, seed"):
        evaluated(case, output_dir=tmp_path, seed=1)
    with Lock(tmp_path, ".latent.lock"), pytest.raises(BlockingIOError):
        evaluated(case, output_dir=tmp_path)


def test_what_does_not_fit_is_one_line_before_anything_is_attacked(case, monkeypatch):
    monkeypatch.setattr(reconstructions, "_attack_batch", None)
    model, judge, images, labels = case

    def refused(said, model=model, judge=judge, images=images, labels=labels, **options):
        with pytest.raises(ValueError, match=re.escape(said)) as error:
            evaluated((model, judge, images, labels), **options)
        assert "\n" not in str(error.value)

    refused("`images` must be finite and within the bounds", images=images + 1)
    refused("`labels` must be one of 4 classes for each of 8 images", labels=labels[:3])
    refused("`labels` must be of at least two classes", labels=np.zeros(8, int))
    refused("`judge` must be a keras.Model", judge=None)
    refused("`samples` must be at most 8", samples=9)
    refused("`attack` must be a LatentAttack", attack="latent")
    broken = keras.models.clone_model(judge)
    broken.set_weights([np.full((16, 4), np.nan), np.zeros(4)])
    refused("a model whose outputs are finite", judge=broken)
