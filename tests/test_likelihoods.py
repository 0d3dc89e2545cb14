"""Likelihoods: what is trained on and measured, probabilities wherever reconstructions are shown, and every type with
each of them through steps, chunks and files."""

import keras
import numpy as np
import pytest
from backends import few, once
from compiling import compiled
from keras import ops
from layer_checks import EAGERLY, TYPES, compile_model, fit, make_autoencoder, make_data, make_model, same_weights

import lea_keras
from lea_keras import losses, plots
from lea_keras.autoencoders import likelihoods
from lea_keras.explorer.codes import decode

WINDOWS = np.random.default_rng(0).random((6, 3, 2, 2)).astype("float32")
BERNOULLI = {"likelihood": "bernoulli"}
types = pytest.mark.parametrize("kind", TYPES)


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, "float64")))


def cross_entropy(windows, logits):
    """Mean over windows of the cross-entropy summed over values, in NumPy."""
    p = sigmoid(logits)
    return -np.sum(windows * np.log(p) + (1 - windows) * np.log(1 - p)) / len(windows)


def far_from_trivial(kind, **arguments):
    autoencoder = make_autoencoder(kind, **BERNOULLI | arguments)
    autoencoder.build(WINDOWS.shape)
    rng = np.random.default_rng(1)
    autoencoder.set_weights([rng.normal(0, 0.5, weight.shape) for weight in autoencoder.weights])
    return autoencoder


# What is measured and trained on


@pytest.mark.parametrize("kind", few(TYPES, ["vae"]))
def test_the_loss_is_the_cross_entropy_of_logits_and_rl_the_error_of_probabilities(kind):
    autoencoder = far_from_trivial(kind)
    report = autoencoder.objective(ops.convert_to_tensor(WINDOWS))
    logits = np.array(autoencoder.decoder(autoencoder.encode(WINDOWS)))
    measures = {name: float(value) for name, value in report.measures.items()}
    assert set(measures) == set(autoencoder.measure_names)
    assert measures["nll"] == pytest.approx(cross_entropy(WINDOWS, logits), rel=1e-5)
    assert measures["rl"] == pytest.approx(np.sum((WINDOWS - sigmoid(logits)) ** 2) / 6, rel=1e-5)
    assert measures["rl"] != pytest.approx(np.sum((WINDOWS - logits) ** 2) / 6, rel=0.1)  # of logits, which is wrong
    expected = measures["nll"] + 0.5 * (measures.get("kl", 0.0) + measures.get("discrete_kl", 0.0))  # with β = ½, −ELBO
    if kind == "info_vae":
        expected += (autoencoder.alpha + autoencoder.lambda_ - 1) * measures["mmd"]
    assert float(report.loss) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(report.reconstructions, sigmoid(logits), atol=1e-6)


@once
@types
def test_nothing_changes_without_it(kind):
    plain, given = make_autoencoder(kind), make_autoencoder(kind, likelihood="gaussian")
    for autoencoder in (plain, given):
        assert autoencoder.fit_measure == "rl"
        assert autoencoder.measure_names == type(autoencoder).measure_names
        assert "likelihood" not in autoencoder.get_config()  # as in files of earlier versions
    plain.build(WINDOWS.shape)
    report = plain.objective(ops.convert_to_tensor(255 * WINDOWS - 7))  # any values
    assert "nll" not in report.measures
    errors = losses.window_errors(255 * WINDOWS - 7, report.reconstructions)
    assert float(report.measures["rl"]) == pytest.approx(float(np.mean(errors)), rel=1e-5)


def test_capacity_holds_kl_beside_the_cross_entropy():
    autoencoder = far_from_trivial("capacity_vae", gamma=3.0, capacity=2.0, capacity_steps=0)
    report = autoencoder.objective(ops.convert_to_tensor(WINDOWS), training=True)
    measures = {name: float(value) for name, value in report.measures.items()}
    assert float(report.loss) == pytest.approx(3 * abs(measures["kl"] - 2) + measures["nll"], rel=1e-5)


@once
def test_binary_windows_are_learned():
    windows = np.repeat(WINDOWS > 0.5, 30, axis=0).astype("float32")
    model = lea_keras.image_autoencoder("standard", (3, 2, 2), code_length=6, **BERNOULLI)
    model.compile(keras.optimizers.Adam(0.03))
    history = model.fit(windows, epochs=4, batch_size=6, verbose=0).history
    assert history["lea_nll"][0] > 1 and history["lea_nll"][-1] < 0.2 and history["lea_rl"][-1] < 0.02


