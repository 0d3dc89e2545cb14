"""The four autoencoder types: parameter counts, all combinations, what each type does to codes and losses."""

import itertools
import math
from fractions import Fraction

import keras
import numpy as np
import pytest
from backends import BACKEND, few, needs_tensorflow, once
from compiling import compiled
from gradients import value_and_gradients

from lea_keras import autoencoders
from lea_keras.autoencoders import coders

if BACKEND == "tensorflow":
    import tensorflow as tf

RNG = np.random.default_rng(0)
TYPES = autoencoders.AUTOENCODERS
ENCODERS = ("fc", "conv")
DECODERS = ("fc", "conv", "sb")
types = pytest.mark.parametrize("name", TYPES)


@pytest.fixture(autouse=True)
def seeded():
    """The same numbers whichever tests run before."""
    keras.utils.set_random_seed(0)
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def make_windows(*shape):
    return RNG.uniform(size=shape).astype("float32")


def randomise(layer, scale=0.5):
    layer.set_weights([RNG.normal(0.0, scale, weight.shape) for weight in layer.weights])


def make_vae(cls=autoencoders.VariationalAutoencoder, **arguments):
    """A VAE with weights such that means, standard deviations and reconstructions are far from trivial."""
    autoencoder = cls(code_length=3, **({"code_maps": "sample_in_training"} | arguments))
    autoencoder.build((None, 2, 2, 1))
    randomise(autoencoder)
    return autoencoder


def heads(autoencoder, windows):
    """Mean and log standard deviation, in NumPy."""
    features = autoencoder.encoder(windows)
    return np.array(autoencoder.mean(features)), np.array(autoencoder.log_std(features))


def numpy_kl(mean, log_std):
    return np.sum(mean**2 + np.exp(log_std) ** 2 - np.log(np.exp(log_std) ** 2) - 1) / len(mean)


def numpy_rl(windows, reconstructions):
    return np.sum((np.array(reconstructions) - windows) ** 2) / len(windows)


# Parameter counts


COUNTS = {  # thesis Table 3.1: code length 10, K = 32, k = 3
    ("vae", "conv", "sb"): (52_053, 42_196),
    ("standard", "conv", "sb"): (51_723, 41_866),
    ("vae", "fc", "fc"): (2_509_604, 1_081_876),
    ("standard", "fc", "fc"): (2_493_914, 1_071_626),
    ("vae", "conv", "conv"): (25_776_516, 301_716),
    ("standard", "conv", "conv"): (25_776_186, 301_386),
}
SAME_COUNT = {
    "standard": ("standard", "k_sparse"),
    "vae": ("vae", "capacity_vae", "info_vae"),
}  # "joint_vae" has other heads
TABLE = [
    (name, encoder, decoder, window, counts[i])
    for (counted, encoder, decoder), counts in COUNTS.items()
    for i, window in enumerate([(28, 28, 1), (4, 4, 32)])
    for name in SAME_COUNT[counted]
    if name == counted or (decoder, window) == ("sb", (4, 4, 32))  # heads are the same whatever the coders
]


@needs_tensorflow  # the layers are the same on every backend, and only in its graphs is building them fast
@pytest.mark.parametrize(("name", "encoder", "decoder", "window", "count"), TABLE, ids=str)
def test_parameter_counts(name, encoder, decoder, window, count):
    autoencoder = autoencoders.get(name, encoder=encoder, decoder=decoder, kernel_size=3, kernels=32)
    with tf.Graph().as_default():  # nothing is drawn or held, which for 25 million parameters takes its time
        autoencoder.build((None, *window))
        assert autoencoder.count_params() == count
        assert sum(np.prod(weight.shape) for weight in autoencoder.trainable_weights) == count
        assert not autoencoder.non_trainable_weights


@once
@pytest.mark.parametrize("decoder", ["conv", "sb"])
def test_the_table_does_not_come_out_with_a_kernel_size_of_four(decoder):
    autoencoder = autoencoders.StandardAutoencoder(encoder="conv", decoder=decoder)
    assert autoencoder.kernel_size == 4
    autoencoder.build((None, 4, 4, 32))
    assert autoencoder.count_params() != COUNTS["standard", "conv", decoder][1]
    kernels, values = 32, 4 * 4 * 32  # one convolution and f = 2
    encoder = 4 * 4 * 32 * kernels + kernels + (4 * kernels + 1) * 4 * kernels + (4 * kernels + 1) * 10
    if decoder == "conv":
        rest = 11 * 4 * kernels + 4 * 4 * kernels**2 + kernels + (16 * kernels + 1) * values
    else:
        rest = 4 * 4 * (12 * kernels + kernels**2 + kernels * 32) + 2 * kernels + 32
    assert autoencoder.count_params() == encoder + rest


# All combinations


def with_loss(autoencoder, windows):
    """Loss and objective in training."""
    objective = autoencoder.objective(windows, training=True)
    return objective.loss, objective


def assert_trains(autoencoder, windows):
    """Builds, encodes, decodes and takes one finite gradient for every variable."""
    codes = autoencoder.encode(windows)
    assert tuple(codes.shape) == (len(windows), autoencoder.code_length)
    reconstructions = autoencoder.decode(codes)
    assert tuple(reconstructions.shape) == windows.shape
    np.testing.assert_allclose(autoencoder(windows), reconstructions, rtol=1e-4, atol=1e-5)
    variables = autoencoder.trainable_variables
    _, objective, gradients = value_and_gradients(lambda: with_loss(autoencoder, windows), variables=variables)
    assert set(objective.measures) == set(autoencoder.measure_names)
    assert tuple(objective.codes.shape) == tuple(codes.shape)
    assert tuple(objective.reconstructions.shape) == windows.shape
    assert np.isfinite(objective.loss)
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.all(np.isfinite(gradient)), variable.path
    assert max(np.max(np.abs(gradient)) for gradient in gradients) > 0


