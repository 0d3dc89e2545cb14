"""Coupled weight decay: Adam's steps on a loss with a penalty, alone and as the optimizers of LEAs."""

import keras
import numpy as np
import pytest
from backends import once
from layer_checks import EAGERLY, make_data, make_lea

import lea_keras
from lea_keras.optimizers import CoupledAdam

RNG = np.random.default_rng(0)
START = [RNG.normal(size=shape).astype("float32") for shape in ((3, 2), (2,))]
GRADIENTS = [[RNG.normal(size=value.shape).astype("float32") for value in START] for _ in range(4)]
L2 = 0.5


def after(optimizer, penalty=0.0):
    """Variables after four steps, ``penalty``·θ being added to the gradients by hand."""
    variables = [keras.Variable(value) for value in START]
    optimizer.build(variables)
    for gradients in GRADIENTS:
        values = [np.array(variable) for variable in variables]
        pairs = zip(gradients, values, strict=True)
        optimizer.apply([keras.ops.convert_to_tensor(g + penalty * value) for g, value in pairs])
    return np.concatenate([np.array(variable).ravel() for variable in variables])


@once
def test_it_is_adam_on_the_loss_with_a_penalty():
    """Of l2/2·Σθ², whose gradient is l2·θ: here ¼·Σθ². Biases have it, too."""
    found = after(CoupledAdam(0.1, l2=L2, epsilon=1e-8))
    np.testing.assert_allclose(found, after(keras.optimizers.Adam(0.1, epsilon=1e-8), L2), rtol=1e-5)
    decoupled = after(keras.optimizers.Adam(0.1, epsilon=1e-8, weight_decay=L2))  # what it is easily taken for
    assert np.abs(found - decoupled).max() > 0.01


def test_without_l2_it_is_adam():
    np.testing.assert_array_equal(after(CoupledAdam(0.1)), after(keras.optimizers.Adam(0.1)))


def test_gradients_are_clipped_before_the_penalty_is_added():
    clipped = [[np.clip(gradient, -0.1, 0.1) for gradient in gradients] for gradients in GRADIENTS]
    found = after(CoupledAdam(0.1, l2=L2, clipvalue=0.1))
    before, GRADIENTS[:] = list(GRADIENTS), clipped
    try:
        np.testing.assert_allclose(found, after(keras.optimizers.Adam(0.1), L2), rtol=1e-5)
    finally:
        GRADIENTS[:] = before


def test_it_is_stored_and_read_from_a_name():
    optimizer = CoupledAdam(0.1, l2=0.25, beta_1=0.8)
    for again in (
        CoupledAdam.from_config(optimizer.get_config()),
        keras.optimizers.deserialize(keras.optimizers.serialize(optimizer)),
        keras.optimizers.get({"class_name": "lea_keras>CoupledAdam", "config": {"learning_rate": 0.1, "l2": 0.25}}),
    ):
        assert type(again) is CoupledAdam and again.l2 == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"l2": -1.0}, "Argument `l2` must be a finite number of at least 0. Received: l2=-1.0"),
        ({"weight_decay": 0.5}, "Argument `weight_decay` must be left out. Keras' weight decay is decoupled; l2 is"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CoupledAdam(**arguments)


def test_no_variable_can_be_left_out():
    """Told to Keras' optimizers, it would be lost with the copies that a `LEAModel` makes, and with saving."""
    with pytest.raises(ValueError, match="pulls all variables"):
        CoupledAdam(l2=0.1).exclude_from_weight_decay(var_names=["bias"])


def test_every_lea_has_one_of_its_own():
    """In alternate optimisation, where a regulariser of a LEA's layers would belong to the main loss."""
    images, inputs, found = make_data(2)[0], keras.Input((8, 8, 1)), []
    for l2 in (0.0, 50.0):
        keras.utils.set_random_seed(0)
        lea = make_lea(strides=None)
        model = lea_keras.LEAModel(inputs, lea(inputs), optimization="alternate")
        model.compile(CoupledAdam(0.01, l2=l2), run_eagerly=EAGERLY)
        (optimizer,) = model.lea_optimizers
        assert type(optimizer) is CoupledAdam and optimizer.l2 == l2
        before = np.array(lea.autoencoder.code.kernel)
        model.fit(images, verbose=0)
        found.append((before, np.array(lea.autoencoder.code.kernel)))
    (start, without), (same, with_it) = found
    np.testing.assert_array_equal(start, same)
    to_zero = np.isclose(with_it, start - 0.01 * np.sign(start), atol=1e-4)  # a first step of Adam
    assert to_zero.mean() > 0.9 > np.isclose(without, with_it, atol=1e-4).mean()
