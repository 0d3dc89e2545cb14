"""Theorem 2: sampled perturbations against the product of ℓ1 norms, with the ℓ2 norm as the wrong rule."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import lea_keras
from lea_keras.layers import MinPooling2D
from lea_keras.robustness import perturbation_bound


def network(activation="relu", pool=layers.AveragePooling2D):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, strides=2, padding="same", activation=activation),
            pool(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(6, activation=activation),
            layers.Dense(3),
        ]
    )


def gammas(model, order=1):
    kernels = [ops.convert_to_numpy(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")]
    return [np.max(np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), order, axis=0)) for kernel in kernels]


def largest_change(model, epsilon, count=400):
    """Of the outputs of one image, under random perturbations, most of them corners of the ball."""
    generator = np.random.default_rng(0)
    image = generator.uniform(size=(1, 8, 8, 1))
    changes = np.sign(generator.normal(size=(count, 8, 8, 1))) * epsilon
    changes[: count // 4] *= generator.uniform(size=(count // 4, 8, 8, 1))
    outputs = [ops.convert_to_numpy(model(each.astype("float32"))) for each in (image, image + changes)]
    return np.max(np.abs(outputs[1] - outputs[0]))


@pytest.mark.parametrize("activation", ["relu", "tanh", "linear", "sigmoid", "elu"])
def test_no_sampled_perturbation_goes_beyond(activation):
    model = network(activation)
    bound = perturbation_bound(model, 0.1)
    np.testing.assert_allclose(bound, 0.1 * np.prod(gammas(model)), rtol=1e-6)
    assert 0 < largest_change(model, 0.1) < bound


@pytest.mark.parametrize("pool", [layers.MaxPooling2D, layers.AveragePooling2D, MinPooling2D])
def test_pooling_has_a_gamma_of_1(pool):
    model = network(pool=pool)
    assert largest_change(model, 0.1) < perturbation_bound(model, 0.1)


def test_a_linear_layer_reaches_it_and_the_norm_of_least_squares_would_be_too_little():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    kernel = np.random.default_rng(0).normal(size=(5, 3))
    model.layers[0].set_weights([kernel, np.zeros(3)])
    worst = kernel[:, np.argmax(np.abs(kernel).sum(axis=0))]
    change = np.max(np.abs(ops.convert_to_numpy(model(0.1 * np.sign(worst)[None].astype("float32")))))
    np.testing.assert_allclose(perturbation_bound(model, 0.1), change, rtol=1e-5)
    assert change > 0.1 * np.prod(gammas(model, order=2)) * 1.2


def test_nested_and_functional_models_and_epsilon():
    inner = network()
    inputs = keras.Input((8, 8, 1))
    outer = keras.Model(inputs, layers.ReLU()(inner(layers.Rescaling(1.0)(inputs))))
    with pytest.raises(ValueError, match="`model` must be a chain .* Received: model=\"Rescaling 'rescaling'\""):
        perturbation_bound(outer, 0.1)
    outer = keras.Model(inputs, layers.LeakyReLU(0.3)(inner(inputs)))
    assert perturbation_bound(outer, 0.2) == perturbation_bound(inner, 0.2) == 2 * perturbation_bound(inner, 0.1)
    assert perturbation_bound(inner, 0) == 0


def test_the_constraint_bounds_the_bound():
    ball = lea_keras.constraints.L1Ball(0.5)
    stack = [layers.Dense(7, "relu", kernel_constraint=ball), layers.Dense(3, kernel_constraint=ball)]
    model = keras.Sequential([keras.Input((5,)), *stack])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 5)), np.ones((8, 3)), verbose=0)
    assert perturbation_bound(model, 1.0) <= 0.25 * (1 + 1e-5)


def residual():
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Add()([inputs, layers.Dense(4)(inputs)]))


def two_outputs():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(3)(inputs)])


def lea():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, lea_keras.LocallyEmbeddedAutoencoder(4, name="lea")(inputs))


def chain(*stack):
    return keras.Sequential([keras.Input((4,)), *stack])


WRONG = {
    "a skip": (residual, "Add 'add"),
    "outputs": (two_outputs, "must be of one input and one output"),
    "a LEA": (lea, "LocallyEmbeddedAutoencoder 'lea'"),
    "softmax": (lambda: chain(layers.Dense(3, "softmax", name="top")), "Dense 'top' with the activation 'softmax'"),
    "gelu": (lambda: chain(layers.Activation("gelu", name="act")), "Activation 'act' with the activation 'gelu'"),
    "steep": (lambda: chain(layers.LeakyReLU(1.5, name="act")), "LeakyReLU 'act' with a step or a slope above 1"),
    "step": (lambda: chain(layers.ReLU(threshold=1.0, name="act")), "ReLU 'act' with a step"),
    "norm": (lambda: chain(layers.BatchNormalization(name="norm")), "BatchNormalization 'norm'"),
    "not built": (lambda: keras.Sequential([layers.Dense(3)]), "functional or Sequential, and built"),
    "a layer": (lambda: layers.Dense(3), "`model` must be a keras.Model"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_theorem_does_not_hold_for_is_refused_by_name(case):
    make, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as error:
        perturbation_bound(make(), 0.1)
    assert "\n" not in str(error.value)


def test_a_negative_epsilon():
    with pytest.raises(ValueError, match="`epsilon` must be a finite number of at least 0"):
        perturbation_bound(network(), -0.1)
