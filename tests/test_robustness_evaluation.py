"""``robustness.evaluate``: what counts as found, seeds, resuming, refusals, and all attacks on models of digits."""

import json
import random
import re
from functools import partial

import eagerpy as ep
import foolbox
import gradient_attack_checks as checks
import keras
import numpy as np
import pytest
from backends import needs_tensorflow
from real_data import tfds_folder

import lea_keras.data
from experiments import networks
from experiments.config import CONFIGS
from lea_keras import robustness, utils
from lea_keras.locks import Lock
from lea_keras.plots import robustness_plot
from lea_keras.robustness import evaluation
from models import thesis

layers = keras.layers
SHAPE = (6, 6, 1)
NAMES = (
    *("gradient_sign", "projected_gradient_descent", "deep_fool", "adef", "slsqp", "saliency_map"),
    *("single_pixel", "local_search"),
    *("spatial", "gaussian_blur", "contrast_reduction", "additive_gaussian_noise", "salt_and_pepper"),
)
QUICK = ("contrast_reduction", "gradient_sign", "additive_gaussian_noise")
# So that attacks take less: as they are by default, all but one run in ``test_all_thirteen_find_something``.
FEWER = {
    "projected_gradient_descent": {"steps": 6, "rel_stepsize": 0.25, "halvings": 6},
    "deep_fool": {"steps": 20, "candidates": 3},
    "slsqp": {"max_iter": 8, "classes": 1, "random_starts": 1},
    "saliency_map": {"undo_steps": 2},
    "spatial": {"num_translations": 5, "num_rotations": 3},
    "gaussian_blur": {"steps": 100},
    "contrast_reduction": {"steps": 100},
    "additive_gaussian_noise": {"steps": 100},
    "salt_and_pepper": {"repeats": 20},
}


class Scripted(foolbox.attacks.base.MinimizationAttack):
    """Returns what a function makes of the inputs, and claims that all of it is adversarial."""

    distance = foolbox.distances.l2

    def __init__(self, make):
        self.make = make

    def run(self, model, inputs, criterion, *, early_stop=None, **kwargs):
        images, restore = ep.astensor_(inputs)
        return restore(ep.from_numpy(images, np.asarray(self.make(images.numpy()), np.float32)))


def brightness_model():
    """Class 1 where the mean is above ½, else 0."""
    model = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2)])
    model.set_weights([np.ones((36, 2)) * [0, 1 / 36], np.array([0.0, -0.5])])
    return model


def grey(*values):
    return np.ones((len(values), *SHAPE), "float32") * np.array(values, "float32").reshape(-1, 1, 1, 1)


def make_data(count=20, seed=0):
    """Images of random brightness with noise, and their classes."""
    rng = np.random.default_rng(seed)
    images = np.clip(rng.random((count, 1, 1, 1)) + rng.normal(0, 0.1, (count, *SHAPE)), 0, 1).astype("float32")
    return images, (images.mean(axis=(1, 2, 3)) > 0.5).astype(int)


def evaluate(images, labels, attacks, model=None, **options):
    return robustness.evaluate(model or brightness_model(), images, labels, attacks, **{"verbose": 0} | options)


def without_seconds(result):
    return [record._replace(seconds=0.0) for record in result.records]


def test_records_against_closed_forms():
    """The third is misclassified and left out; the others move by 0.3, which is too little for the first."""
    images = grey(0.1, 0.4, 0.9, 0.7, 0.45)
    script = Scripted(lambda x: np.where(x < 0.5, x + 0.3, x - 0.3))
    result = evaluate(images, [0, 0, 0, 1, 0], {"shift": script}, keep_images=True)
    assert (result.attacks, result.samples, result.accuracy, result.masked_gradients) == (("shift",), 5, 0.8, 0.0)
    assert result.attacked.tolist() == [0, 1, 3, 4]
    assert [r.sample for r in result.records] == [0, 1, 3, 4]
    assert [r[2:6] for r in result.records] == [(0, 0, 0, False), (0, 0, 1, True), (1, 1, 0, True), (0, 0, 1, True)]
    assert result.records[0].distance is None
    assert [r.distance for r in result.records[1:]] == pytest.approx([0.09] * 3, rel=1e-5)
    np.testing.assert_allclose(result.images["shift"].mean(axis=(1, 2, 3)), [0.1, 0.7, 0.4, 0.75], atol=1e-6)
    (summary,) = result.summary()
    assert (summary.attack, summary.samples, summary.success_rate) == ("shift", 4, 0.75)
    assert summary.mean_distance == pytest.approx(0.09)
    assert json.loads(json.dumps(result.to_rows())) == [record._asdict() for record in result.records]


