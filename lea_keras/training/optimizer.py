"""Optimizer of a ``LEAModel``: one of Keras' own optimizers for each subset of its variables, held as a single one."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from lea_keras.checks import fail
from lea_keras.version import PACKAGE

_ROUNDING = 1e-6  # relative


class _Members:
    """The optimizers that are held, where neither Keras' saving nor TensorFlow's tracking looks for them: the files of
    models have them where those of earlier versions have them.

    Attributes:
        main: of the main variables; of all in joint optimisation.
        leas: of the LEAs, in their order.
        variables: what each was built on, the main optimizer first.
        ratios: of each LEA's learning rate to the main one, float32 variables; 0: unknown.
        rates: what each LEA's learning rate was last seen as, float32 variables.
    """

    def __init__(self, main: keras.optimizers.Optimizer) -> None:
        self.main = main
        self.leas: list[keras.optimizers.Optimizer] = []
        self.variables: list[list[keras.Variable]] = []
        self.ratios: list[keras.Variable] = []
        self.rates: list[keras.Variable] = []

    @property
    def all(self) -> list[keras.optimizers.Optimizer]:
        return [self.main, *self.leas]


@keras.saving.register_keras_serializable(PACKAGE)
class SubsetOptimizer(keras.optimizers.Optimizer):
    """What ``LEAModel.optimizer`` is: the main optimizer and one for every LEA, each on variables of its own.

    Keras builds, shards, saves and sets the learning rate of ``model.optimizer``, and knows of no other. What is read
    here is the main optimizer's, ``variables`` excepted; ``members.main`` and ``members.leas`` are the optimizers
    themselves, on which hyperparameters other than the learning rate are set.

    The learning rates of LEAs follow the main one, whoever changes it and whenever (callbacks, a schedule, an
    assignment): before every step each is set to its ratio to the main rate. That ratio is the one when the model was
    compiled or loaded, or when the LEA's own rate was last set. A LEA's optimizer that was given with a schedule of its
    own keeps to that, and so does one whose rate was given while the main one was 0, to which it has no ratio
    **(chosen)**.

    Averages of weights (``use_ema``) are those of each variable in the last optimizer that trains it in a step.

    Args:
        main: the optimizer of the main variables. Those of the LEAs are added with ``add_leas``.
        builder: builds all of them, through ``build_members``; None: ``build`` builds the main one alone.
    """

    def __init__(self, main: keras.optimizers.Optimizer, builder: Callable[[], None] | None = None) -> None:
        super().__init__(learning_rate=0.0, name=main.name)
        self.members = _Members(main)
        self._builder = builder
        self._first_rate = float(np.asarray(ops.convert_to_numpy(main.learning_rate)))
        self.use_ema = _without_scale(main).use_ema

    @property
    def variables(self) -> list[keras.Variable]:
        """State of all optimizers, the main one's first."""
        members = self.members
        return [v for optimizer in members.all for v in optimizer.variables] + [*members.ratios, *members.rates]

    @property
    def learning_rate(self) -> Any:
        """The main optimizer's; setting it sets those of the LEAs as well."""
        return self.members.main.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.members.main.learning_rate = learning_rate
        self.follow()

    @property
    def iterations(self) -> Any:
        """Steps of the main optimizer."""
        return self.members.main.iterations

    def __getattr__(self, name: str) -> Any:
        # Reached for what neither this class nor Keras' base class has. By `inner_optimizer` and `optimizers` Keras
        # tells optimizers whose parts it treats one by one, without the ratios between their learning rates.
        if name.startswith("_") or name in ("members", "inner_optimizer", "optimizers"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.members.main, name)

    def learning_rates(self, names: Sequence[str]) -> dict[str, float]:
        """Current learning rates: "learning_rate" and, of every LEA whose rate differs, "<name>_learning_rate".

        Args:
            names: of the LEAs.
        """
        main, *leas = (float(np.asarray(ops.convert_to_numpy(o.learning_rate))) for o in self.members.all)
        of_leas = zip(names, leas, strict=False)  # without optimizers of their own in joint optimisation
        return {"learning_rate": main} | {f"{name}_learning_rate": rate for name, rate in of_leas if rate != main}

    def add_leas(self, optimizers: Sequence[keras.optimizers.Optimizer]) -> None:
        """Takes in the optimizers of all LEAs. The ratios of their learning rates are to what the main one was when
        this optimizer was made."""
        members = self.members
        members.leas = list(optimizers)
        self.use_ema = any(_without_scale(optimizer).use_ema for optimizer in members.all)
        for i in range(len(members.leas)):
            members.ratios.append(_scalar(f"ratio_{i}"))
            members.rates.append(_scalar(f"rate_{i}"))
        self._keep_ratios(ops.convert_to_tensor(self._first_rate, "float32"))

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Builds every optimizer on the variables that it trains, whatever is handed in."""
        if self._builder is None:
            self.build_members([variables])
        else:
            self._builder()

    def build_members(self, subsets: Sequence[Sequence[keras.Variable]]) -> None:
        """Builds those optimizers that are not built yet.

        Args:
            subsets: the variables of each, the main optimizer's first.
        """
        if self.built:
            return
        members = self.members
        members.variables = [list(variables) for variables in subsets]
        for optimizer, variables in zip(members.all, members.variables, strict=True):
            if not optimizer.built:
                optimizer.build(variables)
        super().build(list({id(v): v for variables in members.variables for v in variables}.values()))
        if self.use_ema:
            averages = self._averages()
            # What ``keras.callbacks.SwapEMAWeights`` reads.
            self._trainable_variables = [variable for variable, _ in averages]
            self._model_variables_moving_average = [average for _, average in averages]

    def _keep_ratios(self, main: Any) -> None:
        """Makes the ratios of the LEAs' learning rates to a main one, float32, those to keep."""
        members = self.members
        for optimizer, ratio, rate in zip(members.leas, members.ratios, members.rates, strict=True):
            now = ops.cast(optimizer.learning_rate, "float32")
            rate.assign(ops.copy(now))  # JAX cannot donate one array twice
            ratio.assign(_ratio(now, main, otherwise=ratio.value))

    def follow(self) -> None:
        """Sets the learning rates of the LEAs after the main one; part of every training step."""
        members = self.members
        main = ops.cast(self.learning_rate, "float32")
        for optimizer, ratio, rate in zip(members.leas, members.ratios, members.rates, strict=False):
            if not _is_settable(optimizer):
                continue
            now: Any = ops.cast(optimizer.learning_rate, "float32")
            was_set = now != rate.value
            ratio.assign(ops.where(was_set, _ratio(now, main, otherwise=ratio.value), ratio.value))
            wanted: Any = ratio.value * main
            # What nobody has changed stays as it is, to the last bit.
            stays = ops.logical_or(ratio.value == 0, ops.abs(wanted - now) <= _ROUNDING * now)
            wanted = ops.where(stays, now, wanted)
            own: Any = optimizer.learning_rate
            own.assign(ops.cast(wanted, own.dtype))
            rate.assign(ops.copy(ops.cast(optimizer.learning_rate, "float32")))

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Applies gradients of all variables, each by the first optimizer that trains it, as in a step of one's own.

        Raises:
            ValueError: where losses are scaled (mixed_float16), since every optimizer has a scale of its own; or for
                variables that no optimizer was built on.
        """
        members = self.members
        if not self.built:
            self.build(trainable_variables)
        if members.leas and isinstance(members.main, keras.optimizers.LossScaleOptimizer):
            raise fail("optimizer", "one of `model.optimizer.members` under mixed_float16", type(self).__name__)
        variables = self._trainable_variables if trainable_variables is None else trainable_variables
        left = {id(variable): (gradient, variable) for gradient, variable in zip(grads, variables, strict=True)}
        self.follow()
        for optimizer, known in zip(members.all, members.variables, strict=True):
            pairs = [left.pop(id(variable)) for variable in known if id(variable) in left]
            if pairs:
                optimizer.apply_gradients(pairs)
        if left:
            paths = [variable.path for _, variable in left.values()]
            raise fail("trainable_variables", "variables that the optimizers were built on", paths)

    def scale_loss(self, loss: Any) -> Any:
        """The loss as the main optimizer wants it."""
        return self.members.main.scale_loss(loss)

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """Sets every variable to its average, where optimizers keep one (``use_ema``); ``var_list`` is not needed."""
        del var_list
        for optimizer, variables in zip(self.members.all, self.members.variables, strict=False):
            optimizer.finalize_variable_values(variables)
        if self.use_ema and keras.backend.backend() == "jax":
            # Keras hands the averages' own arrays on, and JAX cannot donate one array twice in the next step.
            for variable, _ in self._averages():
                variable.assign(ops.copy(variable.value))

    def _averages(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Variables and their averages, each variable once: with that of the last optimizer that trains it."""
        pairs = {}
        for optimizer, variables in zip(self.members.all, self.members.variables, strict=True):
            if _without_scale(optimizer).use_ema:
                averages = _without_scale(optimizer)._model_variables_moving_average
                pairs |= {id(v): (v, average) for v, average in zip(variables, averages, strict=True)}
        return list(pairs.values())

    def save_own_variables(self, store: Any) -> None:
        self.members.main.save_own_variables(store)  # those of the LEAs are saved as the model's

    def load_own_variables(self, store: Any) -> None:
        self.members.main.load_own_variables(store)
        if self.built:
            self._keep_ratios(ops.cast(self.learning_rate, "float32"))

    def get_config(self) -> dict[str, Any]:
        main, *leas = (keras.saving.serialize_keras_object(optimizer) for optimizer in self.members.all)
        return {"main": main, "leas": leas}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SubsetOptimizer":
        parts = (config["main"], *config["leas"])
        main, *leas = (keras.saving.deserialize_keras_object(part, custom_objects) for part in parts)
        optimizer = cls(main)
        optimizer.add_leas(leas)
        return optimizer


def _without_scale(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer itself, without what scales its loss."""
    return optimizer.inner_optimizer if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else optimizer


def _is_settable(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether an optimizer's learning rate is a number, and no schedule."""
    return isinstance(optimizer.learning_rate, keras.Variable)


def _ratio(rate: Any, main: Any, otherwise: Any) -> Any:
    """rate / main, or something else where there is no such ratio."""
    return ops.where(main == 0, otherwise, rate / ops.where(main == 0, 1.0, main))


def _scalar(name: str) -> keras.Variable:
    return keras.Variable(0.0, dtype="float32", trainable=False, aggregation="only_first_replica", name=name)
