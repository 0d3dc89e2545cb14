"""Encoder-only inference: the same predictions from plain Keras layers, wherever the model goes."""

import itertools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from backends import BACKEND, needs_tensorflow
from keras import layers, ops
from layer_checks import (
    EAGERLY,
    TYPES,
    compile_model,
    make_autoencoder,
    make_data,
    make_lea,
    make_model,
    weights_by_path,
)

import lea_keras

WINDOWINGS = [
    (2, None, "same"),
    (3, 2, "same"),
    (3, 2, "valid"),
    ((2, 3), (1, 2), "same"),
    ((3, 2), (4, 5), "same"),  # strides larger than the window
    ((3, 2), (4, 5), "valid"),
    ((9, 4), (3, 4), "same"),  # a window larger than the image
    ((2, 3), (2, 3), "valid"),
]


@keras.saving.register_keras_serializable("test_export")
class Scale(layers.Layer):
    """A layer of the user's own, with a weight."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.factor

    def compute_output_shape(self, shape):
        return shape


@keras.saving.register_keras_serializable("test_export")
class Flat(Scale):
    """An encoder of the user's own."""

    def call(self, windows):
        return ops.reshape(super().call(windows), (-1, int(np.prod(windows.shape[1:]))))

    def compute_output_shape(self, shape):
        return (shape[0], int(np.prod(shape[1:])))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.lea = make_lea()

    def call(self, images):
        return self.lea(images)


class OwnCode(lea_keras.StandardAutoencoder):
    def encode_features(self, features, noise, training):
        return -self.code(features), {}


