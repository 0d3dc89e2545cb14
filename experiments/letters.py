"""Images of one set turned into images of another, with four targets, and what is drawn then.

"Solution of 4. Assignment", exercise 2 (course work, 2018): the network of ``models.letters`` is trained with the
answer of a frozen classifier, with a random image of the class, with one image for all of a class, or with its mean. At
the end codes alone are optimised, with the weights of the network that knows random images.

Departures: the document's letters are not public; classes of two other sets are paired by their numbers **(chosen)**.
"""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

import lea_keras
import models
from experiments import arrays, evaluation
from experiments.arrays import Images, computed, few_steps
from experiments.config import RunConfig
from experiments.results import Results
from lea_keras.data import class_pairs
from models.letters import squared_error

FILE, PICTURES = "letters.json", "letters.npz"
JUDGED, RANDOM, REPRESENTATIVE, MEAN = "classifier", "random", "representative", "mean"
TARGETS = (JUDGED, RANDOM, REPRESENTATIVE, MEAN)
CODES, INPUT, REAL = "codes", "input", "real"


class Settings(NamedTuple):
    """What is trained.

    Attributes:
        source: the data set of inputs, of ``lea_keras.data``.
        target: that of targets; where it is the same, one half of the images is the source, the other the target.
        image_size: as in ``lea_keras.data.load``.
        limit: training images of each set; None: all.
        test_limit: test images of each set; None: all.
        filters: of the network's two convolutions.
        code_length: its units between encoder and decoder.
        epochs: of each of the four.
        learning_rate: of Adam, everywhere but for the codes.
        batch_size: in training.
        judge_filters: of the classifier's two convolutions.
        judge_epochs: of its training.
        code_steps: in which codes are optimised, at most.
    """

    source: str
    target: str
    image_size: int | None
    limit: int | None
    test_limit: int | None
    filters: Sequence[int]
    code_length: int
    epochs: int
    learning_rate: float
    batch_size: int
    judge_filters: Sequence[int]
    judge_epochs: int
    code_steps: int


class Sets(NamedTuple):
    """What is trained and tested on, each set with mean 0 and standard deviation 1 over all values of its training.

    Attributes:
        source: training images that are inputs.
        target: training images of which targets are made.
        source_test: inputs of the test.
        target_test: what real images look like that nobody was trained on.
        scales: of source and target, mean and standard deviation before.
    """

    source: Images
    target: Images
    source_test: Images
    target_test: Images
    scales: tuple[tuple[float, float], tuple[float, float]]


