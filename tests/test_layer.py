"""The layer as a Keras layer: drop-in for pooling, losses, shapes, dtype policies, configs, errors."""

import keras
import numpy as np
import pytest
from backends import BACKEND, few, needs_tensorflow, once
from gradients import value_and_gradients
from keras import layers
from layer_checks import EAGERLY, TYPES, compile_model, make_autoencoder, make_data, make_lea, make_model

import lea_keras
from lea_keras.layers.scope import forward_pass
from lea_keras.losses import wide_dtype
from lea_keras.windows import extract_windows

if BACKEND == "tensorflow":
    import tensorflow as tf

WINDOWINGS = [(2, None, "same"), (3, 2, "same"), (3, 2, "valid"), ((2, 3), (1, 2), "same"), (4, 5, "valid")]


@once
@pytest.mark.parametrize(("window_size", "strides", "padding"), WINDOWINGS)
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (None, None)])
def test_shapes_are_those_of_max_pooling(window_size, strides, padding, size):
    inputs = keras.Input((*size, 2))
    arguments = {"strides": strides, "padding": padding}
    lea = lea_keras.LocallyEmbeddedAutoencoder(window_size, make_autoencoder(), **arguments)
    pool = layers.MaxPooling2D(window_size, **arguments)
    assert lea(inputs).shape == (*pool(inputs).shape[:3], 4)
    images = np.random.default_rng(0).random((3, *(n or 10 for n in size), 2)).astype("float32")
    assert tuple(lea(images).shape) == (*pool(images).shape[:3], 4)


@once
def test_code_maps_are_the_codes_of_the_windows_at_their_places():
    images, _ = make_data(2)
    lea = make_lea(window_size=3, strides=2)
    code_maps = np.array(lea(images))
    windows = np.array(extract_windows(images, 3, 2))
    for sample, row, column in np.ndindex(code_maps.shape[:3]):
        code = np.array(lea.autoencoder.encode(windows[sample, row, column][None]))[0]
        np.testing.assert_allclose(code_maps[sample, row, column], code, atol=1e-6)


def test_channels_first_is_the_transposed_layer():
    images, _ = make_data(2)
    last = make_lea()
    expected = last(images)
    first = lea_keras.LocallyEmbeddedAutoencoder(4, last.autoencoder, strides=2, data_format="channels_first")
    transposed = np.transpose(images, (0, 3, 1, 2))
    assert first.compute_output_shape(transposed.shape) == (2, 4, 4, 4)
    np.testing.assert_allclose(first(transposed), np.transpose(expected, (0, 3, 1, 2)), atol=1e-6)
    keras.config.set_image_data_format("channels_first")
    assert lea_keras.LocallyEmbeddedAutoencoder(4).data_format == "channels_first"


@pytest.mark.parametrize("kind", few(TYPES, ["capacity_vae"]))
@pytest.mark.parametrize("training", few([False, True], [True]))
def test_registers_the_weighted_objective_once_per_call(kind, training):
    images, _ = make_data(4)
    lea = make_lea(kind, loss_weight=0.5)
    lea.build(images.shape)
    twin = make_lea(kind, loss_weight=0.5)
    twin.build(images.shape)
    twin.set_weights(lea.get_weights())
    lea(images, training=training)
    (loss,) = lea.losses
    windows = keras.ops.reshape(extract_windows(images, 4, 2), (-1, 4, 4, 1))
    expected = 0.5 * twin.autoencoder.objective(windows, training).loss
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert loss.shape == () and loss.dtype == "float32"
    lea(images, training=training)
    assert len(lea.losses) == 1  # the losses of the call before are gone


def test_zero_weight_registers_no_loss_and_runs_no_decoder(monkeypatch):
    images, _ = make_data(2)
    lea = make_lea(loss_weight=0.0)
    lea.build(images.shape)
    monkeypatch.setattr(lea.autoencoder.decoder, "call", None)  # calling it would raise
    assert lea(images, training=True).shape == (2, 4, 4, 4)
    assert lea.losses == []
    assert not lea.autoencoder.decoder.trainable_variables


def test_sequential_functional_and_subclassed_models_train_it_jointly():
    images, labels = make_data()

    def stack():
        keras.utils.set_random_seed(1)
        return [make_lea("vae"), layers.Flatten(), layers.Dense(3, activation="softmax")]

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.stack = stack()

        def call(self, images, training=False):
            for layer in self.stack:  # Keras passes ``training`` on to them, but for its own training under JAX
                images = layer(images, **({"training": training} if BACKEND == "jax" else {}))
            return images

    def functional():
        outputs = inputs = keras.Input((8, 8, 1))
        for layer in stack():
            outputs = layer(outputs)
        return keras.Model(inputs, outputs)

    histories = []
    for make in (lambda: keras.Sequential(stack()), functional, Subclassed):
        model = make()
        eagerly = EAGERLY and make is not functional  # once in graphs
        model.compile(keras.optimizers.SGD(1e-2), "categorical_crossentropy", run_eagerly=eagerly)
        histories.append(model.fit(images, labels, epochs=2, batch_size=8, shuffle=False, verbose=0).history["loss"])
    assert histories[0][-1] < histories[0][0]
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-5)
    np.testing.assert_allclose(histories[0], histories[2], rtol=1e-5)


