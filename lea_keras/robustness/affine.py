"""Networks as affine maps with ReLUs between them, read off Keras models: what bounds are computed of."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import activations, layers, ops

from lea_keras.checks import fail
from lea_keras.export import has_graph
from lea_keras.hooks import functional_graph, origin
from lea_keras.layers.autodiff import vjp

# With weights and, all but the last, an activation of their own.
_WEIGHTED = (
    layers.Dense,
    layers.EinsumDense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.BatchNormalization,
)
# Outside training, nothing at all.
_IDLE = (
    layers.InputLayer,
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
)
# Every output is an input, a mean of inputs, or 0.
_WEIGHTLESS = (
    layers.Flatten,
    layers.Reshape,
    layers.Permute,
    layers.RepeatVector,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
)
_SCALING = (layers.Rescaling, layers.Normalization)  # each value by itself


def _kind(function: Callable[[Any], Any]) -> type:
    """The class of operation that a function of ``keras.ops`` leaves in a graph."""
    return type(origin(function(keras.Input((2, 2))))[0])


_OPERATIONS = (  # that lay out values, as exported LEAs do
    _kind(lambda x: ops.reshape(x, (-1, 4))),
    _kind(lambda x: ops.transpose(x, (0, 2, 1))),
    _kind(lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0)))),
    _kind(lambda x: ops.take(x, np.array([0]), axis=1)),
    _kind(lambda x: ops.expand_dims(x, -1)),
    _kind(lambda x: ops.squeeze(ops.expand_dims(x, -1), -1)),
    _kind(lambda x: ops.cast(x, "float32")),
)
_RELU = _kind(ops.relu)
_ALLOWED = "a chain of affine layers and ReLUs"
_WEIGHTS_OF_MAGNITUDES = {"bias": ops.zeros_like, "beta": ops.zeros_like, "moving_mean": ops.zeros_like}
_WEIGHTS_OF_MAGNITUDES |= {"moving_variance": lambda value: value}
_TOLERANCE = 1e-4  # of the largest logit
_HINT = "On a GPU switch TF32 off: JAX_DEFAULT_MATMUL_PRECISION=highest, or NVIDIA_TF32_OVERRIDE=0."


class Step(NamedTuple):
    """An affine layer or operation.

    Attributes:
        apply: tensors [n, …] → tensors.
        spread: |W| r of how far inputs are from the middle of what they may be, [n, …], to the same of outputs.
    """

    apply: Callable[[Any], Any]
    spread: Callable[[Any], Any]


class Affine:
    """An affine map of the values of an image: of layers in a row. Tensors are flat, [n, values].

    Args:
        steps: the layers in their order.
        before: the shape of an image's values before them, its images on the batch axis first: (49, 4, 4, 1) for the
            windows of an image, (1, 28, 28, 1) for an image.
        after: likewise behind them.
    """

    def __init__(self, steps: list[Step], before: tuple[int, ...], after: tuple[int, ...]) -> None:
        self.steps, self.before, self.after = steps, before, after
        self.inputs, self.outputs = math.prod(before), math.prod(after)

    def __call__(self, flat: Any) -> Any:
        """W x + b, [n, inputs] → [n, outputs]."""
        return self._run(flat, lambda step: step.apply)

    def spread(self, radius: Any) -> Any:
        """|W| r, [n, inputs] → [n, outputs], as the product of the layers' own |W|: at least that of their product."""
        return self._run(radius, lambda step: step.spread)

    def _run(self, flat: Any, function_of: Callable[[Step], Callable[[Any], Any]]) -> Any:
        values = ops.reshape(flat, (-1, *self.before[1:]))  # windows are on the batch axis
        for step in self.steps:
            values = function_of(step)(values)
        return ops.reshape(values, (-1, self.outputs))

    def bias(self) -> Any:
        """b, [outputs]."""
        return self(ops.zeros((1, self.inputs)))[0]

    def pull(self, rows: Any) -> Any:
        """Rows · W, [n, m, outputs] → [n, m, inputs]: the gradient of their products with what this returns."""
        if not self.steps:
            return rows
        count = rows.shape[1]
        flat = ops.reshape(rows, (-1, self.outputs))
        zeros = ops.zeros((ops.shape(flat)[0], self.inputs))
        _, _, (pulled,) = vjp(lambda values: (self(values), ()), [zeros], flat)
        return ops.reshape(pulled, (-1, count, self.inputs))


def read(model: keras.Model, image_shape: tuple[int, ...]) -> list[Affine]:
    """Reads a model as affine maps, with a ReLU between each and the next.

    Affine are dense layers, convolutions, transposed, depthwise and separable ones, batch normalisation with its moving
    averages, average pooling, padding, cropping, rescaling, layers that lay out values and, as outside training,
    dropout and noise; ReLUs are layers, operations or activations of these. Models may be nested. Weights stay those
    of the model.

    Args:
        model: functional or Sequential, built, of one input and one output.
        image_shape: of one image.

    Raises:
        ValueError: for a model that is no such chain; it names the layer.
    """
    if not isinstance(model, keras.Model):
        raise fail("model", "a keras.Model", type(model).__name__)
    maps: list[list[Step]] = [[]]
    for operation, source, tensor in _chain(model):
        maps[-1] += _steps(operation, source, tensor)
        if _ends_in_relu(operation):
            maps.append([])
    shapes = [_shapes(maps, count, image_shape) for count in (1, 2)]
    for one, two in zip(*shapes, strict=True):
        if (2 * one[0], *one[1:]) != two:
            raise fail("model", "a model that takes every image by itself", f"values of shape {one} and {two}")
    network = [Affine(steps, *shapes[0][i : i + 2]) for i, steps in enumerate(maps)]
    _check_reading(model, network, image_shape)
    return network