SHAPES = [(2, 2, 1), (3, 5, 2), (4, 4, 64)]
# Every encoder with every decoder on every window, and every type with each of those: it sees of the others only
# features, codes and windows.
COMBINATIONS = [
    (tuple(TYPES)[(i + 2 * j) % len(TYPES)], *both, window)
    for i, both in enumerate(itertools.product(ENCODERS, DECODERS))
    for j, window in enumerate(SHAPES)
]
FEW_COMBINATIONS = [(name, "fc", "fc", (3, 5, 2)) for name in TYPES][:3] + [("capacity_vae", "conv", "sb", (3, 5, 2))]


@pytest.mark.parametrize(("name", "encoder", "decoder", "window"), few(COMBINATIONS, FEW_COMBINATIONS), ids=str)
def test_every_combination(name, encoder, decoder, window):
    # This kernel is larger than the 2×2 window, which leaves that to the dense layers. Few filters: shapes matter here.
    autoencoder = autoencoders.get(name, encoder=encoder, decoder=decoder, kernels=4, kernel_size=3)
    assert_trains(autoencoder, make_windows(3, *window))


@once
@pytest.mark.parametrize(
    ("name", "encoder", "decoder", "kernels"),
    [
        ("standard", "conv", "conv", 1),
        ("k_sparse", "conv", "sb", 4),
        ("vae", "fc", "sb", 2),
        ("capacity_vae", "conv", "fc", 4),
    ],
    ids=str,
)
def test_a_whole_image_is_one_window(name, encoder, decoder, kernels):
    autoencoder = autoencoders.get(name, encoder=encoder, decoder=decoder, kernels=kernels)
    if encoder == "fc" or decoder == "fc":  # two million parameters each
        autoencoder.build((None, 32, 32, 1))
        windows = make_windows(1, 32, 32, 1)
        objective = autoencoder.objective(windows, training=True)
        assert np.isfinite(objective.loss)
        assert tuple(objective.reconstructions.shape) == windows.shape
    else:
        assert_trains(autoencoder, make_windows(1, 32, 32, 1))


# Common to all types


@once
@types
def test_objective_is_made_of_what_encode_and_decode_return(name):
    autoencoder = autoencoders.get(name, code_length=6)
    windows = make_windows(5, 2, 3, 2)
    objective = autoencoder.objective(windows)
    np.testing.assert_allclose(objective.codes, autoencoder.encode(windows), rtol=1e-5)
    np.testing.assert_allclose(objective.reconstructions, autoencoder.decode(objective.codes), rtol=1e-5, atol=1e-6)
    reconstructions = np.array(objective.reconstructions)
    rl = numpy_rl(windows, reconstructions)
    rln = np.mean(((reconstructions - windows) / np.ptp(windows)) ** 2)
    np.testing.assert_allclose(objective.measures["rl"], rl, rtol=1e-5)
    np.testing.assert_allclose(objective.measures["rln"], rln, rtol=1e-5)


def test_standard_is_encoder_linear_dense_decoder():
    autoencoder = autoencoders.StandardAutoencoder(code_length=3)
    windows = make_windows(5, 2, 2, 1)
    autoencoder.build(windows.shape)
    randomise(autoencoder)
    features = np.array(autoencoder.encoder(windows))
    codes = features @ np.array(autoencoder.code.kernel) + np.array(autoencoder.code.bias)
    assert np.any(codes < 0)  # linear: a ReLU would be wrong
    for training in (False, True):
        objective = autoencoder.objective(windows, training)
        np.testing.assert_allclose(objective.codes, codes, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(objective.loss, numpy_rl(windows, autoencoder.decode(codes)), rtol=1e-4)


@once
def test_a_linear_autoencoder_can_be_composed():
    autoencoder = autoencoders.StandardAutoencoder(
        code_length=2,
        encoder=coders.FullyConnectedEncoder(activation="linear"),
        decoder=coders.FullyConnectedDecoder(activation="linear"),
    )
    ordinary = autoencoders.StandardAutoencoder(code_length=2)
    x, y = make_windows(2, 4, 3, 3, 1)
    for candidate, affine in [(autoencoder, True), (ordinary, False)]:
        candidate.build(x.shape)
        randomise(candidate)
        expected = 3 * np.array(candidate(x)) - 2 * np.array(candidate(y))
        assert np.allclose(candidate(3 * x - 2 * y), expected, rtol=1e-3, atol=1e-3) == affine


@once
def test_an_encoder_and_a_decoder_of_the_users_own():
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(7, "tanh"), keras.layers.Dropout(0.5)])
    decoder = keras.Sequential([keras.layers.Dense(8), keras.layers.Dropout(0.5), keras.layers.Reshape((2, 2, 2))])
    autoencoder = autoencoders.StandardAutoencoder(code_length=3, encoder=encoder, decoder=decoder)
    windows = make_windows(40, 2, 2, 2)
    assert_trains(autoencoder, windows)
    randomise(autoencoder)
    objective = autoencoder.objective(windows, training=False)
    assert not np.any(np.array(objective.reconstructions) == 0)
    objective = autoencoder.objective(windows, training=True)
    dropped = np.mean(np.array(objective.reconstructions) == 0)
    assert 0.3 < dropped < 0.7  # dropout of the decoder acts in training …
    usual = np.array(autoencoder.encode(windows))
    assert not np.allclose(autoencoder.encode(windows, training=True), usual)  # … and that of the encoder
    np.testing.assert_array_equal(autoencoder.encode(windows), usual)


