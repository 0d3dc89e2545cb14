"""Bound on the growth of perturbations: the product of the layers' ℓ1 norms.

Theorem 2 of S. Gopalakrishnan et al. (arXiv:1810.10625, 2018).
"""

import math
from typing import Any

import keras
import numpy as np
from keras import activations, layers, ops

from lea_keras.checks import check_number, fail
from lea_keras.export import has_graph
from lea_keras.hooks import functional_graph, origin
from lea_keras.layers import MinPooling2D

_AFFINE = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)
# What outside training makes no difference larger: every output is an input, a mean of inputs, or 0.
_NEVER_LARGER = (
    layers.InputLayer,
    layers.Identity,
    layers.Flatten,
    layers.Reshape,
    layers.Permute,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.GlobalAveragePooling2D,
    MinPooling2D,
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.GaussianDropout,
    layers.GaussianNoise,
)
# Elementwise, and nowhere steeper than 1.
_FLAT_ENOUGH = (
    activations.linear,
    activations.relu,
    activations.relu6,
    activations.leaky_relu,
    activations.elu,
    activations.tanh,
    activations.hard_tanh,
    activations.sigmoid,
    activations.hard_sigmoid,
    activations.log_sigmoid,
    activations.softplus,
    activations.softsign,
)
_ALLOWED = (
    "a chain of dense layers, convolutions, poolings, reshapings and dropout, with activations that are elementwise "
    "and nowhere steeper than 1"
)


def perturbation_bound(model: keras.Model, epsilon: float) -> float:
    """Returns how far a perturbation of a model's input can move any of its outputs: ε·∏γ over the layers (Theorem 2).

    γ of a dense layer or convolution is the largest ℓ1 norm of the weights of one of its neurons (a column of a dense
    kernel, ``kernel[..., i]`` of a convolution's): with ‖x' − x‖∞ ≤ ε before it, no output moves further than γ·ε. (The
    ℓ2 norm would give too little: it bounds nothing in ‖·‖∞.) Padding with zeros only helps; pooling, reshaping and,
    outside training, dropout have γ = 1. Activations must be elementwise and 1-Lipschitz, which the theorem does
    not say and needs: relu, leaky_relu, elu, tanh, sigmoid, softplus and the like. The bound holds for every input;
    a class stays what it is where its logit is further than twice the bound above all others. It holds up to the
    rounding of the model's own arithmetic.

    Args:
        model: a functional or Sequential model, built, with one input and one output; models nested in it likewise.
        epsilon: the largest change of any value of the input, at least 0.

    Returns:
        The largest possible change of any value of the output, for logits in their unit.

    Raises:
        ValueError: for a model that is no such chain: it names the layer.
    """
    if not isinstance(model, keras.Model):
        raise fail("model", "a keras.Model", type(model).__name__)
    return check_number("epsilon", epsilon) * _growth(model)


def _growth(layer: Any) -> float:
    """γ of a layer, or of all layers of a model."""
    if isinstance(layer, keras.Model):
        return math.prod(_growth(each) for each in _chain(layer))
    if type(layer) in _AFFINE and layer.quantization_mode is None:
        _check_activation(layer, layer.activation)
        kernel = np.asarray(ops.convert_to_numpy(ops.cast(layer.kernel, "float32")), np.float64)
        return float(np.max(np.sum(np.abs(kernel), axis=tuple(range(kernel.ndim - 1)))))
    if type(layer) is layers.Activation:
        _check_activation(layer, layer.activation)
    elif type(layer) is layers.ReLU:
        _check_slopes(layer, layer.negative_slope, layer.threshold == 0)
    elif type(layer) is layers.LeakyReLU:
        _check_slopes(layer, layer.negative_slope)
    elif type(layer) is layers.ELU:
        _check_slopes(layer, layer.alpha)
    elif type(layer) not in _NEVER_LARGER:
        raise _refuse(layer)
    return 1.0


def _chain(model: keras.Model) -> list[Any]:
    """The layers of a model from its input to its output, each of which takes what the one before it returns."""
    if not has_graph(model):
        raise fail("model", "functional or Sequential, and built", f"{type(model).__name__} {model.name!r}")
    graph = functional_graph(model)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        allowed = "of one input and one output"
        raise fail("model", allowed, f"{model.name!r} with {len(graph.inputs)} and {len(graph.outputs)}")
    chain, tensor = [], graph.outputs[0]
    while tensor is not graph.inputs[0]:
        layer, sources = origin(tensor)
        if len(sources) != 1:
            raise _refuse(layer)
        chain.append(layer)
        tensor = sources[0]
    return chain[::-1]


def _check_activation(layer: layers.Layer, activation: Any) -> None:
    if isinstance(activation, layers.Layer):
        _growth(activation)
    elif activation not in _FLAT_ENOUGH:
        raise _refuse(layer, f" with the activation {getattr(activation, '__name__', activation)!r}")


def _check_slopes(layer: layers.Layer, slope: Any, continuous: bool = True) -> None:
    if not continuous or abs(float(slope)) > 1:
        raise _refuse(layer, " with a step or a slope above 1")


def _refuse(layer: Any, detail: str = "") -> ValueError:
    return fail("model", _ALLOWED, f"{type(layer).__name__} {layer.name!r}{detail}")
