"""Codes found by optimisation: those that a frozen decoder makes most like given windows."""

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from lea_keras import losses
from lea_keras.autoencoders.base import Autoencoder
from lea_keras.checks import check_number, check_positive_int, fail

_ROUND = 50  # steps in which the loss must fall (chosen)
_STEPS_AT_ONCE = 10  # without a return to Python
_LEARNING_RATE = 1e-2  # of Adam (chosen)
_BATCH = 1024  # windows that are encoded at once


def optimize_codes(
    autoencoder: Autoencoder,
    targets: Any,
    steps: int = 2000,
    *,
    start: Any = None,
    optimizer: Any = None,
    tolerance: float = 1e-4,
) -> np.ndarray:
    """Returns the codes whose decoded windows come closest to targets: latent optimisation.

    The codes are the only variables, in an embedding before the decoder, and are trained on the summed squared error
    of each target. The autoencoder is as it was afterwards: decoders compute as outside training (moving averages, no
    dropout), and no weight, flag or moving average of theirs is touched. Nothing is drawn at random. Codes are free:
    those of a k-sparse autoencoder may have more than k values other than 0.

    One code for many windows is that for their mean, Σ‖D(z) − x‖² = n·‖D(z) − x̄‖² + const: give class means to get a
    code for each class.

    Args:
        autoencoder: a built autoencoder.
        targets: windows [m, wh, ww, c], for example class means.
        steps: optimisation steps at most.
        start: codes [m, code_length] to begin with; None: the targets' own, μ for the variational types **(chosen)**.
        optimizer: Keras' name or object, new; None: Adam with a learning rate of 0.01 **(chosen)**.
        tolerance: ends it early, when the mean loss of 50 steps has fallen by less than this part of the mean of the 50
            before **(chosen)**; 0: never.

    Returns:
        [m, code_length], float32.

    Raises:
        ValueError: for an autoencoder that is not built, or an argument of another form.
    """
    check_built(autoencoder)
    steps = check_positive_int("steps", steps)
    tolerance = check_number("tolerance", tolerance)
    targets = _array("targets", targets, autoencoder.windows_shape)
    codes = codes_to_decode(autoencoder, targets) if start is None else start
    codes = _array("start", codes, (len(targets), autoencoder.code_length))
    search: Any = _Search(autoencoder, codes, targets)
    optimizer = keras.optimizers.Adam(_LEARNING_RATE) if optimizer is None else optimizer
    search.compile(optimizer, steps_per_execution=_STEPS_AT_ONCE)
    indices = np.tile(np.arange(len(targets)), steps)  # the same batch, so many times
    search.fit(indices, batch_size=len(targets), shuffle=False, verbose=0, callbacks=[_StopWhenFlat(tolerance)])
    return np.array(ops.convert_to_numpy(search.codes.embeddings))


def check_built(autoencoder: Any) -> None:
    """Raises ``ValueError`` for anything but an autoencoder that can decode."""
    if not isinstance(autoencoder, Autoencoder):
        raise fail("autoencoder", "an autoencoder, such as that of a LEA layer", type(autoencoder).__name__)
    if not autoencoder.built:
        allowed = "built: encode windows with it, or call the model that contains it, first"
        raise fail("autoencoder", allowed, autoencoder.name)


def codes_to_decode(autoencoder: Autoencoder, windows: np.ndarray) -> np.ndarray:
    """What is decoded of windows [n, wh, ww, c] outside training, μ for the variational types: [n, code_length]."""
    parts = []
    for i in range(0, len(windows), _BATCH):
        batch = np.asarray(windows[i : i + _BATCH], "float32")
        noise = autoencoder.draw_noise(len(batch), False)
        features = autoencoder.features(ops.convert_to_tensor(batch))
        codes = autoencoder.codes_of(features, noise, False)[1]
        parts.append(np.asarray(ops.convert_to_numpy(ops.cast(codes, "float32"))))
    return np.concatenate(parts)


class _Search(keras.Model):
    """Indices [b] → codes [b, code_length] in the rows of an embedding, with the loss of what is decoded of them.

    The decoder is reached through a function, so that its variables are not the model's: they are never trained, and
    their ``trainable`` flags need not change.
    """

    def __init__(self, autoencoder: Autoencoder, codes: np.ndarray, targets: np.ndarray) -> None:
        super().__init__(name="code_search")
        self.codes = _table(codes)
        self.targets = _table(targets.reshape(len(targets), -1), trainable=False)
        self.decode = layers.Lambda(autoencoder.decode, dtype="float32")

    def call(self, indices: Any) -> Any:
        codes = self.codes(indices)
        decoded = self.decode(codes, training=False)  # and so does all that is inside
        self.add_loss(losses.reconstruction_loss(self.targets(indices), _flat(decoded)))
        return codes


def _table(rows: np.ndarray, trainable: bool = True) -> layers.Embedding:
    """A layer from indices to rows [m, values]. (Its own initialisers would draw from the user's random stream.)"""
    table = layers.Embedding(*rows.shape, embeddings_initializer="zeros", dtype="float32", trainable=trainable)
    table.build(None)
    table.set_weights([rows])
    return table


class _StopWhenFlat(keras.callbacks.Callback):
    """Ends training when the mean loss of a round has fallen by less than a part of the one before's."""

    def __init__(self, tolerance: float) -> None:
        super().__init__()
        self._tolerance, self._before = tolerance, math.inf
        self._steps, self._sum = 0, 0.0  # until the round before

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        steps = batch + 1
        if steps - self._steps < _ROUND:
            return
        total = float((logs or {})["loss"]) * steps  # Keras' is the mean since the start
        loss = (total - self._sum) / (steps - self._steps)
        if self._tolerance and self._before - loss < self._tolerance * self._before < math.inf:
            self.model.stop_training = True
        self._before, self._steps, self._sum = loss, steps, total


def _flat(windows: Any) -> Any:
    return ops.reshape(windows, (-1, math.prod(windows.shape[1:])))  # [n, wh, ww, c] -> [n, wh·ww·c]


def _array(argument: str, values: Any, shape: tuple[Any, ...]) -> np.ndarray:
    """Values of a shape, whose None is any number above 0, as float32."""
    array = np.asarray(ops.convert_to_numpy(values) if ops.is_tensor(values) else values)
    fits = len(array.shape) == len(shape) and all(
        size and wanted in (None, size) for size, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype.kind not in "iufb" or not np.all(np.isfinite(array)):
        raise fail(argument, f"finite numbers of shape {shape}", f"{array.dtype} array of shape {array.shape}")
    return array.astype(np.float32)