# k-sparse


def k_sparse_of(codes, k, a=1.0, **schedule):
    """A k-sparse autoencoder whose codes, before any is set to zero, are its windows."""
    length = len(codes[0])
    identity = keras.Sequential([keras.layers.Flatten()])
    autoencoder = autoencoders.KSparseAutoencoder(code_length=length, k=k, a=a, encoder=identity, **schedule)
    autoencoder.build((None, 1, length, 1))
    autoencoder.code.set_weights([np.eye(length), np.zeros(length)])
    return autoencoder, np.array(codes, "float32").reshape(-1, 1, length, 1)


def test_k_sparse_keeps_the_largest_not_the_largest_in_magnitude():
    autoencoder, windows = k_sparse_of([[-9.0, 1.0, 3.0, -2.0, 2.0], [-5.0, -4.0, -3.0, -2.0, -1.0]], k=2)
    codes = np.array(autoencoder.encode(windows, training=True))
    np.testing.assert_array_equal(codes, [[0, 0, 3, 0, 2], [0, 0, 0, -2, -1]])
    magnitude = [[-9, 0, 3, 0, 0], [-5, -4, 0, 0, 0]]  # wrong
    assert not np.array_equal(codes, magnitude)


def test_k_sparse_keeps_the_largest_in_magnitude_where_it_is_told_so():
    values = RNG.normal(size=(50, 7)).astype("float32")
    by_value, _ = k_sparse_of(values, k=3, a=1.7)
    autoencoder, windows = k_sparse_of(values, k=3, a=1.7, select="magnitude")
    for training, kept in [(True, 3), (False, 5)]:
        expected = np.zeros_like(values)
        for row, code in zip(expected, values, strict=True):
            for index in sorted(range(7), key=lambda i: abs(code[i]), reverse=True)[:kept]:
                row[index] = code[index]
        np.testing.assert_array_equal(autoencoder.encode(windows, training), expected)
        assert np.any(np.array(by_value.encode(windows, training)) != expected, axis=1).sum() > 30
    example, windows = k_sparse_of([[-9.0, 1.0, 3.0, -2.0, 2.0]], k=3, select="magnitude")
    np.testing.assert_array_equal(example.encode(windows), [[-9, 0, 3, -2, 0]])  # of −2 and 2, the first


@once
def test_k_sparse_autoencoders_of_earlier_versions_select_by_value():
    config = autoencoders.KSparseAutoencoder(select="magnitude").get_config()
    assert autoencoders.KSparseAutoencoder.from_config(config).select == "magnitude"
    del config["select"]
    assert autoencoders.KSparseAutoencoder.from_config(config).select == "value"


def test_k_sparse_keeps_the_smaller_index_of_equal_values():
    autoencoder, windows = k_sparse_of([[1.0, 2.0, 2.0, 2.0]], k=2)
    np.testing.assert_array_equal(autoencoder.encode(windows, training=True), [[0, 2, 2, 0]])
    threshold = np.where(windows >= 2.0, windows, 0.0)  # all that reach the k-th largest value: wrong, three stay
    assert np.count_nonzero(threshold) == 3


def test_k_sparse_equals_a_loop():
    values = RNG.normal(size=(50, 7)).astype("float32")
    autoencoder, windows = k_sparse_of(values, k=3, a=1.7)
    for training, kept in [(True, 3), (False, 5)]:
        expected = np.zeros_like(values)
        for row, code in zip(expected, values, strict=True):
            for index in sorted(range(7), key=lambda i: code[i], reverse=True)[:kept]:
                row[index] = code[index]
        np.testing.assert_array_equal(autoencoder.encode(windows, training), expected)


KEPT = [
    (10, 5, 1.3, 6),
    (10, 5, 1.0, 5),
    (10, 3, 1.34, 4),
    (30, 20, 1.15, 23),
    (200, 100, 1.1, 110),
    (10, 5, 1.99, 9),
    (10, 5, 2, 10),
    (10, 5, 2.6, 10),
    (4, 4, 1e300, 4),
]


@pytest.mark.parametrize(("code_length", "k", "a", "kept"), few(KEPT, KEPT[:1]), ids=str)
def test_k_sparse_keeps_a_times_k_rounded_down_outside_training(code_length, k, a, kept):
    autoencoder = autoencoders.KSparseAutoencoder(code_length=code_length, k=k, a=a)
    assert autoencoder.inference_k == kept
    windows = RNG.normal(size=(3, 2, 2, 1)).astype("float32")
    autoencoder.build(windows.shape)
    randomise(autoencoder)
    assert list(np.count_nonzero(autoencoder.encode(windows), axis=1)) == [kept] * 3
    assert list(np.count_nonzero(autoencoder.encode(windows, training=True), axis=1)) == [k] * 3


def test_in_binary_a_times_k_rounds_down_too_far():
    assert math.floor(Fraction(1.15) * 20) == 22  # what the nearest binary number gives, which is wrong
    assert math.floor(1.16 * 25) == 28  # and rounding after the product does not help everywhere
    assert autoencoders.KSparseAutoencoder(code_length=40, k=25, a=1.16).inference_k == 29


