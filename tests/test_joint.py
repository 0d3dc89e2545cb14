"""The JointVAE: its objective by hand, beside the capacity-controlled VAE, in a LEA, in pictures."""

import keras
import numpy as np
import pytest
from backends import few, once
from gradients import value_and_gradients
from keras import ops
from layer_checks import EAGERLY, compile_model, fit, make_data, make_lea, make_model

import lea_keras
from lea_keras import plots, probes
from lea_keras.explorer import codes as explorer_codes
from lea_keras.plots import factor_maps

WINDOWS = np.random.default_rng(1).uniform(size=(12, 3, 2, 1)).astype("float32")
SIZES = (3, 2)  # after two Gaussian variables


def make(cls=lea_keras.JointAutoencoder, **arguments):
    """An autoencoder whose weights and noise are those of any other, far from trivial."""
    arguments = ({"categories": SIZES} if cls is lea_keras.JointAutoencoder else {}) | {"code_length": 7} | arguments
    autoencoder = cls(seed=5, **arguments)
    autoencoder.build(WINDOWS.shape)
    rng = np.random.default_rng(2)
    autoencoder.set_weights([rng.normal(0.0, 0.4, weight.shape) for weight in autoencoder.weights])
    return autoencoder


@pytest.fixture(scope="module")
def joint():
    return make()


