"""Keras model that trains its LEAs jointly, independently or alternately with the main task."""

import contextlib
import dataclasses
import warnings
import weakref
from collections.abc import Callable
from typing import Any, Self

import keras

from lea_keras.autoencoders.base import Report
from lea_keras.autoencoders.quantization import check_restorable
from lea_keras.checks import check_choice, fail
from lea_keras.layers.lea import LocallyEmbeddedAutoencoder, find_leas
from lea_keras.saving import check_filepath, check_format
from lea_keras.training import jax, tensorflow, trainer
from lea_keras.training.functional import functional_class, is_functional
from lea_keras.training.influences import at_the_front, influences
from lea_keras.training.optimizer import SubsetOptimizer
from lea_keras.training.reports import Reports
from lea_keras.training.schedule import JOINT, MAIN, OPTIMIZATIONS, Phase, plan, total
from lea_keras.version import PACKAGE

_NOT_IN_HDF5 = "the optimizers and clocks of LEAs"


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What a training step does, for the trainable variables that the model had when the step was made. No tuple, whose
    variables Keras would take for the model's own once more.

    Attributes:
        phases: of the step.
        front: LEAs whose windows are the same in every pass of a step.
        trainable: ids of all trainable variables.
    """

    phases: list[Phase]
    front: list[LocallyEmbeddedAutoencoder]
    trainable: list[int]


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

    Regularisation losses and other layers' ``add_loss`` belong to the main loss. Of a LEA that is used twice the losses
    are summed, for training and in ``<name>_loss``; of its other measures the mean is reported.
    Moving statistics (batch normalisation) of main layers move once per training step **(chosen)**: in the alternate
    step's first forward pass.

    Args:
        inputs: as in ``keras.Model``.
        outputs: as in ``keras.Model``.
        name: as in ``keras.Model``.
        optimization: "joint", "independent" or "alternate". None: "alternate", but for ``keras.models.clone_model``,
            which does not hand it on, that of the model.
        **kwargs: as in ``keras.Model``.

    Raises:
        ValueError: for an unknown optimization, or for one autoencoder in two LEA layers: its variables would belong
            to both (use one layer twice instead).
    """

    # Keras' own, whose ``verbose`` type checkers take for a text, after its default.
    fit: Callable[..., keras.callbacks.History]
    evaluate: Callable[..., Any]
    predict: Callable[..., Any]

    remembered: str | None = None  # the optimization of the model that a functional one was cloned from

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if is_functional(*args, **kwargs):
            known = next((name for name in OPTIMIZATIONS if name == kwargs.get("optimization")), None)
            cls = functional_class(cls, known, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        *,
        optimization: str | None = None,
        **kwargs: Any,
    ) -> None:
        optimization = check_choice("optimization", optimization or self.remembered or "alternate", OPTIMIZATIONS)
        if is_functional(inputs, outputs):
            super().__init__(inputs, outputs, name=name, **kwargs)
        elif inputs is None and outputs is None:
            super().__init__(name=name, **kwargs)
        else:
            raise fail("outputs", "Keras tensors that come from `inputs`, or both None in a subclass", outputs)
        self.optimization = optimization
        self.lea_optimizers: list[keras.optimizers.Optimizer] = []
        self._reports: Reports | None = None
        self._plan: _Plan | None = None
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
        if isinstance(optimizer, SubsetOptimizer):  # that of a model that was compiled before
            optimizer = optimizer.members.main
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        self._has_main_loss = loss is not None
        self._has_lea_optimizer = lea_optimizer is not None
        template = keras.optimizers.get(lea_optimizer) if self._has_lea_optimizer else optimizer
        # Kept as a configuration: an optimizer cannot be read any more once a step is being traced.
        self._lea_optimizer_template: Any = None if template is None else (type(template), template.get_config())
        self.lea_optimizers = [] if template is optimizer or self.optimization == "joint" else [template]
        self._reports = self._plan = None
        with _scope(self):
            if self.optimizer is not None:
                model = weakref.ref(self)
                self.optimizer = SubsetOptimizer(self.optimizer, lambda: model()._make_plan())
            self._make_reports()

    def _make_reports(self) -> None:
        """Creates the metrics, and an optimizer for every LEA, once the model is built and compiled."""
        if self._reports is not None or not self.compiled or not self.built:
            return
        leas = self.lea_layers
        self._reports = Reports(leas, self._has_main_loss)
        if self.optimizer is not None and self.optimization != "joint":
            with _outside_graphs():
                self.lea_optimizers = self._make_lea_optimizers(len(leas))
                self.optimizer.add_leas(self.lea_optimizers)
        idle = [lea.name for lea in leas if not lea.loss_weight]
        if idle and self.optimization == "alternate":
            warnings.warn(
                f"The LEAs {idle} have loss_weight=0 and so no objective: alternate optimisation leaves their encoders "
                'as they were initialised. Take optimization="joint" to train them on the main loss.',
                stacklevel=2,
            )

    def _make_lea_optimizers(self, count: int) -> list[keras.optimizers.Optimizer]:
        cls, config = self._lea_optimizer_template
        copies = (cls.from_config(dict(config)) for _ in range(count))
        optimizers: list[keras.optimizers.Optimizer] = [*self.lea_optimizers, *copies][:count]
        scaled = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer.members.main, scaled):  # Keras wraps only its own optimizer for float16
            optimizers = [o if isinstance(o, scaled) else scaled(o, name="loss_scale_optimizer") for o in optimizers]
        return optimizers

    def _make_plan(self) -> None:
        """Plans the training step for the variables that are trainable now, and builds the optimizers."""
        if self._plan is not None and self._plan.trainable == _ids(self.trainable_variables):
            return
        self._make_reports()
        dependencies = influences(self) if self.optimization == "independent" else None
        phases = plan(self.optimization, self.main_variables, self.lea_variables, dependencies)
        self._plan = _Plan(phases, at_the_front(self), _ids(self.trainable_variables))
        variables = {step.objective: step.variables for phase in phases for step in phase.steps}
        main = variables.pop(MAIN if MAIN in variables else JOINT)
        self.optimizer.build_members([main, *(variables[i] for i in range(len(self.lea_optimizers)))])

    def _optimizer_of(self, objective: str | int) -> keras.optimizers.Optimizer:
        members = self.optimizer.members
        return members.leas[objective] if isinstance(objective, int) else members.main

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return super().metrics + (self._reports.metrics if self._reports is not None else [])

    # Metrics, optimizers and the plan of a step must be there before the step is traced. A subclassed model that waits
    # for its first batch to be built gets them while its first step is traced.

    def make_train_function(self, force: bool = False) -> Any:
        # What was traced stays as it was made, as in Keras; JAX traces anew where other variables are trainable.
        is_traced = self.train_function is not None and not force and not self.run_eagerly
        if self.built and not (is_traced and keras.backend.backend() == "tensorflow"):
            with _scope(self):
                self._make_plan()
        return super().make_train_function(force)

    def make_test_function(self, force: bool = False) -> Any:
        with _scope(self):
            self._make_reports()
        return super().make_test_function(force)

    # The arguments of a step are the backend's: (data) on TensorFlow, (state, data) on JAX.

    def train_step(self, *arguments: Any) -> Any:
        return _steps().train_step(self, *arguments)

    def test_step(self, *arguments: Any) -> Any:
        return _steps().test_step(self, *arguments)

    def predict_step(self, *arguments: Any) -> Any:
        with trainer.open_pass(self, "codes"):
            return super().predict_step(*arguments)

    def _main_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
        """The main loss with regularisation and other layers' losses, or None where there is nothing of the kind."""
        if not self._has_main_loss and not self.losses:
            return None
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
        return keras.ops.sum(loss)  # a scalar already, except for a batch of no images on JAX

    def _lea_loss(self, reports: list[Report], index: int, replicas: int) -> Any:
        """The weighted loss of one LEA, summed over its uses, or None where it had none. Like Keras' own losses it is
        divided by the number of replicas, over which gradients are summed."""
        lea = self.lea_layers[index]
        return total(lea.loss_weight * report.loss / replicas for report in reports if report.layer is lea)

    def _report(
        self,
        x: Any,
        y: Any,
        y_pred: Any,
        sample_weight: Any,
        main_loss: Any,
        reports: list[Report],
        replicas: int,
    ) -> dict[str, Any]:
        """Updates all metrics, batches weighted by their size, and returns their values."""
        first = next(tensor for tensor in keras.tree.flatten(x) if tensor is not None)
        size = keras.ops.shape(first)[0]
        leas = [self._lea_loss(reports, i, replicas) for i in range(len(self.lea_layers))]
        everything = total([main_loss, *leas])
        for metric in self.metrics:
            if metric.name == "loss" and everything is not None:
                metric.update_state(everything * replicas, sample_weight=size)
        self._reports.update(None if main_loss is None else main_loss * replicas, reports, size)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Saves as ``keras.Model.save``, as ``.keras`` only.

        Raises:
            ValueError: for the path of an HDF5 file, which has no place for the optimizers and clocks of LEAs.
        """
        check_filepath(filepath, _NOT_IN_HDF5)
        for lea in self.lea_layers:
            check_restorable(lea.autoencoder)
        self._build_optimizers()
        super().save(filepath, *args, **kwargs)

    def save_weights(self, *args: Any, **kwargs: Any) -> None:
        self._build_optimizers()
        super().save_weights(*args, **kwargs)

    def load_weights(self, *args: Any, **kwargs: Any) -> None:
        self._build_optimizers()
        super().load_weights(*args, **kwargs)

    def _build_optimizers(self) -> None:
        """Builds the optimizers, if the model is compiled, so that files have the state of all of them, and take it."""
        if self.built and self.compiled and self.optimizer is not None and not self.optimizer.built:
            self._make_plan()

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
        self._build_optimizers()


def _ids(variables: list[keras.Variable]) -> list[int]:
    return [id(variable) for variable in variables]


def _steps() -> Any:
    """The steps of the backend in use."""
    if keras.backend.backend() == "tensorflow":
        return tensorflow
    if keras.backend.backend() == "jax":
        return jax
    raise NotImplementedError(f"LEAModel trains on tensorflow and jax. Received: backend={keras.backend.backend()!r}")


def _outside_graphs() -> contextlib.AbstractContextManager[Any]:
    """Inside it new variables have values at once, also where a subclassed model is built by its first step."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.init_scope()


def _scope(model: keras.Model) -> contextlib.AbstractContextManager[Any]:
    """Inside it variables belong to the model's replicas, if it has any."""
    return model.distribute_strategy.scope() if hasattr(model, "distribute_strategy") else contextlib.nullcontext()