def test_distances_are_in_units_of_the_bounds():
    class Scaled(layers.Layer):  # Keras' own is one of its preprocessing layers, which need TensorFlow
        def call(self, inputs):
            return inputs / 255

    model = keras.Sequential([keras.Input(SHAPE), Scaled(), *brightness_model().layers])
    found = evaluate(grey(100, 50), [0, 0], {"shift": Scripted(lambda x: x + 51)}, model, bounds=(0, 255))
    assert [record.distance for record in found.records] == [pytest.approx(0.04), None]


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda x: x, False),  # claims a success that is none
        (lambda x: x * np.nan, False),
        (lambda x: x + np.inf, False),
        (lambda x: x * 0 + 7.0, True),  # adversarial once it is clipped
        (lambda x: np.where(np.arange(6)[:, None] == 0, 40.0, x), False),  # adversarial only outside the bounds
    ],
)
def test_the_word_of_an_attack_is_not_taken(make, found):
    result = evaluate(grey(0.2), [0], {"liar": Scripted(make)}, keep_images=True)
    (record,) = result.records
    assert record.found is found and (record.distance is None) is not found
    image = result.images["liar"]
    np.testing.assert_allclose(image, 1.0 if found else 0.2, atol=1e-6)


def test_model_calls_and_seconds_are_shares_of_the_batch():
    def evaluated(batch_size):
        attack = foolbox.attacks.LinearSearchContrastReductionAttack(steps=9)
        return evaluate(grey(0.1, 0.2, 0.3, 0.4, 0.45), [0] * 5, {"contrast": attack}, batch_size=batch_size).records

    records = evaluated(2)
    assert {record.model_calls for record in records} == {10.0}  # every image ten times
    assert records[0].seconds == records[1].seconds != records[2].seconds > 0
    assert [r[:6] for r in evaluated(100)] == [r[:6] for r in records]


def test_progress_is_said_while_a_batch_is_attacked(monkeypatch, capsys):
    monkeypatch.setattr(utils, "SECONDS", 0)
    images, labels = make_data(12)
    found = robustness.evaluate(brightness_model(), images, labels, "contrast_reduction", batch_size=6)
    output = capsys.readouterr().out
    lines, count = output.splitlines(), len(found.attacked)
    assert lines[0] == "Before the attacks: 12 of 24 images through the model, about 00:00 left"
    title = "contrast_reduction (1 of 1)"
    of_first = [line for line in lines if line.startswith(f"{title}: 0 of {count} samples attacked, ")]
    calls = [int(re.search("attacked, ([0-9]+) images through the model$", line)[1]) for line in of_first]
    assert len(calls) > 3 and calls == sorted(calls) and calls[0] == 6
    assert any(line.startswith(f"{title}: 6 of {count} samples attacked, about 00:0") for line in lines)
    assert lines[-1].startswith(f"{title}: success rate ")
    robustness.evaluate(brightness_model(), images, labels, "contrast_reduction", batch_size=6, verbose=0)
    assert capsys.readouterr().out == ""


def test_nothing_is_attacked_where_nothing_is_right():
    result = evaluate(grey(0.1, 0.2), [1, 1], "contrast_reduction", keep_images=True)
    assert (result.accuracy, result.masked_gradients, result.records) == (0.0, None, [])
    assert result.summary() == [("contrast_reduction", 0, None, None, None, None, None, "nearest")]
    assert result.images["contrast_reduction"].shape == (0, *SHAPE)