def softmax(values):
    weights = np.exp(values - values.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def heads(autoencoder):
    features = autoencoder.features(WINDOWS)
    return [np.array(head(features), "float64") for head in (autoencoder.mean, autoencoder.log_std, autoencoder.logits)]


def kls(autoencoder):
    """Both, in twice the nats, means over windows."""
    mean, log_std, logits = heads(autoencoder)
    kl = np.mean(np.sum(mean**2 + np.exp(2 * log_std) - 2 * log_std - 1, axis=-1))
    parts = softmax(logits[:, :3]), softmax(logits[:, 3:])
    return kl, sum(np.mean(np.sum(2 * q * np.log(q * q.shape[-1]), axis=-1)) for q in parts)


def texts(figure):
    """All that is written in a figure."""
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def one_hot(logits):
    return np.concatenate([np.eye(3)[logits[:, :3].argmax(-1)], np.eye(2)[logits[:, 3:].argmax(-1)]], axis=-1)


@once
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_the_objective_by_hand(likelihood):
    autoencoder = make(likelihood=likelihood, gamma=3.0, capacity=40.0, discrete_capacity=15.0, capacity_steps=10)
    twin = make(likelihood=likelihood)
    noise = np.array(twin.draw_noise(12, True), "float64")
    assert noise.shape == (12, 7)
    for _ in range(2):
        autoencoder.advance(True, True)  # two steps of ten are done
    report = autoencoder.objective(WINDOWS, training=True)
    mean, log_std, logits = heads(autoencoder)
    relaxed = (logits + noise[:, 2:]) / 0.1
    code = np.concatenate(
        [mean + np.exp(log_std) * noise[:, :2], softmax(relaxed[:, :3]), softmax(relaxed[:, 3:])], axis=-1
    )
    np.testing.assert_allclose(report.codes_to_decode, code, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(report.codes, np.concatenate([mean, one_hot(logits)], axis=-1), rtol=1e-4, atol=1e-5)
    measures = {name: float(value) for name, value in report.measures.items()}
    kl, discrete_kl = kls(autoencoder)
    assert measures["kl"] == pytest.approx(kl, rel=1e-4)
    assert measures["discrete_kl"] == pytest.approx(discrete_kl, rel=1e-4)
    assert (measures["capacity"], measures["discrete_capacity"]) == pytest.approx((8.0, 3.0))
    expected = 3 * abs(kl - 8.0) + 3 * abs(discrete_kl - 3.0) + measures[autoencoder.fit_measure]
    assert float(report.loss) == pytest.approx(expected, rel=1e-4)
    apart = 3 * abs(kl + discrete_kl - 11.0)  # of the sum of both, which is wrong
    assert abs(apart + measures[autoencoder.fit_measure] - expected) > 0.1


@once
def test_the_literatures_gamma_and_capacity_count_nats():
    report = make(gamma=15.0, capacity=10.0, discrete_capacity=1.0, capacity_steps=0).objective(WINDOWS, training=True)
    kl, discrete_kl = (value / 2 for value in kls(make()))
    expected = 30 * abs(kl - 5) + 30 * abs(discrete_kl - 0.5) + float(report.measures["rl"])
    assert float(report.loss) == pytest.approx(expected, rel=1e-4)


def test_the_discrete_capacity_stops_at_what_the_variables_can_hold():
    limit = 2 * np.log(6)
    autoencoder = make(discrete_capacity=10.0, capacity_steps=0)
    assert float(autoencoder.current_discrete_capacity) == pytest.approx(limit)
    assert float(autoencoder.current_capacity) == 10.0
    bias = np.array([60, 0, 0, 0, 60], "float32")
    autoencoder.logits.bias.assign(bias)  # all that they can hold: the penalty is 0, and would be γ·(10 − 2·log 6)
    measures = autoencoder.objective(WINDOWS, training=True).measures
    assert float(measures["discrete_kl"]) == pytest.approx(float(measures["discrete_capacity"]), abs=1e-4)


@once
def test_without_categories_it_is_the_capacity_controlled_vae():
    found = []
    for cls in (lea_keras.JointAutoencoder, lea_keras.CapacityControlledAutoencoder):
        arguments = {"categories": ()} if cls is lea_keras.JointAutoencoder else {}
        autoencoder = make(cls, gamma=15.0, capacity=10.0, capacity_steps=100, **arguments)

        def objective(autoencoder=autoencoder):
            return autoencoder.objective(WINDOWS, training=True).loss, ()

        found.append(value_and_gradients(objective, variables=autoencoder.trainable_variables))
        optimizer = keras.optimizers.Adam(0.1)
        optimizer.apply(found[-1][2], autoencoder.trainable_variables)
        found[-1] = (float(found[-1][0]), autoencoder.get_weights())
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_half_a_gamma_and_no_capacity_train_on_the_evidence_lower_bound():
    autoencoder = make(likelihood="bernoulli", gamma=0.5, capacity=0.0, discrete_capacity=0.0)
    kl, discrete_kl = kls(autoencoder)
    for training in (True, False):
        report = autoencoder.objective(WINDOWS, training=training)
        assert float(report.loss) == pytest.approx(float(report.measures["nll"]) + kl / 2 + discrete_kl / 2, rel=1e-4)


def test_nothing_is_drawn_outside_training(joint):
    mean, _, logits = heads(joint)
    before = np.array(joint.noise.state)
    expected = np.concatenate([mean, one_hot(logits)], axis=-1)
    np.testing.assert_allclose(joint.encode(WINDOWS), expected, rtol=1e-4, atol=1e-5)
    report = joint.objective(WINDOWS)
    np.testing.assert_allclose(report.codes_to_decode, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(joint.noise.state, before)


@pytest.mark.parametrize(
    ("code_maps", "training", "drawn"),
    few([("sample", False, True), ("sample_in_training", True, True), ("sample_in_training", False, False)], []),
)
def test_code_maps_hand_samples_on(code_maps, training, drawn):
    classes = np.array(make(code_maps=code_maps, temperature=1.0).encode(WINDOWS, training=training))[:, 2:5]
    np.testing.assert_allclose(classes.sum(axis=-1), np.ones(12), rtol=1e-5)
    assert (classes.max(axis=-1) < 0.999).any() == drawn


def test_the_representation_has_raw_logits_beside_the_mean(joint):
    mean, _, logits = heads(joint)
    expected = np.concatenate([mean, logits], axis=-1)
    np.testing.assert_allclose(joint.representation(WINDOWS), expected, rtol=1e-4, atol=1e-5)


def test_statistics_have_an_entry_for_each_of_the_code(joint):
    features = joint.features(WINDOWS)
    codes, variances, divergences = (np.array(part) for part in joint.statistics(features))
    assert codes.shape == variances.shape == divergences.shape == (12, 7)
    np.testing.assert_allclose(codes, joint.encode(WINDOWS), rtol=1e-5, atol=1e-6)
    assert divergences.mean(axis=0).sum() == pytest.approx(sum(kls(joint)), rel=1e-4)
    joint.logits.kernel.assign(0 * np.array(joint.logits.kernel))  # says nothing
    before = np.array(joint.logits.bias)
    joint.logits.bias.assign(0 * before)
    _, variances, divergences = joint.statistics(features)
    np.testing.assert_allclose(np.array(variances)[:, 2:], np.ones((12, 5)), rtol=1e-5)
    np.testing.assert_allclose(np.array(divergences)[:, 2:], np.zeros((12, 5)), atol=1e-6)
    fresh = make()
    joint.set_weights(fresh.get_weights())


@once
def test_samples_of_the_prior_have_one_class_of_each_variable(joint):
    codes = joint.draw_prior(np.random.default_rng(0), 4000)
    assert codes.shape == (4000, 7) and codes.dtype == np.float32
    for part in (codes[:, 2:5], codes[:, 5:]):
        np.testing.assert_array_equal(part.sum(axis=-1), np.ones(4000))
        p = 1 / part.shape[-1]
        assert np.abs(part.mean(axis=0) - p).max() < 4 * np.sqrt(p * (1 - p) / 4000)
    assert joint.sample(3).shape == (3, 3, 2, 1)


@once
@pytest.mark.parametrize(("code_length", "categories"), [(20, (10,)), (7, (4,)), (3, (2,)), (2, ())])
def test_by_default_half_of_the_code_is_one_variable(code_length, categories):
    assert lea_keras.JointAutoencoder(code_length).categories == categories


@once
def test_the_main_loss_reaches_what_the_classes_are_made_of():
    """Through steps it would not."""
    model = make_model("joint", "joint_vae", leas=1, loss_weight=0.0)
    compile_model(model, keras.optimizers.SGD(1.0), run_eagerly=EAGERLY)
    head = model.lea_layers[0].autoencoder.logits
    before = np.array(head.kernel)
    fit(model, epochs=1)
    assert np.abs(np.array(head.kernel) - before).max() > 1e-5


def test_chunks_change_nothing():
    found = []
    for chunk_windows in (None, 4):
        rng = np.random.default_rng(0)
        images = keras.Input((8, 8, 1))
        lea = make_lea("joint_vae", strides=None, chunk_windows=chunk_windows)
        model = lea_keras.LEAModel(images, lea(images), optimization="alternate")
        lea.autoencoder.set_weights([rng.normal(0, 0.2, weight.shape) for weight in lea.autoencoder.weights])
        model.compile(keras.optimizers.SGD(1e-3), run_eagerly=EAGERLY)
        history = model.fit(make_data(2)[0], shuffle=False, verbose=0).history
        found.append(([history[name][0] for name in sorted(history)], lea.autoencoder.get_weights()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@once
def test_a_code_map_of_classes_in_pictures_and_in_the_explorer():
    """All that goes by the length of a code takes the entries of its classes for variables."""
    images = keras.Input((8, 8, 1))
    model = lea_keras.LEAModel(images, make_lea("joint_vae", strides=None, categories=(2,))(images))
    view = lea_keras.inspect(model, make_data(3)[0])[0]
    np.testing.assert_array_equal(view.code_maps[..., 2:].sum(axis=-1), np.ones((3, 2, 2)))
    shown = explorer_codes.codes_of(view)
    np.testing.assert_allclose(shown.maps, view.code_maps, atol=1e-6)
    assert shown.measures.shape == (4,) and shown.measures[2] == pytest.approx(shown.measures[3])
    autoencoder = model.lea_layers[0].autoencoder
    base = np.array(autoencoder.encode(make_data(1)[0][:, :4, :4]))[0]
    assert "category" in texts(plots.latent_traversal(autoencoder, base=base))
    whole = lea_keras.image_autoencoder("joint_vae", (16, 16, 1), code_length=4, units=())
    activations = factor_maps.activations(
        whole.get_layer("lea").autoencoder, *probes.sprites_data("test", 20, 0, image_size=16)
    )
    assert activations.maps.shape[-1] == len(activations.variances) == 4
    np.testing.assert_allclose(np.nansum(activations.scales[..., 2:], axis=-1).max(), 1.0)  # shares of two classes
    assert "4 of" not in texts(plots.filters(whole))


def test_float16_keeps_what_is_summed_wide():
    autoencoder = lea_keras.JointAutoencoder(5, 3, dtype="mixed_float16", seed=0, capacity_steps=0)
    report = autoencoder.objective(ops.convert_to_tensor(WINDOWS), training=True)
    assert keras.backend.standardize_dtype(report.codes_to_decode.dtype) == "float16"
    assert keras.backend.standardize_dtype(report.measures["discrete_kl"].dtype) == "float32"
    np.testing.assert_allclose(np.array(report.codes_to_decode, "float32")[:, 2:].sum(axis=-1), np.ones(12), atol=2e-3)
