"""``LEAModel`` as a Keras model: what it reports, which variables count where, and all the ways of training."""

import pickle
from copy import deepcopy

import keras
import numpy as np
import pytest
from backends import BACKEND, few, once
from keras import layers
from layer_checks import (
    EAGERLY,
    OPTIMIZATIONS,
    TYPES,
    compile_model,
    fit,
    make_data,
    make_graph,
    make_lea,
    make_model,
    steps,
)

import lea_keras
from lea_keras.layers.lea import find_leas

if BACKEND == "tensorflow":
    import tensorflow as tf

MEASURES = {
    "standard": {"loss", "rl", "rln"},
    "k_sparse": {"loss", "rl", "rln", "dead_codes"},
    "vae": {"loss", "rl", "rln", "kl"},
    "capacity_vae": {"loss", "rl", "rln", "kl", "capacity"},
    "info_vae": {"loss", "rl", "rln", "kl", "mmd"},
    "joint_vae": {"loss", "rl", "rln", "kl", "discrete_kl", "capacity", "discrete_capacity"},
}


# What is measured is the type's, and when it is reported the optimisation's.
REPORTS = [*(("alternate", kind) for kind in TYPES), ("joint", "capacity_vae"), ("independent", "capacity_vae")]


@pytest.mark.parametrize(("optimization", "kind"), few(REPORTS, [("alternate", "capacity_vae")]))
def test_reports_every_measure_of_every_lea_in_training_and_validation(optimization, kind):
    leas = 2 if kind == "capacity_vae" else 1  # for one type there are several of everything
    batches = 2 if (optimization, kind) == ("alternate", "capacity_vae") else 1
    model = make_model(optimization, kind, leas=leas)
    compile_model(model, run_eagerly=EAGERLY)  # graphs are traced in the tests below
    history = fit(model, epochs=leas, samples=8 * batches, validation_data=make_data(8 * batches))
    names = {f"lea_{i + 1}_{name}" for i in range(leas) for name in MEASURES[kind]}
    names |= {"loss", "main_loss", "accuracy"}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert all(np.all(np.isfinite(values)) for values in history.values())
    for prefix in ("", "val_"):
        parts = [history[f"{prefix}{name}"][-1] for name in ["main_loss", "lea_1_loss", "lea_2_loss"][: 1 + leas]]
        np.testing.assert_allclose(history[f"{prefix}loss"][-1], sum(parts), rtol=1e-5)
    if kind == "capacity_vae":  # in 10 steps to 25; the mean over the steps of an epoch, and what holds after it
        assert [int(lea.autoencoder.step) for lea in model.lea_layers] == [2 * batches] * 2
        steps = np.arange(2 * batches).reshape(2, batches)
        np.testing.assert_allclose(history["lea_1_capacity"], 2.5 * steps.mean(axis=1), rtol=1e-6)
        np.testing.assert_allclose(history["val_lea_1_capacity"], 2.5 * (steps[:, -1] + 1), rtol=1e-6)


@pytest.mark.parametrize("chunk_windows", few([None, 16], [16]))
def test_codes_that_are_never_selected_are_counted_over_the_batches_of_an_epoch(chunk_windows):
    autoencoder = lea_keras.KSparseAutoencoder(code_length=6, k=1, k_start=2, k_steps=4)
    images = layers.Input((8, 8, 1))
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, autoencoder, chunk_windows=chunk_windows, name="lea")
    model = lea_keras.LEAModel(images, lea(images))
    compile_model(model, keras.optimizers.SGD(0.0), loss=None, metrics=[], run_eagerly=EAGERLY)
    autoencoder.code.kernel.assign(np.zeros(autoencoder.code.kernel.shape))
    autoencoder.code.bias.assign([1.0, 3.0, 0.0, 2.0, -1.0, -2.0])
    history = fit(model, epochs=1, validation_data=make_data())  # two batches: of 2, and of ⌈1.75⌉ values
    assert (history["lea_dead_codes"], history["val_lea_dead_codes"]) == ([4.0], [5.0])