def test_one_hot_labels_are_the_same():
    images, labels = make_data()
    first = evaluate(images, labels, "contrast_reduction")
    assert without_seconds(evaluate(images, np.eye(2)[labels], "contrast_reduction")) == without_seconds(first)


def test_results_depend_on_the_seed_and_not_on_the_other_attacks():
    images, labels = make_data()
    first = evaluate(images, labels, QUICK, seed=3)
    again = evaluate(images, labels, QUICK[::-1], seed=3)
    assert sorted(without_seconds(first)) == sorted(without_seconds(again))
    alone = evaluate(images, labels, QUICK[2], seed=3)
    assert without_seconds(alone) == [r for r in without_seconds(first) if r.attack == QUICK[2]]
    other = evaluate(images, labels, QUICK[2], seed=4)
    assert without_seconds(other) != without_seconds(alone)


def test_batches_draw_numbers_of_their_own():
    assert len({evaluation._seed(seed, name, i) for seed in (0, 1) for name in ("a", "b") for i in (0, 100)}) == 8
    result = evaluate(grey(*[0.495] * 4), [0] * 4, "additive_gaussian_noise", batch_size=2, keep_images=True)
    found = result.images["additive_gaussian_noise"]
    assert np.any(found[0] != found[2])


@pytest.mark.usefixtures("own_kernels")
def test_nothing_global_changes():
    (images, labels), model = make_data(4), brightness_model()
    before = images.copy()
    checks.seed_streams(1)
    random.seed(1)
    expected = *checks.draw(), random.random()
    checks.seed_streams(1)
    random.seed(1)
    evaluate(images, labels, QUICK, model)
    assert (*checks.draw(), random.random()) == expected
    np.testing.assert_array_equal(images, before)


@checks.slow_on_jax
def test_all_thirteen_find_something(monkeypatch):
    """On whatever backend this runs, with their defaults, but for the one that takes longest; on so few images of so
    few pixels, all but three."""
    name = "projected_gradient_descent"
    monkeypatch.setitem(robustness.ATTACKS, name, partial(robustness.ATTACKS[name], **FEWER[name]))
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3)])
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    images = checks.smooth_images(3)
    labels = np.argmax(model.predict(images, verbose=0), axis=1)
    found = evaluate(images, labels, None, model, keep_images=True)
    succeeded = {summary.attack for summary in found.summary() if summary.success_rate}
    assert set(NAMES) - succeeded <= {"single_pixel", "gaussian_blur", "contrast_reduction"}
    for attack, adversarials in found.images.items():
        records = [record for record in found.records if record.attack == attack]
        predicted = np.argmax(keras.ops.convert_to_numpy(model(adversarials)), axis=1)
        assert [record.predicted_after for record in records] == predicted.tolist()
        assert [record.found for record in records] == (predicted != labels).tolist()


def test_masked_gradients_are_reported():
    class Rounded(layers.Layer):
        def call(self, inputs):
            return keras.ops.round(inputs * 255) / 255

    model = keras.Sequential([keras.Input(SHAPE), Rounded(), *brightness_model().layers])
    images, labels = make_data()
    with pytest.warns(UserWarning, match="masks its gradients: they are zero for 20 of 20 attacked samples"):
        result = evaluate(images, labels, {"inverted": Scripted(lambda x: 1 - x)}, model)
    assert result.masked_gradients == 1.0
    assert result.summary()[0].success_rate == 1.0  # an attack without gradients does not care


class Interrupted(Exception):
    pass


