"""A data set of two points, −1 and 1, and the variational autoencoders that show what each objective does to codes."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from experiments.config import RunConfig
from lea_keras import losses
from lea_keras.utils import write_atomically

RESULTS_FILE = "two_points.json"
POINTS = (-1.0, 1.0)
_BATCH = 64  # half of it of either point
_LEAST_LOG_VARIANCE = -8.0  # of the decoder: the likelihood of two points has no upper bound otherwise (chosen)


class TwoPoints(keras.Model):
    """μ and log σ of a code of one variable for each point, in tables, and a decoder 1-64-2 to mean and log variance.

    Trained on −E log p(x|z) + (1 − α)·KL + (α + λ − 1)·MMD², where KL has its ½, unlike Eq. 2.24.

    Args:
        alpha: α.
        lambda_: λ; with α = 0 and λ = 1 it is the evidence lower bound.
        seed: of the noise.
    """

    def __init__(self, alpha: float, lambda_: float, seed: int) -> None:
        super().__init__()
        self.alpha, self.lambda_ = alpha, lambda_
        self.posterior = layers.Embedding(2, 2, name="posterior")
        self.hidden, self.outputs_of = layers.Dense(64, activation="relu"), layers.Dense(2)
        self.noise = keras.random.SeedGenerator(seed)

    def call(self, indices: Any) -> tuple[Any, Any, Any, Any]:
        """Returns μ, log σ, the decoder's mean and log variance of the points with these indices, all [b]."""
        table = self.posterior(indices)  # [b, 2]
        mean, log_std = table[:, 0], table[:, 1]
        codes = mean + ops.exp(log_std) * keras.random.normal(ops.shape(mean), seed=self.noise)
        outputs = self.outputs_of(self.hidden(codes[:, None]))  # [b, 2]
        return mean, log_std, outputs[:, 0], ops.maximum(outputs[:, 1], _LEAST_LOG_VARIANCE)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
        mean, log_std, x_mean, log_variance = y_pred
        fit = 0.5 * (log_variance + ops.square(ops.cast(y, "float32") - x_mean) / ops.exp(log_variance))
        kl = losses.window_divergences(mean[:, None], log_std[:, None]) / 2
        codes = mean + ops.exp(log_std) * keras.random.normal(ops.shape(mean), seed=self.noise)
        mmd = losses.maximum_mean_discrepancy(codes[:, None])
        return ops.mean(fit) + (1 - self.alpha) * ops.mean(kl) + (self.alpha + self.lambda_ - 1) * mmd


def train(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Trains one, and stores the two posteriors as ``two_points.json``.

    Args:
        folder: where to.
        config: with the seed.
        options: ``alpha``, ``lambda_`` and ``steps``.
    """
    keras.utils.set_random_seed(config.seed)
    model = TwoPoints(options["alpha"], options["lambda_"], config.seed)
    model.compile(keras.optimizers.Adam(1e-3))
    indices = np.tile(np.arange(2), _BATCH * options["steps"] // 2)
    points = np.array(POINTS, "float32")[indices]
    model.fit(indices, points, batch_size=_BATCH, shuffle=False, verbose=0)
    table = ops.convert_to_numpy(model.posterior.embeddings)  # [2, 2]
    found = {"mean": table[:, 0].tolist(), "std": np.exp(table[:, 1]).tolist()}
    write_atomically(folder / RESULTS_FILE, json.dumps(found, indent=2) + "\n")
