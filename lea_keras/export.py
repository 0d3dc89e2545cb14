"""A trained model without its decoders: plain Keras, and no windows where the encoder is "fc" (thesis section 3.3.1).

The dense layer of an fc encoder takes a flat window, and so does one position of a convolution whose kernel is as
large as the window. Laid out on the LEA's grid, encoder "fc" over windows *is* a strided convolution followed by 1×1
convolutions, with the same weights in another shape.
"""

import tempfile
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from lea_keras.autoencoders import JointAutoencoder, KSparseAutoencoder, VariationalAutoencoder
from lea_keras.autoencoders.base import Autoencoder
from lea_keras.autoencoders.coders import ConvolutionalEncoder, FullyConnectedEncoder
from lea_keras.autoencoders.quantization import quantized_parts
from lea_keras.checks import fail
from lea_keras.hooks import functional_graph, inputs_of_calls, layers_of
from lea_keras.layers.lea import LocallyEmbeddedAutoencoder, find_leas
from lea_keras.losses import widen
from lea_keras.training.model import LEAModel
from lea_keras.windows import grid

_LAST = "channels_last"  # convolutions in channels_first do not run on TensorFlow's CPU


class _Stage(NamedTuple):
    """A dense layer over the values of one window, or of one code map's pixel.

    Attributes:
        name: of the convolution that takes its place.
        kernel: [values in, values out].
        bias: [values out].
        source: the layer it comes from, for its activation, dtype policy and ``trainable``.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray
    source: layers.Layer


def export_encoder(model: keras.Model) -> keras.Model:
    """Returns a plain Keras model that computes what ``model.predict`` computes, without decoders.

    Every LEA becomes a nested ``keras.Model`` of the LEA's name and shapes that encodes as the LEA does outside
    training: the mean μ for the VAEs, with the one-hot classes of the JointVAE, through which nothing flows back here;
    the ⌊a·k⌋ largest values for k-sparse. What it consists of depends on the encoder, N = wh·ww·c being the values of a
    window and C the code length:

    - "fc": convolution of the window's size and strides with 2N filters → 1×1 convolution with C filters; with other
      ``units`` a convolution for each of them, the first one of the window's size, and for the code.
    - "conv": windows on the batch axis, by gathering rows and columns → the encoder's convolutions → its dense layers
      → dense.
      Where the model leaves the images' size open, windows cannot be laid out in advance: each convolution inside a
      window is then written as the matrix it is, which again gives a strided convolution and 1×1 ones. These have
      more weights, the more the larger a window is beside the kernel: 4 times for a 4×4 window, stride 2, kernel 4.
    - a layer of the user's own: windows as above → a copy of that layer, which remains a custom object → dense.

    All else is copied: layers with their configs, names, dtype policies, weights and further state, nested models,
    layers used more than once, the structure of inputs and outputs. Variables are copies; the original is neither
    changed nor changed later on through the export. The export is not compiled. It holds no class of this package, so
    it saves, loads in safe mode and exports (``export(…, format="tf_saved_model")``, ``format="litert"``, …) where
    ``lea_keras`` is not installed; a user's own layers need their classes as ever, and so do this package's
    autoencoders or coders that stand in the model outside any LEA. A model without LEAs is just copied **(chosen)**.

    Limits of what is underneath (Keras 3.15, TensorFlow 2.21): under JAX, Keras writes a SavedModel only where
    TensorFlow is installed, and no TFLite (save the export as ``.keras`` and load it under TensorFlow for that). TFLite
    has no float16 convolutions, so a model of policy ``mixed_float16`` converts to one that needs TensorFlow's own
    operations; a Python ``lambda`` in a layer is refused, as by ``keras.models.clone_model``; a layer that a model and
    a model nested in it share does not survive Keras' own saving, before the export or after it.

    Args:
        model: a functional or Sequential model, built, an ``LEAModel`` or not.

    Returns:
        A functional ``keras.Model`` of the same name with the same inputs and outputs.

    Raises:
        ValueError: for a subclassed model, a Sequential one that is not built, a LEA inside a layer that is neither,
            a subclass of a LEA or autoencoder that encodes in a way of its own, a LEA that hands on random codes, a
            quantised one (convolutions, of which the export consists, have no quantised form in Keras), and an encoder
            of the user's own (or a conv encoder whose activation is not elementwise) on images of unknown size.
    """
    if not isinstance(model, keras.Model):
        raise fail("model", "a keras.Model", model)
    copier = _Copier()
    export = copier.rebuild(model)
    for source, copy in copier.copied:
        _copy_state(source, copy)
    return export


class _Copier:
    """Copies layers, each once, however many models hold it.

    Attributes:
        copied: layers and their copies whose state is still to be copied, once all copies are built.
    """

    def __init__(self) -> None:
        self.copied: list[tuple[Any, Any]] = []
        self._copies: dict[int, Any] = {}

    def rebuild(self, model: keras.Model) -> keras.Model:
        """A functional model of copies, from a functional or Sequential one."""
        if not has_graph(model):
            allowed = "a functional or Sequential model that is built, since only these know their graph"
            hint = "Build it as keras.Model(inputs, outputs) from the same layers, or call it once if it is Sequential."
            raise fail("model", allowed, f"{type(model).__name__} {model.name!r}", hint)
        # By way of a functional model over the same tensors: uncompiled, and of Keras' own class.
        inner = functional_graph(model)
        graph = keras.Model(inner.input, inner.output, name=model.name)
        inputs = {id(layer.output): layer for layer in graph.layers if isinstance(layer, layers.InputLayer)}
        tensors = keras.tree.map_structure(lambda tensor: self.copy(inputs[id(tensor)]).output, graph.input)
        return keras.models.clone_model(graph, tensors, self.copy)

    def copy(self, layer: Any) -> Any:
        """The copy of a layer or operation; always the same for the same one."""
        if id(layer) not in self._copies:
            self._copies[id(layer)] = self._copy(layer)
        return self._copies[id(layer)]

    def _copy(self, layer: Any) -> Any:
        if isinstance(layer, LocallyEmbeddedAutoencoder):
            return self._encoder_of(layer)
        if isinstance(layer, layers.Layer) and (isinstance(layer, LEAModel) or find_leas(layer)):
            if isinstance(layer, keras.Model):
                return self.rebuild(layer)
            allowed = "a model whose LEAs stand in it or in nested models, not inside other layers"
            raise fail("model", allowed, f"a LEA inside {type(layer).__name__} {layer.name!r}")
        copy = type(layer).from_config(layer.get_config())
        if isinstance(layer, layers.Layer):
            self.copied.append((layer, copy))
        return copy

    def _encoder_of(self, lea: LocallyEmbeddedAutoencoder) -> keras.Model:
        """What takes the place of a LEA: [b, h, w, c] → [b, rows, columns, code_length], or channels first."""
        _check_encodes_as_ours(lea)
        if getattr(lea.autoencoder, "code_maps", None) == "sample":
            allowed = 'a model whose LEAs hand on the same codes at every call, not code_maps="sample"'
            raise fail("model", allowed, f"LEA {lea.name!r}")
        if quantized_parts(lea.autoencoder):
            hint = "Export it before it is quantised."
            raise fail("model", "a model whose LEAs are not quantised", f"quantised LEA {lea.name!r}", hint)
        autoencoder, first = lea.autoencoder, lea.data_format == "channels_first"
        encoder, channels = autoencoder.encoder, autoencoder.windows_shape[3]
        size = _image_size(lea)
        if type(encoder) is FullyConnectedEncoder:
            encode = _convolve
        elif None not in size:
            encode = self._encode_windows
        elif type(encoder) is ConvolutionalEncoder and _is_elementwise(encoder.activation):
            encode = _convolve
        else:
            allowed = "a model with a fixed image size where an encoder is not of this package, or not elementwise"
            raise fail("model", allowed, f"{type(encoder).__name__} in {lea.name!r} on images of size {size}")
        # In the LEA's compute dtype, to which the LEA casts.
        shape = (channels, *size) if first else (*size, channels)
        inputs = images = keras.Input(shape, dtype=lea.compute_dtype, name="images")
        if first:
            images = ops.transpose(images, (0, 2, 3, 1))  # [b, c, h, w] -> [b, h, w, c]
        code_maps = _selected(encode(lea, images), autoencoder)
        if autoencoder.compute_dtype != lea.compute_dtype:
            code_maps = ops.cast(code_maps, lea.compute_dtype)
        if first:
            code_maps = ops.transpose(code_maps, (0, 3, 1, 2))  # [b, code_length, rows, columns]
        return keras.Model(inputs, code_maps, name=lea.name)

    def _encode_windows(self, lea: LocallyEmbeddedAutoencoder, images: Any) -> Any:
        """Codes [b, rows, columns, code_length] of images of known size, by way of windows."""
        encoder = lea.autoencoder.encoder
        sides = [
            grid(n, w, s, lea.padding) for n, w, s in zip(images.shape[1:3], lea.window_size, lea.strides, strict=True)
        ]
        # New copies for every LEA: Keras' saving loses layers that two nested models share.
        maps = _gather_windows(images, lea.window_size, lea.strides, sides)
        if type(encoder) is ConvolutionalEncoder:
            for convolution in encoder.convolutions:
                maps = self._copy(convolution)(maps)
            features = layers.Flatten(_LAST, name="flat")(maps)
            for dense in encoder.hidden_layers:
                features = self._copy(dense)(features)
        else:
            features = self._copy(encoder)(maps)
        codes = self._copy(_head(lea.autoencoder))(features)
        return ops.reshape(codes, (-1, *(side.count for side in sides), lea.code_length))


def has_graph(model: keras.Model) -> bool:
    """Whether a model is its graph of layers: functional or a built Sequential, with no ``call`` of its own."""
    if isinstance(model, keras.Sequential):
        return type(model).call is keras.Sequential.call and functional_graph(model) is not None
    tensor = keras.Input(())
    functional = type(keras.Model(tensor, tensor))  # Keras has no public name for it
    return isinstance(model, functional) and type(model).call is functional.call


def _check_encodes_as_ours(lea: LocallyEmbeddedAutoencoder) -> None:
    """A user's subclass may do as it likes when it trains and decodes, but must encode as its parent."""
    kind = type(lea.autoencoder)
    ours = (Autoencoder, KSparseAutoencoder, VariationalAutoencoder)
    if (
        type(lea).call is not LocallyEmbeddedAutoencoder.call
        or kind.encode is not Autoencoder.encode
        or all(kind.encode_features is not cls.encode_features for cls in ours)
    ):
        allowed = "a model whose LEAs and autoencoders encode as this package's do"
        raise fail("model", allowed, f"{type(lea).__name__} {lea.name!r} with {kind.__name__}")


