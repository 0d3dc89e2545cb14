"""Operations of the training step on TensorFlow, counted in its traced graph."""

import collections
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from layer_checks import CLASSES, IMAGE_SHAPE, compile_model, fit, make_lea

import lea_keras


def make(before=(), after=(), optimization="alternate", kind="standard", **arguments):
    """Layers – LEA – layers – dense, compiled."""
    inputs = keras.Input(IMAGE_SHAPE, batch_size=4)
    maps = inputs
    for layer in (*before, make_lea(kind, name="lea", **arguments), *after, layers.Flatten()):
        maps = layer(maps)
    model = lea_keras.LEAModel(inputs, layers.Dense(CLASSES, name="head")(maps), optimization=optimization)
    return compile_model(model, keras.optimizers.SGD(0.05), metrics=None)  # with little else to trace


def operations(model):
    """The operations that one training step runs: those in its traced graph that lead to a result or an assignment."""
    batch = tf.TensorSpec((4, *IMAGE_SHAPE)), tf.TensorSpec((4, CLASSES))
    graph = tf.function(model.train_step, autograph=False).get_concrete_function(batch).graph
    waiting = [*(output.op for output in graph.outputs), *graph.control_outputs]
    found = {}
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found[operation.name] = operation.type
            waiting += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
    return list(found.items())


def count(model):
    """Matrix products and convolutions by layer: forward ("encoder/hidden") and backward ("-encoder/hidden")."""
    counts = collections.Counter()
    for name, kind in operations(model):
        if kind in ("MatMul", "BatchMatMulV2", "Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput"):
            path = re.sub(r"_\d+(?=/)", "", name)  # TensorFlow numbers what a graph holds twice
            for layer in ("encoder/hidden", "code", "decoder/hidden", "reconstruction", "conv", "head"):
                if f"/{layer}/" in path:
                    counts["-" * ("gradient_tape" in path) + layer] += 1
    return counts


def test_a_lea_at_the_front_is_encoded_once():
    """Seven matrix products of the hidden layers less the second forward pass and the gradient for the input."""
    assert count(make()) == {
        "encoder/hidden": 1,
        "code": 2,  # small: the code is drawn anew from the same features
        "decoder/hidden": 1,
        "reconstruction": 1,
        "head": 1,
        "-reconstruction": 2,
        "-decoder/hidden": 2,
        "-code": 2,
        "-encoder/hidden": 1,  # for the weights: nothing before the windows is asked for
        "-head": 1,
    }


def test_a_lea_behind_main_layers_is_encoded_anew():
    """Phase 1 has no decoder; phase 2 has no head, and no gradient goes past the windows."""
    assert count(make([layers.Conv2D(2, 3, name="conv")])) == {
        "conv": 2,
        "encoder/hidden": 2,
        "code": 2,
        "decoder/hidden": 1,
        "reconstruction": 1,
        "head": 1,
        "-head": 2,
        "-conv": 1,  # in phase 1 alone
        "-code": 3,  # for the input in both phases, for the weights in phase 2
        "-encoder/hidden": 2,  # for the input in phase 1, for the weights in phase 2
        "-decoder/hidden": 2,
        "-reconstruction": 2,
    }


@pytest.mark.parametrize(
    ("before", "encoded"),
    [
        ([layers.Rescaling(2.0), layers.AveragePooling2D(2)], 1),
        ([layers.Dropout(0.5)], 2),
        ([layers.BatchNormalization()], 2),
        ([layers.GaussianNoise(0.1)], 2),
    ],
    ids=["fixed", "dropout", "normalisation", "noise"],
)
def test_what_is_encoded_once_is_what_cannot_have_changed(before, encoded):
    assert count(make(before))["encoder/hidden"] == encoded


def test_a_lea_behind_a_lea_is_encoded_anew():
    model = make(after=[make_lea("vae", 2, name="second")])
    names = [name for name, kind in operations(model) if kind == "MatMul" and re.search(r"/encoder(_\d)?/hidden", name)]
    forward = ["/second" in name for name in names if "gradient_tape" not in name]
    assert sorted(forward) == [False, True, True]


def test_layers_behind_the_last_lea_are_not_even_traced_in_the_second_phase():
    """So that they cost nothing in eager mode, and their state stays."""
    calls = []

    class Late(layers.Layer):
        def call(self, maps):
            calls.append(1)
            return maps

    model = make([layers.Conv2D(2, 3, name="conv")], [Late()])
    operations(model)  # whose first trace creates the metrics' variables and is done again
    calls.clear()
    operations(model)
    assert len(calls) == 1


def test_encoding_once_is_the_same_step():
    """Against a layer in front that changes nothing, but that has a weight."""

    class Weighted(layers.Layer):
        def build(self, shape):
            self.weight = self.add_weight(initializer="zeros", trainable=False)

        def call(self, images):
            return images + self.weight

    found = []
    for before in ([], [Weighted()]):
        keras.utils.set_random_seed(0)
        model = make(before, kind="vae", optimization="alternate")
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.05), loss, run_eagerly=True)
        history = fit(model, batch_size=4)
        found.append((history, model.get_layer("lea").get_weights(), model.get_layer("head").get_weights()))
    for first, second in zip(keras.tree.flatten(found[0]), keras.tree.flatten(found[1]), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-7)


def test_windows_are_no_convolution_under_xla():
    """Nor a gather or scatter; where the window is the stride and the size divides, only the order of axes changes."""

    def compiled(strides):
        images = tf.zeros((2, 8, 8, 3))

        @tf.function(jit_compile=True, autograph=False)
        def there_and_back(images):
            with tf.GradientTape() as tape:
                tape.watch(images)
                windows = lea_keras.windows.extract_windows(images, 4, strides)
            return windows, tape.gradient(windows, images)

        return there_and_back.experimental_get_compiler_ir(images)(stage="hlo")

    for strides in (2, 4):
        assert not {"convolution(", "dot(", "gather(", "scatter("} & set(compiled(strides).replace(" ", "\n").split())
    assert all(f" {name}(" not in compiled(4) for name in ("pad", "slice", "concatenate", "convolution", "gather"))
    assert " pad(" in compiled(2) and " concatenate(" in compiled(2)