@once
def test_the_cross_entropy_bounds_the_likelihood():
    """A decoder with one code variable: the evidence by quadrature is never below −loss of the VAE with β = ½."""
    autoencoder = make_autoencoder("vae", code_length=1, seed=2, **BERNOULLI)
    autoencoder.build(WINDOWS.shape)
    rng = np.random.default_rng(3)
    autoencoder.set_weights([rng.normal(0, 0.4, weight.shape) for weight in autoencoder.weights])
    z, weights = np.polynomial.hermite_e.hermegauss(60)
    binary = (WINDOWS > 0.5).astype("float32")
    logits = np.array(autoencoder.decoder(z[:, None].astype("float32"))).reshape(60, 1, -1)
    p = sigmoid(logits)
    x = binary.reshape(1, 6, -1)
    densities = np.exp(np.sum(x * np.log(p) + (1 - x) * np.log(1 - p), axis=-1))  # [nodes, windows]
    evidence = np.mean(np.log(weights @ densities / np.sqrt(2 * np.pi)))
    many = ops.convert_to_tensor(np.repeat(binary, 2000, axis=0))
    loss = float(autoencoder.objective(many, training=True).loss)  # of 2000 samples each
    assert -loss < evidence


# Probabilities are shown


@pytest.mark.parametrize("kind", few(TYPES, ["joint_vae"]))
def test_decoding_gives_probabilities(kind):
    autoencoder = far_from_trivial(kind)
    codes = np.random.default_rng(2).normal(0, 9, (20, 4)).astype("float32")
    logits = np.array(autoencoder.decoder(codes))
    assert np.abs(logits).max() > 5
    for decoded in (autoencoder.decode(codes), decode(autoencoder, codes)):  # by hand, and as the explorer does
        np.testing.assert_allclose(decoded, sigmoid(logits), atol=1e-6)
    np.testing.assert_allclose(autoencoder(WINDOWS), autoencoder.decode(autoencoder.encode(WINDOWS)), rtol=1e-5)


def test_the_decoder_may_be_tied():
    autoencoder = far_from_trivial("k_sparse", units=(), decoder="tied", encoder="fc")
    codes = autoencoder.encode(WINDOWS)
    kernel, bias = np.array(autoencoder.code.kernel), np.array(autoencoder.decoder.biases[0])
    expected = sigmoid(np.array(codes) @ kernel.T + bias).reshape(WINDOWS.shape)
    np.testing.assert_allclose(autoencoder.decode(codes), expected, atol=1e-6)


@once
def test_pictures_show_probabilities():
    model = make_model("joint", "vae", leas=1, **BERNOULLI)
    images, _ = make_data(4)
    images = images * 0
    model.layers[1].bias.assign([0.5, 0.5])  # what the LEA is given: 0.5 everywhere
    (view,) = lea_keras.inspect(model, images)
    assert np.all((view.windows > 0) & (view.windows < 1))
    autoencoder = view.layer.autoencoder
    expected = sigmoid(autoencoder.decoder(view.code_maps.reshape(-1, 4))).reshape(view.windows.shape)
    np.testing.assert_allclose(view.windows, expected, atol=1e-5)
    autoencoder.decoder.reconstruction.kernel.assign(autoencoder.decoder.reconstruction.kernel * 100)
    texts = [text.get_text() for text in plots.latent_traversal(autoencoder, value_range=(0, 1)).axes[0].texts]
    assert any("black 0, white 1" in text for text in texts) and not any("clipped" in text for text in texts)


@once
def test_an_export_has_the_same_codes():
    model = lea_keras.image_autoencoder("vae", (3, 2, 2), code_length=3, **BERNOULLI)
    export = lea_keras.export_encoder(model)
    np.testing.assert_allclose(export(WINDOWS), model(WINDOWS), rtol=1e-4, atol=1e-5)


# Inputs


OUTSIDE = [WINDOWS * 255, WINDOWS - 0.5, np.where(WINDOWS == WINDOWS.max(), 1.001, WINDOWS).astype("float32")]


