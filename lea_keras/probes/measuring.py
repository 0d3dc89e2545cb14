"""Probes: their training on cached activations, and what they reach."""

import itertools
import math
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers as kl
from keras import ops

from lea_keras.checks import check_number, check_positive_int, check_seed, fail
from lea_keras.probes.caching import activations, batches, describe_bytes
from lea_keras.probes.factors import FACTORS, chance_level, check_data, check_factors
from lea_keras.utils import Progress, clock, permutation, say

_TEST_BATCH = 512  # nothing is kept of it for gradients


class Probe(NamedTuple):
    """What one probe reached.

    Attributes:
        layer: whose activations it saw: "input", or the name of a layer.
        factor: what it had to tell.
        accuracy: on the test data, with the weights of its best epoch.
        chance: the share of the test data's most frequent class, which can be reached without looking.
        epochs: how many it trained; as many as were allowed if it had not converged before.
        features: how many values it saw of each image.
        train_accuracy: on the training images that were not held out; None in results of earlier versions.
    """

    layer: str
    factor: str
    accuracy: float
    chance: float
    epochs: int
    features: int
    train_accuracy: float | None = None


def to_rows(probes: Iterable[Probe]) -> list[dict[str, Any]]:
    """Returns probes as plain dictionaries, for a table, CSV or JSON; ``Probe(**row)`` is the way back."""
    return [probe._asdict() for probe in probes]


def measure(
    model: keras.Model,
    train: tuple[Any, Mapping[str, Any]],
    test: tuple[Any, Mapping[str, Any]],
    *,
    factors: Sequence[str] = FACTORS,
    layers: Sequence[str] | None = None,
    units: int | None = 1024,
    shared: bool = False,
    epochs: int = 20,
    patience: int = 3,
    learning_rate: float = 1e-3,
    batch_size: int = 128,
    held_out: float = 0.1,
    max_features: int | None = None,
    memory_limit: int = 4 * 2**30,
    seed: int = 0,
    verbose: int = 1,
) -> list[Probe]:
    """Trains a probe per layer and factor on the activations of a frozen model, to convergence, and tests it.

    The model sees every image once. Then the probes of all layers train side by side from the activations kept, each on
    its own log loss with an Adam of its own: alone it would come out the same. After every epoch a probe is tried on
    training images held out. If for ``patience`` epochs its accuracy there has not risen (nor, at the same accuracy,
    its log loss fallen), it returns to its best weights and costs no more **(chosen)**. The log loss alone would stop
    it too early: it grows with the probe's confidence while the accuracy still rises.

    A probe takes 16 bytes × features × units (or classes, without a hidden layer) while it trains (weights, their best,
    Adam's two moments): for a feature map of 64×64×32, 2.1 GB per factor. ``max_features``, ``layers`` and ``shared``
    make it less.

    Args:
        model: any trained ``keras.Model`` with one input; nothing in it changes.
        train: images [n, …] as the model takes them and, by factor, their integer labels [n] from 0.
        test: the same of other images.
        factors: those to read off.
        layers: names of the layers to probe, as in ``activations``. None: all, and the input.
        units: of the hidden layer. None: there is none, and a probe is a softmax regression, which tells how much of a
            factor can be read off linearly.
        shared: whether the factors of a layer share one hidden layer, trained on the sum of their losses, as Fig. 5.3
            has it. They then stop together, by the mean of their accuracies, and do depend on each other.
        epochs: how many a probe trains at most; 20 in the thesis (section A.1).
        patience: epochs without improvement before it stops.
        learning_rate: of Adam; 1e-3 **(chosen)**, and 1e-4 in the thesis (section A.1).
        batch_size: images per step, 64 in the thesis (section A.1); what remains of an epoch comes in later ones, whose
            order is another.
        held_out: share of the training images that decides when to stop; 0, as in the thesis: none, and every probe
            trains all its epochs and keeps its last weights.
        max_features: as in ``activations``.
        memory_limit: as in ``activations``, for training and test images each.
        seed: decides the images held out, their order, and initial weights by layer and factor; below 2³².
        verbose: 0: silent. 1: prints a line per epoch, and one every half minute, with the time that is left.

    Returns:
        A ``Probe`` per layer and factor: layers in the order of the calls, factors as given.

    Raises:
        ValueError: for an argument outside what is said above, in one line.
    """
    factors, seed = check_factors(factors), check_seed(seed)
    images, labels = check_data("train", train, factors)
    test_images, test_labels = check_data("test", test, factors)
    units = None if units is None else check_positive_int("units", units)
    epochs = check_positive_int("epochs", epochs)
    patience, batch_size = check_positive_int("patience", patience), check_positive_int("batch_size", batch_size)
    learning_rate, held_out = check_number("learning_rate", learning_rate), check_number("held_out", held_out)
    order = permutation(len(images), seed, 0)
    split = max(1, round(held_out * len(images))) if held_out else 0
    if split >= len(images):
        raise fail("held_out", f"a share that leaves some of the {len(images)} training images", held_out)
    limits = {"max_features": max_features, "memory_limit": memory_limit, "verbose": verbose}
    cache = activations(model, images, layers, **limits)
    test_cache = activations(model, test_images, layers, **limits)
    classes = {factor: int(max(np.max(labels[factor]), np.max(test_labels[factor]))) + 1 for factor in factors}
    groups = [factors] if shared else [(factor,) for factor in factors]
    active = [
        _Trainee(name, values.shape[1], {factor: classes[factor] for factor in group}, units, learning_rate, seed)
        for name, values in cache.items()
        for group in groups
    ]
    size = 16 * sum(trainee.model.count_params() for trainee in active)
    say(verbose, f"{len(cache) * len(factors)} probes of {len(cache)} layers: {describe_bytes(size)} while they train")
    probes: dict[tuple[str, str], Probe] = {}
    epoch = 0
    while True:
        epoch += 1
        started = time.monotonic()
        epoch_order = order[split:][permutation(len(order) - split, seed, epoch)]
        epoch_batches = list(batches(epoch_order, batch_size, whole=True))
        title, count = f"Epoch {epoch} of {epochs}", len(epoch_batches)
        progress = Progress(title, count, "batches done", verbose=verbose, begins_slowly=True)
        with progress.meanwhile():
            for done, batch in enumerate(epoch_batches):
                progress.update(done)
                for trainee, x in _inputs(active, cache, batch):
                    trainee.model.train_on_batch(x, {factor: labels[factor][batch] for factor in trainee.factors})
                    progress.tick()
            progress.update(count)
            progress.tick("the probes are tested")
            stopped = active if epoch == epochs else []
            if split:
                for trainee, scores in zip(active, _scores(active, cache, labels, order[:split]), strict=True):
                    trainee.judge(scores, epoch)
                stopped = [trainee for trainee in active if epoch in (epochs, trainee.best_epoch + patience)]
                for trainee in stopped:
                    trainee.model.set_weights(trainee.best_weights)
            active = [trainee for trainee in active if trainee not in stopped]
            trained = _scores(stopped, cache, labels, order[split:])
            tested = _scores(stopped, test_cache, test_labels, np.arange(len(test_images)))
            for trainee, of_train, of_test in zip(stopped, trained, tested, strict=True):
                for factor in trainee.factors:
                    accuracies = of_test[factor][0], chance_level(test_labels[factor])
                    about = epoch, cache[trainee.layer].shape[1], of_train[factor][0]
                    probes[trainee.layer, factor] = Probe(trainee.layer, factor, *accuracies, *about)
        progress.end()
        if not active:
            return [probes[name, factor] for name in cache for factor in factors]
        left = (time.monotonic() - started) * (epochs - epoch)
        training = f"{len(cache) * len(factors) - len(probes)} probes train on"
        say(verbose, f"{epoch} of {epochs} epochs done, {training}, about {clock(left)} left at most")