def _image_size(lea: LocallyEmbeddedAutoencoder) -> tuple[int | None, int | None]:
    """(h, w) of a LEA's images wherever it is used; a side that is unknown or not always the same is None."""
    shapes = [lea._spatial(tensors[0].shape) for tensors in inputs_of_calls(lea)]
    height, width = (sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True))
    return height, width


def _is_elementwise(activation: Any) -> bool:
    """Whether an activation treats every value by itself (softmax does not)."""
    values = np.linspace(-2.0, 2.0, 6, dtype="float32").reshape(2, 3)
    results = [_numpy(activation(ops.convert_to_tensor(x))) for x in (values, values.reshape(1, 6))]
    return np.allclose(results[0].reshape(1, 6), results[1])


def _head(autoencoder: Autoencoder) -> layers.Dense:
    """The dense layer from features to what a code is made of outside training."""
    if isinstance(autoencoder, JointAutoencoder) and autoencoder.categories:
        return _side_by_side(autoencoder.mean, autoencoder.logits)
    return autoencoder.mean if isinstance(autoencoder, VariationalAutoencoder) else autoencoder.code


def _side_by_side(*heads: layers.Dense) -> layers.Dense:
    """One linear layer with the units of several, trainable where all are."""
    trainable = all(head.trainable for head in heads)
    units = sum(head.units for head in heads)
    dense = layers.Dense(units, dtype=heads[0].dtype_policy, trainable=trainable, name="code")
    dense.build((None, heads[0].kernel.shape[0]))
    weights = zip(*(head.get_weights() for head in heads), strict=True)
    dense.set_weights([np.concatenate(parts, axis=-1) for parts in weights])
    return dense


