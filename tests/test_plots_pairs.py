"""Pictures of targeted attacks: matrices on one scale, and pairs with their reconstructions."""

import json
import pathlib
import re

import keras
import numpy as np
import pytest

import lea_keras
from lea_keras import plots, robustness
from lea_keras.robustness import success

TABLES = json.loads((pathlib.Path(__file__).parent / "golden" / "latent_attack_tables.json").read_text("utf-8"))


def cells(name, kind="ignore_target"):
    rows = [[np.nan if value is None else value for value in row] for row in TABLES[name][kind]]
    return np.array(rows) / 100


def texts(figure):
    return [text.get_text() for axes in figure.axes[:1] for text in axes.texts]


def test_matrices_have_one_scale_and_print_what_they_show():
    given = {name: cells(name) for name in TABLES}
    figure = plots.pairs(given)
    found = texts(figure)
    assert "disentangled, mean 36.6 %" in found and "entangled, mean 29.7 %" in found
    assert found.count("–") == 30
    assert found[0] == "Reconstructions taken for another class than the source's, in %"
    patches = figure.axes[0].patches
    assert len(patches) == 3 * (100 + 10 + 10 + 1)
    assert figure.axes[1].get_ylim() == pytest.approx((0, 100))
    by_colour = {}
    for name, place in (("disentangled", 0), ("entangled", 121)):
        of_rows = patches[place : place + 120 : 12][:10]  # ten cells, the row's mean, the column's
        by_colour[name] = of_rows[1].get_facecolor()
    assert by_colour["disentangled"] != by_colour["entangled"]  # 99 % and 60 % of source 1, target 0
    assert "81" in found  # of the first model, source 9, target 3
    other = plots.pairs({"one": cells("entangled", "target")}, "target", title="Mine")
    assert texts(other)[0] == "Mine" and "one, mean 9.2 %" in texts(other)


