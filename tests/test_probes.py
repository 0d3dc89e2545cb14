"""Probes: answers known beforehand, what is cached, when they stop, and that the model under test stays as it is."""

import csv
import json
import re

import keras
import matplotlib.backends.backend_agg
import numpy as np
import pytest

import lea_keras
from lea_keras import data, probes, utils
from lea_keras.data import sources, sprites
from lea_keras.plots import probe_plot
from lea_keras.probes import caching, measuring

layers = keras.layers


def plain_model(seed=0):
    """Images [b, 8, 8, 1] → conv – pool – flatten – dense."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(inputs)
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(2, name="pool")(x))
    return keras.Model(inputs, layers.Dense(3, name="logits")(layers.Dropout(0.5, name="dropout")(x)))


def lea(name):
    autoencoder = lea_keras.CapacityControlledAutoencoder(code_length=3, capacity_steps=10)
    return lea_keras.LocallyEmbeddedAutoencoder(2, autoencoder, name=name)


def lea_model():
    inputs = keras.Input((8, 8, 1))
    outputs = layers.Dense(3, name="logits")(layers.Flatten()(lea("lea_2")(lea("lea_1")(inputs))))
    model = lea_keras.LEAModel(inputs, outputs)
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True), run_eagerly=True)
    return model


def make_data(count=48, seed=0):
    """A bright column and row on noise; labels say which half they are in, and a class of noise."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(size=(count, 8, 8, 1)).astype("float32") / 4
    x, y = rng.integers(0, 8, (2, count))
    images[np.arange(count), :, x] += 1
    images[np.arange(count), y] += 1
    return images, {"x": x // 4, "y": y // 4, "noise": rng.integers(0, 3, count)}


@pytest.fixture
def trained(monkeypatch):
    """Trainees as they are made, each with its first weights."""
    trainees, make = [], measuring._Trainee.__init__

    def keep(self, *arguments):
        make(self, *arguments)
        trainees.append((self, self.model.get_weights()))

    monkeypatch.setattr(measuring._Trainee, "__init__", keep)
    return trainees


def measure(model, **options):
    options = {"factors": ("x", "y"), "units": 8, "epochs": 2, "batch_size": 16, "verbose": 0} | options
    return probes.measure(model, make_data(), make_data(30, seed=1), **options)


def test_probes_recover_a_known_answer():
    """Squares and ellipses of any scale, orientation and place. (x and y of a heart are those of a point beside its
    centre, which takes its orientation to find, and many more images than a test has time for: of all shapes, 240 000
    images averaged to 32×32, probes read off x at 0.916 and y at 0.922 in five minutes, and 60 000 images at 0.80.)"""
    inputs = keras.Input((32, 32, 1))
    average = layers.GlobalAveragePooling2D(name="average")(layers.Activation("linear", name="identity")(inputs))
    model = keras.Model(inputs, average)
    splits = []
    for split, count in (("train", 6000), ("test", 1000)):
        labels = sprites.labels_from_indices(data.selection(split)[: 2 * count])
        labels = labels[labels[:, 0] < 2][:count]
        splits.append((sprites.draw(labels, 32), {"x": labels[:, 3], "y": labels[:, 4]}))
    options = {"layers": ("identity", "average"), "max_features": 256, "epochs": 8, "batch_size": 500, "units": 256}
    found = probes.measure(model, *splits, factors=("x", "y"), learning_rate=0.02, verbose=0, **options)
    assert [(probe.layer, probe.factor) for probe in found] == [
        ("identity", "x"),
        ("identity", "y"),
        ("average", "x"),
        ("average", "y"),
    ]
    for probe in found:
        assert 1 / 32 < probe.chance < 0.06
        if probe.layer == "identity":
            assert probe.features == 256 and probe.accuracy > 0.9
        else:
            assert probe.features == 1 and probe.accuracy < probe.chance + 0.02


def test_without_a_hidden_layer_a_probe_is_a_softmax_regression():
    """It tells which half a point is in, and not whether two coordinates have the same sign, which is no linear
    question and easy for a hidden layer."""
    rng = np.random.default_rng(0)
    points = rng.choice([-1.0, 1.0], (1200, 2)) * rng.uniform(0.2, 1.0, (1200, 2))
    labels = {"x": (points[:, 0] > 0).astype(int), "y": (points[:, 0] * points[:, 1] > 0).astype(int)}
    parts = (slice(1000), slice(1000, None))
    splits = [(points[part], {name: of[part] for name, of in labels.items()}) for part in parts]
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Activation("linear", name="same")(inputs))
    options = {"factors": ("x", "y"), "layers": ("same",), "epochs": 12, "batch_size": 128, "learning_rate": 0.05}
    found = (probes.measure(model, *splits, units=units, shared=True, verbose=0, **options) for units in (None, 32))
    linear, hidden = ([probe.accuracy for probe in of_size] for of_size in found)
    assert linear[0] > 0.97 and linear[1] < 0.8 and min(hidden) > 0.97


