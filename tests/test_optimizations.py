"""The steps of the three optimisations against the same steps computed by hand, on a plain path."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import TYPES, compile_model, make_data, make_model, same_weights, steps

from lea_keras import losses, windows
from lea_keras.training.schedule import plan

RATE = 0.05


def forward(model, images, stop=False):
    """Outputs and each LEA's loss, written out from windows, encode and decode: none of the model's own machinery."""
    maps, lea_losses = tf.constant(images), []
    for layer in model.layers[1:]:
        if layer.name.startswith("lea"):
            cut = windows.extract_windows(maps, layer.window_size, layer.strides, layer.padding)
            grid = cut.shape[1:3]
            flat = tf.reshape(cut, (-1, *cut.shape[3:]))
            if stop:
                flat = tf.stop_gradient(flat)
            codes = layer.autoencoder.encode(flat, training=True)
            loss = losses.reconstruction_loss(flat, layer.autoencoder.decode(codes))
            lea_losses.append(layer.loss_weight * loss)
            maps = tf.reshape(codes, (-1, *grid, layer.code_length))
        else:
            maps = layer(maps)
    return maps, lea_losses


def main_loss(outputs, labels):
    return tf.reduce_mean(keras.losses.categorical_crossentropy(labels, outputs))


def descend(variables, gradients):
    """One step of gradient descent; variables without a gradient stay."""
    for variable, gradient in zip(variables, gradients, strict=True):
        if gradient is not None:
            variable.assign_sub(RATE * gradient)


def step_alternate(model, images, labels, wrong=False):
    """Main variables on the main loss; then, on a new forward pass, each LEA on its own loss.

    ``wrong`` takes the tempting rule instead: the gradient of the summed LEA losses over all LEA variables.
    """
    with tf.GradientTape() as tape:
        loss = main_loss(forward(model, images)[0], labels)
    descend(model.main_variables, tape.gradient(loss, [v.value for v in model.main_variables]))
    with tf.GradientTape(persistent=True) as tape:
        lea_losses = forward(model, images)[1]
        total = sum(lea_losses)
    gradients = [
        tape.gradient(total if wrong else own, [v.value for v in subset])
        for own, subset in zip(lea_losses, model.lea_variables, strict=True)
    ]
    for subset, gradient in zip(model.lea_variables, gradients, strict=True):
        descend(subset, gradient)


def step_independent(model, images, labels):
    """From one forward pass, the steps of the main loss and of each LEA's loss over everything."""
    variables = model.trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        outputs, lea_losses = forward(model, images)
        objectives = [main_loss(outputs, labels), *lea_losses]
    gradients = [tape.gradient(objective, [v.value for v in variables]) for objective in objectives]
    for gradient in gradients:
        descend(variables, gradient)


def step_joint(model, images, labels):
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        outputs, lea_losses = forward(model, images)
        total = main_loss(outputs, labels) + sum(lea_losses)
    descend(variables, tape.gradient(total, [v.value for v in variables]))


def distance(first, second):
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return max(float(np.max(np.abs(a - b))) for a, b in pairs)


HAND_STEPS = {"joint": step_joint, "independent": step_independent, "alternate": step_alternate}


# Graphs are traced from what runs eagerly, with one LEA, and XLA is given the same graph whatever the optimisation.
# Without XLA that of "joint" is held against Keras' below, and that of "alternate" against steps taken eagerly in
# test_distribute.py.
MODES = {
    "joint": {"eager": 2},
    "independent": {"eager": 2, "graph": 1},
    "alternate": {"eager": 2, "xla": 1},
}


@pytest.mark.parametrize("optimization", HAND_STEPS)
def test_one_step_equals_the_step_computed_by_hand(optimization):
    images, labels = make_data(8)
    for mode, leas in MODES[optimization].items():
        model, by_hand = make_model(optimization, leas=leas), make_model(optimization, leas=leas)
        HAND_STEPS[optimization](by_hand, images, labels)
        assert distance(model, by_hand) > 1e-3  # it did move
        options = {"run_eagerly": mode == "eager", "jit_compile": mode == "xla"}
        steps(compile_model(model, keras.optimizers.SGD(RATE), metrics=None, **options), samples=8)
        assert distance(model, by_hand) < 1e-6, mode


def test_the_gradient_of_the_summed_lea_losses_would_be_another_step():
    images, labels = make_data(8)
    right, wrong = make_model(), make_model()
    step_alternate(right, images, labels)
    step_alternate(wrong, images, labels, wrong=True)
    assert distance(right, wrong) > 1e-3  # so the test above can fail
    differing = {
        layer.name
        for layer, other in zip(right.layers, wrong.layers, strict=True)
        if not all(np.allclose(a, b, atol=1e-6) for a, b in zip(layer.get_weights(), other.get_weights(), strict=True))
    }
    assert differing == {"lea_1"}  # what the second LEA depends on