@once
@pytest.mark.parametrize(
    ("policy", "kind"), [*(("mixed_float16", kind) for kind in TYPES), ("mixed_bfloat16", "capacity_vae")]
)
def test_mixed_precision_in_a_plain_fit(policy, kind):
    keras.config.set_dtype_policy(policy)
    images, labels = make_data(8)
    lea = make_lea(kind)
    model = keras.Sequential([lea, layers.Flatten(), layers.Dense(3, activation="softmax", dtype="float32")])
    model.compile("sgd", "categorical_crossentropy", run_eagerly=kind != "vae")  # once in graphs
    losses = [model.train_on_batch(images, labels) for _ in range(2)]
    assert np.all(np.isfinite(losses))
    assert lea(images).dtype == policy.removeprefix("mixed_")
    assert all(loss.dtype == "float32" for loss in lea.losses)
    assert all(variable.dtype == "float32" for variable in lea.trainable_variables)


FLOATX = [
    (*case, floatx) for floatx in ("float64", "float16") for case in ((None, "vae"), ("alternate", "capacity_vae"))
]
FLOATX += [("joint", "k_sparse", "float64"), ("independent", "standard", "float16")]


@once
@pytest.mark.parametrize(("optimization", "kind", "floatx"), FLOATX)
def test_another_floatx(optimization, kind, floatx):
    """Weights and code maps have it, losses at least float32."""
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    model = compile_model(make_model(optimization, kind, leas=1), keras.optimizers.SGD(1e-3), run_eagerly=EAGERLY)
    images, labels = make_data(8)
    logs = [model.train_on_batch(images.astype(floatx), labels, return_dict=True) for _ in range(2)]
    assert np.all(np.isfinite([[*log.values()] for log in logs])) and logs[1]["loss"] != logs[0]["loss"]
    assert {weight.dtype for weight in model.get_layer("lea_1").weights} == {floatx}
    with forward_pass("objectives") as current:
        code_maps = model.get_layer("lea_1")(keras.ops.zeros((1, 8, 8, 2)))
    objective = current.reports[0]
    assert code_maps.dtype == floatx
    assert all(value.dtype == wide_dtype(floatx) for value in (objective.loss, *objective.measures.values()))


@once
def test_a_loss_in_float64_is_not_rounded_to_float32():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    images = np.random.default_rng(0).random((2, 8, 8, 1))
    lea = make_lea(strides=4)
    lea(images)
    windows = np.reshape(extract_windows(images, 4), (-1, 4, 4, 1))
    reconstructions = np.array(lea.autoencoder(windows))
    expected = np.mean(np.sum((windows - reconstructions) ** 2, axis=(1, 2, 3)))
    assert lea.losses[0].dtype == "float64"
    assert abs(float(lea.losses[0]) - expected) < 1e-14 * expected
    assert abs(np.float32(expected) - expected) > 1e-10 * expected


POLICIES = [("float32", "mixed_float16"), ("mixed_bfloat16", "float32"), ("float64", "float32"), ("float32", "float64")]


@pytest.mark.parametrize(("policy", "other"), few(POLICIES, POLICIES[:1]))
@pytest.mark.parametrize(("kind", "chunk_windows"), few([("k_sparse", None), ("capacity_vae", 200)], [("vae", None)]))
def test_code_maps_have_the_dtype_of_the_layer_whatever_that_of_its_autoencoder(policy, other, kind, chunk_windows):
    inputs = keras.Input((8, 8, 1))
    autoencoder = make_autoencoder(kind, dtype=other)
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, autoencoder, 4, dtype=policy, chunk_windows=chunk_windows)
    model = keras.Model(inputs, lea(inputs))
    images, _ = make_data(2)
    with forward_pass("codes"):
        outputs = [model.output, lea(images)]
    if BACKEND == "tensorflow":
        outputs.append(tf.function(lea)(images))
    outputs += [model(images), lea(images, training=True)]
    compute = policy.removeprefix("mixed_")
    assert {keras.backend.standardize_dtype(output.dtype) for output in outputs} == {compute}
    codes = autoencoder.encode(extract_windows(images, 4)[0, 0])
    assert codes.dtype == autoencoder.decode(codes).dtype == other.removeprefix("mixed_")
    assert lea.losses[0].dtype == "float32"
    assert lea_keras.LocallyEmbeddedAutoencoder(4, kind, dtype=policy).autoencoder.dtype_policy.name == policy
    by_config = lea_keras.LocallyEmbeddedAutoencoder.from_config(lea.get_config())
    assert (by_config.dtype_policy.name, by_config.autoencoder.dtype_policy.name) == (policy, other)