def test_k_falls_linearly_over_its_steps_in_training_alone():
    autoencoder, windows = k_sparse_of([[4.0, 3.0, 2.0, 1.0, 5.0]], k=2, k_start=5, k_steps=6)
    kept = []
    for _ in range(8):
        before = float(autoencoder.current_k)
        codes = autoencoder.objective(windows, training=True).codes
        kept.append(int(np.count_nonzero(codes)))
        assert before == kept[-1] and np.sum(codes) == sum([5, 4, 3, 2, 1][: kept[-1]])  # the largest
        assert np.count_nonzero(autoencoder.encode(windows)) == 2  # ⌊a·k⌋, whatever training does
    assert kept == [5, 5, 4, 4, 3, 3, 2, 2]  # 5 − 3·t/6, rounded up; rounded down it would be 5, 4, 4, 3, 3, 2, 2, 2


def test_a_second_objective_of_a_step_is_no_step_of_k():
    autoencoder, windows = k_sparse_of([[4.0, 3.0, 2.0]], k=1, k_start=3, k_steps=2)
    for first in (True, False, False):
        autoencoder.objective(windows, training=True, first=first)
    assert float(autoencoder.current_k) == 2.0


def test_k_sparse_gradient_reaches_only_what_was_kept():
    autoencoder, windows = k_sparse_of([[-9.0, 1.0, 3.0, -2.0, 2.0]], k=2)

    def loss(windows):
        return keras.ops.sum(autoencoder.encode(windows, training=True)), ()

    (gradient,) = value_and_gradients(loss, [windows])[2]
    np.testing.assert_array_equal(np.ravel(gradient), [0, 0, 1, 0, 1])


# VAE


def test_vae_code_is_the_mean_outside_training():
    autoencoder = make_vae()
    windows = make_windows(6, 2, 2, 1)
    mean, log_std = heads(autoencoder, windows)
    np.testing.assert_allclose(autoencoder.encode(windows), mean, rtol=1e-5)
    np.testing.assert_array_equal(autoencoder.encode(windows), autoencoder.encode(windows))
    assert np.min(np.exp(log_std)) > 0.01
    assert not np.allclose(autoencoder.encode(windows, training=True), mean, atol=0.1)


HANDED_ON = list(itertools.product([False, True], autoencoders.CODE_MAPS, [autoencoders.VariationalAutoencoder])) + [
    (training, "sample_in_training", autoencoders.CapacityControlledAutoencoder) for training in (False, True)
]


