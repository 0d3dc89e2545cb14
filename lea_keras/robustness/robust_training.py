"""Robust training: models whose outputs are certified margins, which plain ``fit`` makes larger."""

from typing import Any

import keras
from keras import ops

from lea_keras.checks import check_number, fail
from lea_keras.export import has_graph
from lea_keras.hooks import functional_graph
from lea_keras.layers.lea import find_leas
from lea_keras.robustness import polytope
from lea_keras.robustness.affine import read
from lea_keras.robustness.inputs import check_bounds


@keras.saving.register_keras_serializable("lea_keras")
class Margins(keras.layers.Layer):
    """Images → lower bounds on how far each logit of a classifier is above each other one, under every perturbation.

    Args:
        model: the classifier, as ``certify`` takes it, without LEAs. Its weights are trained.
        epsilon: the largest change of any value of an image. The weight ``epsilon`` has it, so that it can be raised
            from epoch to epoch: ``layer.epsilon.assign(0.1)``.
        bounds: the least and the largest value that images may have; None: perturbed images may lie anywhere.
        tight: whether what lies between affine maps is bounded by the polytope, as in ``certify``, or by intervals,
            which is cheaper by far.
        **kwargs: ``name`` and others of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        model: keras.Model,
        epsilon: float,
        *,
        bounds: tuple[float, float] | None = (0, 1),
        tight: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if not isinstance(model, keras.Model):
            raise fail("model", "a keras.Model", type(model).__name__)
        if leas := find_leas(model):
            hint = "Train what export_encoder makes of it."
            raise fail("model", "a model without LEAs, whose weights can be shared", f"LEA {leas[0].name!r}", hint)
        if not has_graph(model):
            raise fail("model", "functional or Sequential, and built", f"{type(model).__name__} {model.name!r}")
        graph = functional_graph(model)
        # Uncompiled: Keras takes the metrics of a compiled one inside a layer for those of the whole.
        self.model = keras.Model(graph.input, graph.output, name=model.name)
        self.tight = bool(tight)
        self.bounds = None if bounds is None else check_bounds(bounds)
        self._epsilon = check_number("epsilon", epsilon)
        self._network: Any = None

    def build(self, input_shape: Any) -> None:
        if None in input_shape[1:]:
            raise fail("model", "a model of images of known size", f"images of shape {tuple(input_shape)}")
        self._network = tuple(read(self.model, tuple(input_shape[1:])))
        self.epsilon = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(self._epsilon), trainable=False, name="epsilon"
        )
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int, int]:
        classes = self.model.output_shape[-1]
        return input_shape[0], classes, classes

    def call(self, images: Any) -> Any:
        """[n, …] → [n, classes, classes]."""
        flat = ops.reshape(images, (-1, self._network[0].inputs))
        box = polytope.box(flat, ops.convert_to_tensor(self.epsilon), self.bounds)
        pairs = polytope.activations(self._network, box, tight=self.tight, final=False)
        return polytope.all_margins(self._network, [polytope.relax(*pair) for pair in pairs], box)

    def get_config(self) -> dict[str, Any]:
        own = {"model": keras.saving.serialize_keras_object(self.model), "epsilon": self._epsilon}
        return super().get_config() | own | {"bounds": self.bounds, "tight": self.tight}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Margins":
        return cls(**config | {"model": keras.saving.deserialize_keras_object(config["model"])})


def margin_model(
    model: keras.Model,
    epsilon: float,
    *,
    bounds: tuple[float, float] | None = (0, 1),
    tight: bool = True,
) -> keras.Model:
    """Makes a model of a classifier's weights whose outputs are its certified margins, to be trained for robustness.

    ``fit`` with ``RobustCrossentropy`` lessens an upper bound of the log loss under the worst perturbation (Wong &
    Kolter 2018, section 3). The weights are the classifier's own: once trained, it is the robust one.

        robust = robustness.margin_model(classifier, epsilon=0.1)
        robust.compile("adam", robustness.RobustCrossentropy(), metrics=[robustness.certified_accuracy])
        robust.fit(images, labels)

    Batch normalisation is as outside training, and stays with the moving averages that it has; dropout is none. From
    random weights the loss falls only if ε begins small: ``robust.get_layer("margins").epsilon.assign(…)`` raises it,
    between epochs.

    Args:
        model: images of known size → logits, as ``certify`` takes it, without LEAs: of one with LEAs, train what
            ``export_encoder`` returns.
        epsilon: the largest change of any value of an image.
        bounds: the least and the largest value that images may have; None: perturbed images may lie anywhere.
        tight: as in ``Margins``; True is the authors' loss, and costs a direction for every ReLU.

    Returns:
        A ``keras.Model``: images [n, …] → [n, classes, classes], the lower bound on how far the logit of the second
        axis is above that of the third.

    Raises:
        ValueError: as ``certify``, and for a model with LEAs.
    """
    layer = Margins(model, epsilon, bounds=bounds, tight=tight, name="margins")
    inputs = keras.Input(model.input_shape[1:])
    return keras.Model(inputs, layer(inputs), name=f"{model.name}_margins")


@keras.saving.register_keras_serializable("lea_keras")
class RobustCrossentropy(keras.losses.Loss):
    """The cross-entropy of the worst logits that margins leave possible: log Σⱼ exp(−margin of the class over j).

    Labels are integers [n] or one-hot [n, classes], predictions are margins [n, classes, classes].

    Args:
        reduction: as in ``keras.losses.Loss``.
        name: likewise.
        dtype: likewise.
    """

    def __init__(
        self, reduction: str = "sum_over_batch_size", name: str = "robust_crossentropy", dtype: Any = None
    ) -> None:
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.logsumexp(-_of_class(y_true, y_pred), axis=-1)


@keras.saving.register_keras_serializable("lea_keras")
def certified_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Tells for each image whether it is certified, 1 or 0: a metric for ``compile``, from margins.

    Args:
        y_true: integers [n] or one-hot [n, classes].
        y_pred: margins [n, classes, classes].
    """
    margins = _of_class(y_true, y_pred)
    # The margin of the class over itself is 0.
    others = ops.count_nonzero(margins > 0, axis=-1)
    return ops.cast(others == margins.shape[-1] - 1, "float32")


def _of_class(y_true: Any, margins: Any) -> Any:
    """Those of the image's class, [n, classes]."""
    classes = margins.shape[-1]
    if len(y_true.shape) < 2 or y_true.shape[-1] != classes:
        y_true = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), classes)
    return ops.sum(ops.cast(y_true, margins.dtype)[..., None] * margins, axis=1)