@once
def test_every_batch_reports():
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(set(logs))

    fit(compile_model(make_model(), run_eagerly=EAGERLY), callbacks=[Recorder()])
    assert len(seen) == 2
    assert all({"loss", "main_loss", "accuracy", "lea_1_rl", "lea_2_rln"} <= names for names in seen)


@once
def test_evaluate_measures_the_whole_set_in_windows():
    """RL of the layer's report against windows, encode and decode by hand, in one batch and in several."""
    images, labels = make_data(16)
    model = compile_model(make_model(leas=1), run_eagerly=EAGERLY)
    results = model.evaluate(images, labels, batch_size=16, verbose=0, return_dict=True)
    lea = model.lea_layers[0]
    maps = model.get_layer("conv_1")(images)
    cut = lea_keras.windows.extract_windows(maps, 4, 2)
    flat = keras.ops.reshape(cut, (-1, *cut.shape[3:]))
    decoded = lea.autoencoder.decode(lea.autoencoder.encode(flat))
    rl = np.mean(np.sum(np.square(decoded - flat), axis=(1, 2, 3)))
    np.testing.assert_allclose(results["lea_1_rl"], rl, rtol=1e-5)
    span = np.max(flat) - np.min(flat)
    np.testing.assert_allclose(results["lea_1_rln"], np.mean(np.square((decoded - flat) / span)), rtol=1e-5)
    uneven = model.evaluate(images, labels, batch_size=6, verbose=0, return_dict=True)  # batches of 6, 6 and 4
    np.testing.assert_allclose(uneven["lea_1_rl"], rl, rtol=1e-5)
    np.testing.assert_allclose(uneven["main_loss"], results["main_loss"], rtol=1e-5)


def test_variables_fall_into_one_subset_per_lea_and_one_main_subset():
    model = make_model()
    subsets = [model.main_variables, *model.lea_variables]
    ids = [id(variable) for subset in subsets for variable in subset]
    assert sorted(ids) == sorted(id(variable) for variable in model.trainable_variables)
    assert [lea.name for lea in model.lea_layers] == ["lea_1", "lea_2"]
    assert {v.path.split("/")[-2] for v in model.main_variables} == {"conv_1", "conv_2", "dense"}
    model.get_layer("conv_1").trainable = False
    assert {v.path.split("/")[-2] for v in model.main_variables} == {"conv_2", "dense"}


@once
def test_leas_inside_nested_models_and_layers_count_in_the_order_they_were_added():
    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.first, self.second = make_lea(name="b_1"), make_lea(name="b_2")

        def call(self, images):
            return self.second(self.first(images))

    inputs = keras.Input((8, 8, 1))
    inner_inputs = keras.Input((8, 8, 1))
    inner = keras.Model(inner_inputs, make_lea(name="a_2")(make_lea(name="a_1")(inner_inputs)), name="inner")
    maps = Block()(inner(inputs))
    model = lea_keras.LEAModel(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(maps)))
    assert [lea.name for lea in model.lea_layers] == ["a_1", "a_2", "b_1", "b_2"]
    before = model.get_weights()
    history = steps(compile_model(model, metrics=None, run_eagerly=EAGERLY), samples=8)
    assert {f"{name}_rl" for name in ("a_1", "a_2", "b_1", "b_2")} <= set(history)
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("optimization", few(["joint", "alternate"], ["alternate"]))  # "independent" has joint's pass
def test_a_lea_used_twice_sums_its_losses(optimization):
    images, labels = make_data(8)

    def build(twice):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((8, 8, 1))
        lea = make_lea("capacity_vae")
        maps = layers.Add()([lea(inputs), lea(inputs[:, ::-1])]) if twice else lea(inputs)
        outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(maps))
        return lea_keras.LEAModel(inputs, outputs, optimization=optimization)

    model = compile_model(build(True), metrics=None, run_eagerly=EAGERLY)
    once = model.test_on_batch(images, labels, return_dict=True)
    lea = model.lea_layers[0]
    halves = []
    for half in (images, images[:, ::-1]):
        cut = lea_keras.windows.extract_windows(half, 4, 2)
        halves.append(float(lea.autoencoder.objective(keras.ops.reshape(cut, (-1, 4, 4, 1))).loss))
    np.testing.assert_allclose(once["lea_loss"], sum(halves), rtol=1e-5)
    steps(model, samples=8)
    assert int(lea.autoencoder.step) == 1  # steps, not uses