@pytest.mark.usefixtures("eagerly")
def test_linear_probes_have_weights_for_features_and_classes_alone(trained):
    measure(plain_model(), layers=("pool",), units=None, shared=True, epochs=1)
    (trainee, weights), *others = trained
    sizes = [weight.shape for weight in weights]
    assert not others and sizes == [(sizes[0][0], 2), (2,)] * 2 and trainee.factors == ("x", "y")


@pytest.mark.usefixtures("eagerly")
def test_chance_is_the_share_of_the_most_frequent_class():
    assert probes.chance_level([2, 0, 2, 1, 2]) == 0.6
    labels = make_data(30, seed=1)[1]["x"]
    found = measure(plain_model(), layers=("pool", "logits"), factors=("x",), epochs=1)
    assert {probe.chance for probe in found} == {max(np.sum(labels == 0), np.sum(labels == 1)) / 30}


def test_activations_are_the_outputs_of_the_layers():
    model, images = plain_model(), make_data(100)[0]  # more than the model is given at once
    cached = probes.activations(model, images)
    assert list(cached) == ["input", "conv", "pool", "logits"]
    np.testing.assert_array_equal(cached["input"], images.reshape(100, 64))
    for name in ("conv", "pool", "logits"):
        outputs = keras.Model(model.input, model.get_layer(name).output)(images, training=False)
        np.testing.assert_allclose(cached[name], np.reshape(outputs, (100, -1)), rtol=1e-5, atol=1e-6)
        assert cached[name].dtype == np.float32
    chosen = probes.activations(model, images, ["logits", "dropout"])  # not in this order; dropout since asked for
    assert list(chosen) == ["dropout", "logits"]
    np.testing.assert_array_equal(chosen["dropout"], cached["pool"])


@pytest.mark.usefixtures("eagerly")
def test_activations_beyond_the_memory_limit_are_in_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model, images = plain_model(), make_data()[0]
    size = 48 * 4 * (64 + 128 + 32 + 3)
    in_memory = probes.activations(model, images, memory_limit=size, verbose=1)
    on_disk = probes.activations(model, images, memory_limit=size - 1, verbose=1)
    assert capsys.readouterr().out.splitlines() == [
        "Activations of 48 images in 4 layers: 0.04 MB in memory",
        "Activations of 48 images in 4 layers: 0.04 MB in a temporary file",
    ]
    for name, values in in_memory.items():
        assert not isinstance(values, np.memmap) and isinstance(on_disk[name], np.memmap)
        np.testing.assert_array_equal(values, on_disk[name])
    assert list(tmp_path.iterdir()) == []
    options = {"layers": ("conv",), "factors": ("x",)}
    assert measure(model, memory_limit=0, **options) == measure(model, **options)