def test_empty_matrices_are_drawn_and_wrong_ones_refused():
    found = texts(plots.pairs({"nothing": np.full((2, 2), np.nan)}))
    assert "nothing" in found and found.count("–") == 2
    for results, said in (
        ({}, "`results` must be those of at least one model"),
        ({"a": np.zeros((2, 2)), "b": np.zeros((3, 3))}, "all of the same number of classes"),
        ({"a": np.full((2, 2), 50.0)}, "square matrices of shares in [0, 1]"),
        ({"a": np.zeros((2, 3))}, "square matrices of shares in [0, 1]"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            plots.pairs(results)
    with pytest.raises(ValueError, match="`kind`"):
        plots.pairs({"a": np.zeros((2, 2))}, "other")


def test_pairs_stand_above_their_reconstructions():
    model = lea_keras.image_autoencoder("standard", (4, 4, 1), code_length=3, units=())
    judge = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    images = np.random.RandomState(0).rand(6, 4, 4, 1).astype("float32")
    reconstructor = robustness.Reconstructor(model, (4, 4, 1))
    seen = np.argmax(judge.predict(reconstructor.reconstructions(images), verbose=0), axis=1)
    labels = np.where(np.arange(6) < 5, seen, 1 - seen)
    labels = labels if len(set(labels[:5])) == 2 else np.append(labels[:5], 1 - labels[0])
    attack = robustness.LatentAttack(steps=2)
    result = robustness.evaluate_reconstructions(model, judge, images, labels, attack, keep_images=True, verbose=0)
    figure = plots.adversarials(model, images, result, shown=[1, 0])
    drawn = [np.asarray(image.get_array()) for image in figure.axes[0].get_images()]
    assert len(drawn) == 6 * 2  # row by row
    first, second = result.records[1], result.records[0]
    np.testing.assert_array_equal(drawn[0], images[first.source, ..., 0])
    np.testing.assert_array_equal(drawn[1], images[second.source, ..., 0])
    np.testing.assert_array_equal(drawn[4], result.adversarials[1, ..., 0])
    expected = reconstructor.reconstructions(result.adversarials[:1])
    np.testing.assert_allclose(drawn[7], expected[0, ..., 0], atol=1e-6)
    np.testing.assert_array_equal(drawn[8], images[first.target, ..., 0])
    assert f"judged {first.predicted_after}" in texts(figure)
    assert f"{first.source_class} → {first.target_class}" in texts(figure)
    with pytest.raises(ValueError, match="one with adversarials"):
        plots.adversarials(model, images, result._replace(adversarials=None))
    with pytest.raises(ValueError, match="`shown` must be places from 0 to"):
        plots.adversarials(model, images, result, shown=[99])
    with pytest.raises(ValueError, match="`shown` must be an integer of at least 1"):
        plots.adversarials(model, images, result, shown=1.5)
    with pytest.raises(ValueError, match="`images` must be those that were attacked, more than [3-5]"):
        plots.adversarials(model, images[:3], result)
    with pytest.raises(ValueError, match="`results` must be a dictionary"):
        plots.pairs([result])


def test_pairs_that_are_shown_are_of_all_classes_and_won_as_often_as_all():
    def record(source, source_class, target_class, after):
        return success.PairRecord(source, 99, source_class, target_class, after, *[0.0] * 6)

    # Source by source, nine targets each: those of every 36th pair, evenly spread, would all be of the same target.
    records = [
        record(source, source % 10, target, source % 10 if source % 4 else target)
        for source in range(40)
        for target in range(10)
        if target != source % 10
    ]
    shown = [records[place] for place in success.typical_pairs(records, 10)]
    assert len({one.source_class for one in shown}) == len({one.target_class for one in shown}) == 10
    assert sum(one.succeeded("ignore_target") for one in shown) in (2, 3)  # of a quarter
    rare = [one._replace(predicted_after=one.source_class) for one in records[:-1]] + [records[0]._replace(source=40)]
    assert sum(rare[place].succeeded("ignore_target") for place in success.typical_pairs(rare, 10)) == 1
    assert len(success.typical_pairs(rare, 1)) == 1


def test_classes_of_a_categorical_variable_share_a_row_of_a_traversal():
    autoencoder = lea_keras.JointAutoencoder(7, categories=(3, 2))
    autoencoder.build((None, 4, 4, 1))
    base = np.array([0.5, -0.5, 0, 1, 0, 0, 1], "float32")
    figure = plots.latent_traversal(autoencoder, steps=2, value_range=(-5, 5), base=base)
    drawn = np.stack([np.asarray(image.get_array()) for image in figure.axes[0].get_images()])
    codes = np.tile(base, (9, 1))
    codes[[0, 1], 0], codes[[2, 3], 1] = (-3, 3), (-3, 3)
    codes[4:7, 2:5], codes[7:, 5:] = np.eye(3), np.eye(2)  # the tempting wrong one changes an entry at a time
    expected = keras.ops.convert_to_numpy(autoencoder.decode(codes))[..., 0]
    np.testing.assert_allclose(drawn, expected, atol=1e-5)
    found = texts(figure)
    assert {"code 1", "code 2", "category 1", "category 2", "class 3"} <= set(found) and "code 3" not in found
    unsaid = plots.latent_traversal(autoencoder, steps=2, value_range=(-5, 5))
    codes[:, :2] = [[-3, 0], [3, 0], [0, -3], [0, 3]] + [[0, 0]] * 5
    codes[:4, 2:] = codes[4:7, 5:] = codes[7:, 2:5] = 0
    codes[:4, [2, 5]] = codes[4:7, [5]] = codes[7:, [2]] = 1  # the first classes are on
    drawn = np.stack([np.asarray(image.get_array()) for image in unsaid.axes[0].get_images()])
    np.testing.assert_allclose(drawn, keras.ops.convert_to_numpy(autoencoder.decode(codes))[..., 0], atol=1e-5)