@pytest.mark.parametrize("optimization", few(OPTIMIZATIONS, ["independent"]))
def test_without_a_main_loss_the_leas_train_alone(optimization):
    """Section 5.1, and the whole-image autoencoder of 3.3.3: one window as large as the image, no labels anywhere."""
    images, _ = make_data(16)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    lea = make_lea(window_size=8, strides=8, code_length=8)
    model = lea_keras.LEAModel(inputs, lea(inputs), optimization=optimization)
    model.compile(keras.optimizers.SGD(0.01), run_eagerly=EAGERLY and optimization != "alternate")  # once in graphs
    options = {"validation_data": (images,), "validation_batch_size": 16}
    history = model.fit(images, batch_size=4, epochs=2, verbose=0, **options).history
    assert set(history) == {f"{v}{n}" for v in ("", "val_") for n in ("loss", "lea_loss", "lea_rl", "lea_rln")}
    assert history["val_lea_rl"][-1] < 0.8 * history["val_lea_rl"][0]
    assert model.predict(images, verbose=0).shape == (16, 1, 1, 8)


@pytest.mark.parametrize("optimization", few(OPTIMIZATIONS, ["joint"]))
def test_regularisation_and_other_losses_belong_to_the_main_loss(optimization):
    class Extra(layers.Layer):
        def call(self, maps):
            self.add_loss(7.0 * keras.ops.mean(maps) * 0.0 + 3.0)
            return maps

    images, labels = make_data(8)

    def build(regularizer, extra):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((8, 8, 1))
        maps = layers.Conv2D(2, 3, padding="same", kernel_regularizer=regularizer, name="conv")(inputs)
        maps = Extra()(maps) if extra else maps
        outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(make_lea()(maps)))
        model = lea_keras.LEAModel(inputs, outputs, optimization=optimization)
        return compile_model(model, metrics=None, run_eagerly=EAGERLY)

    bare = build(None, False)
    full = build(keras.regularizers.L2(0.1), True)
    penalty = 0.1 * np.sum(np.square(full.get_layer("conv").kernel)) + 3.0
    first, second = (m.test_on_batch(images, labels, return_dict=True) for m in (bare, full))
    np.testing.assert_allclose(second["main_loss"] - first["main_loss"], penalty, rtol=1e-4)
    np.testing.assert_allclose(second["lea_loss"], first["lea_loss"], rtol=1e-5)
    assert np.isfinite(steps(full, samples=8)["loss"][0])