def _selected(codes: Any, autoencoder: Autoencoder) -> Any:
    """What a code becomes on the last axis: k-sparse zeros all but the ⌊a·k⌋ selected values, as
    ``KSparseAutoencoder`` does, and the JointVAE has its likeliest classes one-hot."""
    if isinstance(autoencoder, JointAutoencoder):
        ends = np.cumsum([autoencoder.gaussians, *autoencoder.categories])[:-1].tolist()
        parts = ops.split(codes, ends, axis=-1) if ends else [codes]
        classes = [_largest(part, 1) for part in parts[1:]]
        return ops.concatenate([parts[0], *classes], axis=-1) if classes else codes
    if not isinstance(autoencoder, KSparseAutoencoder) or autoencoder.inference_k == autoencoder.code_length:
        return codes
    return codes * _largest(autoencoder.strengths(codes), autoencoder.inference_k)


def _largest(values: Any, count: int) -> Any:
    """1 for the ``count`` largest values on the last axis, 0 for the others, in the same shape."""
    indices = ops.top_k(values, count)[1]  # [b, rows, columns, count]
    return ops.sum(ops.one_hot(indices, values.shape[-1], dtype=values.dtype), axis=-2)


def _convolve(lea: LocallyEmbeddedAutoencoder, images: Any) -> Any:
    """Codes [b, rows, columns, code_length] of images of any size: a convolution over windows, then 1×1 ones."""
    maps, window_size, strides = images, lea.window_size, lea.strides
    for stage in _stages(lea.autoencoder):
        convolution = layers.Conv2D(
            stage.kernel.shape[1],
            window_size,
            strides,
            lea.padding,
            _LAST,
            activation=stage.source.activation,
            dtype=stage.source.dtype_policy,
            trainable=stage.source.trainable,
            name=stage.name,
        )
        maps = convolution(maps)
        # A flat window is in the order rows, columns, channels: [wh·ww·c, n] -> [wh, ww, c, n].
        convolution.set_weights([stage.kernel.reshape(*window_size, -1, stage.kernel.shape[1]), stage.bias])
        window_size, strides = (1, 1), (1, 1)
    return maps