def shake(model, seed=0):
    """Gives every weight, biases too, a value that no initialiser gives it."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(weight + 0.2 * np.abs(rng.standard_normal(weight.shape)).astype("float32"))
    return model


def difference(ours, theirs):
    """The largest difference between outputs of any structure, relative to their scale."""
    pairs = zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True)
    arrays = [[np.asarray(ops.convert_to_numpy(ops.cast(x, "float32"))) for x in pair] for pair in pairs]
    assert all(a.shape == b.shape for a, b in arrays)
    return max(np.abs(a - b).max() / np.abs(a).max() for a, b in arrays)


def check(model, images, tolerance=1e-5):
    """Exports a model, checks that the outputs are equal and that nothing of the package is in it."""
    export = lea_keras.export_encoder(model)
    assert difference(model(images, training=False), export(images, training=False)) < tolerance
    assert "lea_keras" not in json.dumps(export.get_config(), default=str)
    assert not any(type(layer).__module__.startswith("lea_keras") for layer in export._flatten_layers())
    return export


def one_lea(kind="standard", shape=(7, 8, 2), window_size=3, strides=2, padding="same", data_format=None, **arguments):
    inputs = keras.Input(shape)
    autoencoder = make_autoencoder(kind, **arguments)
    lea = lea_keras.LocallyEmbeddedAutoencoder(
        window_size, autoencoder, strides=strides, padding=padding, data_format=data_format, name="lea"
    )
    return shake(keras.Model(inputs, lea(inputs), name="model"))


def images_of(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def graph_of(model, shape):
    """The types of all operations of the model as TensorFlow traces it, functions that it calls included."""
    import tensorflow as tf

    specs = tf.TensorSpec(shape, "float32")
    graph = tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(specs).graph
    names = [node.op for node in graph.as_graph_def().node]
    return names + [node.op for f in graph.as_graph_def().library.function for node in f.node_def]


# Heads differ by type and what comes before them by encoder.
@pytest.mark.parametrize(("kind", "encoder"), list(zip(TYPES, itertools.cycle(["fc", "conv"]), strict=False)))
def test_predicts_what_the_model_predicts(kind, encoder):
    images, _ = make_data()
    model = compile_model(shake(make_model("alternate", kind, encoder=encoder)), run_eagerly=EAGERLY)
    export = check(model, images)
    export.run_eagerly = EAGERLY  # as the model, whose compiled predictions other tests compare
    assert difference(model.predict(images, verbose=0), export.predict(images, verbose=0)) < 1e-5
    assert type(export) is type(keras.Model(model.input, model.output)) and not isinstance(export, lea_keras.LEAModel)
    assert export.name == model.name and not export.compiled
    assert [layer.name for layer in export.layers] == [layer.name for layer in model.layers]
    assert [layer.output.shape for layer in export.layers] == [layer.output.shape for layer in model.layers]


@pytest.mark.parametrize(("window_size", "strides", "padding"), WINDOWINGS)
@pytest.mark.parametrize("encoder", ["fc", "conv"])
@pytest.mark.parametrize("known", [True, False])
def test_lies_on_the_grid_of_the_lea(window_size, strides, padding, encoder, known):
    shape = (7, 8, 2) if known else (None, None, 2)
    check(one_lea("vae", shape, window_size, strides, padding, encoder=encoder), images_of(3, 7, 8, 2))


DEPTHS = {
    "fc": {"units": (9, 5, 7)},
    "linear": {"units": ()},
    "conv": {"encoder": "conv", "decoder": "conv", "filters": (3, 2, 4), "units": (6, 5), "kernel_size": 3},
    "conv without dense": {"encoder": "conv", "decoder": "conv", "filters": (3, 2), "units": ()},
}


@pytest.mark.parametrize("depth", DEPTHS.values(), ids=DEPTHS)
@pytest.mark.parametrize("known", [True, False])
def test_coders_of_any_depth(depth, known):
    shape = (7, 8, 2) if known else (None, None, 2)
    export = check(one_lea("standard", shape, 5, 3, **depth), images_of(3, 7, 8, 2))
    names = [layer.name for layer in export.get_layer("lea").layers]
    hidden = len(depth["units"])
    assert [name for name in names if name.startswith("hidden")] == [f"hidden_{i}" for i in range(hidden)]


@pytest.mark.parametrize("encoder", ["fc", "conv"])
def test_an_image_smaller_than_the_window(encoder):
    for shape in ((1, 1, 2), (2, 5, 2), (None, 5, 2)):
        model = one_lea("standard", shape, 6, 4, encoder=encoder)
        check(model, images_of(3, *(n or 2 for n in shape)))


@pytest.mark.parametrize("encoder", ["fc", "conv"])
@pytest.mark.parametrize("kind", ["k_sparse", "vae"])
@pytest.mark.parametrize("known", [True, False])
def test_channels_first(kind, encoder, known):
    shape = (2, 7, 8) if known else (2, None, None)
    model = one_lea(kind, shape, (2, 3), 2, data_format="channels_first", encoder=encoder)
    check(model, images_of(3, 2, 7, 8))
    keras.config.set_image_data_format("channels_first")
    check(model, images_of(3, 2, 7, 8))


@pytest.mark.parametrize("encoder", ["fc", "conv"])
def test_one_window_over_the_whole_image(encoder):
    check(one_lea("vae", (8, 8, 1), 8, None, encoder=encoder), images_of(3, 8, 8, 1))


@pytest.mark.parametrize("encoder", ["fc", "conv"])
def test_a_fixed_batch_size(encoder):
    inputs = keras.Input(batch_shape=(3, 7, 8, 2))
    export = check(keras.Model(inputs, make_lea(encoder=encoder)(inputs)), images_of(3, 7, 8, 2))
    assert export.output.shape == (3, 4, 4, 4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("encoder", ["fc", "conv"])
def test_keeps_dtype_policies(policy, encoder):
    keras.config.set_dtype_policy(policy)
    images, _ = make_data()
    model = make_model("joint", "k_sparse", encoder=encoder)
    keras.config.set_dtype_policy("float32")  # what holds when it is exported does not matter
    export = check(model, images, 0.02)
    code_maps = [m.get_layer("lea_1").output.dtype for m in (model, export)]
    assert code_maps == [policy.removeprefix("mixed_")] * 2
    assert all(variable.dtype == "float32" for variable in export.variables)
    assert difference(shake(export)(images), model(images)) > 0.02


def test_a_float32_autoencoder_in_a_float16_lea():
    inputs = keras.Input((8, 8, 1))
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, make_autoencoder(), dtype="mixed_float16")
    export = check(keras.Model(inputs, lea(inputs)), images_of(3, 8, 8, 1), 2e-3)
    assert export.output.dtype == "float16"


def test_k_sparse_keeps_the_largest_and_among_equals_the_first():
    model = one_lea("k_sparse", code_length=6, k=2, a=1.5)
    code = model.get_layer("lea").autoencoder.code
    code.kernel.assign(0 * code.kernel)
    code.bias.assign([-1, 2, 2, -5, 2, 2])
    export = check(model, images_of(2, 7, 8, 2))
    np.testing.assert_array_equal(export(images_of(1, 7, 8, 2))[0, 0, 0], [0, 2, 2, 0, 2, 0])
    everything = check(one_lea("k_sparse", code_length=6, k=6), images_of(2, 7, 8, 2))
    if BACKEND == "tensorflow":
        assert "TopKV2" in graph_of(export, (None, 7, 8, 2))
        assert "TopKV2" not in graph_of(everything, (None, 7, 8, 2))


def test_the_other_order_of_axes_and_the_other_head_would_show():
    model = one_lea("vae", window_size=3)
    images = images_of(3, 7, 8, 2)
    export = check(model, images)
    hidden, head = export.get_layer("lea").get_layer("hidden"), export.get_layer("lea").get_layer("mean")
    kernel = np.array(hidden.kernel)
    hidden.kernel.assign(np.transpose(kernel, (1, 0, 2, 3)))
    assert difference(model(images), export(images)) > 1e-2
    hidden.kernel.assign(kernel)
    assert difference(model(images), export(images)) < 1e-5
    log_std = model.get_layer("lea").autoencoder.log_std
    head.kernel.assign(np.array(log_std.kernel)[None, None])
    assert difference(model(images), export(images)) > 1e-2


@pytest.mark.parametrize("kind", TYPES)
def test_what_an_fc_encoder_becomes(kind):
    """Two convolutions, no windows, no decoder: counted in operations and in weights."""
    model = one_lea(kind, (None, None, 2), (3, 4), 2)
    export = lea_keras.export_encoder(model)
    values = 3 * 4 * 2
    assert export.count_params() == (values + 1) * 2 * values + (2 * values + 1) * 4
    assert export.count_params() < model.count_params() / 1.9
    assert [layer.strides for layer in export.get_layer("lea").layers if isinstance(layer, layers.Conv2D)] == [
        (2, 2),
        (1, 1),
    ]
    if BACKEND == "tensorflow":
        ours, theirs = graph_of(export, (None, None, None, 2)), graph_of(model, (None, None, None, 2))
        assert ours.count("Conv2D") == 2 and theirs.count("Conv2D") == 0 and theirs.count("MatMul") >= 4
        allowed = "Placeholder ReadVariableOp Const Identity NoOp Conv2D BiasAdd Relu Reshape Squeeze".split()
        allowed += ["TopKV2", "OneHot", "Cast", "Sum", "Mul"] if kind == "k_sparse" else []
        if kind == "joint_vae":  # its likeliest class of each variable
            allowed += ["SplitV", "StridedSlice", "Sub", "TopKV2", "OneHot", "Cast", "Sum", "ConcatV2"]
        assert set(ours) <= set(allowed)  # so no windows, no decoder, no second head


def test_what_a_conv_encoder_becomes():
    """Gathered windows, the encoder's own layers, no decoder; on images of unknown size convolutions alone."""
    arguments = {"encoder": "conv", "decoder": "conv", "kernels": 3, "kernel_size": 2}
    sizes = (4 * 2 + 1) * 3, (4 * 3 + 1) * 3, (4 * 3 + 1) * 3  # 5×4 windows -> 3×2 -> 2×1 -> 1×1
    code = (3 + 1) * 3 + (3 + 1) * 4
    known = check(one_lea("vae", (8, 8, 2), (5, 4), 2, **arguments), images_of(2, 8, 8, 2))
    assert known.count_params() == sum(sizes) + code
    no_overlap = check(one_lea("vae", (10, 8, 2), (5, 4), None, **arguments), images_of(2, 10, 8, 2))
    unknown = check(one_lea("vae", (None, None, 2), (5, 4), 2, **arguments), images_of(2, 8, 8, 2))
    values = [5 * 4 * 2, 3 * 2 * 3, 2 * 1 * 3, 3, 3, 4]
    assert unknown.count_params() == sum((n + 1) * m for n, m in zip(values, values[1:], strict=False))
    if BACKEND == "tensorflow":
        ours = graph_of(known, (None, 8, 8, 2))
        assert (ours.count("Conv2D"), ours.count("MatMul"), ours.count("GatherV2")) == (3, 2, 2)
        assert not {"ExtractImagePatches", "Conv2DBackpropInput", "Exp"} & set(ours)
        assert "GatherV2" not in graph_of(no_overlap, (None, 10, 8, 2))
        assert graph_of(unknown, (None, None, None, 2)).count("Conv2D") == 5


