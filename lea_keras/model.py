"""A Keras model that trains its LEAs jointly, independently or alternately with the main task."""

import contextlib
import warnings
from typing import Any

import keras

from lea_keras import jax_step, tensorflow_step
from lea_keras.checks import check_choice, fail
from lea_keras.functional import functional_class, is_functional
from lea_keras.influences import at_the_front, influences
from lea_keras.layer import LocallyEmbeddedAutoencoder, Use, forward_pass
from lea_keras.losses import wide_dtype
from lea_keras.optimizations import JOINT, MAIN, OPTIMIZATIONS, Phase, plan, total
from lea_keras.quantization import check_restorable
from lea_keras.saving import check_filepath, check_format
from lea_keras.version import PACKAGE

_NOT_IN_HDF5 = "the optimizers and clocks of LEAs"


def find_leas(layer: keras.layers.Layer) -> list[LocallyEmbeddedAutoencoder]:
    """All LEA layers inside a layer or model, nested ones too, each once, in the order in which they were added."""
    found: list[LocallyEmbeddedAutoencoder] = []
    for child in layer._flatten_layers(include_self=False, recursive=False):
        inside = [child] if isinstance(child, LocallyEmbeddedAutoencoder) else find_leas(child)
        found.extend(lea for lea in inside if all(lea is not other for other in found))
    return found


class _State:
    """What a model holds beside its layers once it is compiled and built; out of sight of Keras' attribute tracking,
    which allows no new state in a subclassed model after it is built."""

    def __init__(
        self,
        phases: list[Phase],
        leas: list[LocallyEmbeddedAutoencoder],
        front: list[LocallyEmbeddedAutoencoder],
        has_main_loss: bool,
    ) -> None:
        self.phases = phases
        self.front = front  # whose windows are the same in every pass of a step

        def mean(name: str) -> keras.metrics.Metric:
            return keras.metrics.Mean(name=name, dtype=wide_dtype(keras.config.floatx()))

        self.main_loss = mean("main_loss") if has_main_loss else None
        self.measures = {
            lea.name: {name: mean(f"{lea.name}_{name}") for name in ("loss", *lea.autoencoder.measure_names)}
            for lea in leas
            if lea.loss_weight
        }

    def metrics(self) -> list[keras.metrics.Metric]:
        of_leas = [metric for measures in self.measures.values() for metric in measures.values()]
        return ([self.main_loss] if self.main_loss is not None else []) + of_leas