def _stages(autoencoder: Autoencoder) -> list[_Stage]:
    """An fc or conv encoder with its code as dense layers, from a flat window to the code."""
    encoder, shape = autoencoder.encoder, autoencoder.windows_shape[1:]
    stages = []
    for convolution in getattr(encoder, "convolutions", []):
        values = int(np.prod(shape))
        kernel = widen(convolution.kernel)[0]
        units = ops.reshape(ops.eye(values, dtype=kernel.dtype), (values, *shape))  # an image for every window value
        matrix = _numpy(ops.conv(units, kernel, convolution.strides, "same", _LAST))  # [values, rows, columns, K]
        shape = matrix.shape[1:]
        bias = np.tile(_numpy(convolution.bias), shape[0] * shape[1])
        stages.append(_Stage(convolution.name, matrix.reshape(values, -1), bias, convolution))
    for dense in (*encoder.hidden_layers, _head(autoencoder)):
        stages.append(_Stage(dense.name, _numpy(dense.kernel), _numpy(dense.bias), dense))
    return stages


def _gather_windows(images: Any, window_size: tuple[int, int], strides: tuple[int, int], sides: list[Any]) -> Any:
    """Windows [b·rows·columns, wh, ww, c] of images of known size, in operations that Keras stores in a model."""
    channels = images.shape[3]
    pads = [(side.before, max(side.after, 0)) for side in sides]
    if any(sum(pad) for pad in pads):
        images = ops.pad(images, [(0, 0), *pads, (0, 0)])
    counts = [side.count for side in sides]
    if window_size == strides and all(n == c * w for n, c, w in zip(images.shape[1:3], counts, strides, strict=True)):
        windows = ops.reshape(images, (-1, counts[0], window_size[0], counts[1], window_size[1], channels))
    else:
        rows, columns = (
            np.arange(count)[:, None] * stride + np.arange(window)
            for count, stride, window in zip(counts, strides, window_size, strict=True)
        )
        windows = ops.take(images, rows, axis=1)  # [b, rows, wh, w, c]
        windows = ops.take(windows, columns, axis=3)  # [b, rows, wh, columns, ww, c]
    windows = ops.transpose(windows, (0, 1, 3, 2, 4, 5))  # [b, rows, columns, wh, ww, c]
    return ops.reshape(windows, (-1, *window_size, channels))


def _copy_state(source: layers.Layer, copy: layers.Layer) -> None:
    """Copies what saving would store of a layer and the layers inside it: variables and, where there are any, files."""
    for one, other in zip(layers_of(source), layers_of(copy), strict=True):
        store: dict[str, Any] = {}
        one.save_own_variables(store)
        other.load_own_variables({key: _numpy(value) for key, value in store.items()})
        if hasattr(one, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                one.save_assets(folder)
                other.load_assets(folder)


def _numpy(value: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(value))