def test_ways_of_training_that_keras_has():
    """Batches with sample weights of one as data set, class weights of one, several steps per call: all the same run.

    Joint optimisation is held against a plain model elsewhere.
    """
    images, labels = make_data()
    reference = compile_model(make_model("alternate", "vae", leas=1), metrics=None, run_eagerly=EAGERLY)
    expected = fit(reference)["loss"]
    runs = {
        "class_weight": lambda m: compile_model(m, metrics=None, run_eagerly=EAGERLY).fit(
            images, labels, class_weight={0: 1.0, 1: 1.0, 2: 1.0}, batch_size=8, shuffle=False, verbose=0
        ),
        "steps_per_execution": lambda m: compile_model(m, metrics=None, steps_per_execution=2).fit(
            images, labels, batch_size=8, shuffle=False, verbose=0
        ),
    }
    if BACKEND == "tensorflow":
        dataset = tf.data.Dataset.from_tensor_slices((images, labels, np.ones(16))).batch(8)
        options = {"metrics": None, "run_eagerly": True}
        runs["dataset"] = lambda m: compile_model(m, **options).fit(dataset, shuffle=False, verbose=0)
    for name, run in runs.items():
        model = make_model("alternate", "vae", leas=1)
        np.testing.assert_allclose(run(model).history["loss"], expected, rtol=1e-5, err_msg=name)
        for ours, theirs in zip(model.get_weights(), reference.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("optimization", few(["independent", "alternate"], ["alternate"]))
def test_sample_weights_weigh_the_main_loss_only(optimization):
    images, labels = make_data(8)
    model = compile_model(make_model(optimization, leas=1), metrics=None, run_eagerly=EAGERLY)
    plain = model.test_on_batch(images, labels, return_dict=True)
    doubled = model.test_on_batch(images, labels, sample_weight=2 * np.ones(8), return_dict=True)
    np.testing.assert_allclose(doubled["main_loss"], 2 * plain["main_loss"], rtol=1e-5)
    np.testing.assert_allclose(doubled["lea_1_rl"], plain["lea_1_rl"], rtol=1e-6)


PRECISIONS = [("alternate", "mixed_float16"), ("joint", "mixed_float16"), ("independent", "mixed_float16")]
PRECISIONS += [("alternate", "mixed_bfloat16")]  # whose losses nothing scales, whatever the optimisation


@pytest.mark.parametrize(("optimization", "policy"), few(PRECISIONS, PRECISIONS[:1]))
def test_mixed_precision(optimization, policy):
    keras.config.set_dtype_policy(policy)
    once_in_graphs = (optimization, policy) == PRECISIONS[0]
    model = make_model(optimization, "capacity_vae", leas=1)
    compile_model(model, metrics=None, run_eagerly=EAGERLY and not once_in_graphs)
    optimizers = (model.optimizer.members.main, *model.lea_optimizers)
    scaled = [isinstance(o, keras.optimizers.LossScaleOptimizer) for o in optimizers]
    assert all(scaled) if policy == "mixed_float16" else not any(scaled)
    if policy == "mixed_float16" and not once_in_graphs:  # no steps that are skipped while the scale comes down
        for optimizer in optimizers:
            optimizer.initial_scale = 16.0
    before = model.get_weights()
    history = steps(model, epochs=6) if once_in_graphs else steps(model, samples=8)
    assert np.all(np.isfinite(history["loss"]))
    assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert all(variable.dtype == "float32" for variable in model.trainable_variables)


@once
def test_each_lea_clips_by_its_own_norm():
    """With one global norm over all LEAs, a large gradient in one would shrink the step of the other."""

    def run(loss_weight):
        model = make_model()
        model.lea_layers[0].loss_weight = loss_weight
        compile_model(model, keras.optimizers.SGD(0.1, global_clipnorm=1e-3), metrics=None, run_eagerly=EAGERLY)
        steps(model, samples=8)
        return model.get_layer("lea_2").get_weights()

    for small, large in zip(run(1.0), run(1e4), strict=True):
        np.testing.assert_array_equal(small, large)


def test_independent_optimizers_hold_state_for_what_their_objective_depends_on_and_no_more():
    model = compile_model(make_model("independent"))
    conv_1, conv_2, head = (model.get_layer(name).trainable_variables for name in ("conv_1", "conv_2", "dense"))
    leas = [lea.autoencoder for lea in model.lea_layers]
    encoders = [len(lea.encoder.trainable_variables) + 2 for lea in leas]  # and the dense layer to the code
    decoders = [len(lea.decoder.trainable_variables) for lea in leas]
    first = len(conv_1) + encoders[0]
    expected = [
        first + len(conv_2) + encoders[1] + len(head),
        first + decoders[0],
        first + len(conv_2) + encoders[1] + decoders[1],
    ]
    model.make_train_function()
    optimizers = (model.optimizer.members.main, *model.lea_optimizers)
    held = [len(o.variables) - 2 for o in optimizers]  # a momentum each, beside iterations and learning rate
    assert held == expected


@once
def test_optimizers():
    model = compile_model(make_model("alternate"), keras.optimizers.SGD(0.25, momentum=0.9))
    assert [float(o.learning_rate) for o in model.lea_optimizers] == [0.25, 0.25]
    assert model.lea_optimizers[0] is not model.lea_optimizers[1]
    model.make_train_function()
    built = [len(o.variables) for o in (model.optimizer.members.main, *model.lea_optimizers)]
    subsets = (model.main_variables, *model.lea_variables)
    assert built == [2 + len(subset) for subset in subsets]  # iterations, learning rate, a momentum each
    given = keras.optimizers.SGD(0.5)
    compile_model(model, lea_optimizer=given, metrics=None, run_eagerly=EAGERLY)
    assert model.lea_optimizers[0] is given
    assert isinstance(model.lea_optimizers[1], keras.optimizers.SGD)
    steps(model, samples=8)
    assert [int(o.iterations) for o in (model.optimizer, *model.lea_optimizers)] == [1, 1, 1]
    assert compile_model(make_model("joint", leas=1)).lea_optimizers == []


@once
@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
def test_subclassed_models_before_and_after_functional_ones(optimization):
    class Subclassed(lea_keras.LEAModel):
        def __init__(self, units, classes):
            super().__init__(optimization=optimization)
            self.conv = layers.Conv2D(units, 3, padding="same")
            self.lea = make_lea("vae")
            self.flat = layers.Flatten()
            self.head = layers.Dense(classes, activation="softmax")

        def call(self, images):
            return self.head(self.flat(self.lea(self.conv(images))))

    images, _ = make_data()
    make_model(optimization, leas=1)
    traced = optimization == "joint"  # once in graphs
    model = compile_model(Subclassed(2, 3), metrics=None, run_eagerly=EAGERLY and not traced)
    history = (fit if traced else steps)(model, samples=8)
    assert {"main_loss", "lea_rl", "lea_kl"} <= set(history)
    assert model.predict_on_batch(images).shape == (16, 3)
    assert [layer.name for layer in model.layers][1] == "lea"
    assert len(model.main_variables) == 4
    assert isinstance(make_model(optimization, leas=1), lea_keras.LEAModel)


def test_moving_averages_move_once_per_step():
    """The alternate step runs the model twice; its batch normalisation must not average twice."""
    images, labels = make_data(8)

    def build(optimization):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((8, 8, 1))
        maps = layers.BatchNormalization(momentum=0.5, name="norm")(inputs)
        outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(make_lea()(maps)))
        return lea_keras.LEAModel(inputs, outputs, optimization=optimization)

    model = compile_model(build("alternate"), metrics=None, run_eagerly=EAGERLY)
    model.train_on_batch(images, labels)
    once = 0.5 * np.mean(images)
    np.testing.assert_allclose(model.get_layer("norm").moving_mean, [once], rtol=1e-5)
    assert abs(0.5 * once + once - once) > 0.1  # what a second update would have added