def test_the_original_is_untouched():
    images, labels = make_data()
    model = compile_model(make_model("alternate", "vae", leas=1))
    before, predictions = weights_by_path(model), np.array(model(images))
    nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    export = compile_model(lea_keras.export_encoder(model), run_eagerly=EAGERLY)
    exported = [np.array(weight) for weight in export.weights]
    export.fit(images, labels, verbose=0)
    assert not any(np.array_equal(old, new) for old, new in zip(exported, export.weights, strict=True))
    after = weights_by_path(model)
    assert before.keys() == after.keys() and all(np.array_equal(before[key], after[key]) for key in before)
    np.testing.assert_array_equal(model(images), predictions)
    assert isinstance(model, lea_keras.LEAModel) and model.optimization == "alternate" and model.compiled
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == nodes


def test_nested_and_shared_layers_several_inputs_and_outputs(monkeypatch):
    """A LEA used twice, also in a nested model that is used twice; a Sequential one; state that is no weight."""
    if BACKEND == "jax":  # where Keras' Normalization takes it for loaded, although it cannot be
        monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    lea = make_lea("k_sparse", name="shared")
    inner_images = keras.Input((8, 8, 1), name="inner_images")
    inner_maps = lea(layers.Conv2D(1, 3, padding="same", name="inner_conv")(inner_images))
    inner = lea_keras.LEAModel(inner_images, [inner_maps, inner_maps * 2], name="inner")
    stack = [keras.Input((8, 8, 1)), Scale(), make_lea("vae", 3, 3, name="in_stack"), layers.BatchNormalization()]
    stack = keras.Sequential(stack, name="stack")
    normalization = layers.Normalization(name="normalization")
    normalization.adapt(10 + 3 * make_data()[0])
    inputs = {"first": keras.Input((8, 8, 1), name="first"), "second": keras.Input((8, 8, 1), name="second")}
    first, second = normalization(inputs["first"]), inputs["second"]
    outputs = {
        "codes": lea(first) + inner(second)[0],
        "twice": inner(first)[1],
        "stack": layers.Dropout(0.5)(layers.Flatten()(stack(second))),
    }
    model = keras.Model(inputs, outputs, name="outer")
    for layer in (inner, stack):
        shake(layer)
    images = {"first": images_of(2, 8, 8, 1), "second": make_data(2)[0]}
    export = check(model, images)
    assert export(images).keys() == outputs.keys() and export.input.keys() == inputs.keys()
    assert export.get_layer("inner").get_layer("shared") is export.get_layer("shared")
    assert isinstance(export.get_layer("stack").get_layer("scale"), Scale)
    assert [layer.name for layer in export.layers] == [layer.name for layer in model.layers]
    predictions = [m.predict(images, verbose=0) for m in (model, export)]
    assert difference(*predictions) < 1e-5