def test_layers_inside_nested_and_subclassed_models_and_repeated_calls():
    class Twice(keras.Model):
        def __init__(self):
            super().__init__(name="twice")
            self.inner = keras.Sequential([layers.Dense(4, name="dense"), layers.ReLU(name="relu")], name="inner")

        def call(self, x):
            return self.inner(self.inner(x))

    inputs = keras.Input((4,))
    model = keras.Sequential([keras.Model(inputs, layers.Dense(4, name="dense")(inputs), name="block"), Twice()])
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    cached = probes.activations(model, x)
    first = ["input", "block/dense", "twice/inner/dense", "twice/inner/relu"]
    assert list(cached) == [*first, "twice/inner/dense#2", "twice/inner/relu#2"]
    np.testing.assert_allclose(cached["twice/inner/relu#2"], model(x), rtol=1e-5, atol=1e-6)
    inner = model.get_layer("twice").inner
    np.testing.assert_allclose(cached["twice/inner/relu"], inner(cached["block/dense"]), rtol=1e-5, atol=1e-6)


def test_a_lea_is_one_layer_and_runs_no_decoder(monkeypatch):
    model, images = lea_model(), make_data()[0]
    monkeypatch.setattr(type(model.lea_layers[0].autoencoder.decoder), "call", None)
    cached = probes.activations(model, images)
    assert {name: values.shape[1] for name, values in cached.items()} == {
        "input": 64,
        "lea_1": 4 * 4 * 3,
        "lea_2": 2 * 2 * 3,
        "logits": 3,
    }
    np.testing.assert_allclose(cached["logits"], model.predict(images, verbose=0), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("policy", "dtype"), [("mixed_float16", "float16"), ("mixed_bfloat16", "float32")])
def test_mixed_precision(policy, dtype):
    with_policy = layers.Dense(4, name="half", dtype=policy)
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, with_policy(layers.Flatten()(inputs)))
    images = make_data()[0]
    cached = probes.activations(model, images)["half"]
    assert cached.dtype == dtype
    np.testing.assert_array_equal(cached.astype("float32"), np.asarray(keras.ops.cast(model(images), "float32")))
    keras.config.set_dtype_policy(policy)  # which probes do not follow
    assert {probe.layer for probe in measure(model, factors=("x",), epochs=1)} == {"input", "half"}


def test_large_feature_maps_are_averaged_over_the_smallest_squares_that_do():
    images = np.arange(2 * 5 * 4 * 2, dtype="float32").reshape(2, 5, 4, 2)
    model = keras.Sequential([keras.Input((5, 4, 2)), layers.Activation("linear", name="same")])
    pooled = probes.activations(model, images, max_features=12)["same"]  # 3 × 2 squares of side 2, 2 channels
    assert pooled.shape == (2, 12)
    np.testing.assert_allclose(pooled[0].reshape(3, 2, 2)[0, 1], images[0, 0:2, 2:4].mean((0, 1)))
    np.testing.assert_allclose(pooled[0].reshape(3, 2, 2)[2, 0], images[0, 4:5, 0:2].mean((0, 1)))  # at the edge
    assert probes.activations(model, images, max_features=40)["same"].shape == (2, 40)
    np.testing.assert_allclose(probes.activations(model, images, max_features=1)["same"], images.mean((1, 2)))
    first = keras.Sequential([keras.Input((4, 4, 2)), layers.ZeroPadding2D(0, "channels_first", name="same")])
    cached = probes.activations(first, images[:, :4], ["same"], max_features=8)["same"]  # [b, 4 channels, 4, 2]
    np.testing.assert_allclose(cached[0].reshape(4, 2, 1)[1, 0, 0], images[0, 1, 0:2].mean())


@pytest.mark.usefixtures("eagerly")
def test_the_model_under_test_is_left_as_it_is():
    model = lea_model()
    images = make_data()[0]
    model.fit(images, np.eye(3)[make_data()[1]["noise"]], epochs=1, verbose=0)
    variables = [*model.variables, *model.optimizer.variables]
    before = [np.array(variable) for variable in variables]
    assert any("seed" in variable.path for variable in variables)
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    draw = np.random.get_state()[1].tolist()
    call = keras.layers.Layer.__call__
    measure(model, factors=("x",))
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
    assert all(variable.trainable for variable in model.trainable_variables) and model.trainable_variables
    assert nodes == [len(layer._inbound_nodes) for layer in model.layers]
    assert draw == np.random.get_state()[1].tolist()
    assert keras.layers.Layer.__call__ is call
    with pytest.raises(ValueError):
        probes.activations(model, np.zeros((2, 5)))
    assert keras.layers.Layer.__call__ is call