def test_unknown_sizes_accept_images_of_any_size():
    inputs = keras.Input((None, None, 1))
    model = keras.Sequential([inputs, make_lea(), layers.GlobalAveragePooling2D(), layers.Dense(3)])
    model.compile("sgd", "mse")
    for size in few((8, 11), (11,)):
        images = np.random.default_rng(0).random((4, size, size, 1)).astype("float32")
        assert np.isfinite(model.train_on_batch(images, np.zeros((4, 3))))
        assert model.layers[0](images).shape == (4, -(-size // 2), -(-size // 2), 4)


@needs_tensorflow  # a plain model under JAX loses all of a layer's losses but the last use's
def test_capacity_counts_steps_and_not_calls_in_a_plain_model():
    """A layer used twice in one forward pass makes two calls a step; evaluation and prediction make none."""
    images, labels = make_data()
    inputs = keras.Input((8, 8, 1))
    lea = make_lea("capacity_vae")
    both = layers.Concatenate()([lea(inputs), lea(inputs)])
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(both)))
    model.compile("sgd", "categorical_crossentropy")
    model.fit(images, labels, batch_size=8, epochs=2, verbose=0, validation_data=(images, labels))
    model.predict(images, verbose=0)
    assert int(lea.autoencoder.step) == 4  # 2 batches × 2 epochs; counting calls would give 8
    np.testing.assert_allclose(lea.autoencoder.current_capacity, 25.0 * 4 / 10, rtol=1e-6)


def test_forward_pass_modes():
    images, _ = make_data(2)
    lea = make_lea()
    lea(images)

    def gradient(mode):
        def loss(tensor):
            with forward_pass(mode) as current:
                maps = lea(tensor)
            used.extend(report.layer for report in current.reports)
            return keras.ops.sum(maps) if not current.reports else current.reports[0].loss, ()

        used = []
        return value_and_gradients(loss, [images])[2][0], used

    flowing, used = gradient("objectives")
    assert flowing is not None and np.any(flowing) and used == [lea]
    stopped, used = gradient("local")
    assert used == [lea]
    assert stopped is None if BACKEND == "tensorflow" else not np.any(stopped)
    through_encoder, used = gradient("codes")
    assert through_encoder is not None and np.any(through_encoder) and used == []
    with pytest.raises(ValueError, match="Argument `mode` must be one of.*Received: mode='all'"), forward_pass("all"):
        pass


@once
@pytest.mark.parametrize("kind", TYPES)
def test_config_round_trip_and_reuse_for_other_channels(kind):
    lea = make_lea(kind, window_size=(2, 3), strides=(1, 2), loss_weight=0.25)
    lea.build((None, 8, 8, 1))
    copy = lea_keras.LocallyEmbeddedAutoencoder.from_config(lea.get_config())
    assert copy.get_config() == lea.get_config()
    assert type(copy.autoencoder) is type(lea.autoencoder) and copy.autoencoder is not lea.autoencoder
    copy.build((None, 8, 8, 5))  # a config holds no shapes
    assert copy.autoencoder.windows_shape == (None, 2, 3, 5)


BAD_ARGUMENTS = [
    ({"window_size": 0}, "window_size", "positive integer or a pair"),
    ({"window_size": (2, 2, 2)}, "window_size", "positive integer or a pair"),
    ({"strides": -1}, "strides", "positive integer or a pair"),
    ({"strides": 1.5}, "strides", "positive integer or a pair"),
    ({"padding": "full"}, "padding", r"one of \('same', 'valid'\)"),
    ({"loss_weight": -0.1}, "loss_weight", "at least 0"),
    ({"loss_weight": float("nan")}, "loss_weight", "finite"),
    ({"data_format": "chw"}, "data_format", "one of"),
    ({"autoencoder": "capacity_vea"}, "autoencoder", "Did you mean 'capacity_vae'"),
    ({"autoencoder": 3}, "autoencoder", "an autoencoder or its config"),
]


@pytest.mark.parametrize(("arguments", "name", "allowed"), BAD_ARGUMENTS)
def test_bad_arguments(arguments, name, allowed):
    with pytest.raises(ValueError, match=f"^Argument `{name}` must be .*{allowed}.*Received: {name}="):
        lea_keras.LocallyEmbeddedAutoencoder(**({"window_size": 2} | arguments))


def test_bad_inputs():
    with pytest.raises(ValueError, match="Argument `inputs` must be of rank 4"):
        make_lea()(np.zeros((2, 8, 8), "float32"))
    with pytest.raises(ValueError, match="Argument `inputs` must be of a known number of channels"):
        make_lea()(keras.Input((8, 8, None)))
    with pytest.raises(
        ValueError, match=r"`window_size` must be at most the image size \(3, 3\) under padding=\"valid"
    ):
        lea_keras.LocallyEmbeddedAutoencoder(4, padding="valid")(np.zeros((2, 3, 3, 1), "float32"))
    lea = make_lea()
    lea(np.zeros((2, 8, 8, 1), "float32"))
    with pytest.raises(ValueError, match="incompatible with the layer.*expected axis -?[13].*value 1"):
        lea(np.zeros((2, 8, 8, 2), "float32"))
    with pytest.raises(ValueError, match="Argument `autoencoder` must be new or built for windows"):
        lea_keras.LocallyEmbeddedAutoencoder(3, lea.autoencoder)(np.zeros((2, 8, 8, 1), "float32"))