@needs_tensorflow  # for strings, on every backend
def test_an_adapted_vocabulary_and_frozen_layers_are_kept():
    lookup = layers.StringLookup(name="lookup", output_mode="one_hot")
    lookup.adapt(["a", "b", "c"])
    words, images = keras.Input((), dtype="string"), keras.Input((8, 8, 1))
    frozen = layers.Dense(4, name="frozen", trainable=False)
    model = keras.Model([words, images], [lookup(words), frozen(layers.Flatten()(make_lea()(images)))])
    export = lea_keras.export_encoder(model)
    inputs = [ops.convert_to_tensor(["b", "x"]), ops.convert_to_tensor(make_data(2)[0])]
    assert difference(model(inputs), export(inputs)) < 1e-5
    assert not export.get_layer("frozen").trainable and export.get_layer("lea").trainable


def test_a_lea_used_at_two_sizes():
    """Its windows have no one layout, so a conv encoder becomes convolutions."""
    lea = make_lea("vae", encoder="conv")
    inputs = [keras.Input((8, 8, 1)), keras.Input((6, 8, 1))]
    model = shake(keras.Model(inputs, [lea(x) for x in inputs]))
    check(model, [images_of(2, 8, 8, 1), images_of(2, 6, 8, 1)])


@pytest.mark.parametrize("encoder", ["fc", "conv"])
def test_two_leas_with_one_autoencoder_and_one_lea_used_twice(encoder, tmp_path):
    first = make_lea("vae", name="first", encoder=encoder)
    second = lea_keras.LocallyEmbeddedAutoencoder(4, first.autoencoder, name="second")
    images = keras.Input((8, 8, 1))
    model = shake(keras.Model(images, [first(images), first(2 * images), second(images)]))
    export = check(model, images_of(2, 8, 8, 1))
    export.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert difference(model(images_of(2, 8, 8, 1)), loaded(images_of(2, 8, 8, 1))) < 1e-5


