"""Networks of which robustness is certified, trained plainly and robustly, with what attacks at ε make of them.

"Robustness and autoencoders" (lecture slides), the table after E. Wong and J. Z. Kolter (arXiv:1711.00851, 2018).
Departures: the network with a LEA is ours; it is trained plainly, exported, and what was exported is trained robustly.
So that both begin alike **(chosen)**, robust training of either network begins with an epoch of plain training.
"""

import contextlib
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import foolbox
import keras
import numpy as np

import lea_keras
import models
from experiments import arrays, evaluation
from experiments.arrays import Images, computed, few_steps
from experiments.config import RunConfig
from experiments.results import Results
from lea_keras import robustness
from lea_keras.layers.lea import find_leas

FILE = "certificates.json"


class Settings(NamedTuple):
    """What is trained, and what it is tested against.

    Attributes:
        dataset: of ``lea_keras.data``.
        image_size: as in ``lea_keras.data.load``.
        limit: training images; None: all.
        test_limit: test images; None: all.
        certified: how many of them are attacked and certified, the first ones.
        network: a function of ``models``.
        robust: whether it is trained robustly.
        epsilon: at which all are measured, and robust training ends.
        first_epsilon: with which it begins; ε rises by the same step from epoch to epoch, over the first half.
        tight: as in ``robustness.margin_model``.
        plain_epochs: of a plain network.
        robust_epochs: of a robust one.
        learning_rate: of Adam.
        batch_size: in training.
        attack_steps: of projected gradient descent.
    """

    dataset: str
    image_size: int | None
    limit: int | None
    test_limit: int | None
    certified: int
    network: str
    robust: bool
    epsilon: float
    first_epsilon: float
    tight: bool
    plain_epochs: int
    robust_epochs: int
    learning_rate: float
    batch_size: int
    attack_steps: int


def measure(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Trains a network and certifies it; what comes out is in the folder of results."""
    settings = Settings(**options)
    keras.utils.set_random_seed(config.seed)
    training, test = (
        arrays.load(config, settings.dataset, split, limit, settings.image_size)
        for split, limit in (("train", settings.limit), ("test", settings.test_limit))
    )
    model = trained(training, settings)
    logits = computed(model, test.images)
    found = {"test_error": float(np.mean(np.argmax(logits, axis=1) != test.labels))}
    chosen = test.where(slice(settings.certified))
    found |= certified(model, chosen, settings.epsilon, settings.attack_steps)
    with contextlib.closing(Results(folder / evaluation.FOLDER, [folder])) as results:
        results.write_json(FILE, found)


def trained(training: Images, settings: Settings) -> keras.Model:
    """Builds and trains the network that the settings say."""
    classes = int(training.labels.max()) + 1
    model: Any = getattr(models, settings.network)(training.images.shape[1:], classes)
    fits: dict[str, Any] = {"batch_size": settings.batch_size, "verbose": 0}
    epochs = 1 if settings.robust else settings.plain_epochs
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    eagerly = few_steps(training.images, settings.batch_size, epochs)
    model.compile(keras.optimizers.Adam(settings.learning_rate), loss=loss, run_eagerly=eagerly)
    model.fit(training.images, training.labels, epochs=epochs, **fits)
    if not settings.robust:
        return model
    plain = lea_keras.export_encoder(model) if find_leas(model) else model
    margins = robustness.margin_model(plain, settings.first_epsilon, tight=settings.tight)
    rising = max(1, settings.robust_epochs // 2)

    def raise_epsilon(epoch: int, logs: Any = None) -> None:
        share = min(1.0, epoch / rising)
        epsilon = settings.first_epsilon + share * (settings.epsilon - settings.first_epsilon)
        margins.get_layer("margins").epsilon.assign(epsilon)

    epochs = settings.robust_epochs
    eagerly = few_steps(training.images, settings.batch_size, epochs)
    margins.compile(keras.optimizers.Adam(settings.learning_rate), robustness.RobustCrossentropy(), run_eagerly=eagerly)
    raising = keras.callbacks.LambdaCallback(on_epoch_begin=raise_epsilon)
    margins.fit(training.images, training.labels, epochs=epochs, callbacks=[raising], **fits)
    return plain


def certified(
    model: keras.Model,
    test: Images,
    epsilon: float,
    steps: int,
    output: pathlib.Path | None = None,
    verbose: int = 0,
) -> dict[str, Any]:
    """Errors of a model on images, as shares: without a perturbation, under attacks at ε, and their bound.

    Args:
        model: from images in [0, 1] to logits.
        test: images and labels.
        epsilon: the largest change of a value.
        steps: of projected gradient descent.
        output: where certificates are stored; None: nowhere.
        verbose: as in ``robustness.certify``.

    Returns:
        "error", "gradient_sign", "projected_gradient_descent", "bound", and "contradictions", the share of images that
        are certified and yet fooled, which is 0 unless something is wrong.
    """
    images, labels = test
    certificate = robustness.certify(model, images, labels, epsilon, output_dir=output, verbose=verbose)
    victim = robustness.Victim(model, images.shape[1:])
    attacks = {
        "gradient_sign": foolbox.attacks.LinfFastGradientAttack(),
        "projected_gradient_descent": foolbox.attacks.LinfProjectedGradientDescentAttack(
            rel_stepsize=4 / (3 * steps), steps=steps, random_start=False
        ),
    }
    wrong = certificate.predictions != labels
    errors: dict[str, Any] = {"error": certificate.error}
    fooled = wrong
    for name, attack in attacks.items():
        _, clipped, _ = attack(
            victim.foolbox_model, victim.tensor(images), victim.criterion(labels), epsilons=float(epsilon)
        )
        under = wrong | (np.argmax(victim.logits(np.asarray(clipped)), axis=1) != labels)
        errors[name], fooled = float(np.mean(under)), fooled | under
    errors |= {"bound": certificate.bound, "contradictions": float(np.mean(certificate.certified & fooled))}
    return errors