def test_an_interrupted_evaluation_goes_on(tmp_path, capsys):
    images, labels = make_data()
    broken, shift = Scripted(lambda x: x), Scripted(lambda x: 1 - x)

    def interrupt(_):
        raise Interrupted

    # The same name and options; what it does is not to be seen from outside.
    interrupted = Scripted(interrupt)
    for script in (broken, interrupted, shift):
        script.make.__qualname__ = "make"
    attacks = {"first": shift, "second": interrupted, "third": broken}
    with pytest.raises(Interrupted):
        evaluate(images, labels, attacks, output_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["first.json"]
    first = (tmp_path / "first.json").read_bytes()

    def never(_):
        raise AssertionError("a finished attack ran again")

    never.__qualname__ = "make"
    attacks |= {"first": Scripted(never), "second": shift}
    result = evaluate(images, labels, attacks, output_dir=tmp_path, verbose=1)
    assert (tmp_path / "first.json").read_bytes() == first
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "20 of 20 samples are classified correctly and attacked (1.0000)"
    assert lines[1].startswith("first (1 of 3): done before; success rate 1.0000, mean distance 0.")
    assert lines[2].startswith("second (2 of 3): success rate 1.0000, mean distance 0.")
    assert lines[3].startswith("third (3 of 3): success rate 0.0000; ") and lines[3].endswith(" s a sample")
    uninterrupted = evaluate(images, labels, {"first": shift, "second": shift, "third": broken})
    assert without_seconds(result) == without_seconds(uninterrupted)
    for attack in attacks.values():
        attack.make = never
    assert evaluate(images, labels, attacks, output_dir=tmp_path).records == result.records
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.json", "second.json", "third.json"]


def test_results_of_something_else_are_refused_and_stay(tmp_path):
    images, labels = make_data()
    with Lock(tmp_path, ".contrast_reduction.lock"), pytest.raises(BlockingIOError, match="has been writing to it"):
        evaluate(images, labels, "contrast_reduction", output_dir=tmp_path)
    assert not list(tmp_path.iterdir())
    with Lock(tmp_path, ".deep_fool.lock"):  # another attack may be running at the same time
        evaluate(images, labels, "contrast_reduction", output_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["contrast_reduction.json"]
    stored = (tmp_path / "contrast_reduction.json").read_bytes()
    model = brightness_model()
    model.set_weights([weights * 1.1 for weights in model.get_weights()])
    for change, what in [
        ({"model": model}, "weights"),
        ({"seed": 1}, "seed, attack"),
        ({"images": images**2, "labels": labels}, "images"),
        ({"labels": 1 - labels}, "labels"),
        ({"bounds": (0, 2)}, "bounds"),
        ({"batch_size": 3}, "batch size"),
    ]:
        arguments = {"images": images, "labels": labels} | change
        with pytest.raises(
            ValueError, match=f"results for other .*{what.split(', ')[0]}.*; remove it or choose"
        ) as error:
            evaluate(**arguments, attacks="contrast_reduction", output_dir=tmp_path)
        assert "\n" not in str(error.value)
    assert (tmp_path / "contrast_reduction.json").read_bytes() == stored


def test_images_that_were_not_kept_are_made_again(tmp_path):
    images, labels = make_data()
    options = {"attacks": "contrast_reduction", "output_dir": tmp_path}
    evaluate(images, labels, **options)
    kept = evaluate(images, labels, **options, keep_images=True)
    again = evaluate(images, labels, **options, keep_images=True)
    assert again.records == kept.records == evaluate(images, labels, **options).records
    np.testing.assert_array_equal(again.images["contrast_reduction"], kept.images["contrast_reduction"])


def test_results_of_foolbox_1_8_are_told_apart(tmp_path):
    """Under names of their own in one folder, in records and summaries; and no picture shows both kinds."""
    images, labels = make_data(6)
    options = {"attacks": "additive_gaussian_noise", "output_dir": tmp_path}
    nearest = evaluate(images, labels, **options)
    assert {record.semantics for record in nearest.records} == {nearest.semantics} == {"nearest"}
    old = evaluate(images, labels, **options, semantics="foolbox18")
    names = {"additive_gaussian_noise.json", "foolbox18_additive_gaussian_noise.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert {record.semantics for record in old.records} == {old.semantics} == {"foolbox18"}
    assert [summary.semantics for summary in old.summary()] == ["foolbox18"] and old.summary()[0].samples == 6
    assert old.summary()[0].mean_distance != nearest.summary()[0].mean_distance
    assert {row["semantics"] for row in old.to_rows()} == {"foolbox18"}
    for semantics, result in (("nearest", nearest), ("foolbox18", old)):  # nothing runs again
        assert evaluate(images, labels, **options, semantics=semantics).records == result.records
    with pytest.raises(ValueError, match="`summaries` must be all of the same semantics") as error:
        robustness_plot.heatmap({"a": nearest.summary(), "b": old.summary()}, baseline="a")
    assert "\n" not in str(error.value)
    (tmp_path / "additive_gaussian_noise.json").write_bytes((tmp_path / max(names)).read_bytes())
    with pytest.raises(ValueError, match="holds results for other .*semantics.*; remove it or choose another folder"):
        evaluate(images, labels, **options)


def test_what_was_stored_before_there_were_two_kinds_is_ours(tmp_path):
    images, labels = make_data(4)
    options = {"attacks": "contrast_reduction", "output_dir": tmp_path}
    found = evaluate(images, labels, **options)
    path = tmp_path / "contrast_reduction.json"
    stored = json.loads(path.read_text())
    del stored["identity"]["semantics"]
    path.write_text(json.dumps(stored))
    assert evaluate(images, labels, **options).records == found.records


FIXED = foolbox.attacks.L2FastGradientAttack()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": "deepfool"}, r"`attacks` must be one of \(.*\). Did you mean 'deep_fool'\? Received"),
        ({"attacks": ["deep_fool", "gausian_blur"]}, "Did you mean 'gaussian_blur'"),
        ({"attacks": ["deep_fool", "deep_fool"]}, "`attacks` must be different names"),
        ({"attacks": []}, "`attacks` must be at least one"),
        ({"attacks": {}}, "`attacks` must be at least one"),
        ({"attacks": 3}, "`attacks` must be names, or a dictionary of foolbox's attacks by name. Received: attacks=3"),
        ({"attacks": {"../a": FIXED}}, "keys are names of letters, digits"),
        ({"attacks": {"a": 3}}, "a dictionary of foolbox's attacks by name. Received: attacks='a: int'"),
        (
            {"attacks": {"a": FIXED}},
            "that search for the smallest perturbation. That one takes a fixed ε: wrap it in SmallestEpsilon",
        ),
        ({"semantics": "foolbox"}, r"`semantics` must be one of \('nearest', 'foolbox18'\). Did you mean 'foolbox18'"),
        ({"seed": -1}, "`seed` must be an integer from 0"),
        ({"seed": 0.5}, "`seed` must be an integer from 0"),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"bounds": (1, 0)}, "`bounds` must be a pair"),
        ({"images": grey(2.0, 3.0)}, "`images` must be finite and within the bounds, 0 to 1"),
        ({"images": np.zeros((2, 5, 6, 1))}, r"the shape that the model takes, \(None, 6, 6, 1\)"),
        ({"labels": [0]}, "`labels` must be one of 2 classes for each of 2 images"),
        ({"labels": [0, 2]}, "`labels` must be from 0 to 1"),
        ({"model": 3}, "`model` must be a keras.Model"),
        ({"output_dir": __file__}, "`output_dir` must be a folder"),
    ],
)
def test_bad_arguments_are_one_line(change, message, monkeypatch):
    def never(*_, **__):
        raise AssertionError("an attack started")

    monkeypatch.setattr(evaluation, "_attack", never)
    arguments = {"model": brightness_model(), "images": grey(0.1, 0.2), "labels": [0, 0], "attacks": "deep_fool"}
    with pytest.raises(ValueError, match=message) as error:
        robustness.evaluate(**arguments | change, verbose=0)
    assert "\n" not in str(error.value)