@pytest.mark.parametrize(
    "encoder",
    [lambda: Flat(), lambda: keras.Sequential([layers.Flatten(), layers.Dense(5, "tanh"), layers.Dropout(0.5)])],
    ids=["layer", "model"],
)
def test_an_encoder_of_the_users_own(encoder, tmp_path):
    model = one_lea("standard", encoder=encoder())
    export = check(model, images_of(3, 7, 8, 2))
    export.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert difference(model(images_of(3, 7, 8, 2)), loaded(images_of(3, 7, 8, 2))) < 1e-5
    with pytest.raises(ValueError, match="fixed image size.*size \\(None, None\\)"):
        lea_keras.export_encoder(one_lea("standard", (None, None, 2), encoder=encoder()))


@pytest.mark.parametrize("activation", ["softmax", "gelu"])
def test_other_activations(activation):
    for encoder in (lea_keras.coders.FullyConnectedEncoder, lea_keras.coders.ConvolutionalEncoder):
        check(one_lea(encoder=encoder(activation=activation)), images_of(3, 7, 8, 2))
    model = one_lea(shape=(None, None, 2), encoder=lea_keras.coders.ConvolutionalEncoder(activation=activation))
    if activation == "gelu":
        check(model, images_of(3, 7, 8, 2))
    else:  # over the channels of a convolution it is not what it is over all values of a window
        with pytest.raises(ValueError, match="not elementwise"):
            lea_keras.export_encoder(model)


def test_a_model_without_leas_is_copied():
    model = shake(keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), Scale(), layers.Dense(3)]))
    export = check(model, make_data()[0])
    again = check(lea_keras.export_encoder(make_model()), make_data()[0])
    assert not {id(v) for v in export.variables + again.variables} & {id(v) for v in model.variables}


def quantized():
    model = one_lea()
    model.get_layer("lea").autoencoder.encoder.hidden.quantize("int8")
    return model


