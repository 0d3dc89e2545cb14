"""Functional models of a subclass of ``keras.Model``, without what Keras does to the subclass for them.

Left to itself Keras rewrites the bases of a class at its first functional model, after which no subclass of it with a
``call`` of its own works any more. So each class gets a functional twin of the same name instead.
"""

from typing import Any

import keras

_twins: dict[type, type] = {}


def is_functional(inputs: Any = None, outputs: Any = None, *_: Any, **__: Any) -> bool:
    """Whether a constructor's arguments begin with the inputs and outputs of a functional model."""
    return all(isinstance(tensor, keras.KerasTensor) for tensor in keras.tree.flatten((inputs, outputs)))


def functional_class(cls: type, inputs: Any, outputs: Any, *_: Any, **__: Any) -> type:
    """Returns ``cls`` with Keras' functional model mixed in; always the same class for the same ``cls``."""
    functional = type(keras.Model(inputs, outputs))
    if issubclass(cls, functional):
        return cls
    if cls not in _twins:
        namespace = {"__module__": cls.__module__, "__doc__": cls.__doc__, "__reduce__": _reduce}
        twin = type(cls.__name__, (cls, functional), namespace)
        package, _, name = keras.saving.get_registered_name(cls).rpartition(">")
        if package:  # saved under the name of ``cls``
            keras.saving.register_keras_serializable(package, name)(twin)
        _twins[cls] = twin
    return _twins[cls]


def _reduce(self: keras.Model) -> tuple[Any, ...]:
    """Pickles as Keras does, but by way of the class that the twin's name stands for in its module."""
    load, *rest = super(type(self), self).__reduce__()
    importable = next(cls for cls, twin in _twins.items() if twin is type(self))
    return getattr(importable, load.__name__), *rest