def test_predict_runs_no_decoder(monkeypatch):
    images, _ = make_data()
    model = compile_model(make_model(leas=1))
    monkeypatch.setattr(model.lea_layers[0].autoencoder.decoder, "call", None)
    assert model.predict(images, verbose=0).shape == (16, 3)


def test_training_does_not_retrace_between_epochs():
    traces = []

    class Counting(lea_keras.LEAModel):
        def train_step(self, *arguments):  # (data), under JAX (state, data)
            traces.append(1)
            return super().train_step(*arguments)

    model = compile_model(Counting(*make_graph(leas=1)), keras.optimizers.SGD(1e-3), metrics=None)
    fit(model)
    once = len(traces)
    fit(model, epochs=3)
    assert len(traces) == once


@once
def test_same_seed_same_run_and_another_seed_another():
    models = (make_model("alternate", "vae", seed=seed, leas=1) for seed in (3, 3, 4))
    histories = [steps(compile_model(model, metrics=None, run_eagerly=EAGERLY))["loss"] for model in models]
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


@once
def test_copies_and_pickles():
    images, _ = make_data()
    model = make_model("independent", "vae", leas=1)
    expected = model(images)
    for copy in (pickle.loads(pickle.dumps(model)), deepcopy(model)):
        assert isinstance(copy, lea_keras.LEAModel) and copy.optimization == "independent"
        np.testing.assert_array_equal(copy(images), expected)
    assert lea_keras.LEAModel.from_config(model.get_config()).optimization == "independent"


