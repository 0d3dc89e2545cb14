"""Saving, loading in a fresh process, and going on as if nothing had happened."""

import copy
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from backends import few, once
from layer_checks import (
    EAGERLY,
    OPTIMIZATIONS,
    TYPES,
    compile_model,
    fit,
    make_data,
    make_lea,
    make_model,
    same_weights,
    steps,
)

import lea_keras
from lea_keras import hooks

# Loads every model named on the command line, trains it on for one step and stores beside it what decides the next one.
CONTINUE = """
import os
import sys

if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["tensorflow"] = None
for name in ("sklearn", "matplotlib"):
    sys.modules[name] = None  # which Keras takes seconds to import where it can

import keras
import numpy as np

import lea_keras

data = np.load(sys.argv[1])
for path in sys.argv[2:]:
    model = keras.saving.load_model(path, safe_mode=True)
    assert isinstance(model, lea_keras.LEAModel)
    np.save(path + ".predictions.npy", model.predict_on_batch(data["images"]))
    model.train_on_batch(data["images"], data["labels"])
    variables = [*model.variables]
    for optimizer in (model.optimizer, *model.lea_optimizers):
        variables += optimizer.variables
    np.savez(path + ".state.npz", *map(np.array, variables))
"""


# Every optimisation, whose optimizers are stored, and every type, whose variables are.
CASES = [
    *zip((*OPTIMIZATIONS, "alternate"), ("standard", "vae", "k_sparse", "capacity_vae"), strict=True),
    ("joint", "info_vae"),
    ("independent", "joint_vae"),
]
assert {kind for _, kind in CASES} == set(TYPES)
LEAS = few(2, 1)  # under JAX every LEA makes a step longer to compile


def state(model):
    """Everything that decides the next step: weights, optimizers' variables, noise seeds and clocks."""
    arrays = [np.array(variable) for variable in model.variables]
    for optimizer in (model.optimizer, *model.lea_optimizers):
        arrays += [np.array(variable) for variable in optimizer.variables]
    return arrays


@once
def test_a_fresh_process_continues_every_optimisation_and_every_type(tmp_path):
    """The same next steps as without the interruption, bit for bit: weights, optimizers, capacity, noise."""
    images, labels = make_data(8)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    models = {}
    for optimization, kind in CASES:
        # Step by step in Python: tracing models in two processes would take most of the time, and one that is traced
        # goes on in test_callbacks.py.
        model = make_model(optimization, kind, leas=2 if kind == "k_sparse" else 1)
        compile_model(model, run_eagerly=EAGERLY)
        steps(model, samples=8)
        path = tmp_path / f"{optimization}_{kind}.keras"
        model.save(path)
        models[path] = (model, model.predict_on_batch(images))
        steps(model, samples=8)
    command = [sys.executable, "-c", CONTINUE, str(tmp_path / "data.npz"), *map(str, models)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "Skipping variable loading" not in result.stderr
    for path, (model, predictions) in models.items():
        np.testing.assert_array_equal(np.load(f"{path}.predictions.npy"), predictions)
        resumed = np.load(f"{path}.state.npz")
        for ours, theirs in zip(state(model), resumed.values(), strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=path.stem)


@once
def test_forgetting_the_lea_optimizer_would_show():
    """The test above can fail: a fresh LEA optimizer takes another step."""
    model, forgetful = (compile_model(make_model(), run_eagerly=EAGERLY) for _ in range(2))
    steps(model, samples=8), steps(forgetful, samples=8)
    for optimizer in forgetful.lea_optimizers:
        for variable in optimizer.variables[2:]:
            variable.assign(keras.ops.zeros_like(variable.value))
    steps(model, samples=8), steps(forgetful, samples=8)
    assert not same_weights(model, forgetful)


@once
def test_compile_settings_come_back(tmp_path):
    model = make_model("alternate", "vae")
    compile_model(
        model,
        keras.optimizers.Adam(0.125),
        lea_optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)),
        loss_weights=0.5,
        steps_per_execution=2,
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimization == "alternate" and loaded.steps_per_execution == 2
    assert float(loaded.optimizer.learning_rate) == 0.125
    assert [type(o) for o in loaded.lea_optimizers] == [keras.optimizers.SGD] * 2
    assert float(loaded.lea_optimizers[1].learning_rate) == 0.5
    for one in (model, loaded):
        one.run_eagerly = True  # one batch takes less than to trace it
    images, labels = make_data()
    ours, theirs = (m.evaluate(images, labels, verbose=0, return_dict=True) for m in (model, loaded))
    assert ours == theirs


