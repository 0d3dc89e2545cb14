"""The InfoVAE: its objective by hand, beside the VAE's, and what a measure of a whole batch means for a LEA."""

import keras
import numpy as np
import pytest
from backends import once
from gradients import value_and_gradients
from layer_checks import EAGERLY, compile_model, fit, make_data, make_lea, make_model, same_weights

import lea_keras
from lea_keras import losses

WINDOWS = np.random.default_rng(1).uniform(size=(12, 3, 2, 1)).astype("float32")


def make(cls=lea_keras.InfoAutoencoder, **arguments):
    """An autoencoder whose weights and noise are those of any other, far from trivial."""
    autoencoder = cls(code_length=3, seed=5, **arguments)
    autoencoder.build(WINDOWS.shape)
    rng = np.random.default_rng(2)
    autoencoder.set_weights([rng.normal(0.0, 0.4, weight.shape) for weight in autoencoder.weights])
    return autoencoder


def objective(autoencoder, training):
    """Loss, measures and gradients."""

    def function():
        report = autoencoder.objective(WINDOWS, training=training)
        return report.loss, report.measures

    return value_and_gradients(function, variables=autoencoder.trainable_variables)


@once
@pytest.mark.parametrize("training", [True, False])
def test_with_alpha_0_and_lambda_1_it_is_the_vae(training):
    loss, measures, gradients = objective(make(alpha=0.0, lambda_=1.0), training)
    expected, of_vae, others = objective(make(lea_keras.VariationalAutoencoder), training)
    assert float(loss) == float(expected)
    assert all(float(measures[name]) == float(of_vae[name]) for name in of_vae)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-6, atol=1e-6)
    assert float(objective(make(alpha=0.0, lambda_=1.5), training)[0]) != float(expected)


@once
@pytest.mark.parametrize(("alpha", "lambda_"), [(0.0, 1000.0), (1.0, 10.0), (0.5, 0.5), (-2.0, 4.0)])
def test_the_objective_by_hand(alpha, lambda_):
    report = make(alpha=alpha, lambda_=lambda_, bandwidth=1.5).objective(WINDOWS, training=True)
    rl, kl, mmd = (float(report.measures[name]) for name in ("rl", "kl", "mmd"))
    expected = rl + 0.5 * (1 - alpha) * kl + (alpha + lambda_ - 1) * mmd
    np.testing.assert_allclose(report.loss, expected, rtol=1e-5)
    assert (
        abs(rl + (1 - alpha) * kl + (alpha + lambda_ - 1) * mmd - expected) > 0.1 or alpha == 1.0
    )  # KL has no ½ inside


@once
@pytest.mark.parametrize("code_maps", ["mean", "sample_in_training"])
def test_mmd_is_of_what_is_decoded(code_maps):
    """z in training and μ otherwise, whatever is handed on."""
    autoencoder = make(code_maps=code_maps)
    mean = np.array(autoencoder.encode(WINDOWS))
    report = autoencoder.objective(WINDOWS)
    np.testing.assert_allclose(report.measures["mmd"], losses.maximum_mean_discrepancy(mean), rtol=1e-6)
    training = autoencoder.objective(WINDOWS, training=True)
    sample = np.array(training.codes_to_decode)
    assert np.abs(sample - mean).max() > 0.1
    np.testing.assert_allclose(training.measures["mmd"], losses.maximum_mean_discrepancy(sample), rtol=1e-5)
    np.testing.assert_array_equal(training.codes, mean if code_maps == "mean" else sample)


@once
def test_mmd_leaves_each_window_its_own_code_and_kl_does_not():
    """Of two windows: posteriors that tell nothing, those that tell much in a mixture like the prior, and others."""
    noise, signs = np.random.default_rng(0).normal(size=500), np.tile([-1.0, 1.0], 250)
    found = {}
    for name, mean, std in (("nothing", 0.0, 1.0), ("much", 0.6, 0.8), ("elsewhere", 3.0, 0.6)):
        codes = (mean * signs + std * noise)[:, None].astype("float32")
        kl = losses.window_mean(losses.window_divergences(mean * signs[:, None], np.full((500, 1), np.log(std))))
        found[name] = (float(kl), float(losses.maximum_mean_discrepancy(codes)))
    assert found["nothing"][0] == 0.0 and found["much"][0] > 0.4
    assert abs(found["nothing"][1]) < 5e-3 and abs(found["much"][1]) < 5e-3 < 0.1 < found["elsewhere"][1]


def test_numbers_of_chunks_are_refused():
    for kind in ("info_vae", "own"):
        with pytest.raises(ValueError) as error:
            make_own(chunk_windows=64) if kind == "own" else make_lea(kind, chunk_windows=64)
        assert str(error.value).startswith('Argument `chunk_windows` must be None or "auto" with ')
        assert "whose objective is not a mean over windows. Received: chunk_windows=64" in str(error.value)
    assert make_lea("vae", chunk_windows=64).chunk_windows == 64


class Own(lea_keras.StandardAutoencoder):
    """A type whose loss has the spread of a batch's codes."""

    measure_names = ("rl", "rln", "spread")

    def batch_measures(self, codes):
        return {"spread": keras.ops.max(codes) - keras.ops.min(codes)}

    def loss(self, means, step):
        return means["rl"] + means["spread"], {}


def make_own(**arguments):
    return lea_keras.LocallyEmbeddedAutoencoder(4, Own(2), **arguments)


@once
def test_types_of_ones_own_measure_batches():
    lea = make_own(chunk_windows="auto", name="lea")
    inputs = keras.Input((8, 8, 1))
    model = lea_keras.LEAModel(inputs, lea(inputs))
    model.compile("sgd")
    logs = model.train_on_batch(make_data(4)[0], return_dict=True)
    np.testing.assert_allclose(logs["lea_loss"], logs["lea_rl"] + logs["lea_spread"], rtol=1e-5)
    assert logs["lea_spread"] > 0


@once
@pytest.mark.parametrize("optimization", ["independent", "alternate"])  # the first asks for chunks itself
def test_automatic_chunks_are_none(optimization):
    found = []
    for chunk_windows in (None, "auto"):
        model = make_model(optimization, "info_vae", leas=1, chunk_windows=chunk_windows)
        compile_model(model, keras.optimizers.SGD(0.01), run_eagerly=EAGERLY)
        found.append((fit(model, samples=2), model.get_weights()))
        assert model.lea_layers[0].chunk_windows == model.lea_layers[0].get_config()["chunk_windows"] == chunk_windows
    assert found[0][0] == found[1][0]
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(one, other)


@once
def test_a_saved_model_goes_on_as_it_would_have(tmp_path):
    model = compile_model(make_model("alternate", "info_vae", leas=1), run_eagerly=EAGERLY)
    fit(model, samples=4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.lea_layers[0].autoencoder.get_config() == model.lea_layers[0].autoencoder.get_config()
    for one in (model, loaded):
        fit(one, samples=4)
    assert same_weights(model, loaded)


@once
@pytest.mark.usefixtures("eagerly")
def test_copies_and_exports_encode_the_same():
    model = make_model("joint", "info_vae", leas=1)
    images = make_data(4)[0]
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (clone, lea_keras.export_encoder(model)):
        np.testing.assert_allclose(
            other.predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5, atol=1e-6
        )