@pytest.mark.parametrize("windows", few(OUTSIDE, OUTSIDE[:1]), ids=["above", "below", "one value"][: few(3, 1)])
@pytest.mark.parametrize("chunk_windows", [None, 4])
def test_values_that_are_no_probabilities_are_refused_where_they_are_known(windows, chunk_windows):
    autoencoder = make_autoencoder(**BERNOULLI)
    lea = lea_keras.LocallyEmbeddedAutoencoder((3, 2), autoencoder, chunk_windows=chunk_windows)
    with pytest.raises(ValueError, match='`windows` must be from 0 to 1 with likelihood="bernoulli"'):
        lea(windows)
    lea(WINDOWS), lea((WINDOWS > 0.5).astype("float32"))


def test_the_message_has_the_range_and_a_graph_is_left_alone():
    autoencoder = far_from_trivial("standard")
    with pytest.raises(ValueError) as error:
        autoencoder.objective(ops.convert_to_tensor([[[[-3.0, 0.5]] * 2] * 3]))
    assert str(error.value).endswith("Received: windows='values from -3 to 0.5'")
    loss = compiled(lambda windows: autoencoder.objective(windows).loss)(ops.convert_to_tensor(255 * WINDOWS))
    assert np.isfinite(float(loss))


@once
def test_other_likelihoods():
    with pytest.raises(ValueError, match="Did you mean 'bernoulli'. Received: likelihood='bernouli'"):
        lea_keras.StandardAutoencoder(likelihood="bernouli")


# Through steps, chunks and files


# Files of every type with the other likelihood, which is the default, are in test_saving.py.
STORED = [*((kind, "bernoulli") for kind in TYPES), ("vae", "gaussian")]
assert {likelihood for _, likelihood in STORED} == set(likelihoods.LIKELIHOODS)


@pytest.mark.parametrize(("kind", "likelihood"), few(STORED, [("joint_vae", "bernoulli")]))
def test_a_step_a_file_and_the_same_next_step(kind, likelihood, tmp_path):
    images = make_data(8)[0]
    model = lea_keras.image_autoencoder(make_autoencoder(kind, likelihood=likelihood, units=(6,)), (8, 8, 1))
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), run_eagerly=EAGERLY)
    before = model.get_weights()
    model.train_on_batch(images)
    assert all(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True) if old.ndim > 1)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("lea").autoencoder.likelihood == likelihood and same_weights(model, again)
    logs, others = (one.train_on_batch(images, return_dict=True) for one in (model, again))
    assert ("lea_nll" in logs) == (likelihood == "bernoulli")
    assert {name: float(value) for name, value in others.items()} == pytest.approx(logs, rel=1e-5)
    for weight, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(other, weight, rtol=1e-5, atol=1e-6)


CASES = [("alternate", "standard"), ("alternate", "capacity_vae"), ("joint", "vae")]


@once
@pytest.mark.parametrize(("optimization", "kind"), CASES)
def test_chunks_change_nothing(optimization, kind):
    results = []
    for chunk_windows in (None, 12):  # three rows of eight
        model = make_model(optimization, kind, leas=1, chunk_windows=chunk_windows, **BERNOULLI)
        model.layers[1].activation = keras.activations.sigmoid  # the LEA is given what lies in [0, 1]
        compile_model(model, keras.optimizers.SGD(0.005), run_eagerly=EAGERLY)
        results.append((fit(model, samples=2), model.get_weights()))
    (history, weights), (chunked, others) = results
    assert "lea_1_nll" in history
    for name, values in history.items():
        np.testing.assert_allclose(chunked[name], values, rtol=2e-5, err_msg=name)
    for values, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(other, values, rtol=2e-5, atol=2e-6)


@once
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(policy):
    keras.config.set_dtype_policy(policy)
    autoencoder = make_autoencoder("vae", **BERNOULLI)
    autoencoder.build(WINDOWS.shape)
    autoencoder.decoder.reconstruction.bias.assign(autoencoder.decoder.reconstruction.bias + 90)
    report = autoencoder.objective(ops.convert_to_tensor(WINDOWS), training=True)
    assert report.loss.dtype == "float32" and report.reconstructions.dtype == policy.removeprefix("mixed_")
    assert float(report.measures["nll"]) == pytest.approx(90 * np.sum(1 - WINDOWS) / 6, rel=0.02)


@types
def test_configurations_hold_it(kind):
    autoencoder = make_autoencoder(kind, **BERNOULLI)
    config = autoencoder.get_config()
    again = type(autoencoder).from_config(config)
    assert again.likelihood == config["likelihood"] == "bernoulli" and again.get_config() == config
    assert again.averaged == autoencoder.averaged == (*type(autoencoder).averaged, "nll")