@pytest.mark.usefixtures("eagerly")
def test_a_probe_depends_on_its_seed_and_on_no_other_probe():
    model = plain_model()
    together = measure(model, factors=("x", "noise"), layers=("pool", "logits"))
    alone = measure(model, factors=("noise",), layers=("pool",))
    assert alone == [probe for probe in together if (probe.layer, probe.factor) == ("pool", "noise")]
    options = {"factors": ("x", "noise"), "layers": ("logits",)}
    of_logits = measure(model, **options)
    assert of_logits == [probe for probe in together if probe.layer == "logits"]
    assert of_logits != measure(model, **options, seed=1)


def test_side_by_side_training_is_adam_on_each_probe_alone(trained):
    """Against plain `fit` of one network with the same initial weights on the same batches."""
    model, (images, labels) = plain_model(), make_data()
    measure(model, layers=("conv",), epochs=1, batch_size=43)  # the 43 images that are not held out, in any order
    assert [(trainee.layer, trainee.factors) for trainee, _ in trained] == [("conv", ("x",)), ("conv", ("y",))]
    rows = utils.permutation(48, 0, 0)[5:]
    x = probes.activations(model, images)["conv"][rows]
    trainee, weights = trained[1]
    inputs = keras.Input((128,))
    twin = keras.Model(inputs, layers.Dense(2)(layers.Dense(8, activation="relu")(inputs)))
    twin.set_weights(weights)
    twin.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    twin.fit(x, labels["y"][rows], batch_size=43, epochs=1, verbose=0)
    for got, expected in zip(trainee.model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    assert np.std(weights[0]) == pytest.approx(np.sqrt(2 / (128 + 8)), rel=0.1)  # Glorot's


@pytest.mark.usefixtures("eagerly")
def test_without_held_out_images_a_probe_trains_all_epochs_on_all_images(trained):
    """As in the thesis: against plain `fit` on all 48 images, whose last weights count even if others were better."""
    model, (images, labels) = plain_model(), make_data()
    options = {"layers": ("pool",), "factors": ("noise",), "epochs": 4, "patience": 1, "learning_rate": 0.05}
    (probe,) = measure(model, held_out=0, batch_size=48, **options)
    ((trainee, weights),) = trained
    x = probes.activations(model, images)["pool"]
    twin = keras.models.clone_model(trainee.model)
    twin.set_weights(weights)
    losses = {"noise": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    twin.compile(keras.optimizers.Adam(0.05), losses)
    twin.fit(x, {"noise": labels["noise"]}, batch_size=48, epochs=4, verbose=0)
    for got, expected in zip(trainee.model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)
    right = np.argmax(twin.predict(x, verbose=0)["noise"], axis=1) == labels["noise"]
    assert (probe.epochs, probe.train_accuracy) == (4, np.mean(right))
    assert probe.accuracy != probe.train_accuracy
    held_out = measure(model, held_out=0.2, batch_size=48, **options)[0]
    assert held_out.train_accuracy * 38 == pytest.approx(round(held_out.train_accuracy * 38))  # of 48, 10 held out


@pytest.mark.usefixtures("eagerly")
def test_a_shared_hidden_layer():
    found = measure(plain_model(), factors=("x", "y", "noise"), shared=True, layers=("pool",), epochs=4, patience=2)
    assert [probe.factor for probe in found] == ["x", "y", "noise"]
    assert len({probe.epochs for probe in found}) == 1


@pytest.mark.usefixtures("eagerly")
def test_probes_stop_early_with_their_best_weights(monkeypatch):
    """Held-out scores are played back; what is tested in the end must be the weights of the best epoch."""
    played = {"x": [(0.5, 1.0), (0.7, 1.0), (0.7, 0.9), (0.7, 0.9), (0.6, 0.1)], "y": [(0.5, 1.0)] * 5}
    weights, tested = {"x": [], "y": []}, {}

    def scores(trainees, cache, labels, rows):
        found = []
        for trainee in trainees:
            (factor,) = trainee.factors
            if len(rows) != 5:  # of the training or the test images
                tested[factor] = trainee.model.get_weights()
                found.append({factor: (1.0, 0.0)})
            else:
                found.append({factor: played[factor][len(weights[factor])]})
                weights[factor].append(trainee.model.get_weights())
        return found

    monkeypatch.setattr(measuring, "_scores", scores)
    found = measure(plain_model(), layers=("pool",), epochs=20, patience=2)
    assert {probe.factor: probe.epochs for probe in found} == {"x": 5, "y": 3}
    for factor, best in (("x", 2), ("y", 0)):
        for got, expected in zip(tested[factor], weights[factor][best], strict=True):
            np.testing.assert_array_equal(got, expected)


def test_scores_by_hand():
    class Probe:
        layer, factors = "a", ("x",)

        class model:
            @staticmethod
            def predict_on_batch(x):
                return {"x": np.log(np.array([[0.5, 0.5], [0.25, 0.75]], "float32"))}

    ((score,),) = [
        found.values()
        for found in measuring._scores([Probe], {"a": np.eye(4)}, {"x": np.array([0, 9, 0])}, np.array([0, 2]))
    ]
    assert score == pytest.approx((0.5, (np.log(2) + np.log(4)) / 2))


@pytest.mark.usefixtures("eagerly")
def test_progress_says_what_is_left(capsys):
    measure(plain_model(), factors=("noise",), epochs=3, patience=9, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("4 probes of 4 layers: 0.03 MB while they train")
    assert re.fullmatch(r"1 of 3 epochs done, 4 probes train on, about \d\d:\d\d left at most", lines[3])
    assert len(lines) == 5


@pytest.mark.usefixtures("eagerly")
def test_progress_is_said_within_everything_that_may_take_long(monkeypatch, capsys):
    monkeypatch.setattr(utils, "SECONDS", 0)
    monkeypatch.setattr(caching, "_FORWARD_BATCH", 16)
    measure(plain_model(), factors=("noise",), layers=("input",), epochs=1, verbose=1)
    lines = [line.partition(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if "seen" in line] == [
        *("16 of 48 images seen", "32 of 48 images seen"),  # of the training data
        "16 of 30 images seen",
    ]
    of_epoch = [line for line in lines if line.startswith("Epoch 1 of 1: ")]
    assert list(dict.fromkeys(of_epoch)) == [
        "Epoch 1 of 1: 0 of 2 batches done",
        "Epoch 1 of 1: 1 of 2 batches done",
        "Epoch 1 of 1: 2 of 2 batches done",
    ]


@pytest.mark.usefixtures("eagerly")
def test_rows_are_plain(tmp_path):
    found = measure(plain_model(), layers=("input", "logits"), epochs=1)
    rows = json.loads(json.dumps(probes.to_rows(found)))
    assert [probes.Probe(**row) for row in rows] == found
    with (tmp_path / "probes.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert (
        (tmp_path / "probes.csv")
        .read_text()
        .startswith("layer,factor,accuracy,chance,epochs,features,train_accuracy\n")
    )


@pytest.mark.parametrize(
    ("split", "count", "part"),
    [
        ("train", 20, {}),
        ("test", 20, {}),
        ("train", 15, {"validation": 0.25}),
        ("validation", 5, {"validation": 0.25}),
    ],
)
def test_sprites_are_those_of_the_run(split, count, part):
    images, labels = probes.sprites_data(split, 20, seed=3, **part)
    assert images.shape == (count, 64, 64, 1) and images.dtype == np.uint8
    for factor in probes.FACTORS:
        of_run = data.load("sprites", split, label=factor, limit=20, seed=3, shuffle=False, batch_size=20, **part)
        ((run_images, run_labels),) = data.batches(of_run)
        np.testing.assert_array_equal(images, run_images)
        np.testing.assert_array_equal(labels[factor], run_labels.argmax(1))


def test_dsprites_are_those_of_the_run(monkeypatch):
    labels = sprites.labels_from_indices(data.selection("test"))
    images = np.arange(len(labels)).reshape(-1, 1, 1, 1)
    monkeypatch.setattr(sources, "read", lambda name, split, folder, size: (images, labels) if folder == "f" else None)
    found, found_labels = probes.sprites_data("test", 5, name="dsprites", data_dir="f")
    np.testing.assert_array_equal(labels[found.ravel()], np.stack(list(found_labels.values()), axis=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": 3}, "Argument `model` must be a keras.Model. Received: model=3"),
        ({"factors": ("x", "angle")}, r"Argument `factors` must be one of \('x', .* factors='angle'"),
        ({"factors": "x"}, "Argument `factors` must be a sequence of different names"),
        ({"layers": ("convs",)}, "Argument `layers` must be one of .* Did you mean 'conv'"),
        ({"layers": "conv"}, "Argument `layers` must be None or a sequence of names. Received: layers='conv'"),
        ({"units": 0}, "Argument `units` must be an integer of at least 1"),
        ({"epochs": 0}, "Argument `epochs` must be an integer of at least 1"),
        ({"patience": 0}, "Argument `patience`"),
        ({"batch_size": 0}, "Argument `batch_size`"),
        ({"learning_rate": -1}, "Argument `learning_rate`"),
        ({"held_out": 1.0}, "Argument `held_out` must be a share that leaves some of the 48 training images"),
        ({"max_features": 0}, "Argument `max_features`"),
        ({"memory_limit": -1}, "Argument `memory_limit`"),
        ({"seed": 2**32}, r"Argument `seed` must be an integer from 0 to 2\*\*32 - 1"),
        ({"train": 3}, "Argument `train` must be a pair of images and a dictionary of labels by factor"),
        ({"test": (np.zeros((2, 8, 8, 1)), {"x": [0]})}, "Argument `test` must be integers from 0, one for each of 2 "),
        ({"train": (np.zeros((2, 8, 8, 1)), {"x": [0.5, 1]})}, "as labels of 'x'. Received: train='float64 of shape"),
        ({"test": (np.zeros((0, 8, 8, 1)), {"x": np.zeros(0, int)})}, "Argument `test` must be at least one image"),
    ],
)  # fmt: skip
def test_bad_arguments_are_one_line(change, message):
    arguments = {"model": plain_model(), "train": make_data(), "test": make_data(30, seed=1), "factors": ("x",)}
    with pytest.raises(ValueError, match=message) as error:
        probes.measure(**arguments | change, verbose=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mnist"}, "need a data set with known factors: 'dsprites', 'sprites', 'parts', .*name='mnist'"),
        ({"limit": 10**6}, "Argument `limit` must be at most 59972"),
        ({"split": "valid"}, "Argument `split`"),
        ({"limit": 3, "seed": -1}, "Argument `seed`"),
    ],
)  # fmt: skip
def test_bad_arguments_of_the_data_are_one_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        probes.sprites_data(**arguments)


def made_up(names):
    factors = probes.FACTORS
    return [
        probes.Probe(name, factor, (i + j) % 11 / 10, j / 10, 3, 8)
        for i, name in enumerate(names)
        for j, factor in enumerate(factors)
    ]


def test_the_plot_has_a_line_and_a_chance_level_per_factor():
    figure = probe_plot.equivariance(made_up(["input", "conv", "logits"]))
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_label() in probes.FACTORS]
    assert [list(line.get_ydata()) for line in lines[:2]] == [[0.0, 0.1, 0.2], [0.1, 0.2, 0.3]]
    assert len({line.get_marker() for line in lines}) == len({line.get_color() for line in lines}) == 5
    levels = [line for line in axes.lines if line.get_label().startswith("_")]
    assert [line.get_ydata()[0] for line in levels] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert [line.get_color() for line in levels] == [line.get_color() for line in lines]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [*probes.FACTORS, "chance"]
    with pytest.raises(ValueError, match="Argument `probes` must be at least one"):
        probe_plot.equivariance([])


def test_lines_that_coincide_stay_visible():
    found = [probes.Probe(layer, f, 0.9, 0.1, 3, 8) for layer in ("input", "logits") for f in probes.FACTORS]
    (axes,) = probe_plot.equivariance(found).axes
    widths = [line.get_linewidth() for line in axes.lines if line.get_label() in probes.FACTORS]
    levels = [line.get_linewidth() for line in axes.lines if line.get_label().startswith("_")]
    for of_lines in (widths, levels):  # the last is on top
        assert of_lines == sorted(of_lines, reverse=True) and len(set(of_lines)) == len(probes.FACTORS)
    (axes,) = probe_plot.equivariance(made_up(["input", "conv", "logits"])).axes
    assert {line.get_linewidth() for line in axes.lines if line.get_label() in probes.FACTORS} == {1.5}


@pytest.mark.parametrize(
    "names",
    [["input"], ["input", *(f"a_rather_long_block/layer_{i}" for i in range(15))], ["first_of_all_layers", "b"]],
)
def test_no_text_of_the_plot_is_clipped_or_overlaps(names):
    title, note = "A title that is not short, of a plot that may be narrow, and", "on images\nthat are few"
    figure = probe_plot.equivariance(made_up(names), f"{title}\nhas two lines", note)
    renderer = matplotlib.backends.backend_agg.FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    width, height = figure.canvas.get_width_height()
    (axes,) = figure.axes
    texts = [
        axes.yaxis.label,
        *axes.texts,
        axes._left_title,
        *axes.get_xticklabels(),
        *axes.get_legend().get_texts(),
    ]
    for text in texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()
    (of_note,), of_title = axes.texts, axes._left_title
    assert of_note.get_text() == note
    assert not of_note.get_window_extent(renderer).overlaps(of_title.get_window_extent(renderer))
    legend = axes.get_legend().get_window_extent(renderer)
    assert legend.x0 >= axes.get_window_extent(renderer).x1


def test_models_are_compared_factor_by_factor():
    layers = {"classic": ["input", "pool_1", "logits"], "cnn_lea": ["input", "lea_1", "logits"]}
    groups = {
        name: [
            [
                probes.Probe(layer, factor, 0.1 * (i + 3 * run), 0.25, 2, 8, 0.2 * (i + run))
                for i, layer in enumerate(names)
                for factor in ("x", "y")
            ]
            for run in range(3)
        ]
        for name, names in layers.items()
    }
    figure = probe_plot.comparison(groups, "trained on 9 images")
    assert [axes.get_title() for axes in figure.axes] == ["x", "y"]
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["input", "pool_1\nlea_1", "logits"]
    lines = [line.get_ydata() for line in axes.lines[:4]]  # medians, which are those of the second run
    for line, step in zip(lines, (0.1, 0.2, 0.1, 0.2), strict=True):
        first = 0.3 if step == 0.1 else 0.2
        np.testing.assert_allclose(line, [first + step * i for i in range(3)])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.0, 0.8))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["classic, test", "cnn_lea, test", "chance", "classic, training", "cnn_lea, training"]
    assert "median of 3 runs" in figure.get_suptitle() and "trained on 9 images" in figure.get_suptitle()
    old = {
        name: [[probe._replace(train_accuracy=None) for probe in run] for run in runs] for name, runs in groups.items()
    }
    assert [text.get_text() for text in probe_plot.comparison(old).legends[0].get_texts()] == [*texts[:3]]
    with pytest.raises(ValueError, match="`groups` must be at least one model with one run"):
        probe_plot.comparison({"classic": []})
    with pytest.raises(ValueError, match="`groups` must be models with as many layers. Received: .*'classic': 3"):
        probe_plot.comparison(groups | {"cnn_lea": [[groups["cnn_lea"][0][0]]]})