class _Trainee:
    """The probes of one layer that train as one network: one, or all factors' on a hidden layer that they share."""

    def __init__(
        self, layer: str, features: int, classes: dict[str, int], units: int | None, learning_rate: float, seed: int
    ) -> None:
        self.layer, self.factors = layer, tuple(classes)
        self.best, self.best_epoch, self.best_weights = (-math.inf, -math.inf), 0, []

        def dense(size: int, activation: str | None, name: str) -> kl.Layer:
            source = np.random.RandomState((seed, zlib.crc32(f"{layer}/{self.factors[0]}/{name}".encode())))
            glorot = keras.initializers.GlorotUniform(seed=int(source.randint(2**31)))
            options: dict[str, Any] = {"kernel_initializer": glorot, "dtype": "float32"}  # Keras' types know names only
            return kl.Dense(size, activation, name=name, **options)

        inputs = keras.Input((features,), dtype="float32", name="activations")
        hidden = inputs if units is None else dense(units, "relu", "hidden")(inputs)
        logits = {factor: dense(size, None, f"logits_{factor}")(hidden) for factor, size in classes.items()}
        losses = {factor: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for factor in classes}
        self.model = keras.Model(inputs, logits, name="probe")
        self.model.compile(keras.optimizers.Adam(learning_rate), losses)

    def judge(self, scores: dict[str, tuple[float, float]], epoch: int) -> None:
        """Keeps the weights if they are the best so far, by mean accuracy and then by mean log loss."""
        accuracy, loss = np.mean(list(scores.values()), axis=0)
        if (accuracy, -loss) > self.best:
            self.best, self.best_epoch, self.best_weights = (accuracy, -loss), epoch, self.model.get_weights()


def _scores(
    trainees: list[_Trainee], cache: dict[str, np.ndarray], labels: dict[str, np.ndarray], rows: np.ndarray
) -> list[dict[str, tuple[float, float]]]:
    """Accuracy and log loss by factor of each trainee, on those rows of the cached activations."""
    sums = [{factor: np.zeros(2) for factor in trainee.factors} for trainee in trainees]
    for batch in batches(rows, _TEST_BATCH):
        for (trainee, x), totals in zip(_inputs(trainees, cache, batch), sums, strict=True):
            for factor, logits in trainee.model.predict_on_batch(x).items():  # logits: [b, classes]
                true = labels[factor][batch]
                shifted = logits.astype(np.float64) - np.max(logits, axis=1, keepdims=True)
                losses = np.log(np.sum(np.exp(shifted), axis=1)) - shifted[np.arange(len(true)), true]
                totals[factor] += np.sum(np.argmax(logits, axis=1) == true), np.sum(losses)
    return [{factor: tuple((s / len(rows)).tolist()) for factor, s in totals.items()} for totals in sums]


def _inputs(
    trainees: list[_Trainee], cache: dict[str, np.ndarray], batch: np.ndarray
) -> Iterator[tuple[_Trainee, Any]]:
    """Every trainee with its float32 activations [b, features]; those of a layer are read once for all of its own."""
    for layer, members in itertools.groupby(trainees, lambda trainee: trainee.layer):
        x = ops.convert_to_tensor(np.asarray(cache[layer][batch], "float32"))
        yield from ((trainee, x) for trainee in members)
