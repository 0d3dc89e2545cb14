"""Tied decoders: one kernel for both ways, in gradients, files, copies and chunks."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
from backends import few, once
from gradients import value_and_gradients
from layer_checks import EAGERLY, OPTIMIZATIONS, compile_model, fit, make_data, make_lea, make_model, same_weights

import lea_keras
from lea_keras import autoencoders, coders, pca

WINDOWS = np.random.default_rng(1).uniform(size=(12, 3, 2, 1)).astype("float32")


def make(kind="standard", units=(), decoder="tied", **arguments):
    """An autoencoder whose biases are not zero, either."""
    autoencoder = autoencoders.get(kind, code_length=4, units=units, decoder=decoder, **arguments)
    autoencoder.build(WINDOWS.shape)
    rng = np.random.default_rng(2)
    autoencoder.set_weights([rng.normal(0.0, 0.5, weight.shape) for weight in autoencoder.weights])
    return autoencoder


def gradients_of(autoencoder):
    """Gradients of the loss by the names of variables."""
    variables = autoencoder.trainable_variables
    _, _, gradients = value_and_gradients(
        lambda: (autoencoder.objective(WINDOWS, training=True).loss, ()), variables=variables
    )
    paths = (variable.path.split("/", 1)[1] for variable in variables)
    return {path: np.array(gradient) for path, gradient in zip(paths, gradients, strict=True)}


@once
@pytest.mark.parametrize("kind", ["standard", "k_sparse"])
def test_the_parameters_of_784_1000_tied(kind):
    autoencoder = autoencoders.get(kind, code_length=1000, units=(), decoder="tied")
    autoencoder.build((None, 28, 28, 1))
    assert autoencoder.count_params() == 785_784  # 784·1000 + 1000 + 784, and 1,569,784 untied
    assert sum(len(variable.shape) == 2 for variable in autoencoder.variables) == 1


@pytest.mark.parametrize("units", [(), (5,), (6, 5)])
def test_the_decoder_is_the_encoder_backwards(units):
    autoencoder = make(units=units)
    codes = np.random.default_rng(3).normal(size=(7, 4)).astype("float32")
    values = codes
    kernels = [dense.kernel for dense in (*autoencoder.encoder.hidden_layers, autoencoder.code)][::-1]
    for i, (kernel, bias) in enumerate(zip(kernels, autoencoder.decoder.biases, strict=True)):
        values = values @ np.array(kernel).T + np.array(bias)
        values = values if i == len(kernels) - 1 else np.maximum(values, 0)
    np.testing.assert_allclose(autoencoder.decode(codes), values.reshape(7, 3, 2, 1), rtol=1e-5, atol=1e-5)
    assert len(autoencoder.variables) == 3 * len(kernels)  # a kernel and two biases for each


def test_a_kernel_is_trained_on_both_its_uses():
    tied, untied = make(), make(decoder="fc")
    kernel, bias = (np.array(weight) for weight in tied.code.weights)
    untied.code.set_weights([kernel, bias])
    untied.decoder.reconstruction.set_weights([kernel.T, np.array(tied.decoder.biases[0])])
    one, other = gradients_of(tied), gradients_of(untied)
    expected = other["code/kernel"] + other["decoder/reconstruction/kernel"].T
    np.testing.assert_allclose(one["code/kernel"], expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - other["code/kernel"]).max() > 0.1  # which the encoder's use alone would give
    np.testing.assert_allclose(one["decoder/bias_0"], other["decoder/reconstruction/bias"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("select", few(["value", "magnitude"], ["value"]))
def test_units_that_are_never_kept_have_no_gradient(select):
    autoencoder = make("k_sparse", k=2, select=select)
    autoencoder.code.bias.assign([9.0, -0.1, 0.1, 9.0])  # the first and the last are kept of every code
    kept = np.count_nonzero(autoencoder.encode(WINDOWS, training=True), axis=0)
    np.testing.assert_array_equal(kept, [12, 0, 0, 12])
    gradients = gradients_of(autoencoder)
    for name in ("code/kernel", "code/bias"):
        assert np.all(gradients[name][..., 1:3] == 0.0) and np.all(gradients[name][..., [0, 3]] != 0.0)


@once
def test_a_file_holds_a_kernel_once_and_goes_on_as_it_would_have(tmp_path):
    model = make_model("alternate", "k_sparse", leas=1, units=(), decoder="tied")
    compile_model(model, run_eagerly=EAGERLY)
    fit(model, samples=8)
    model.save(tmp_path / "model.keras")
    shapes = []
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file["layers"].visititems(lambda _, node: shapes.append(getattr(node, "shape", None)))
    assert shapes.count((32, 4)) == 1 and (4, 32) not in shapes  # windows of 4×4×2 values
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = make_data(4)[0]
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))
    for one in (model, loaded):
        fit(one, samples=8)
    assert same_weights(model, loaded)
    decoder, code = (getattr(loaded.lea_layers[0].autoencoder, name) for name in ("decoder", "code"))
    zero = np.zeros((1, 4), "float32")
    reconstruction = np.array(decoder(zero + np.eye(4, dtype="float32")[:1]) - decoder(zero)).ravel()
    np.testing.assert_allclose(reconstruction, np.array(code.kernel)[:, 0], atol=1e-6)  # that of the loaded model


@once
@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
def test_chunks_change_no_step(optimization):
    found = []
    for chunk_windows in (None, 12):  # three rows of eight
        arguments = {"units": (5,), "decoder": "tied", "chunk_windows": chunk_windows}
        model = make_model(optimization, "k_sparse", leas=1, **arguments)
        compile_model(model, keras.optimizers.SGD(0.02), run_eagerly=EAGERLY)
        before = np.array(model.lea_layers[0].autoencoder.code.kernel)
        fit(model, samples=2)
        assert np.abs(np.array(model.lea_layers[0].autoencoder.code.kernel) - before).max() > 1e-3
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@once
def test_without_a_loss_the_kernel_is_the_encoders():
    lea = make_lea("standard", units=(), decoder="tied", loss_weight=0.0)
    lea.build((None, 8, 8, 1))
    assert {variable.name for variable in lea.trainable_variables} == {"kernel", "bias"}
    assert [variable.name for variable in lea.non_trainable_variables] == ["bias_0"]


@once
@pytest.mark.usefixtures("eagerly")
def test_copies_have_a_kernel_of_their_own():
    model = make_model("joint", "k_sparse", leas=1, units=(5,), decoder="tied", select="magnitude")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    images = make_data(4)[0]
    for other in (clone, lea_keras.export_encoder(model)):
        np.testing.assert_allclose(
            other.predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5, atol=1e-6
        )
    one, other = (each.lea_layers[0].autoencoder for each in (model, clone))
    codes = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    expected = np.array(other.decode(codes))
    for variable in one.variables:
        variable.assign(0 * variable)
    np.testing.assert_array_equal(other.decode(codes), expected)


@once
def test_as_a_layer_it_serves_windows_of_any_size():
    encoder = coders.FullyConnectedEncoder(activation="tanh", units=(3,))
    autoencoder = autoencoders.StandardAutoencoder(2, encoder=encoder, decoder=coders.TiedDecoder(name="back"))
    autoencoder.build(WINDOWS.shape)
    again = autoencoders.StandardAutoencoder.from_config(autoencoder.get_config())
    assert again(np.zeros((2, 5, 4, 3), "float32")).shape == (2, 5, 4, 3)
    again = autoencoders.StandardAutoencoder.from_config(autoencoder.get_config())
    again.build(WINDOWS.shape)
    again.set_weights(autoencoder.get_weights())
    np.testing.assert_array_equal(again(WINDOWS), autoencoder(WINDOWS))


@once
def test_mixed_precision_reads_the_kernel_in_half_precision_and_trains_it_in_single():
    autoencoder = make(units=(5,), dtype="mixed_float16")
    report = autoencoder.objective(WINDOWS, training=True)
    assert report.reconstructions.dtype == "float16" and report.loss.dtype == "float32"
    assert all(variable.dtype == "float32" for variable in autoencoder.variables)


@once
def test_principal_components_are_tied():
    windows = np.random.default_rng(0).normal(size=(50, 6)) * np.arange(1, 7) + 1.0
    windows = windows.reshape(-1, 3, 2, 1).astype("float32")
    autoencoder = autoencoders.StandardAutoencoder(2, units=(), decoder="tied")
    pca.fit(autoencoder, windows)
    np.testing.assert_allclose(autoencoder.objective(windows).loss, pca.least_error(windows, 2), rtol=1e-5)
    with pytest.raises(ValueError, match="Argument `autoencoder` must be a linear autoencoder"):
        pca.fit(autoencoders.StandardAutoencoder(2, decoder="tied"), windows)


# Errors


@once
@pytest.mark.parametrize("kind", ["vae", "capacity_vae", "info_vae"])
def test_variational_types_have_no_kernel_to_tie(kind):
    with pytest.raises(ValueError) as error:
        autoencoders.get(kind, decoder="tied")
    name = autoencoders.AUTOENCODERS[kind].__name__
    expected = f'Argument `decoder` must be another than "tied" for {name}, whose code does not come from one kernel.'
    assert str(error.value) == f"{expected} Received: decoder='tied'"


@once
def test_other_encoders_have_no_kernels_to_transpose():
    own = keras.Sequential([keras.layers.Flatten()])
    for encoder, kind in (("conv", "ConvolutionalEncoder"), (own, "Sequential")):
        with pytest.raises(ValueError, match=f'only that of the encoder "fc" has .* The encoder is {kind}'):
            autoencoders.StandardAutoencoder(encoder=encoder, decoder="tied")


@once
def test_a_decoder_is_tied_to_one_autoencoder_and_never_alone():
    decoder = coders.TiedDecoder()
    autoencoders.StandardAutoencoder(decoder=decoder).build(WINDOWS.shape)
    with pytest.raises(ValueError, match="must be a TiedDecoder that no other autoencoder has"):
        autoencoders.StandardAutoencoder(decoder=decoder).build(WINDOWS.shape)
    with pytest.raises(ValueError, match="must be a TiedDecoder inside an autoencoder"):
        coders.TiedDecoder().build((None, 4), WINDOWS.shape)


@once
def test_quantised_kernels_encode_and_do_not_decode():
    autoencoder = make()
    codes = autoencoder.encode(WINDOWS)
    autoencoder.code.quantize("int8")
    np.testing.assert_allclose(autoencoder.encode(WINDOWS), codes, atol=0.1)
    with pytest.raises(ValueError, match="another than \"tied\" where layers are quantised. Layer 'code' is .* int8"):
        autoencoder.decode(codes)