@pytest.mark.parametrize(("training", "code_maps", "cls"), HANDED_ON)
def test_code_maps_says_what_a_vae_hands_on(cls, code_maps, training):
    """Whatever it hands on, it decodes the sample in training and the mean outside."""
    autoencoder, windows = make_vae(cls, code_maps=code_maps, seed=7), make_windows(6, 2, 2, 1)
    mean, log_std = heads(autoencoder, windows)
    sample = mean + np.exp(log_std) * np.array(keras.random.normal((6, 3), seed=keras.random.SeedGenerator(7)))
    handed = sample if code_maps == "sample" or (training and code_maps == "sample_in_training") else mean
    decoded = sample if training else mean
    objective = autoencoder.objective(windows, training=training)
    np.testing.assert_allclose(objective.codes, handed, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(objective.reconstructions, autoencoder.decode(decoded), rtol=1e-4, atol=1e-5)
    assert not np.allclose(sample, mean, atol=0.1)
    again = make_vae(cls, code_maps=code_maps, seed=7)
    again.set_weights(autoencoder.get_weights())
    np.testing.assert_allclose(again.encode(windows, training=training), handed, rtol=1e-4, atol=1e-5)


def test_code_maps_of_earlier_versions_stay_and_unknown_ones_are_refused():
    config = make_vae(code_maps="mean").get_config()
    assert config.pop("code_maps") == "mean"
    assert autoencoders.VariationalAutoencoder.from_config(config).code_maps == "sample_in_training"
    assert autoencoders.VariationalAutoencoder().code_maps == "mean"
    with pytest.raises(ValueError, match=r"`code_maps` must be one of .*'mean'.* Received: code_maps='means'"):
        autoencoders.get("vae", code_maps="means")


def test_a_type_that_encodes_in_its_own_way_is_decoded_as_it_encodes():
    class Doubled(autoencoders.VariationalAutoencoder):
        def encode_features(self, features, noise, training):
            codes, measures = super().encode_features(features, noise, training)
            return 2 * codes, measures

    autoencoder, windows = Doubled(code_length=3), make_windows(6, 2, 2, 1)
    objective = autoencoder.objective(windows)
    np.testing.assert_allclose(objective.codes, 2 * heads(autoencoder, windows)[0], rtol=1e-5)
    np.testing.assert_allclose(objective.reconstructions, autoencoder.decode(objective.codes), rtol=1e-5, atol=1e-6)


def test_vae_code_is_the_mean_plus_seeded_noise_times_std_in_training():
    autoencoder = make_vae(seed=7)
    windows = make_windows(6, 2, 2, 1)
    mean, log_std = heads(autoencoder, windows)
    noise = keras.random.SeedGenerator(7)
    draws = []
    for _ in range(2):
        epsilon = np.array(keras.random.normal((6, 3), seed=noise))
        draws.append(np.array(autoencoder.encode(windows, training=True)))
        np.testing.assert_allclose(draws[-1], mean + np.exp(log_std) * epsilon, rtol=1e-4, atol=1e-5)
        log_variance = mean + np.exp(log_std / 2) * epsilon  # wrong
        assert not np.allclose(draws[-1], log_variance, atol=1e-2)
    assert not np.allclose(*draws)  # fresh noise every time
    again = make_vae(seed=7)
    again.set_weights(autoencoder.get_weights())
    np.testing.assert_array_equal(again.encode(windows, training=True), draws[0])


@once
def test_vae_codes_have_the_mean_and_the_std_of_the_heads():
    autoencoder = make_vae(seed=1)
    window = make_windows(1, 2, 2, 1)
    mean, log_std = heads(autoencoder, window)
    codes = np.array(autoencoder.encode(np.repeat(window, 20_000, axis=0), training=True))
    std = np.exp(log_std[0])
    np.testing.assert_allclose(np.mean(codes, axis=0), mean[0], atol=4 * np.max(std) / np.sqrt(20_000))
    np.testing.assert_allclose(np.std(codes, axis=0), std, rtol=0.03)


@pytest.mark.parametrize("training", [False, True], ids=["test", "training"])
@pytest.mark.parametrize("beta", few([0.0, 0.5, 3.0], [0.5]))
def test_vae_loss(beta, training):
    autoencoder = make_vae(beta=beta)
    windows = make_windows(6, 2, 2, 1)
    mean, log_std = heads(autoencoder, windows)
    objective = autoencoder.objective(windows, training)
    kl, rl = numpy_kl(mean, log_std), numpy_rl(windows, objective.reconstructions)
    np.testing.assert_allclose(objective.measures["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(objective.measures["rl"], rl, rtol=1e-4)
    np.testing.assert_allclose(objective.loss, beta * kl + rl, rtol=1e-4)
    if beta:
        halved = beta * kl / 2 + rl  # β on top of a ½ inside KL, which is wrong
        assert not np.isclose(objective.loss, halved, rtol=1e-2)


def test_vae_warm_up_raises_beta_from_zero_while_training():
    autoencoder = make_vae(beta=2.0, warmup_steps=4)
    windows = make_windows(6, 2, 2, 1)

    def beta(training):
        objective = autoencoder.objective(windows, training)
        return float((objective.loss - objective.measures["rl"]) / objective.measures["kl"])

    assert beta(False) == pytest.approx(2.0, rel=1e-3)
    betas = []
    for _ in range(6):
        betas.append(beta(True))
        assert beta(False) == pytest.approx(2.0, rel=1e-3)  # neither ramped nor counted
    np.testing.assert_allclose(betas, [0.0, 0.5, 1.0, 1.5, 2.0, 2.0], atol=1e-3)
    assert int(autoencoder.step) == 6


def test_encoding_alone_counts_no_step():
    autoencoder = make_vae(autoencoders.CapacityControlledAutoencoder)
    windows = make_windows(6, 2, 2, 1)
    autoencoder.encode(windows, training=True)
    autoencoder(windows, training=True)
    assert int(autoencoder.step) == 0


# Capacity-controlled VAE


def make_capacity_vae():
    return make_vae(autoencoders.CapacityControlledAutoencoder, gamma=4.0, capacity=6.0, capacity_steps=3)


def test_capacity_rises_to_its_final_value_while_training():
    autoencoder = make_capacity_vae()
    windows = make_windows(6, 2, 2, 1)
    mean, log_std = heads(autoencoder, windows)
    kl = numpy_kl(mean, log_std)
    for capacity in [0.0, 2.0, 4.0, 6.0, 6.0]:
        assert float(autoencoder.current_capacity) == pytest.approx(capacity)
        objective = autoencoder.objective(windows, training=True)
        assert float(objective.measures["capacity"]) == pytest.approx(capacity)
        rl = numpy_rl(windows, objective.reconstructions)
        np.testing.assert_allclose(objective.loss, 4.0 * abs(kl - capacity) + rl, rtol=1e-4)
        plain = 0.5 * kl + rl  # the plain VAE loss, which is wrong in training
        assert not np.isclose(objective.loss, plain, rtol=1e-2)


def test_capacity_penalises_from_both_sides():
    autoencoder = make_capacity_vae()
    windows = make_windows(6, 2, 2, 1)
    mean, log_std = heads(autoencoder, windows)
    kl = numpy_kl(mean, log_std)
    autoencoder.capacity, autoencoder.capacity_steps = kl + 5.0, 0
    objective = autoencoder.objective(windows, training=True)
    np.testing.assert_allclose(objective.loss - objective.measures["rl"], 4.0 * 5.0, rtol=1e-3)


def test_capacity_outside_training_is_a_plain_vae():
    autoencoder = make_capacity_vae()
    windows = make_windows(6, 2, 2, 1)
    mean, log_std = heads(autoencoder, windows)
    for _ in range(2):
        objective = autoencoder.objective(windows)
        rl = numpy_rl(windows, autoencoder.decode(mean))
        np.testing.assert_allclose(objective.loss, 0.5 * numpy_kl(mean, log_std) + rl, rtol=1e-4)
        assert float(objective.measures["capacity"]) == 0.0  # the clock stands still
    penalised = 4.0 * numpy_kl(mean, log_std) + rl
    assert not np.isclose(objective.loss, penalised, rtol=1e-2)


@pytest.mark.parametrize("mode", few(["eager", "graph", "xla"], ["eager"]))  # jax.jit forgets what a function assigns
def test_only_the_first_objective_of_a_step_moves_the_capacity(mode):
    autoencoder = make_capacity_vae()
    windows = make_windows(6, 2, 2, 1)

    def step():
        first = autoencoder.objective(windows, training=True)
        second = autoencoder.objective(windows, training=True, first=False)
        return first.measures["capacity"], second.measures["capacity"]

    if mode != "eager":
        step = compiled(step) if mode == "xla" else tf.function(step, autograph=False)
    capacities = [[float(capacity) for capacity in step()] for _ in range(5)]
    np.testing.assert_allclose(capacities, np.repeat([0.0, 2.0, 4.0, 6.0, 6.0], 2).reshape(5, 2), rtol=1e-6)
    assert int(autoencoder.step) == 5  # not 10, which counting every objective would give


def test_capacity_without_steps_is_there_from_the_start():
    autoencoder = make_vae(autoencoders.CapacityControlledAutoencoder, capacity=6.0, capacity_steps=0)
    assert float(autoencoder.objective(make_windows(6, 2, 2, 1), training=True).measures["capacity"]) == 6.0


# Precision


HALVES = [*((name, "mixed_float16") for name in TYPES), ("capacity_vae", "mixed_bfloat16")]


@pytest.mark.parametrize(("name", "dtype"), few(HALVES, [("capacity_vae", "mixed_float16")]))
def test_mixed_precision_keeps_losses_in_float32(name, dtype):
    autoencoder = autoencoders.get(name, code_length=6, dtype=dtype, decoder="sb", encoder="conv")
    windows = 300.0 * RNG.choice([0.0, 1.0], size=(4, 3, 3, 1)).astype("float32")  # squares overflow float16
    autoencoder.build(windows.shape)
    for weight in autoencoder.log_std.weights if "vae" in name else ():
        weight.assign(0.01 * weight)  # σ = e^100 would overflow float32 too
    variables = autoencoder.trainable_variables

    def scaled():
        loss, objective = with_loss(autoencoder, windows)
        return loss / 1000.0, objective

    _, objective, gradients = value_and_gradients(scaled, variables=variables)
    compute = dtype.removeprefix("mixed_")
    assert objective.codes.dtype == objective.reconstructions.dtype == compute
    assert objective.loss.dtype == "float32"
    assert all(measure.dtype == "float32" for measure in objective.measures.values())
    assert np.isfinite(objective.loss) and float(objective.measures["rl"]) > 65_504
    assert all(variable.dtype == "float32" for variable in variables)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)


CODERS = [("float32", "mixed_float16"), ("mixed_bfloat16", "float64"), ("float64", "float32"), ("float32", "float64")]


@once
@pytest.mark.parametrize(("dtype", "other"), CODERS)
@pytest.mark.parametrize("name", ["k_sparse", "capacity_vae"])
def test_coders_with_a_dtype_policy_of_their_own(name, dtype, other):
    """Codes and reconstructions have the autoencoder's all the same, as it declares."""
    encoder, decoder = coders.FullyConnectedEncoder(dtype=other), coders.FullyConnectedDecoder(dtype=other)
    autoencoder = autoencoders.get(name, code_length=6, encoder=encoder, decoder=decoder, dtype=dtype)
    windows = make_windows(4, 3, 3, 1)
    codes = autoencoder.encode(windows)
    objective = autoencoder.objective(windows, training=True)
    values = [codes, autoencoder.decode(codes), autoencoder(windows), objective.codes, objective.reconstructions]
    assert {keras.backend.standardize_dtype(value.dtype) for value in values} == {dtype.removeprefix("mixed_")}
    assert np.isfinite(objective.loss)


@once
@pytest.mark.parametrize(("name", "likelihood"), [*((name, "gaussian") for name in TYPES), ("vae", "bernoulli")])
def test_the_mean_absolute_error_is_reported_on_request(name, likelihood):
    """Of the means, and nothing else changes."""
    windows, reports = make_windows(6, 3, 2, 1), []
    for mae in (False, True):
        keras.utils.set_random_seed(0)
        autoencoder = (
            TYPES[name](code_length=3, k=2, mae=mae, likelihood=likelihood)
            if name == "k_sparse"
            else (TYPES[name](code_length=3, mae=mae, likelihood=likelihood))
        )
        autoencoder = type(autoencoder).from_config(autoencoder.get_config())
        reports.append(autoencoder.objective(windows))
        assert set(reports[-1].measures) == set(autoencoder.measure_names)
    without, report = reports
    expected = np.mean(np.abs(windows - np.array(report.reconstructions)))
    np.testing.assert_allclose(report.measures["mae"], expected, rtol=1e-5)
    assert float(report.loss) == float(without.loss) and report.measures.keys() - without.measures.keys() == {"mae"}


@types
def test_the_representation_is_what_codes_are_drawn_or_selected_from(name):
    """[n, code_length], in the compute dtype, the same whenever it is asked for."""
    arguments = {"k_sparse": {"k": 1, "a": 1.0}}.get(name, {})
    arguments |= {"code_maps": "sample"} if "vae" in name else {}
    autoencoder = TYPES[name](code_length=3, **arguments)
    autoencoder.build((None, 3, 2, 1))
    randomise(autoencoder)
    windows = make_windows(5, 3, 2, 1)
    representation = np.array(autoencoder.representation(windows))
    heads = {"joint_vae": ("mean", "logits"), "standard": ("code",), "k_sparse": ("code",)}.get(name, ("mean",))
    features = autoencoder.encoder(windows)
    expected = np.concatenate([getattr(autoencoder, head)(features) for head in heads], axis=-1)
    assert representation.shape == (5, 3) and representation.dtype == autoencoder.compute_dtype
    np.testing.assert_allclose(representation, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(representation, autoencoder.representation(windows))
    same = np.allclose(representation, autoencoder.encode(windows), atol=1e-3)
    assert same == (name == "standard")  # the others select two of three away, or add noise
    for wrong in (windows[:, :2], windows[0], make_windows(5, 3, 2, 2)):
        with pytest.raises(ValueError, match=r"`windows` must be of the shape \(None, 3, 2, 1\)"):
            autoencoder.representation(wrong)


# Configurations


ARGUMENTS = {
    "standard": {},
    "k_sparse": {"k": 2, "a": 1.5, "k_start": 3, "k_steps": 7, "select": "magnitude"},
    "vae": {"beta": 2.0, "warmup_steps": 7, "seed": 3},
    "capacity_vae": {"gamma": 5.0, "capacity": 12.0, "capacity_steps": 70, "seed": 3},
    "info_vae": {"alpha": -0.5, "lambda_": 3.0, "bandwidth": 2.0, "seed": 3},
    "joint_vae": {"categories": (2,), "temperature": 0.5, "gamma": 5.0, "discrete_capacity": 1.0, "seed": 3},
}
SHARED = {
    "code_length": 3,
    "kernels": 4,
    "kernel_size": 3,
    "conv_strides": 3,
    "name": "mine",
    "dtype": "mixed_bfloat16",
}


@pytest.mark.parametrize(
    "way",
    [
        lambda autoencoder: type(autoencoder).from_config(autoencoder.get_config()),
        lambda autoencoder: keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(autoencoder)),
        lambda autoencoder: autoencoders.get(keras.saving.serialize_keras_object(autoencoder)),
    ],
    ids=["from_config", "keras_saving", "get"],
)
@once
@types
def test_configurations_hold_every_argument(name, way):
    arguments = SHARED | ARGUMENTS[name] | {"encoder": "conv", "decoder": "sb"}
    autoencoder = TYPES[name](**arguments)
    config = autoencoder.get_config()
    for key in arguments.keys() - {"dtype"}:
        assert config[key] == arguments[key]
        assert getattr(autoencoder, key) == arguments[key] or key in ("encoder", "decoder")
    again = way(autoencoder)
    assert type(again) is TYPES[name]
    assert again.get_config() == config
    assert again.dtype_policy.name == "mixed_bfloat16"
    assert [type(again.encoder), type(again.decoder)] == [type(autoencoder.encoder), type(autoencoder.decoder)]


def own_coders():
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5, "tanh")])
    decoder = keras.Sequential([keras.layers.Dense(8), keras.layers.Reshape((2, 2, 2))])
    return encoder, decoder


