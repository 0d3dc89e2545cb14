"""A Keras model that trains its LEAs jointly, independently or alternately with the main task."""

import warnings
from typing import Any

import keras

from lea_keras.checks import check_choice, fail
from lea_keras.functional import functional_class, is_functional
from lea_keras.layer import LocallyEmbeddedAutoencoder, Use, forward_pass
from lea_keras.optimizations import JOINT, MAIN, OPTIMIZATIONS, Phase, plan
from lea_keras.version import PACKAGE


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

    def __init__(self, phases: list[Phase], leas: list[LocallyEmbeddedAutoencoder], has_main_loss: bool) -> None:
        self.phases = phases

        def mean(name: str) -> keras.metrics.Metric:
            return keras.metrics.Mean(name=name)

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
        influences = self._influences() if self.optimization == "independent" else None
        phases = plan(self.optimization, self.main_variables, self.lea_variables, influences)
        self.lea_optimizers = [] if self.optimization == "joint" else self._make_lea_optimizers(len(leas))
        for phase in phases:
            for step in phase.steps:
                optimizer = self._optimizer_of(step.objective)
                if optimizer is not None and not optimizer.built:
                    optimizer.build(step.variables)
        self._state = _State(phases, leas, self._has_main_loss)
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

    def _influences(self) -> dict[str | int, list[keras.Variable]] | None:
        """The variables on which each objective depends, from a trial trace; None for a subclassed model, which does
        not know its inputs when it is compiled or loaded."""
        import tensorflow as tf

        if not hasattr(self, "inputs"):
            return None
        variables = self.trainable_variables
        found = {}

        def trace(x: Any) -> None:
            with tf.GradientTape(persistent=True) as tape:
                outputs, uses = self._forward(x, "objectives", training=True)
                parts = [*keras.tree.flatten(outputs), *self.losses]
                objectives = {MAIN: _total(keras.ops.sum(keras.ops.cast(part, "float32")) for part in parts)}
                objectives |= {i: self._lea_loss(uses, i, 1) for i in range(len(self.lea_layers))}
            for name, objective in objectives.items():
                values = [variable.value for variable in variables]
                gradients = [None] * len(values) if objective is None else tape.gradient(objective, values)
                found[name] = [v for v, gradient in zip(variables, gradients, strict=True) if gradient is not None]

        specs = keras.tree.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), self.input)

        def on_replicas(x: Any) -> None:
            self.distribute_strategy.run(trace, args=(x,))

        tf.function(on_replicas, autograph=False).get_concrete_function(specs)  # traced, never run
        return found

    def _optimizer_of(self, objective: str | int) -> keras.optimizers.Optimizer | None:
        return self.optimizer if objective in (MAIN, JOINT) else self.lea_optimizers[objective]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return super().metrics + (self._state.metrics() if self._state is not None else [])

    def make_train_function(self, force: bool = False) -> Any:
        with self.distribute_strategy.scope():
            self._prepare()
        return super().make_train_function(force)

    def train_step(self, data: Any) -> dict[str, Any]:
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if self._state is None:
            self(x, training=False)  # a subclassed model is built by its first call
            self._prepare()
        replicas = self.distribute_strategy.num_replicas_in_sync
        y_pred, main_loss, uses = None, None, []
        for phase in self._state.phases:
            with tf.GradientTape(persistent=len(phase.steps) > 1, watch_accessed_variables=False) as tape:
                watched = {id(variable): variable for step in phase.steps for variable in step.variables}
                tape.watch([variable.value for variable in watched.values()])
                outputs, found = self._forward(x, phase.mode, training=True)
                y_pred = outputs if y_pred is None else y_pred
                uses = found or uses
                losses = {i: self._lea_loss(found, i, replicas) for i in range(len(self.lea_layers))}
                if phase.mode != "local":
                    main_loss = losses[MAIN] = self._main_loss(x, y, outputs, sample_weight, training=True)
                    losses[JOINT] = _total(losses.values())
                scaled = {
                    step.objective: self._optimizer_of(step.objective).scale_loss(losses[step.objective])
                    for step in phase.steps
                    if losses[step.objective] is not None
                }
            updates = []
            for step in phase.steps:
                if step.objective in scaled and step.variables:
                    gradients = tape.gradient(scaled[step.objective], [v.value for v in step.variables])
                    pairs = [(g, v) for g, v in zip(gradients, step.variables, strict=True) if g is not None]
                    updates.append((self._optimizer_of(step.objective), pairs))
            for optimizer, pairs in updates:
                if pairs:
                    optimizer.apply_gradients(pairs)
        return self._report(x, y, y_pred, sample_weight, main_loss, uses, replicas)

    def test_step(self, data: Any) -> dict[str, Any]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if self._state is None:
            self(x, training=False)
            self._prepare()
        y_pred, uses = self._forward(x, "objectives", training=False)
        main_loss = self._main_loss(x, y, y_pred, sample_weight, training=False)
        replicas = self.distribute_strategy.num_replicas_in_sync
        return self._report(x, y, y_pred, sample_weight, main_loss, uses, replicas)

    def predict_step(self, data: Any) -> Any:
        with forward_pass("codes"):
            return super().predict_step(data)

    def _forward(self, x: Any, mode: str, training: bool) -> tuple[Any, list[Use]]:
        """Outputs of one forward pass, and the uses of LEAs in it."""
        if mode != "local":
            with forward_pass(mode) as current:
                return self(x, training=training), current.uses
        # A second forward pass of the same step: state of main layers that the first one moved, such as moving
        # averages, must not move again; random seeds and the LEAs' own state go on.
        with keras.StatelessScope() as scope, forward_pass(mode) as current:
            outputs = self(x, training=training)
        kept = {id(v) for lea in self.lea_layers for v in lea.variables}
        for variable in self.variables:
            value = scope.get_current_value(variable)
            if value is not None and (id(variable) in kept or not keras.backend.is_float_dtype(variable.dtype)):
                variable.assign(value)
        return outputs, current.uses

    def _main_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """The main loss with regularisation and other layers' losses, or None where there is nothing of the kind."""
        if not self._has_main_loss and not self.losses:
            return None
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)

    def _lea_loss(self, uses: list[Use], index: int, replicas: int) -> Any:
        """The weighted loss of one LEA, summed over its uses, or None where it had none. Like Keras' own losses it is
        divided by the number of replicas, over which gradients are summed."""
        lea = self.lea_layers[index]
        return _total(lea.loss_weight * use.objective.loss / replicas for use in uses if use.layer is lea)

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
        total = _total([main_loss, *leas])
        for metric in self.metrics:
            if metric.name == "loss" and total is not None:
                metric.update_state(total * replicas, sample_weight=size)
        if self._state.main_loss is not None:
            self._state.main_loss.update_state(main_loss * replicas, sample_weight=size)
        for lea in self.lea_layers:
            own = [use.objective for use in uses if use.layer is lea]
            for name, metric in self._state.measures.get(lea.name, {}).items():
                if name == "loss":
                    metric.update_state(_total(objective.loss for objective in own), sample_weight=size)
                else:
                    for objective in own:
                        metric.update_state(objective.measures[name], sample_weight=size)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
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


def _total(losses: Any) -> Any:
    """The sum of those losses that are not None, or None where there are none."""
    losses = [loss for loss in losses if loss is not None]
    return sum(losses[1:], losses[0]) if losses else None
