"""Encoders, decoders and autoencoder types of a user's own."""

import keras
import numpy as np
import pytest
from backends import BACKEND, few
from keras import layers, ops
from layer_checks import EAGERLY, compile_model, fit, make_data

import lea_keras


@keras.saving.register_keras_serializable("tests")
class Encoder(layers.Layer):
    """Nothing but what it is made of and how it is called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flat, self.dropout = layers.Flatten(), layers.Dropout(0.5, seed=1)
        self.hidden = layers.Dense(6, activation="relu")

    def call(self, windows, training=False):
        return self.hidden(self.dropout(self.flat(windows), training=training))


@keras.saving.register_keras_serializable("tests")
class Decoder(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flat, self.windows = layers.Dense(16), layers.Reshape((4, 4, 1))

    def call(self, codes):
        return self.windows(self.flat(codes))


@keras.saving.register_keras_serializable("tests")
class HalfBuilt(layers.Layer):
    """Its own ``build`` leaves two of its layers unbuilt."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flat, self.dropout, self.hidden = layers.Flatten(), layers.Dropout(0.5, seed=1), layers.Dense(6)

    def build(self, windows_shape):
        self.hidden.build((None, 16))

    def call(self, windows, training=False):
        return self.hidden(self.dropout(self.flat(windows), training=training))


@keras.saving.register_keras_serializable("tests")
class Contractive(lea_keras.Autoencoder):
    measure_names = ("rl", "rln", "slope")
    averaged = ("rl", "slope")

    def extra_measures(self, windows, features, codes):
        active = ops.cast(features > 0, features.dtype)
        slopes = ops.einsum("ij,nj,jk->nik", self.encoder.hidden.kernel, active, self.code.kernel)
        return {"slope": ops.sum(ops.square(slopes), axis=(1, 2))}

    def loss(self, means, step):
        return means["rl"] + 0.5 * means["slope"], {}


@keras.saving.register_keras_serializable("tests")
class Denoising(lea_keras.Autoencoder):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(3)

    def draw_noise(self, count, training):
        shape = (count, *self.windows_shape[1:])
        return keras.random.normal(shape, dtype="float32", seed=self.seed_generator) if training else None

    def corrupt(self, windows, noise):
        return windows + ops.cast(noise, windows.dtype)


def model_with(autoencoder, optimization="alternate", optimizer=None, **arguments):
    inputs = keras.Input((8, 8, 1))
    code_maps = lea_keras.LocallyEmbeddedAutoencoder(4, autoencoder, name="lea", **arguments)(inputs)
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(code_maps))
    model = lea_keras.LEAModel(inputs, outputs, optimization=optimization)
    return compile_model(model, optimizer, run_eagerly=EAGERLY)


def state(model):
    optimizers = (model.optimizer.members.main, *model.lea_optimizers)
    return [np.array(ops.convert_to_numpy(v)) for optimizer in optimizers for v in optimizer.variables]


# Variables are built before any optimisation asks for them.
CODERS = [("alternate", Encoder), ("alternate", HalfBuilt), ("joint", HalfBuilt), ("independent", Encoder)]