# Every type hands its coders to what all share.
STORED = [(name, "ours", True) for name in TYPES]
STORED += [("capacity_vae", "ours", False), ("capacity_vae", "plain_keras", False), ("standard", "plain_keras", True)]


@once
@pytest.mark.parametrize(("name", "kind", "built"), STORED)
def test_configurations_hold_encoder_and_decoder_objects(name, kind, built):
    if kind == "ours":
        encoder = coders.FullyConnectedEncoder(activation="tanh", name="encoding")
        decoder = coders.SpatialBroadcastDecoder(kernels=3, kernel_size=2, name="decoding")
    else:
        encoder, decoder = own_coders()
    autoencoder = TYPES[name](code_length=3, encoder=encoder, decoder=decoder, **ARGUMENTS[name])
    windows = make_windows(4, 2, 2, 2)
    if built:
        autoencoder.build(windows.shape)
    again = TYPES[name].from_config(autoencoder.get_config())
    assert again.encoder is not encoder and again.decoder is not decoder
    if not built:
        autoencoder.build(windows.shape)
    again.build(windows.shape)
    again.set_weights(autoencoder.get_weights())
    np.testing.assert_allclose(again(windows), autoencoder(windows), rtol=1e-6)


@once
def test_a_configuration_taken_from_one_window_size_serves_another():
    autoencoder = autoencoders.StandardAutoencoder(encoder=coders.ConvolutionalEncoder(3), decoder="conv")
    autoencoder.build((None, 4, 4, 1))
    again = autoencoders.StandardAutoencoder.from_config(autoencoder.get_config())
    assert tuple(again.encode(make_windows(2, 6, 5, 3)).shape) == (2, 10)