def test_the_thirteen():
    assert tuple(robustness.ATTACKS) == NAMES
    assert list(evaluation._makers(None)) == list(evaluation._makers("all")) == list(NAMES)


@pytest.fixture(scope="module")
def digits():
    """Images to fit a model to and others to attack, averaged to 14×14, with one-hot labels: all of MNIST's test set,
    since to read the training set takes longer than everything else."""
    (batch,) = lea_keras.data.load("mnist", "test", batch_size=560, limit=560, data_dir=str(tfds_folder("mnist")))
    images, labels = (np.asarray(part) for part in batch)
    images = images.reshape(-1, 14, 2, 14, 2, 1).mean((2, 4))
    return {"test": (images[:60], labels[:60]), "train": (images[60:], labels[60:])}


def fit_the_last_layer(model, images, labels):
    """Least squares from what the random layers below make of images: quicker than to train all, and good enough."""
    below = keras.Model(model.input, model.layers[-1].input)
    values = keras.ops.convert_to_numpy(below(images, training=False))
    values = np.column_stack([values, np.ones(len(values))])
    ridge = 1e-3 * np.trace(values.T @ values) / values.shape[1] * np.eye(values.shape[1])
    weights = np.linalg.solve(values.T @ values + ridge, values.T @ (10 * labels))
    model.layers[-1].set_weights([weights[:-1], weights[-1]])


