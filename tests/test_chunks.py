"""Chunks of windows: the same numbers as from all windows at once, in less memory."""

import keras
import numpy as np
import pytest
from backends import BACKEND, few, needs_tensorflow, once
from gradients import value_and_gradients
from keras import layers
from layer_checks import EAGERLY, GRIDS, compile_model, make_autoencoder, make_data, make_lea, make_model, steps

import lea_keras
from lea_keras import autoencoders, windows
from lea_keras.layers import chunking

if BACKEND == "tensorflow":
    import tensorflow as tf

IMAGES = np.random.default_rng(3).normal(size=(3, 9, 7, 2)).astype("float32")
CLOSE = {"rtol": 2e-5, "atol": 2e-6}


def train(chunk_windows, optimization="alternate", kind="standard", leas=1, count=1, batch=3, **arguments):
    """History and weights after steps of gradient descent, which does not hide the size of a gradient.

    20 windows are five rows of the twelve that a LEA has in three images: the last chunk is filled up. Graphs are
    traced in the tests of sizes that only they know.
    """
    model = make_model(optimization, kind, chunk_windows=chunk_windows, leas=few(leas, 1), **arguments)
    # Under JAX weights are drawn from which a larger step makes the penalty of the capacity overflow.
    optimizer = keras.optimizers.SGD(few(0.05, 0.005))
    compile_model(model, optimizer, metrics=None, jit_compile=BACKEND == "jax", run_eagerly=EAGERLY)
    return steps(model, samples=batch * count, batch_size=batch), model.get_weights()


def assert_same(first, second):
    (history, weights), (other_history, other_weights) = first, second
    assert history.keys() == other_history.keys() and len(weights) == len(other_weights)
    for name, values in history.items():
        np.testing.assert_allclose(values, other_history[name], **CLOSE, err_msg=name)
    for values, others in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(values, others, **CLOSE)


def test_an_alternate_step_in_chunks_is_the_same_step():
    """20 windows are five rows of the first LEA's 24 and ten of the second's 12: the last chunk is filled up.

    With noise and a clock, for which there are two steps; types without them are in test_steps.py.
    """
    options = {"kind": "capacity_vae", "leas": 2, "count": 2, "batch": 6}
    whole = train(None, **options)
    assert_same(train(20, **options), whole)
    with pytest.raises(AssertionError):  # and this comparison sees a difference
        assert_same(train(None, **options, loss_weight=1.01), whole)


@pytest.mark.parametrize(("optimization", "kind"), [("joint", "capacity_vae"), (None, "k_sparse")])
def test_gradients_for_earlier_layers_and_from_later_ones_are_the_same(optimization, kind):
    """Those of "independent" are in test_steps.py."""
    assert_same(train(20, optimization, kind), train(None, optimization, kind))


OTHERS = [{"encoder": "conv", "decoder": "sb", "kernels": 2}, {"loss_weight": 0.0}]


@pytest.mark.parametrize("arguments", few(OTHERS, OTHERS[1:]), ids=str)
def test_other_coders_and_no_decoder(arguments):
    options = {"optimization": "joint", "kind": "vae"}
    assert_same(train(20, **options, **arguments), train(None, **options, **arguments))


@once
@pytest.mark.parametrize("loss_weight", [1.0, 0.0])
def test_codes_that_are_samples_are_the_same_samples(loss_weight):
    """And none where there is no decoder: then a LEA is a layer like any other."""
    codes = []
    for chunk_windows in (None, 12):
        keras.utils.set_random_seed(0)
        lea = make_lea("vae", code_maps="sample", loss_weight=loss_weight, chunk_windows=chunk_windows)
        codes.append(np.array(lea(IMAGES, training=bool(loss_weight))))
        np.testing.assert_array_equal(np.array_equal(lea(IMAGES, training=True), codes[-1]), not loss_weight)
        np.testing.assert_array_equal(np.array_equal(lea(IMAGES), codes[-1]), not loss_weight)
    np.testing.assert_allclose(*codes, **CLOSE)


@needs_tensorflow  # JAX always runs under XLA
def test_under_xla(monkeypatch):
    """Its random numbers are others than those of operations that run eagerly, so that both are given the same."""
    noise = np.random.default_rng(1).normal(size=(3 * 5 * 7, 4)).astype("float32")
    monkeypatch.setattr(autoencoders.VariationalAutoencoder, "draw_noise", lambda *_: tf.constant(noise))
    for chunked, whole in zip(gradients_of(5, jit_compile=True), gradients_of(None), strict=True):
        np.testing.assert_allclose(chunked, whole, rtol=1e-4, atol=1e-4)


