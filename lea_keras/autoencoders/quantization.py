"""Quantised layers inside an autoencoder, which builds its parts itself and so must say which of them are quantised.

``keras.Model.quantize`` replaces the weights of dense layers, wherever they stand, and the layer that made them knows
nothing of it.
"""

from typing import Any

import keras
from keras import layers

from lea_keras.checks import fail
from lea_keras.hooks import sublayers

_CALIBRATED = ("gptq", "awq")


def quantized_parts(layer: layers.Layer) -> list[layers.Layer]:
    """Those layers inside a layer that are quantised."""
    return [part for part in sublayers(layer) if part.quantization_mode is not None]


def parts_config(layer: layers.Layer) -> dict[str, Any]:
    """How the layers inside a built layer are quantised, by their place among all of them; empty where none is."""
    quantized = {str(i): part for i, part in enumerate(sublayers(layer)) if part.quantization_mode is not None}
    # A part without such a config came into being quantised, by a dtype policy that the config of its owner has.
    configs = {i: getattr(part, "quantization_config", None) for i, part in quantized.items()}
    return {
        i: keras.saving.serialize_keras_object(config)
        for i, config in configs.items()
        if config is not None and config.mode not in _CALIBRATED
    }


def check_restorable(layer: layers.Layer) -> None:
    """Raises ``ValueError`` where Keras would not store all that a quantised layer inside a layer is made of."""
    for part in quantized_parts(layer):
        store: dict[str, Any] = {}
        if part.quantization_mode in _CALIBRATED:
            part.save_own_variables(store)
            if len(store) < len(part.weights):
                hint = f"Keras would not store all of layer {part.name!r}."
                raise fail("mode", f"none of {_CALIBRATED} in a model to be saved", part.quantization_mode, hint)


def quantize_parts(layer: layers.Layer, config: dict[str, Any]) -> None:
    """Quantises the layers inside a built layer as ``parts_config`` says; those that are quantised stay as they are."""
    parts = sublayers(layer)
    for i, part_config in config.items():
        if parts[int(i)].quantization_mode is None:
            parts[int(i)].quantize(config=keras.saving.deserialize_keras_object(part_config), type_check=False)