def measure(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Trains judge and networks of one seed, and stores what is read off them, and pictures, in the results' folder."""
    settings = Settings(**options)
    sets = load(config, settings)
    judge = trained_judge(sets.target, config.seed, settings)
    drawn: dict[str, np.ndarray] = {}
    network: Any = None
    for target, network in trained(sets, judge, config.seed, settings):
        drawn[target] = computed(network, sets.source_test.images)
    found, means = read_off(drawn, sets, judge, config.seed), class_images(sets, MEAN, config.seed)
    codes = optimised(network.get_layer("autoencoder"), sets, means, settings)
    found[f"error/{CODES}"] = float(np.mean(squares(codes - means)) / spread(sets.target, means))
    found[f"accuracy/{CODES}"] = share_right(computed(judge, codes), np.arange(len(codes)))
    first, real = (first_of_classes(one.labels) for one in (sets.source_test, sets.target_test))
    rows = {INPUT: sets.source_test.images[first], REAL: sets.target_test.images[real]}
    rows |= {target: drawn[target][first] for target in TARGETS} | {CODES: codes}
    with contextlib.closing(Results(folder / evaluation.FOLDER, [folder])) as results:
        results.write_json(FILE, found)
        shown = {name: _unscaled(row, sets.scales[name != INPUT]) for name, row in rows.items()}
        results.write_arrays(PICTURES, shown)


def load(config: RunConfig, settings: Settings) -> Sets:
    """Loads both data sets and normalises them by the mean and the standard deviation of all training values."""
    pairs = []
    for split, limit in (("train", settings.limit), ("test", settings.test_limit)):
        if settings.source == settings.target:
            several = arrays.load(config, settings.source, split, limit and 2 * limit, settings.image_size)
            pairs.append([several.where(slice(i, None, 2)) for i in (0, 1)])
        else:
            both = (settings.source, settings.target)
            pairs.append([arrays.load(config, name, split, limit, settings.image_size) for name in both])
    scales = [(float(one.images.mean()), float(one.images.std())) for one in pairs[0]]
    train, test = [[_scaled(one, *scale) for one, scale in zip(pair, scales, strict=True)] for pair in pairs]
    return Sets(train[0], train[1], test[0], test[1], (scales[0], scales[1]))


def _scaled(given: Images, mean: float, deviation: float) -> Images:
    return given._replace(images=(given.images - np.float32(mean)) / np.float32(deviation))


def _unscaled(images: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    return (images * scale[1] + scale[0]).astype(np.float32)


def trained_judge(target: Images, seed: int, settings: Settings) -> keras.Model:
    """Trains a small CNN, from images to logits of their classes."""
    keras.utils.set_random_seed(seed)
    convolutions = [layers.Conv2D(count, 3, 2, "same", activation="relu") for count in settings.judge_filters]
    head = [layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(int(target.labels.max()) + 1)]
    judge: Any = keras.Sequential([keras.Input(target.images.shape[1:]), *convolutions, *head], name="judge")
    eagerly = few_steps(target.images, settings.batch_size, settings.judge_epochs)
    judge.compile(keras.optimizers.Adam(settings.learning_rate), _crossentropy(), run_eagerly=eagerly)
    judge.fit(*target, batch_size=settings.batch_size, epochs=settings.judge_epochs, verbose=0)
    return judge


def trained(sets: Sets, judge: keras.Model, seed: int, settings: Settings) -> Iterator[tuple[str, keras.Model]]:
    """Yields the network trained with one target after the other, which is the same one, put back to where it began.

    So all begin with the same weights, and what is traced for one need not be traced for the next. The last target is
    "random".
    """
    keras.utils.set_random_seed(seed)
    first, second = settings.filters
    network: Any = models.letter_network(
        sets.source.images.shape[1:], code_length=settings.code_length, filters=(first, second)
    )
    judged: Any = models.judged(network, judge)
    variables: list[Any] = list(network.variables)
    eagerly = few_steps(sets.source.images, settings.batch_size, settings.epochs)
    for model, loss in ((judged, _crossentropy()), (network, squared_error)):
        optimizer = keras.optimizers.Adam(settings.learning_rate)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer, loss, run_eagerly=eagerly)
        variables += optimizer.variables
    start = [ops.convert_to_numpy(variable) for variable in variables]
    for target in (JUDGED, REPRESENTATIVE, MEAN, RANDOM):
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        if target == JUDGED:
            judged.fit(*sets.source, batch_size=settings.batch_size, epochs=settings.epochs, verbose=0)
        else:
            pairs = class_pairs(sets.source, sets.target, target, batch_size=settings.batch_size, seed=seed)
            network.fit(pairs, epochs=settings.epochs, shuffle=False, verbose=0)
        yield target, network


def _crossentropy() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def class_images(sets: Sets, choose: str, seed: int) -> np.ndarray:
    """The target of each class, [classes, h, w, c], where it has one: "mean" or "representative"."""
    inputs = sets.source.where(first_of_classes(sets.source.labels))
    return class_pairs(inputs, sets.target, choose, batch_size=len(inputs.labels), shuffle=False, seed=seed)[0][1]


def first_of_classes(labels: np.ndarray) -> np.ndarray:
    """The index of the first image of every class, [classes]."""
    return np.unique(labels, return_index=True)[1]


def read_off(drawn: Mapping[str, np.ndarray], sets: Sets, judge: keras.Model, seed: int) -> dict[str, float]:
    """What is known of images [n, h, w, c] drawn of the inputs of the test, by target.

    Squared distances are in units of the spread of a class: the mean squared distance of its training images to their
    mean. ``accuracy/``: the judge's. ``error/``: to the mean image of the class. ``alike/``: of what is drawn for a
    class to its own mean. ``nearest/``: the distance to the nearest training image of the class, over that of real
    images of the test. ``difference``: between "random" and "mean"; ``difference_over_errors`` is 1 where they have
    nothing in common but the class mean. ``lookup``: the share of what "representative" draws that is nearest to the
    image of its class.
    """
    labels, means = sets.source_test.labels, class_images(sets, MEAN, seed)
    unit, real = spread(sets.target, means), nearest(sets.target_test, sets.target)
    found = {"accuracy/real": share_right(computed(judge, sets.target_test.images), sets.target_test.labels)}
    errors = {}
    for target, images in drawn.items():
        own = np.stack([images[labels == c].mean(axis=0) for c in np.unique(labels)])
        errors[target] = float(np.mean(squares(images - means[labels])))
        found[f"accuracy/{target}"] = share_right(computed(judge, images), labels)
        found[f"error/{target}"] = errors[target] / unit
        found[f"alike/{target}"] = spread(Images(images, labels), own) / unit
        found[f"nearest/{target}"] = nearest(Images(images, labels), sets.target) / real
    difference = float(np.mean(squares(drawn[RANDOM] - drawn[MEAN])))
    found["difference"] = difference / unit
    found["difference_over_errors"] = difference / (errors[RANDOM] + errors[MEAN])
    known = class_images(sets, REPRESENTATIVE, seed)
    distances = np.stack([squares(drawn[REPRESENTATIVE] - one) for one in known], axis=1)  # [n, classes]
    found["lookup"] = share_right(-distances, labels)
    return found


def squares(differences: np.ndarray) -> np.ndarray:
    """Squares summed over all but the first axis, [n] float64."""
    return np.sum(np.square(differences, dtype=np.float64), axis=(1, 2, 3))


def spread(given: Images, means: np.ndarray) -> float:
    """The mean squared distance of images to the one of ``means`` [classes, h, w, c] that is their class's."""
    return float(np.mean(squares(given.images - means[given.labels])))


def nearest(given: Images, known: Images) -> float:
    """The mean distance of images to the nearest known one of their class."""
    total = 0.0
    for c in np.unique(given.labels):
        mine, others = (one.where(one.labels == c).images for one in (given, known))
        flat, known_flat = (one.reshape(len(one), -1).astype(np.float64) for one in (mine, others))
        distances = squares(mine)[:, None] + squares(others) - 2.0 * flat @ known_flat.T  # [n, m]
        total += np.sum(np.sqrt(np.maximum(distances.min(axis=1), 0.0)))
    return float(total / len(given.labels))


def share_right(scores: np.ndarray, labels: np.ndarray) -> float:
    """Of scores [n, classes] the share whose largest is at the label."""
    return float(np.mean(np.argmax(scores, axis=1) == labels))


def optimised(autoencoder: lea_keras.Autoencoder, sets: Sets, means: np.ndarray, settings: Settings) -> np.ndarray:
    """What is decoded of the best code for every class, [classes, h, w, c]; the search starts at its mean code."""
    codes, labels = computed(autoencoder.encode, sets.source.images), sets.source.labels
    start = np.stack([codes[labels == c].mean(axis=0) for c in np.unique(labels)])
    found = lea_keras.optimize_codes(autoencoder, means, settings.code_steps, start=start)
    return computed(autoencoder.decode, found)
