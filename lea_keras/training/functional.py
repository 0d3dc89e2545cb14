"""Functional models of a subclass of ``keras.Model``, without what Keras does to the subclass for them.

Left to itself Keras rewrites the bases of a class at its first functional model, after which no subclass of it with a
``call`` of its own works any more. So each class gets functional twins of the same name instead: one for every value
of a constructor argument that a twin remembers, since ``keras.models.clone_model`` hands on inputs, outputs and name.
"""

from typing import Any

import keras

_twins: dict[tuple[type, Any], type] = {}


def is_functional(inputs: Any = None, outputs: Any = None, *_: Any, **__: Any) -> bool:
    """Whether a constructor's arguments begin with the inputs and outputs of a functional model."""
    return all(isinstance(tensor, keras.KerasTensor) for tensor in keras.tree.flatten((inputs, outputs)))


def functional_class(cls: type, remembered: Any, inputs: Any, outputs: Any, *_: Any, **__: Any) -> Any:
    """Returns ``cls`` with Keras' functional model mixed in; always the same class for the same arguments.

    Args:
        cls: a subclass of ``keras.Model`` with a class attribute ``remembered``, or what was returned for one.
        remembered: what this attribute shall be; None: as it is.
        inputs: of the model.
        outputs: of the model.
    """
    functional = type(keras.Model(inputs, outputs))
    if not issubclass(cls, functional):
        cls = _twin(cls, (cls, functional), cls.remembered)
    return cls if remembered in (None, cls.remembered) else _twin(cls, (cls,), remembered)


def _twin(cls: type, bases: tuple[type, ...], remembered: Any) -> type:
    if (cls, remembered) not in _twins:
        namespace = {"__module__": cls.__module__, "__doc__": cls.__doc__, "__reduce__": _reduce}
        twin = type(cls.__name__, bases, namespace | {"remembered": remembered})
        package, _, name = keras.saving.get_registered_name(cls).rpartition(">")
        if package:  # saved under the name of ``cls``
            keras.saving.register_keras_serializable(package, name)(twin)
            if bases == (cls,):  # and loaded by way of it
                keras.saving.register_keras_serializable(package, name)(cls)
        _twins[cls, remembered] = twin
    return _twins[cls, remembered]


def _reduce(self: keras.Model) -> tuple[Any, ...]:
    """Pickles as Keras does, but by way of the class that the twin's name stands for in its module."""
    load, *rest = keras.Model.__reduce__(self)
    original = type(self)
    while original in _twins.values():
        original = next(cls for (cls, _), twin in _twins.items() if twin is original)
    return getattr(original, load.__name__), *rest