def test_get_takes_names_objects_and_configurations():
    for name, cls in TYPES.items():
        autoencoder = autoencoders.get(name, code_length=7)
        assert type(autoencoder) is cls and autoencoder.code_length == 7
        assert autoencoders.get(autoencoder) is autoencoder


def test_defaults():
    standard = autoencoders.get("standard")
    assert (standard.code_length, standard.kernels, standard.kernel_size, standard.conv_strides) == (10, 32, 4, 2)
    assert type(standard.encoder) is coders.FullyConnectedEncoder
    assert type(standard.decoder) is coders.FullyConnectedDecoder
    assert (autoencoders.get("k_sparse").k, autoencoders.get("k_sparse").a) == (5, 1.3)
    assert (autoencoders.get("vae").beta, autoencoders.get("vae").warmup_steps) == (0.5, 0)
    assert (autoencoders.get("capacity_vae").gamma, autoencoders.get("capacity_vae").capacity) == (10.0, 25.0)
    info = autoencoders.get("info_vae")
    assert (info.alpha, info.lambda_, info.bandwidth, info.beta) == (0.0, 1000.0, None, 0.5)


# Errors


NUMBER = "a finite number of at least 0"
ERRORS = {
    "code_length": ("standard", "code_length", 0, "an integer of at least 1"),
    "kernels": ("standard", "kernels", -1, "an integer of at least 1"),
    "kernel_size": ("standard", "kernel_size", 2.5, "an integer of at least 1"),
    "conv_strides": ("standard", "conv_strides", 1, "an integer of at least 2"),
    "encoder": ("standard", "encoder", "cnv", "one of ('fc', 'conv'). Did you mean 'conv'?"),
    "encoder_sb": ("standard", "encoder", "sb", "one of ('fc', 'conv')"),
    "decoder": ("standard", "decoder", "fcc", "one of ('fc', 'conv', 'sb', 'tied'). Did you mean 'fc'?"),
    "decoder_none": ("standard", "decoder", None, "one of ('fc', 'conv', 'sb', 'tied'), a Keras layer or its config"),
    "k_above_code": ("k_sparse", "k", 11, "at most the code length, 10"),
    "k_start_below_k": ("k_sparse", "k_start", 4, "from k, 5, to the code length, 10"),
    "k_start_alone": ("k_sparse", "k_steps", 3, "above 0 with k_start, and left out without it"),
    "k_zero": ("k_sparse", "k", 0, "an integer of at least 1"),
    "a_below_one": ("k_sparse", "a", 0.99, "a finite number of at least 1"),
    "a_nan": ("k_sparse", "a", float("nan"), "a finite number of at least 1"),
    "select": ("k_sparse", "select", "size", "one of ('value', 'magnitude')"),
    "beta": ("vae", "beta", -0.1, NUMBER),
    "warmup_steps": ("vae", "warmup_steps", -1, "an integer of at least 0"),
    "gamma": ("capacity_vae", "gamma", -1, NUMBER),
    "capacity": ("capacity_vae", "capacity", -2.0, NUMBER),
    "capacity_infinite": ("capacity_vae", "capacity", float("inf"), NUMBER),
    "capacity_steps": ("capacity_vae", "capacity_steps", 1.5, "an integer of at least 0"),
    "alpha": ("info_vae", "alpha", 1.5, "a finite number of at most 1"),
    "alpha_infinite": ("info_vae", "alpha", float("-inf"), "a finite number of at most 1"),
    "lambda": ("info_vae", "lambda_", 0.9, "a finite number of at least 1"),
    "bandwidth": ("info_vae", "bandwidth", 0, "a finite number above 0"),
    "categories": ("joint_vae", "categories", (3, 1), "an integer of at least 2, or several of them"),
    "categories_too_many": ("joint_vae", "categories", (10, 10), "below the code length, 20, in total"),
    "temperature": ("joint_vae", "temperature", 0, "a finite number above 0"),
    "discrete_capacity": ("joint_vae", "discrete_capacity", -1, NUMBER),
    "beta_of_info": ("info_vae", "beta", 0.5, "left out: the weight of KL is (1 - alpha) / 2"),
}