@needs_tensorflow  # through which the digits come
def test_all_attacks_on_a_model_of_real_digits(digits, monkeypatch):
    """Every attack lowers the accuracy; what it finds is within bounds and misclassified; the seed decides it all."""
    monkeypatch.setattr(thesis, "HIDDEN_UNITS", 200)
    small = {"filters": (4, 8), "autoencoder": "standard", "code_length": 4}
    config = CONFIGS["cnn_lea"].replace(dataset="mnist", **small)
    model = networks.build(config, (14, 14, 1), 10, steps_per_epoch=40)
    fit_the_last_layer(model, *digits["train"])
    images, labels = digits["test"]
    logits = keras.ops.convert_to_numpy(model(images, training=False))
    classes = np.argmax(labels, axis=1)
    right = np.flatnonzero(np.argmax(logits, axis=1) == classes)
    assert len(right) > 30
    wrong = np.setdiff1d(np.arange(len(images)), right)[:1]
    greys = np.ones_like(images) * images.mean(axis=(1, 2, 3), keepdims=True)  # all that the largest blur leaves
    of_greys = np.argmax(keras.ops.convert_to_numpy(model(greys, training=False)), axis=1)
    two = right[of_greys[right] != classes[right]][:2]
    chosen = np.concatenate([two, wrong])
    before = [np.array(weight) for weight in model.get_weights()]
    attacks = {name: robustness.get(name, **FEWER.get(name, {})) for name in NAMES}
    found = evaluate(images[chosen], labels[chosen], attacks, model, keep_images=True)
    assert found.attacked.tolist() == [0, 1]
    assert found.accuracy == 2 / len(chosen)
    assert {record.sample for record in found.records} == {0, 1} and len(found.records) == 2 * 13
    for attack, adversarials in found.images.items():
        records = [record for record in found.records if record.attack == attack]
        assert adversarials.min() >= 0 and adversarials.max() <= 1
        predicted = np.argmax(keras.ops.convert_to_numpy(model(adversarials)), axis=1)
        assert [record.predicted_after for record in records] == predicted.tolist()
        for record, adversarial in zip(records, adversarials, strict=True):
            assert record.found == (record.predicted_after != record.label)
            distance = np.mean((adversarial.astype(np.float64) - images[chosen[record.sample]]) ** 2)
            assert distance == pytest.approx(record.distance or 0.0, rel=1e-6)
    succeeded = {summary.attack for summary in found.summary() if summary.success_rate}
    # Few pixels, or noise without a direction: of so few samples, some models may withstand that.
    assert set(NAMES) - succeeded <= {"single_pixel", "local_search", "additive_gaussian_noise"}
    random_ones = ["slsqp", "single_pixel", "additive_gaussian_noise", "salt_and_pepper"]
    again = evaluate(images[chosen], labels[chosen], {name: attacks[name] for name in random_ones}, model)
    assert without_seconds(again) == [r for r in without_seconds(found) if r.attack in random_ones]
    for weight, former in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, former)