def test_an_uncompiled_model_loads_uncompiled(tmp_path):
    model = make_model("independent")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.compiled and loaded.optimization == "independent"
    assert same_weights(model, loaded)


@once
@pytest.mark.parametrize("kind", ["vae", "capacity_vae"])
def test_a_plain_model_saves_noise_and_capacity_too(tmp_path, kind):
    model = compile_model(make_model(None, kind, leas=1), run_eagerly=EAGERLY)
    steps(model, samples=8)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert int(loaded.get_layer("lea_1").autoencoder.step) == 1
    steps(model, samples=8), steps(loaded, samples=8)
    assert same_weights(model, loaded)


def test_weights_files_and_backup_restore_both_optimizers(tmp_path):
    """``BackupAndRestore`` builds only ``model.optimizer``, so ours must be built on their subsets before it does."""

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def compiled(seed=0):
        return compile_model(make_model("alternate", "capacity_vae", seed=seed, leas=LEAS), run_eagerly=EAGERLY)

    uninterrupted = compiled()
    fit(uninterrupted, epochs=2, samples=8)
    backup = str(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(), epochs=2, samples=8, callbacks=[keras.callbacks.BackupAndRestore(backup), Interrupt()])
    resumed = compiled(seed=5)
    fit(resumed, epochs=2, samples=8, callbacks=[keras.callbacks.BackupAndRestore(backup)])
    assert same_weights(uninterrupted, resumed)


@once
@pytest.mark.parametrize("optimization", ["joint", "alternate", None])
def test_files_that_would_lose_state_are_refused(tmp_path, optimization):
    """HDF5 has no place for clocks and further optimizers; and Keras forgets the optimizer of what it wrote there."""
    model = compile_model(make_model(optimization, "capacity_vae", leas=1), run_eagerly=EAGERLY)
    steps(model)
    for name in ("model.h5", "model.hdf5"):
        for save in (model.save, lambda path: keras.saving.save_model(model, path)):
            with pytest.raises(
                ValueError, match=r"`filepath` must be a `.keras` file: HDF5 would lose .*Received: filepath"
            ):
                save(tmp_path / name)
            assert optimization is None or save is not model.save or not (tmp_path / name).exists()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == int(loaded.get_layer("lea_1").autoencoder.step) == 2


@once
def test_hdf5_files_that_lose_nothing_are_not_refused(tmp_path):
    model = make_model(None, "k_sparse")
    model.save(tmp_path / "model.h5")
    assert same_weights(model, keras.saving.load_model(tmp_path / "model.h5"))