def test_other_layers_may_be_quantised():
    model = make_model(leas=1)
    model.layers[-1].quantize("int8")
    assert check(model, make_data()[0]).layers[-1].quantization_mode == "int8"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclassed, "`model` must be a functional or Sequential model.*keras.Model\\(inputs, outputs\\).*Subclassed"),
        (lambda: keras.Sequential([make_lea()]), "that is built.*call it once"),
        (lambda: make_lea(), "must be a keras.Model.*Received: model=<Locally"),
        (
            lambda: keras.Sequential([keras.Input((2, 8, 8, 1)), layers.TimeDistributed(make_lea())]),
            "not inside other layers.*TimeDistributed",
        ),
        (lambda: keras.Sequential([keras.Input((8, 8, 1)), Subclassed()]), "Received: model=\"Subclassed 'sub"),
        (
            lambda: keras.Sequential([keras.Input((8, 8, 1)), lea_keras.LocallyEmbeddedAutoencoder(2, OwnCode())]),
            "encode as this package's do.*OwnCode",
        ),
        (
            lambda: keras.Sequential([keras.Input((8, 8, 1)), make_lea("vae", code_maps="sample")]),
            'the same codes at every call, not code_maps="sample". Received: model="LEA \'lea\'',
        ),
        (
            quantized,
            "whose LEAs are not quantised. Export it before it is quantised. Received: model=\"quantised LEA 'l",
        ),
    ],
    ids=["subclassed", "unbuilt", "layer", "wrapped", "nested subclassed", "own code", "random", "quantised"],
)
def test_errors_name_what_to_do(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        lea_keras.export_encoder(make())
    assert "\n" not in str(caught.value)


# Loads every model named on the command line where lea_keras cannot be imported and compares it with the predictions of
# the original. Where there is TensorFlow, exports it twice more and compares those too; where there is none, Keras must
# say so.
ELSEWHERE = """
import os
import sys

sys.modules["lea_keras"] = None  # importing it now fails as if it were not installed
for name in ("sklearn", "matplotlib"):
    sys.modules[name] = None  # which Keras takes seconds to import where it can
with_tensorflow = os.environ["KERAS_BACKEND"] == "tensorflow"
if not with_tensorflow:
    sys.modules["tensorflow"] = None
import keras
import numpy as np


def compare(what, ours, theirs):
    difference = np.abs(np.array(ours) - theirs).max() / np.abs(theirs).max()
    assert theirs.shape == np.shape(ours) and difference < 1e-5, (path, what, difference)


data = np.load(sys.argv[1])
for path in sys.argv[2:]:
    model = keras.saving.load_model(path, safe_mode=True)
    images, expected = data["images"], data[path.split("/")[-1]]
    compare("keras", model(images), expected)
    if not with_tensorflow:
        for format in ("tf_saved_model", "litert"):
            try:
                model.export(path + ".saved", format=format, verbose=False)
            except (ImportError, ValueError) as error:
                assert "tensorflow" in str(error).lower() and "\\n" not in str(error), error
            else:
                raise AssertionError(format)
        continue
    import tensorflow as tf

    model.export(path + ".saved", verbose=False)
    saved = tf.saved_model.load(path + ".saved")
    compare("SavedModel", saved.serve(images), expected)
    model.export(path + ".tflite", format="litert", verbose=False)
    interpreter = tf.lite.Interpreter(path + ".tflite")
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, images)
    interpreter.invoke()
    compare("TFLite", interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), expected)
    operations = {operation["op_name"] for operation in interpreter._get_ops_details()}
    assert not any(name.startswith("Flex") for name in operations), operations
try:
    import lea_keras
except ImportError:
    print("all there")
"""


def test_lives_where_the_package_is_not_installed(tmp_path):
    """`.keras` in safe mode, SavedModel and TFLite with its built-in operations alone; batches of another size too.
    Without TensorFlow, `.keras` alone."""
    images, arrays = images_of(3, 7, 8, 2), {}
    models = {
        "fc_vae": one_lea("vae", (None, None, 2)),
        "conv_k_sparse": one_lea("k_sparse", window_size=4, strides=3, code_length=6, encoder="conv"),
    }
    for name, model in models.items():
        arrays[f"{name}.keras"] = np.array(model(images))
        lea_keras.export_encoder(model).save(tmp_path / f"{name}.keras")
    np.savez(tmp_path / "data.npz", images=images, **arrays)
    paths = [tmp_path / "data.npz", *(tmp_path / name for name in arrays)]
    command = [sys.executable, "-c", ELSEWHERE, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.split("\n")[-2] == "all there"