@keras.saving.register_keras_serializable(PACKAGE)
class LEAModel(keras.Model):
    """A ``keras.Model`` that knows which of its variables belong to a LEA and trains them as ``optimization`` says.

    Used as Keras' own: ``LEAModel(inputs, outputs)``, or as the base of a subclass. ``fit`` and ``evaluate`` report
    ``loss`` (the main loss plus every weighted LEA loss, Eq. 5.3, whatever the optimisation), ``main_loss``, the
    compiled metrics and, per LEA, ``<name>_loss``, ``_rl`` (Eq. 3.2), ``_rln`` (Eq. 4.1) and, where there is one,
    ``_kl`` (Eq. 2.24) and ``_capacity`` (C of Eq. 2.27). ``predict`` runs no decoder.

    The optimisations (thesis 3.1.1; Adam with learning rate 1e-4 throughout the thesis):

    - "joint": one step over all variables on main loss + Σ λ·LEA loss; equal to a plain ``keras.Model``.
    - "independent": from one forward pass, the main loss and then each LEA's loss step with an optimizer of their own
      over all variables that influence them.
    - "alternate", the thesis' default: the main variables step on the main loss; after a fresh forward pass every LEA
      steps on its own loss and its own variables only.

    Regularisation losses and other layers' ``add_loss`` belong to the main loss. A LEA used twice sums its losses.
    ``keras.models.clone_model`` knows nothing of ``optimization``; ``from_config(get_config())`` does.

    Moving statistics (batch normalisation) of main layers move once per training step **(chosen)**: in the alternate
    step's first forward pass.

    Args:
        inputs: as in ``keras.Model``.
        outputs: as in ``keras.Model``.
        name: as in ``keras.Model``.
        optimization: "joint", "independent" or "alternate".
        **kwargs: as in ``keras.Model``.

    Raises:
        ValueError: for an unknown optimization, or for one autoencoder in two LEA layers: its variables would belong
            to both (use one layer twice instead).
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if is_functional(*args, **kwargs):
            cls = functional_class(cls, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        *,
        optimization: str = "alternate",
        **kwargs: Any,
    ) -> None:
        optimization = check_choice("optimization", optimization, OPTIMIZATIONS)
        if is_functional(inputs, outputs):
            super().__init__(inputs, outputs, name=name, **kwargs)
        elif inputs is None and outputs is None:
            super().__init__(name=name, **kwargs)
        else:
            raise fail("outputs", "Keras tensors that come from `inputs`, or both None in a subclass", outputs)
        self.optimization = optimization
        self.lea_optimizers: list[keras.optimizers.Optimizer] = []
        self._state: _State | None = None
        self._has_main_loss = False

    @property
    def lea_layers(self) -> list[LocallyEmbeddedAutoencoder]:
        """The LEA layers, nested ones too, each once."""
        leas = find_leas(self)
        if len({id(lea.autoencoder) for lea in leas}) < len(leas):
            names = [lea.name for lea in leas]
            raise ValueError(
                "Each LEA layer must have an autoencoder of its own; to share one, use one layer twice. "
                f"Received: one autoencoder object in several of the layers {names}"
            )
        return leas

    @property
    def lea_variables(self) -> list[list[keras.Variable]]:
        """Trainable variables of each LEA, in the order of ``lea_layers``."""
        return [list(lea.trainable_variables) for lea in self.lea_layers]

    @property
    def main_variables(self) -> list[keras.Variable]:
        """Trainable variables that belong to no LEA."""
        of_leas = {id(variable) for subset in self.lea_variables for variable in subset}
        return [variable for variable in self.trainable_variables if id(variable) not in of_leas]

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, *, lea_optimizer: Any = None, **kwargs: Any
    ) -> None:
        """Configures training; arguments as in ``keras.Model.compile``, and:

        Args:
            optimizer: for the main variables ("joint": for all).
            loss: the main loss. None: the LEAs train alone (thesis 5.1).
            lea_optimizer: for the LEAs: the first takes this one, every further LEA a fresh copy. None: each takes a
                copy of ``optimizer``'s configuration. All of them are in ``lea_optimizers``. Not used by "joint".
            **kwargs: ``metrics``, ``loss_weights``, ``jit_compile`` and what else ``keras.Model.compile`` knows.
        """
        optimizer = keras.optimizers.get(optimizer)
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        self._has_main_loss = loss is not None
        self._has_lea_optimizer = lea_optimizer is not None
        template = keras.optimizers.get(lea_optimizer) if self._has_lea_optimizer else optimizer
        for argument, one in (("optimizer", optimizer), ("lea_optimizer", template)):
            if self.optimization != "joint" and getattr(one, "use_ema", False):
                # At the end of fit Keras hands an optimizer's averages to *all* trainable variables of the model.
                raise fail(argument, f"without use_ema for {self.optimization!r} optimisation", one.name)
        # Kept as a configuration: an optimizer cannot be read any more once a step is being traced.
        self._lea_optimizer_template = (type(template), template.get_config())
        self.lea_optimizers = [] if template is optimizer else [template]
        self._state = None
        self._prepare()

    def _prepare(self) -> None:
        """Creates optimizers' variables and metrics, if the model is built and compiled: both must be there before a
        step is traced."""
        if self._state is not None or not self.compiled:
            return
        if not all(layer.built for layer in self._flatten_layers()):
            return
        leas = self.lea_layers
        found = influences(self) if self.optimization == "independent" else None
        phases = plan(self.optimization, self.main_variables, self.lea_variables, found)
        self.lea_optimizers = [] if self.optimization == "joint" else self._make_lea_optimizers(len(leas))
        for phase in phases:
            for step in phase.steps:
                optimizer = self._optimizer_of(step.objective)
                if optimizer is not None and not optimizer.built:
                    optimizer.build(step.variables)
        self._state = _State(phases, leas, at_the_front(self), self._has_main_loss)
        idle = [lea.name for lea in leas if not lea.loss_weight]
        if idle and self.optimization == "alternate":
            warnings.warn(
                f"The LEAs {idle} have loss_weight=0 and so no objective: alternate optimisation leaves their encoders "
                'as they were initialised. Take optimization="joint" to train them on the main loss.',
                stacklevel=2,
            )

    def _make_lea_optimizers(self, count: int) -> list[keras.optimizers.Optimizer]:
        cls, config = self._lea_optimizer_template
        optimizers = [*self.lea_optimizers, *(cls.from_config(dict(config)) for _ in range(count))][:count]
        scaled = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaled):  # Keras wraps only its own optimizer for float16
            optimizers = [o if isinstance(o, scaled) else scaled(o, name="loss_scale_optimizer") for o in optimizers]
        return optimizers

    def _optimizer_of(self, objective: str | int) -> keras.optimizers.Optimizer | None:
        return self.optimizer if objective in (MAIN, JOINT) else self.lea_optimizers[objective]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return super().metrics + (self._state.metrics() if self._state is not None else [])

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Builds a subclassed model from its data, on backends where this does not wait for the first step."""
        # Keras goes on and builds an optimizer that is not built, on all variables; ours have variables of their own.
        optimizer, self.optimizer = self.optimizer, None
        try:
            super()._symbolic_build(iterator=iterator, data_batch=data_batch)
        finally:
            self.optimizer = optimizer
        self._prepare()

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Quantises dense layers as ``keras.Model.quantize``; steps go on with the variables that are left then."""
        super().quantize(*args, **kwargs)
        self._state = None
        with _scope(self):
            self._prepare()

    def make_train_function(self, force: bool = False) -> Any:
        with _scope(self):
            self._prepare()
        return super().make_train_function(force)

    # The arguments of a step are the backend's: (data) on TensorFlow, (state, data) on JAX.

    def train_step(self, *arguments: Any) -> Any:
        return _steps().train_step(self, *arguments)

    def test_step(self, *arguments: Any) -> Any:
        return _steps().test_step(self, *arguments)

    def predict_step(self, *arguments: Any) -> Any:
        with forward_pass("codes"):
            return super().predict_step(*arguments)

    def _get_jax_state(self, *, optimizer_variables: bool = False, **groups: bool) -> tuple[Any, ...]:
        """Hands the state of all optimizers to a step on JAX, where Keras knows of its own only."""
        state = super()._get_jax_state(optimizer_variables=optimizer_variables, **groups)
        if optimizer_variables:
            known = len(self.optimizer.variables)
            of_leas = [variable.value for variable in jax_step.optimizer_variables(self)[known:]]
            place = sum(groups.get(f"{name}_variables", False) for name in ("trainable", "non_trainable"))
            state = (*state[:place], [*state[place], *of_leas], *state[place + 1 :])
        return state

    def _get_state_sharding_spec(self) -> tuple[Any, ...]:
        """On which devices the state of a step on JAX is, in the order of that state."""
        trainable, non_trainable, _, metrics = super()._get_state_sharding_spec()
        optimizers = [variable.value.sharding for variable in jax_step.optimizer_variables(self)]
        return trainable, non_trainable, optimizers, metrics

    def jax_state_sync(self) -> None:
        """Takes the state of all optimizers back; the rest is Keras'."""
        state = getattr(self, "_jax_state", None)
        if state and not self._jax_state_synced and state.get("optimizer_variables"):
            pairs = list(zip(jax_step.optimizer_variables(self), state["optimizer_variables"], strict=True))
            for variable, value in pairs[len(self.optimizer.variables) :]:
                variable.assign(value)
        super().jax_state_sync()

    def _main_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """The main loss with regularisation and other layers' losses, or None where there is nothing of the kind."""
        if not self._has_main_loss and not self.losses:
            return None
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)

    def _lea_loss(self, uses: list[Use], index: int, replicas: int) -> Any:
        """The weighted loss of one LEA, summed over its uses, or None where it had none. Like Keras' own losses it is
        divided by the number of replicas, over which gradients are summed."""
        lea = self.lea_layers[index]
        return total(lea.loss_weight * use.objective.loss / replicas for use in uses if use.layer is lea)

    def _report(
        self,
        x: Any,
        y: Any,
        y_pred: Any,
        sample_weight: Any,
        main_loss: Any,
        uses: list[Use],
        replicas: int,
    ) -> dict[str, Any]:
        """Updates all metrics, batches weighted by their size, and returns their values."""
        first = next(tensor for tensor in keras.tree.flatten(x) if tensor is not None)
        size = keras.ops.shape(first)[0]
        leas = [self._lea_loss(uses, i, replicas) for i in range(len(self.lea_layers))]
        everything = total([main_loss, *leas])
        for metric in self.metrics:
            if metric.name == "loss" and everything is not None:
                metric.update_state(everything * replicas, sample_weight=size)
        if self._state.main_loss is not None:
            self._state.main_loss.update_state(main_loss * replicas, sample_weight=size)
        for lea in self.lea_layers:
            own = [use.objective for use in uses if use.layer is lea]
            for name, metric in self._state.measures.get(lea.name, {}).items():
                if name == "loss":
                    metric.update_state(total(objective.loss for objective in own), sample_weight=size)
                else:
                    for objective in own:
                        metric.update_state(objective.measures[name], sample_weight=size)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves as ``keras.Model.save``, as ``.keras`` only.

        Raises:
            ValueError: for the path of an HDF5 file, which has no place for the optimizers and clocks of LEAs.
        """
        check_filepath(filepath, _NOT_IN_HDF5)
        for lea in self.lea_layers:
            check_restorable(lea.autoencoder)
        super().save(filepath, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        check_format(_NOT_IN_HDF5)
        config = super().get_config()
        return config | {"optimization": self.optimization} if "input_layers" in config else config

    def get_compile_config(self) -> dict[str, Any]:
        config = super().get_compile_config()
        if config and self._has_lea_optimizer:
            cls, optimizer_config = self._lea_optimizer_template
            config["lea_optimizer"] = keras.saving.serialize_keras_object(cls.from_config(dict(optimizer_config)))
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))


def _steps() -> Any:
    """The steps of the backend in use."""
    if keras.backend.backend() == "tensorflow":
        return tensorflow_step
    if keras.backend.backend() == "jax":
        return jax_step
    raise NotImplementedError(f"LEAModel trains on tensorflow and jax. Received: backend={keras.backend.backend()!r}")


def _scope(model: keras.Model) -> contextlib.AbstractContextManager[Any]:
    """Inside it variables belong to the model's replicas, if it has any."""
    return model.distribute_strategy.scope() if hasattr(model, "distribute_strategy") else contextlib.nullcontext()
