"""Windows cut by TensorFlow's operation against those cut block by block: values, gradients, and what stays behind."""

import functools
import gc

import keras
import numpy as np
import pytest
from backends import BACKEND
from hypothesis import given, settings
from layer_checks import compile_model, make_data, make_lea, make_model
from test_windows import windowings

from lea_keras.windows import Windows, patches

if BACKEND == "tensorflow":
    import tensorflow as tf
    from tensorflow.python.framework import ops

pytestmark = pytest.mark.skipif(BACKEND != "tensorflow", reason="about an operation of TensorFlow")

RNG = np.random.default_rng(0)


def cut_and_gradient(images, slopes, arguments, blockwise):
    with tf.GradientTape() as tape:
        tape.watch(images)
        windows = Windows(images, *arguments, blockwise).flat
        total = tf.reduce_sum(windows * slopes)
    return windows, tape.gradient(total, images)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(windowings())
def test_equal_to_blocks_forward_and_backward(case):
    size, *arguments = case
    images = tf.constant(RNG.normal(size=(2, *size, 3)))
    blocks = Windows(images, *arguments, True)
    slopes = tf.constant(RNG.normal(size=blocks.flat.shape))
    for ours, theirs in zip(*(cut_and_gradient(images, slopes, arguments, way) for way in (False, True)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("where", ["tape inside", "tape outside", "size unknown"])
def test_gradient_in_graphs(where, jit_compile):
    images, arguments = tf.constant(RNG.normal(size=(2, 7, 5, 3))), ((3, 3), (2, 1), "same")
    slopes = tf.constant(RNG.normal(size=Windows(images, *arguments).flat.shape))
    expected = cut_and_gradient(images, slopes, arguments, True)[1]
    if where == "tape inside":
        inside = tf.function(
            lambda images: cut_and_gradient(images, slopes, arguments, False)[1],
            jit_compile=jit_compile,
            autograph=False,
        )
        gradient = inside(images)
    else:
        shape = [None] * 3 if where == "size unknown" and not jit_compile else [2, 7, 5]
        signature = [tf.TensorSpec([*shape, 3], "float64")]
        cut = tf.function(
            lambda images: Windows(images, *arguments).flat, signature, jit_compile=jit_compile, autograph=False
        )
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(cut(images) * slopes)
        gradient = tape.gradient(total, images)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-12)


def test_the_stock_gradient_is_not_used(monkeypatch):
    """Its sums over segments or products of sparse matrices are nowhere in the graph of a gradient."""
    images = tf.zeros((2, 8, 8, 1))

    def kinds(cut):
        @functools.partial(tf.function, autograph=False)
        def gradient(images):
            with tf.GradientTape() as tape:
                tape.watch(images)
                total = tf.reduce_sum(cut(images))
            return tape.gradient(total, images)

        graph = gradient.get_concrete_function(images).graph.as_graph_def()
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        return {node.op for node in nodes}

    stock = kinds(lambda images: tf.image.extract_patches(images, (1, 3, 3, 1), (1, 2, 2, 1), (1, 1, 1, 1), "SAME"))
    ours = kinds(lambda images: patches.cut(images, (3, 3), (2, 2), "same"))
    assert "ExtractImagePatches" in ours
    assert {kind for kind in stock if "Sparse" in kind or "Segment" in kind or "Scatter" in kind}
    assert not {kind for kind in ours if "Sparse" in kind or "Segment" in kind or "Scatter" in kind}


def test_called_by_its_name_in_every_eager_call_and_every_trace(monkeypatch):
    calls, extract = [], tf.image.extract_patches
    monkeypatch.setattr(
        tf.image, "extract_patches", lambda *args, **kwargs: calls.append(1) or extract(*args, **kwargs)
    )
    images, lea = tf.zeros((2, 8, 8, 1)), make_lea()
    lea(images)
    calls.clear()
    lea(images)
    lea(images)
    assert len(calls) == 2
    for _ in range(2):
        tf.function(lambda images: lea(images)).get_concrete_function(images)
    assert len(calls) == 4


def test_blocks_where_a_model_is_compiled_by_xla(monkeypatch):
    calls, extract = [], tf.image.extract_patches
    monkeypatch.setattr(
        tf.image, "extract_patches", lambda *args, **kwargs: calls.append(1) or extract(*args, **kwargs)
    )
    images, labels = make_data(4)
    for jit_compile in (False, True):
        model = compile_model(make_model("joint", leas=1), keras.optimizers.SGD(), jit_compile=jit_compile)
        calls.clear()
        model.fit(images, labels, batch_size=4, verbose=0)
        model.predict(images, verbose=0)
        assert bool(calls) != jit_compile


def test_traces_leave_no_gradient_behind():
    """Beyond the two that a plain Keras model leaves: what its optimizer registers is for TensorFlow to let go."""
    images, labels = make_data(4)

    def left(make):
        before = len(ops.gradient_registry._registry)
        make().fit(images, labels, batch_size=4, verbose=0)
        gc.collect()
        return len(ops.gradient_registry._registry) - before

    def plain():
        inputs = keras.Input(images.shape[1:])
        outputs = keras.layers.Dense(labels.shape[1], activation="softmax")(keras.layers.Flatten()(inputs))
        return compile_model(keras.Model(inputs, outputs))

    first = compile_model(make_model(leas=1))
    first.fit(images, labels, batch_size=4, verbose=0)  # registers what is registered once
    assert left(lambda: compile_model(make_model(leas=1))) <= 2 * left(plain)  # an optimizer each of main and LEA


def test_saved_models_have_the_gradient(tmp_path):
    images, arguments = tf.constant(RNG.normal(size=(2, 7, 5, 3)), tf.float32), ((3, 3), (2, 2), "valid")
    module = tf.Module()
    module.cut = tf.function(
        lambda images: patches.cut(images, *arguments),
        [tf.TensorSpec([None, None, None, 3], "float32")],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path), options=tf.saved_model.SaveOptions(experimental_custom_gradients=True))
    gradients = []
    for cut in (module.cut, tf.saved_model.load(str(tmp_path)).cut):
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(cut(images) ** 2)
        gradients.append(tape.gradient(total, images))
    np.testing.assert_allclose(*gradients, rtol=1e-6)