def test_lea_losses_reach_neither_earlier_main_layers_nor_the_head():
    main, of_leas = keras.optimizers.SGD(0.0), keras.optimizers.SGD(RATE)
    model = compile_model(make_model(), main, lea_optimizer=of_leas, metrics=None, run_eagerly=True)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    steps(model, samples=8)
    for layer in model.layers:
        moved = any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
        assert moved == layer.name.startswith("lea")


def test_alternate_uses_the_updated_main_variables_for_the_lea_step():
    images, labels = make_data(8)
    model, stale = make_model(), make_model()
    step_alternate(model, images, labels)
    with tf.GradientTape(persistent=True) as tape:
        outputs, lea_losses = forward(stale, images, stop=True)
        loss = main_loss(outputs, labels)
    descend(stale.main_variables, tape.gradient(loss, [v.value for v in stale.main_variables]))
    for own, subset in zip(lea_losses, stale.lea_variables, strict=True):
        descend(subset, tape.gradient(own, [v.value for v in subset]))
    assert distance(model, stale) > 1e-5  # one forward pass for both phases would be another algorithm


@pytest.mark.parametrize("kind", TYPES)
def test_joint_equals_a_plain_keras_model_bit_for_bit(kind):
    leas = 2 if kind == "capacity_vae" else 1
    joint, plain = (make_model(optimization, kind, leas=leas) for optimization in ("joint", None))
    for model in (joint, plain):
        compile_model(model, run_eagerly=kind != "vae")  # once in graphs; tracing is most of the time
    history, plain_history = steps(joint), steps(plain)
    assert same_weights(joint, plain)
    np.testing.assert_allclose(history["loss"], plain_history["loss"], rtol=1e-6)
    assert history["accuracy"] == plain_history["accuracy"]


@pytest.mark.parametrize(("optimization", "kind"), [*(("joint", kind) for kind in TYPES), (None, "vae")])
def test_zero_loss_weight_is_the_decoder_free_baseline(kind, optimization):
    """Against a model in which a plain layer encodes and no decoder ever existed in the computation."""

    class EncoderOnly(keras.layers.Layer):
        def __init__(self, lea, **kwargs):
            super().__init__(**kwargs)
            self.lea = lea

        def call(self, images, training=False):
            cut = windows.extract_windows(images, self.lea.window_size, self.lea.strides)
            codes = self.lea.autoencoder.encode(tf.reshape(cut, (-1, *cut.shape[3:])), training)  # of VAEs the mean
            return tf.reshape(codes, (-1, *cut.shape[1:3], self.lea.code_length))

    free = make_model(optimization, kind, leas=1, loss_weight=0.0)
    reference = make_model(optimization, kind, leas=1, loss_weight=0.0)
    lea = reference.get_layer("lea_1")
    inputs = keras.Input((8, 8, 1))
    maps = EncoderOnly(lea)(reference.get_layer("conv_1")(inputs))
    for layer in reference.layers[3:]:
        maps = layer(maps)
    encoder_only = compile_model(keras.Model(inputs, maps), run_eagerly=True)
    decoder = [np.array(v) for v in free.get_layer("lea_1").autoencoder.decoder.variables]
    history = steps(compile_model(free, run_eagerly=True), samples=8)
    np.testing.assert_allclose(history["loss"], steps(encoder_only, samples=8)["loss"], rtol=1e-6)
    assert same_weights(free, reference)
    after = free.get_layer("lea_1").autoencoder.decoder.variables
    assert all(np.array_equal(a, b) for a, b in zip(decoder, after, strict=True))
    assert not [name for name in history if name.startswith("lea")]


def test_plan_says_each_optimisation_once():
    assert [(p.mode, [(s.objective, s.variables) for s in p.steps]) for p in plan("joint", ["m"], [["a"], ["b"]])] == [
        ("objectives", [("joint", ["m", "a", "b"])])
    ]
    (phase,) = plan("independent", ["m"], [["a"], ["b"]])
    assert [step.objective for step in phase.steps] == ["main", 0, 1]
    assert all(step.variables == ["m", "a", "b"] for step in phase.steps)
    first, second = plan("alternate", ["m"], [["a"], ["b"]])
    assert (first.mode, first.steps) == ("codes", [("main", ["m"])])
    assert (second.mode, second.steps) == ("local", [(0, ["a"]), (1, ["b"])])