def gradients_of(chunk_windows, loss_weight=1.0, batches=(IMAGES,), kind="capacity_vae", **arguments):
    """Of codes and objective, for images and weights; traced or compiled as the arguments say, or else eagerly."""
    layer = make_lea(kind, (4, 3), (2, 1), chunk_windows=chunk_windows, loss_weight=loss_weight)
    layer.build((None, None, None, 2))
    for i, weight in enumerate(layer.trainable_weights):
        weight.assign(np.random.default_rng(i).normal(size=weight.shape) / 10)
    variables = [variable.value for variable in layer.trainable_variables]

    def gradients(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(tf.sin(layer(images, training=True))) + sum(layer.losses)
        return tape.gradient(loss, [images, *variables], unconnected_gradients="zero")

    if arguments:
        gradients = tf.function(gradients, autograph=False, **arguments)
    return [gradient for images in map(tf.constant, batches) for gradient in gradients(images)]


@once
def test_a_mean_absolute_error_is_the_same():
    """It is not trained on, and where the slopes of a loss depend on means, no decoder runs for it beforehand."""
    assert_same(*(train(chunk_windows, kind="capacity_vae", mae=True) for chunk_windows in (20, None)))


@once
def test_automatic_chunks_are_the_same_step():
    assert_same(train("auto"), train(None))


@once
@pytest.mark.parametrize("floatx", ["float16", "float64"])
def test_other_floatx(floatx):
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if floatx == "float16" else {"rtol": 1e-12, "atol": 1e-12}
    images = IMAGES[:1, :5].astype(floatx)
    (first, gradients), (second, others) = (
        objective_and_gradients(make_lea(chunk_windows=n), images) for n in (8, None)
    )
    assert first.dtype == second.dtype == floatx
    for chunked, whole in zip([first, *gradients], [second, *others], strict=True):
        np.testing.assert_allclose(chunked, whole, **tolerance)


def objective_and_gradients(layer, images):
    """The registered loss and its gradients, from weights that depend on nothing."""
    layer.build(images.shape)
    for i, weight in enumerate(layer.weights):
        weight.assign(np.random.default_rng(i).normal(size=weight.shape) / 3)

    def loss(images):
        layer(images)
        return layer.losses[0], ()

    value, _, gradients = value_and_gradients(loss, [images], layer.trainable_variables)
    return value, gradients


@once
def test_mixed_precision():
    """Gradients come scaled from float16 and are summed in float32."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        (history, weights), (other_history, other_weights) = (train(n, kind="vae", count=2) for n in (20, None))
    finally:
        keras.config.set_dtype_policy("float32")
    for name, values in history.items():
        np.testing.assert_allclose(values, other_history[name], rtol=2e-3, atol=2e-3)
    for values, others in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(values, others, rtol=2e-2, atol=2e-3)


def test_evaluate_predict_and_inspect_are_the_same():
    images, labels = make_data(4)
    found = []
    for chunk_windows in (None, 12):
        model = make_model(kind="capacity_vae", leas=few(2, 1), chunk_windows=chunk_windows)
        compile_model(model, run_eagerly=EAGERLY)
        evaluated = model.test_on_batch(images, labels, return_dict=True)
        found.append((list(evaluated.values()), model.predict_on_batch(images)))
        if BACKEND == "tensorflow":  # elsewhere compiling this operation by operation costs as much as all the rest
            found[-1] += (lea_keras.inspect(model, images)[0].reconstructions,)
    for whole, chunked in zip(*found, strict=True):
        np.testing.assert_allclose(chunked, whole, **CLOSE)


@pytest.mark.parametrize("name", few(GRIDS, ["overlap", "gaps"]))
def test_gradient_reaches_every_pixel(name):
    window_size, strides, padding = GRIDS[name]
    two = IMAGES[:2]

    def gradients(chunk_windows):
        layer = lea_keras.LocallyEmbeddedAutoencoder(
            window_size, make_autoencoder(), strides, padding, chunk_windows=chunk_windows
        )
        layer.build(two.shape)
        for i, weight in enumerate(layer.weights):
            weight.assign(np.random.default_rng(i).normal(size=weight.shape) / 3)

        def loss(images):
            codes = layer(images)
            return keras.ops.sum(keras.ops.sin(codes)) + sum(layer.losses), ()

        return value_and_gradients(loss, [two], layer.trainable_variables)[2]

    for chunked, whole in zip(gradients(3), gradients(None), strict=True):
        rounding = max(1e-4, 1e-6 * np.abs(whole).max())  # of sums whose terms are as large as that
        np.testing.assert_allclose(chunked, whole, rtol=1e-4, atol=rounding)


@needs_tensorflow  # only its graphs have such sizes
@pytest.mark.parametrize("jit_compile", [False, True])
def test_sizes_known_only_to_the_graph(jit_compile):
    layer = make_lea("vae", chunk_windows=3)
    layer.build((None, None, None, 2))

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 2))], jit_compile=jit_compile, autograph=False)
    def codes(images):
        return layer(images)

    if jit_compile:  # XLA wants the chunks' size before it runs
        codes = tf.function(lambda images: layer(images), jit_compile=True, autograph=False)
    whole = make_lea("vae")
    whole.build((None, None, None, 2))
    whole.set_weights(layer.get_weights())
    for images in (IMAGES, IMAGES[:1, :5]):
        np.testing.assert_allclose(codes(tf.constant(images)), whole(images), **CLOSE)


@needs_tensorflow
@pytest.mark.parametrize(
    ("unknown", "loss_weight", "kind"),
    [
        ((3, 9, None, 2), 1.0, "standard"),
        ((None, None, None, 2), 1.0, "capacity_vae"),  # whose noise and clock know no size, either
        ((None, None, None, 2), 0.0, "standard"),
    ],
    ids=["width", "all", "all of the codes alone"],
)
def test_gradients_where_sizes_are_known_only_to_the_graph(unknown, loss_weight, kind):
    batches = (IMAGES, IMAGES[:1, :5]) if unknown[0] is None else (IMAGES,)
    chunks = gradients_of(5, loss_weight, batches, kind, input_signature=[tf.TensorSpec(unknown)])
    for chunked, whole in zip(chunks, gradients_of(None, loss_weight, batches, kind), strict=True):
        np.testing.assert_allclose(chunked, whole, rtol=1e-4, atol=1e-4)


@needs_tensorflow
def test_training_on_images_of_a_width_known_only_to_the_graph():
    """In both phases of a step; those of other optimisations are the gradients above."""
    images, labels = make_data(4)

    def weights(chunk_windows):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None, None, 1))
        maps = make_lea(chunk_windows=chunk_windows)(layers.Conv2D(2, 3, padding="same")(inputs))
        outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(maps))
        model = lea_keras.LEAModel(inputs, outputs, optimization="alternate")
        compile_model(model, keras.optimizers.SGD(0.05), metrics=None, run_eagerly=not chunk_windows)
        if not chunk_windows:
            model.train_on_batch(images, labels)
            return model.get_weights()
        shapes = (tf.TensorSpec((None, 8, None, 1)), tf.TensorSpec((None, 3)))
        data = tf.data.Dataset.from_generator(lambda: iter([(images, labels)]), output_signature=shapes)
        model.fit(data.repeat(), steps_per_epoch=1, verbose=0, shuffle=False)
        return model.get_weights()

    for chunked, whole in zip(weights(12), weights(None), strict=True):
        np.testing.assert_allclose(chunked, whole, **CLOSE)


@once
def test_channels_first():
    images = np.moveaxis(IMAGES, -1, 1)
    layers_ = [
        lea_keras.LocallyEmbeddedAutoencoder(3, make_autoencoder(), 2, data_format="channels_first", chunk_windows=n)
        for n in (None, 4)
    ]
    for layer in layers_:
        layer.build(images.shape)
    layers_[1].set_weights(layers_[0].get_weights())
    np.testing.assert_allclose(layers_[0](images), layers_[1](images), **CLOSE)


def sizes_in(graph):
    """Sizes of all tensors in a graph and the functions that it calls."""
    graphs = [graph, *(function.graph for function in graph._functions.values())]
    tensors = (tensor for one in graphs for operation in one.get_operations() for tensor in operation.outputs)
    return [tensor.shape.num_elements() or 0 for tensor in tensors if tensor.shape.rank is not None]


@needs_tensorflow  # looks into its graphs
@pytest.mark.parametrize("front", [True, False])
def test_no_tensor_of_the_lea_step_holds_all_windows(front):
    """Windows take four times the pixels of the image, hidden layers eight times."""
    inputs = keras.Input((32, 32, 2), batch_size=2)
    maps = inputs if front else layers.Conv2D(2, 1)(inputs)

    def largest(chunk_windows):
        lea = make_lea(chunk_windows=chunk_windows, name="lea")
        model = lea_keras.LEAModel(inputs, lea(maps))
        model.compile("sgd", loss=None)
        step = tf.function(model.train_step, autograph=False).get_concrete_function(tf.TensorSpec((2, 32, 32, 2)))
        return max(sizes_in(step.graph))

    image, hidden = 2 * 32 * 32 * 2, 2 * 16 * 16 * 64
    assert largest(None) >= hidden
    assert largest(32) < 1.5 * image < hidden


@once
def test_the_mean_of_chunk_means_would_be_wrong():
    """13 rows of windows in chunks of 5: the last chunk has 3, and must not weigh as much as the others."""
    layer = make_lea(chunk_windows=5 * 3, window_size=2)
    images = keras.ops.convert_to_tensor(
        np.random.default_rng(0).normal(size=(1, 26, 6, 1)).astype("float32") * np.arange(26)[:, None, None]
    )
    layer(images)
    flat = keras.ops.reshape(windows.extract_windows(images, 2, 2), (-1, 2, 2, 1))
    rl = layer.autoencoder.objective(flat).measures["rl"]
    means = [layer.autoencoder.objective(flat[i : i + 15]).measures["rl"] for i in (0, 15, 30)]
    np.testing.assert_allclose(layer.losses[0], rl, rtol=1e-5)
    assert abs(np.mean(means) - rl) > 0.05 * rl


def test_automatic_chunks_fit_into_the_cache(monkeypatch):
    """The widest layer, twice the 512 values of a window, in half of the cache; on a GPU all layers together."""
    monkeypatch.setattr(chunking, "_last_cache", lambda: 2**20)
    autoencoder = make_autoencoder(code_length=10)
    autoencoder.build((None, 4, 4, 32))
    assert chunking.automatic(autoencoder) == 2**19 // (4 * 1024)
    monkeypatch.setattr(chunking, "_last_cache", lambda: 1)
    assert chunking.automatic(autoencoder) == 1
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    # The window, the code, and hidden layers of both coders and the reconstruction.
    assert chunking.automatic(autoencoder) == 2**29 // (4 * (512 + 10 + 1024 + 1024 + 512))


@pytest.mark.parametrize(
    ("batch", "size", "large"), [(8, 64, False), (None, 64, False), (None, 128, True), (1, 512, False), (2, 512, True)]
)
def test_only_a_large_encoder_is_run_twice(batch, size, large):
    """4×4×32 windows with stride 2: 1536 values each, 6 KiB, a quarter of the image's pixels; 512 MiB are large."""
    autoencoder = make_autoencoder()
    autoencoder.build((None, 4, 4, 32))
    cut = windows.Windows(keras.KerasTensor((batch, size, size, 32)), (4, 4), (2, 2), "same")
    assert chunking.is_large(autoencoder, cut) == large
    cut.grids = (cut.grids[0]._replace(count=keras.ops.convert_to_tensor(4)), cut.grids[1])
    assert chunking.is_large(autoencoder, cut)


@pytest.mark.parametrize("chunk_windows", [0, -1, 2.5, "all", True])
def test_bad_sizes(chunk_windows):
    with pytest.raises(
        ValueError, match=r"`chunk_windows` must be None, \"auto\" or a positive integer. Received: chunk"
    ):
        make_lea(chunk_windows=chunk_windows)


@once
@pytest.mark.parametrize("layer", [layers.Dropout(0.5), layers.BatchNormalization()], ids=["dropout", "normalisation"])
def test_coders_with_state_are_refused(layer):
    encoder = keras.Sequential([layers.Flatten(), layers.Dense(3), layer])
    lea = make_lea(encoder=encoder, chunk_windows=4)
    with pytest.raises(ValueError, match=r"state of its own, which chunks would change. Layer '.*' has some. Received"):
        lea.build((None, 8, 8, 1))


class Noisy(layers.Layer):
    """An encoder that is itself what has state, and not a layer inside it."""

    def __init__(self):
        super().__init__()
        self.noise = keras.random.SeedGenerator(0)

    def call(self, windows):
        features = keras.ops.reshape(windows, (-1, 4))
        return features + keras.random.normal(keras.ops.shape(features), seed=self.noise)


@once
def test_an_encoder_with_state_of_its_own_is_refused():
    lea = make_lea(window_size=2, encoder=Noisy(), chunk_windows=4)
    with pytest.raises(ValueError, match=r"state of its own, which chunks would change. Layer 'noisy' has some."):
        lea.build((None, 8, 8, 1))


def test_frozen_coders_have_no_state():
    lea = make_lea(chunk_windows=4)
    lea.trainable = False
    assert lea(IMAGES).shape == (3, 5, 4, 4)