def _chain(model: keras.Model) -> list[tuple[Any, Any, Any]]:
    """Layers and operations from a model's input to its output, each with the Keras tensors before and behind it."""
    if not has_graph(model):
        raise fail("model", "functional or Sequential, and built", f"{type(model).__name__} {model.name!r}")
    graph = functional_graph(model)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        allowed = "of one input and one output"
        raise fail("model", allowed, f"{model.name!r} with {len(graph.inputs)} and {len(graph.outputs)}")
    chain: list[tuple[Any, Any, Any]] = []
    tensor = graph.outputs[0]
    while tensor is not graph.inputs[0]:
        operation, sources = origin(tensor)
        if len(sources) != 1:
            raise _refuse(operation)
        inner = _chain(operation) if isinstance(operation, keras.Model) else [(operation, sources[0], tensor)]
        chain += inner[::-1]
        tensor = sources[0]
    return chain[::-1]


def _steps(operation: Any, source: Any, tensor: Any) -> list[Step]:
    """The affine part of a layer or operation; none of a ReLU, and of what does nothing outside training."""
    kind = type(operation)
    if kind in (*_WEIGHTED, *_WEIGHTLESS, *_SCALING):
        _check_precision(operation)
    if kind in _WEIGHTED:
        return [_of_weights(operation, source)]
    if kind in _WEIGHTLESS:
        return [Step(operation, operation)]
    if kind in _SCALING:
        return [Step(operation, lambda radius: ops.abs(operation(radius) - operation(ops.zeros_like(radius))))]
    if kind in _OPERATIONS:
        applied = keras.Model(source, tensor)
        return [Step(applied, applied)]
    if not _ends_in_relu(operation) and kind not in (*_IDLE, layers.Activation):
        raise _refuse(operation)
    return []


def _ends_in_relu(operation: Any) -> bool:
    """Whether a layer or operation is a ReLU or has one as its activation."""
    kind = type(operation)
    if kind is _RELU:
        return True
    if kind is layers.ReLU:
        if operation.max_value is not None or operation.negative_slope or operation.threshold:
            raise _refuse(operation, " with a maximum, a slope or a threshold")
        return True
    activation = getattr(operation, "activation", None)
    if kind not in (*_WEIGHTED, layers.Activation) or activation in (None, activations.linear):
        return False
    if isinstance(activation, layers.ReLU):
        return _ends_in_relu(activation)
    if activation not in (activations.relu, ops.relu, ops.nn.relu):
        raise _refuse(operation, f" with the activation {getattr(activation, '__name__', activation)!r}")
    return True


def _of_weights(layer: Any, source: Any) -> Step:
    """A layer without its activation: a twin of it that is run with the layer's own weights."""
    config = layer.get_config()
    twin = type(layer).from_config(config | {"activation": None} if "activation" in config else config)
    twin.build(source.shape)

    def run(values: Any, changed: bool) -> Any:
        trainable, others = (
            [_magnitude(one) if changed else ops.convert_to_tensor(one) for one in group]
            for group in (layer.trainable_variables, layer.non_trainable_variables)
        )
        twin.trainable = layer.trainable  # which orders its variables
        return twin.stateless_call(trainable, others, values, **arguments)[0]

    arguments = {"training": False} if type(layer) is layers.BatchNormalization else {}
    return Step(lambda values: run(values, False), lambda radius: run(radius, True))


def _magnitude(variable: Any) -> Any:
    """Of a weight by which inputs are multiplied, its magnitude; of one that is added, 0."""
    return _WEIGHTS_OF_MAGNITUDES.get(variable.name, ops.abs)(ops.convert_to_tensor(variable))


def _check_precision(layer: Any) -> None:
    if layer.compute_dtype != "float32":
        raise _refuse(layer, f" of {layer.compute_dtype}; bounds are computed in float32, of networks in float32")
    if getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False):
        raise _refuse(layer, ", which is quantised or has a low-rank part")


def _shapes(maps: list[list[Step]], count: int, image_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shapes of values before the first map and behind each, for ``count`` images."""
    values: Any = ops.zeros((count, *image_shape))
    shapes = [tuple(values.shape)]
    for steps in maps:
        for step in steps:
            values = step.apply(values)
        shapes.append(tuple(values.shape))
    return shapes


def _check_reading(model: keras.Model, network: list[Affine], image_shape: tuple[int, ...]) -> None:
    """Sees that the maps compute what the model does, of two images that are given at once or one by one."""
    images = np.random.default_rng(0).uniform(size=(2, *image_shape)).astype(np.float32)
    expected = np.asarray(ops.convert_to_numpy(model(images, training=False))).reshape(2, -1)
    if not np.all(np.isfinite(expected)):
        raise fail("model", "a model whose outputs are finite", "NaN or infinite outputs")
    for parts in ([images], [images[:1], images[1:]]):
        computed = np.concatenate([np.asarray(ops.convert_to_numpy(forward(network, part))) for part in parts])
        difference = float(np.max(np.abs(computed - expected)))
        if not difference <= _TOLERANCE * max(1.0, float(np.max(np.abs(expected)))):
            allowed = f"{_ALLOWED} that takes every image by itself, computed in full precision"
            raise fail("model", allowed, f"outputs that differ by {difference:g}", _HINT)


def forward(network: list[Affine], images: Any) -> Any:
    """What a network makes of images [n, …]: [n, outputs]."""
    values = ops.reshape(images, (-1, network[0].inputs))
    for i, affine in enumerate(network):
        values = affine(ops.relu(values) if i else values)
    return values


def _refuse(operation: Any, detail: str = "") -> ValueError:
    return fail("model", _ALLOWED, f"{type(operation).__name__} {operation.name!r}{detail}")