@once
@pytest.mark.parametrize("optimization", ["joint", "independent"])  # not the default
def test_clones_keep_the_optimization(optimization):
    model = compile_model(make_model(optimization, "vae", leas=1), metrics=None, run_eagerly=EAGERLY)
    clone = keras.models.clone_model(model)
    assert isinstance(clone, lea_keras.LEAModel) and clone.optimization == optimization
    assert keras.models.clone_model(clone).optimization == optimization
    assert "main_loss" in steps(clone, samples=8)
    inputs, outputs = make_graph(leas=1)
    assert lea_keras.LEAModel(inputs, outputs).optimization == "alternate"  # whatever was made before
    other = type(model)(inputs, outputs, optimization="alternate")
    assert isinstance(other, type(model)) and other.optimization == "alternate"
    uncompiled = make_model(optimization, leas=1)
    for copy in (pickle.loads(pickle.dumps(uncompiled)), deepcopy(uncompiled)):
        assert copy.optimization == optimization


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer")
@pytest.mark.parametrize("optimization", few(OPTIMIZATIONS, ["alternate"]))
def test_a_layer_that_is_never_called(optimization):
    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.never, self.lea_never = layers.Dense(3), make_lea(name="never")
            self.convolution = layers.Conv2D(2, 3, padding="same")

        def call(self, images):
            return self.convolution(images)

    class Subclassed(lea_keras.LEAModel):
        def __init__(self):
            super().__init__(optimization=optimization)
            self.never, self.block, self.lea = layers.Dense(3), Block(), make_lea()
            self.head = layers.Dense(3, activation="softmax")

        def call(self, images):
            return self.head(layers.Flatten()(self.lea(self.block(images))))

    inputs = keras.Input((8, 8, 1))
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(make_lea()(Block()(inputs))))
    for model in (lea_keras.LEAModel(inputs, outputs, optimization=optimization), Subclassed()):
        history = steps(compile_model(model, metrics=None, run_eagerly=EAGERLY), samples=8)
        assert np.all(np.isfinite(history["loss"])) and history["lea_rl"][0] > 0


def test_idle_leas_are_pointed_out():
    with pytest.warns(UserWarning, match=r"\['lea_1'\] have loss_weight=0"):
        compile_model(make_model("alternate", leas=1, loss_weight=0.0))


def test_errors():
    inputs, outputs = make_graph()
    with pytest.raises(ValueError, match="`optimization` must be one of.*mean 'alternate'.*'alternating'"):
        lea_keras.LEAModel(inputs, outputs, optimization="alternating")
    with pytest.raises(ValueError, match="Argument `outputs` must be Keras tensors"):
        lea_keras.LEAModel(inputs)
    first = make_lea(name="first")
    second = lea_keras.LocallyEmbeddedAutoencoder(4, first.autoencoder, name="second")
    model = lea_keras.LEAModel(inputs, layers.Add()([first(inputs), layers.UpSampling2D()(second(inputs))]))
    with pytest.raises(
        ValueError, match=r"one autoencoder object in several of the layers \['(first|second)', '(first|second)'\]"
    ):
        compile_model(model)
    assert find_leas(layers.Dense(2)) == []