@pytest.mark.parametrize(("name", "argument", "value", "allowed"), ERRORS.values(), ids=ERRORS.keys())
def test_bad_arguments(name, argument, value, allowed):
    with pytest.raises(ValueError) as error:
        TYPES[name](**{argument: value})
    message = str(error.value)
    assert message.startswith(f"Argument `{argument}` must be {allowed}")
    assert message.endswith(f"Received: {argument}={value!r}")


@pytest.mark.parametrize(
    ("identifier", "hint"),
    [("vea", "Did you mean 'vae'?"), ("ksparse", "Did you mean 'k_sparse'?"), ("gan", ""), (3, ""), (None, "")],
    ids=str,
)
def test_unknown_types(identifier, hint):
    with pytest.raises(ValueError) as error:
        autoencoders.get(identifier)
    message = str(error.value)
    assert message.startswith(
        "Argument `autoencoder` must be one of ('standard', 'k_sparse', 'vae', 'capacity_vae', 'info_vae', 'joint_vae')"
    )
    assert hint in message and ("Did you mean" in message) == bool(hint)
    assert message.endswith(f"Received: autoencoder={identifier!r}")


def test_another_layer_or_its_configuration_is_no_autoencoder():
    encoder = coders.FullyConnectedEncoder()
    for identifier in (encoder, keras.saving.serialize_keras_object(encoder)):
        with pytest.raises(ValueError, match="`autoencoder` must be one of .* an autoencoder or its config"):
            autoencoders.get(identifier)


def test_decoding_needs_the_windows_to_make():
    with pytest.raises(ValueError, match="must be built before it decodes: encode windows first"):
        autoencoders.StandardAutoencoder().decode(np.zeros((2, 10), "float32"))


@pytest.mark.parametrize("shape", [(None, None, 2, 1), (None, 2, 2, None), (None, 2, 2), (None, 2, 2, 1, 1)], ids=str)
def test_windows_must_be_known_and_of_rank_four(shape):
    with pytest.raises(ValueError, match=r"`windows_shape` must be \(n, rows, columns, channels\), all known but n"):
        autoencoders.StandardAutoencoder().build(shape)


@once
def test_coders_must_fit_together():
    maps = autoencoders.StandardAutoencoder(encoder=keras.layers.Conv2D(2, 1))
    with pytest.raises(ValueError, match=r"`encoder` must be a layer that returns flat features"):
        maps.build((None, 2, 2, 1))
    flat = autoencoders.StandardAutoencoder(decoder=keras.layers.Dense(3))
    with pytest.raises(ValueError, match=r"`decoder` must be a layer that returns windows \(None, 2, 2, 1\)"):
        flat.build((None, 2, 2, 1))


def test_every_combination_is_tested():
    assert {case[1:] for case in COMBINATIONS} == set(itertools.product(ENCODERS, DECODERS, SHAPES))
    for i, values in ((1, ENCODERS), (2, DECODERS), (3, SHAPES)):
        assert {(case[0], case[i]) for case in COMBINATIONS} == set(itertools.product(TYPES, values))
    # "tied" goes with one encoder alone, and has tests of its own.
    assert set(ENCODERS) == set(coders.ENCODERS) and {*DECODERS, "tied"} == set(coders.DECODERS)