@once
def test_weights_files_pickles_and_copies_keep_clocks_and_optimizers(tmp_path):
    model = compile_model(make_model("alternate", "capacity_vae", leas=1), run_eagerly=EAGERLY)
    steps(model)
    others = [copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for name, options in (("x.weights.h5", {}), ("y.weights.json", {"max_shard_size": 1e-3})):
        model.save_weights(tmp_path / name, **options)
        others.append(compile_model(make_model("alternate", "capacity_vae", seed=5, leas=1)))
        others[-1].load_weights(tmp_path / name)
    for other in others:
        for ours, theirs in zip(state(model), state(other), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    layer = model.get_layer("lea_1")
    for other in (copy.deepcopy(layer).autoencoder, copy.deepcopy(layer.autoencoder)):
        assert int(other.step) == int(layer.autoencoder.step) == 2


@once
def test_custom_parts_survive(tmp_path):
    """A user's own encoder and decoder, as objects, come back with their arguments."""
    autoencoder = lea_keras.StandardAutoencoder(
        code_length=3,
        encoder=lea_keras.coders.FullyConnectedEncoder(activation="linear"),
        decoder=lea_keras.coders.SpatialBroadcastDecoder(kernels=5, kernel_size=3),
    )
    inputs = keras.Input((8, 8, 2))
    outputs = lea_keras.LocallyEmbeddedAutoencoder((4, 2), autoencoder, name="lea")(inputs)
    model = lea_keras.LEAModel(inputs, outputs)
    model.compile("adam")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.lea_layers[0].autoencoder.encoder.activation is keras.activations.linear
    assert loaded.lea_layers[0].autoencoder.decoder.kernels == 5
    images = np.random.default_rng(0).random((2, 8, 8, 2)).astype("float32")
    np.testing.assert_array_equal(model(images), loaded(images))


@keras.saving.register_keras_serializable("tests")
class Subclassed(lea_keras.LEAModel):
    """A model with a ``call`` of its own, which says how it is rebuilt as Keras asks of such models."""

    def __init__(self, units, optimization, **kwargs):
        super().__init__(optimization=optimization, **kwargs)
        self.units = units
        self.lea = make_lea("capacity_vae")
        self.flatten = keras.layers.Flatten()
        self.head = keras.layers.Dense(units, activation="softmax")

    def call(self, images, training=False):
        return self.head(self.flatten(self.lea(images)))

    def get_config(self):
        return {"name": self.name, "units": self.units, "optimization": self.optimization}


@once
@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
def test_a_subclassed_model_continues_too(tmp_path, optimization):
    model = compile_model(Subclassed(3, optimization), run_eagerly=EAGERLY)
    steps(model, samples=8)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    steps(model, samples=8), steps(loaded, samples=8)
    for ours, theirs in zip(state(model), state(loaded), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@once
@pytest.mark.parametrize("frozen", ["lea", "encoder", "code", "decoder", "encoder.hidden_1", "decoder.reconstruction"])
def test_what_is_frozen_stays_so_in_files_and_clones(frozen, tmp_path):
    def trained_paths(model):
        return [variable.path.split("/", 1)[1] for variable in model.trainable_variables]

    inputs = keras.Input((8, 8, 1))
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, lea_keras.StandardAutoencoder(3, units=(8, 6)), name="lea")
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(lea(inputs)))
    model = lea_keras.LEAModel(inputs, outputs, optimization="joint")
    everything = len(model.trainable_variables)

    def part_of(lea):
        if frozen == "lea":
            return lea
        name, _, inside = frozen.partition(".")
        coder = getattr(lea.autoencoder, name)
        return next(layer for layer in hooks.sublayers(coder) if layer.name == inside) if inside else coder

    part = part_of(lea)
    part.trainable = False
    assert len(model.trainable_variables) < everything
    model.compile(keras.optimizers.SGD(1e-2, momentum=0.9), "mse", run_eagerly=EAGERLY)
    images, targets = np.random.default_rng(0).random((4, 8, 8, 1), "float32"), np.zeros((4, 2))
    model.train_on_batch(images, targets)
    model.save(tmp_path / "frozen.keras")
    loaded = keras.models.load_model(tmp_path / "frozen.keras")  # with the state of its optimizers
    assert trained_paths(loaded) == trained_paths(keras.models.clone_model(model)) == trained_paths(model)
    before = part.get_weights()
    for one in (model, loaded):
        one.train_on_batch(images, targets)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for weight, now in zip(before, part.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, now)
    part_of(loaded.lea_layers[0]).trainable = True
    assert len(loaded.trainable_variables) == everything


@once
def test_a_layer_without_a_weight_does_not_freeze_the_decoders_of_others():
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, "standard", loss_weight=0.0)
    lea(np.zeros((1, 8, 8, 1), "float32"))
    config = lea.get_config()
    other = lea_keras.LocallyEmbeddedAutoencoder.from_config(config | {"loss_weight": 1.0})
    other(np.zeros((1, 8, 8, 1), "float32"))
    assert other.autoencoder.decoder.trainable and len(other.trainable_variables) == 8