@pytest.mark.parametrize(("optimization", "encoder"), few(CODERS, CODERS[1:2]))
def test_coders_of_constructor_and_call_alone_train_save_and_load(optimization, encoder, tmp_path):
    images, _ = make_data(4)
    model = model_with(
        lea_keras.StandardAutoencoder(4, encoder=encoder(), decoder=Decoder()),
        optimization,
        keras.optimizers.Adam(1e-2),
    )
    before = [np.array(ops.convert_to_numpy(variable)) for variable in model.trainable_variables]
    fit(model, samples=8)
    for variable, former in zip(model.trainable_variables, before, strict=True):
        assert not np.array_equal(ops.convert_to_numpy(variable), former), variable.path
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(images, verbose=0), loaded.predict(images, verbose=0))
    assert len(state(model)) >= 18
    for ours, theirs in zip(state(model), state(loaded), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_a_coder_must_return():
    with pytest.raises(ValueError, match=r"`encoder` must be a layer that returns flat features.*\(None, 4, 4, 1\)"):
        lea_keras.StandardAutoencoder(encoder=layers.Activation("relu")).build((None, 4, 4, 1))
    with pytest.raises(ValueError, match=r"`decoder` must be a layer that returns windows.*\(None, 3\)"):
        lea_keras.StandardAutoencoder(decoder=layers.Dense(3)).build((None, 4, 4, 1))


def test_a_contractive_type_measures_and_trains_on_its_slopes():
    windows = np.random.default_rng(0).random((5, 4, 4, 1)).astype("float32")
    autoencoder = Contractive(code_length=3)
    objective = autoencoder.objective(windows)
    delta, slopes = 1e-2, 0.0
    for i in range(16):
        step = np.zeros((1, 16), "float32")
        step[0, i] = delta
        moved = [autoencoder.encode(windows + sign * step.reshape(1, 4, 4, 1)) for sign in (1, -1)]
        slopes += np.sum(np.square((moved[0] - moved[1]) / (2 * delta)), axis=1)
    np.testing.assert_allclose(objective.measures["slope"], np.mean(slopes), rtol=0.02)  # kinks of relu
    expected = objective.measures["rl"] + 0.5 * objective.measures["slope"]
    np.testing.assert_allclose(objective.loss, expected, rtol=1e-6)
    model = model_with(Contractive(code_length=3))
    history = fit(model, epochs=3, samples=8)
    assert history["lea_slope"][-1] < history["lea_slope"][0]


def test_a_denoising_type_reconstructs_clean_windows_from_corrupted_ones_and_hands_on_codes_of_clean_ones():
    windows = np.random.default_rng(0).random((5, 4, 4, 1)).astype("float32")
    autoencoder = Denoising(code_length=3)
    autoencoder.build((None, 4, 4, 1))
    before = np.array(ops.convert_to_numpy(autoencoder.seed_generator.state))
    objective = autoencoder.objective(windows, training=True)
    clean = autoencoder.encode(windows)
    np.testing.assert_allclose(objective.codes, clean, rtol=1e-6)
    autoencoder.seed_generator.state.assign(before)
    corrupted = windows + autoencoder.draw_noise(5, True)
    decoded = np.array(autoencoder.decode(autoencoder.encode(corrupted)))
    expected = np.mean(np.sum(np.square(decoded - windows), axis=(1, 2, 3)))
    np.testing.assert_allclose(objective.loss, expected, rtol=1e-5)
    wrong = np.mean(np.sum(np.square(np.array(autoencoder.decode(clean)) - windows), axis=(1, 2, 3)))
    assert abs(wrong - expected) > 0.1 * expected
    np.testing.assert_allclose(autoencoder.objective(windows).loss, wrong, rtol=1e-5)  # outside training


@pytest.mark.parametrize("kind", [Contractive, Denoising])
def test_own_types_in_chunks(kind):
    """A step of gradient descent from the same weights and noise: whole, and three of eight rows at a time."""
    weights = []
    for chunk_windows in (None, 12):
        keras.utils.set_random_seed(0)
        model = model_with(kind(code_length=3), optimizer=keras.optimizers.SGD(0.01), chunk_windows=chunk_windows)
        fit(model, samples=2)
        weights.append(model.get_weights())
    for whole, in_chunks in zip(*weights, strict=True):
        np.testing.assert_allclose(in_chunks, whole, atol=1e-5)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("kind", few([Contractive, Denoising], [Denoising]))
def test_own_types_that_encode_as_usual_are_saved_and_exported(kind, tmp_path):
    images, _ = make_data(4)
    model = model_with(kind(code_length=3))
    fit(model, samples=8)
    model.save(tmp_path / "model.keras")
    expected = model.predict(images, verbose=0)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-6)
    export = lea_keras.export_encoder(model)
    np.testing.assert_allclose(export.predict(images, verbose=0), expected, atol=1e-5)
    if BACKEND == "tensorflow":
        view = lea_keras.inspect(model, images)[0]
        assert np.all(np.isfinite(view.reconstructions))
