"""Two sparsifications against attacks, measured on a classifier of two classes: of its weights, and of its input.

"Robustness and autoencoders" (lecture slides), Theorem 2 and Figure 6, after S. Gopalakrishnan et al.
(arXiv:1810.10625, 2018). The weights of every neuron lie in an ℓ1 ball, to which they are projected after every step.
The input is what a frozen LEA makes of it: of the principal components of every window it keeps those farthest from 0.

Departures: the slides name neither classes, network, attack nor radius. Two logits instead of one **(chosen)**, so that
attacks and bound take the network as any other. What images are changed to in an attack passes through the front end as
in use, and so do gradients.
"""

import contextlib
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

import lea_keras
from experiments import arrays, evaluation
from experiments.arrays import Images, computed, few_steps
from experiments.codes import windows_of
from experiments.config import RunConfig
from experiments.results import Results
from lea_keras import robustness

FILE = "defences.json"
_BATCH = 500
# Of the search for the smallest ε: from 0.02 in seven steps to 0.34, and the gap to the largest that failed is closed
# to a fiftieth. It begins with small ones since an attack that succeeds may fail at a larger one.
_REACH = 4 / 3  # of all steps together, in units of ε: the 40 of a thirtieth each that the attack has elsewhere
_SEARCH = {"start": 0.02, "growth": 1.5, "rounds": 7, "precision": 0.02}


class Settings(NamedTuple):
    """What is trained, and how it is attacked.

    Attributes:
        dataset: of ``lea_keras.data``.
        classes: the two of it.
        image_size: as in ``lea_keras.data.load``.
        limit: training images, of all classes, of which the two are taken; None: all.
        test_limit: likewise of the test.
        units: of the classifier's hidden layers.
        epochs: of its training.
        learning_rate: of Adam.
        batch_size: in training.
        radius: γ, of the ℓ1 ball of every neuron's weights; None: they are free.
        window: of the front end, in pixels.
        kept: how many components of a window the front end keeps; None: there is no front end.
        attacked: test images, the first ones.
        attack_steps: of each projected gradient descent.
    """

    dataset: str
    classes: Sequence[int]
    image_size: int | None
    limit: int | None
    test_limit: int | None
    units: Sequence[int]
    epochs: int
    learning_rate: float
    batch_size: int
    radius: float | None
    window: int
    kept: int | None
    attacked: int
    attack_steps: int


def measure(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Trains a classifier and attacks it; what comes out is in the folder of results, as ``withstood`` returns it."""
    settings = Settings(**options)
    keras.utils.set_random_seed(config.seed)
    training, test = (two_classes(config, settings, split) for split in ("train", "test"))
    shape = training.images.shape[1:]
    front = [] if settings.kept is None else [Sparsifier(training.images, settings.window, settings.kept)]
    inputs = computed(front[0], training.images) if front else training.images
    model: Any = classifier(shape, settings.units, settings.radius)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    eagerly = few_steps(inputs, settings.batch_size, settings.epochs)
    model.compile(keras.optimizers.Adam(settings.learning_rate), loss, run_eagerly=eagerly)
    model.fit(inputs, training.labels, batch_size=settings.batch_size, epochs=settings.epochs, verbose=0)
    bound = None if front else robustness.perturbation_bound(model, 1.0)
    whole = keras.Sequential([keras.Input(shape), *front, *model.layers], name="defended")
    accuracy = float(np.mean(np.argmax(computed(model, inputs), axis=1) == training.labels))
    found = {"train_accuracy": accuracy, **withstood(whole, test, settings, bound)}
    kernels = [
        np.asarray(ops.convert_to_numpy(layer.kernel)) for layer in model.layers if isinstance(layer, layers.Dense)
    ]
    found["zeros"] = float(np.mean(np.concatenate([kernel.ravel() for kernel in kernels]) == 0))
    with contextlib.closing(Results(folder / evaluation.FOLDER, [folder])) as results:
        results.write_json(FILE, found)


def two_classes(config: RunConfig, settings: Settings, split: str) -> Images:
    """Images of the two classes, in the order of the data set, with the label 0 for the first class and 1."""
    limit = settings.limit if split == "train" else settings.test_limit
    images, labels = arrays.load(config, settings.dataset, split, limit, settings.image_size)
    chosen = np.isin(labels, settings.classes)
    return Images(images[chosen], np.where(labels[chosen] == settings.classes[0], 0, 1))


def classifier(image_shape: tuple[int, ...], units: Sequence[int], radius: float | None) -> keras.Model:
    """Builds dense layers with ReLU, and one to two logits, with every neuron's weights in an ℓ1 ball or free."""
    ball = None if radius is None else lea_keras.constraints.L1Ball(radius)
    hidden = [layers.Dense(count, "relu", kernel_constraint=ball) for count in units]
    logits = layers.Dense(2, kernel_constraint=ball, name="logits")
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(), *hidden, logits], name="classifier")


class Sparsifier(layers.Layer):
    """Images [b, h, w, c] → what the largest principal components of their windows, in magnitude, make of them.

    A frozen k-sparse LEA with linear coders, all components of a window for its code; windows do not overlap.

    Args:
        images: [n, h, w, c], of whose windows the components are.
        window: its side in pixels.
        kept: how many components of a window are kept.
    """

    def __init__(self, images: np.ndarray, window: int, kept: int) -> None:
        super().__init__(name="sparsifier", trainable=False)
        autoencoder = lea_keras.KSparseAutoencoder(
            window * window * images.shape[-1], k=kept, a=1.0, select="magnitude", encoder="fc", decoder="fc", units=()
        )
        # A weight of 0: it is trained on nothing, and its decoder runs here alone.
        self.lea = lea_keras.LocallyEmbeddedAutoencoder(window, autoencoder, loss_weight=0.0)
        self.lea.build((None, *images.shape[1:]))
        batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
        lea_keras.pca.fit(autoencoder, windows_of(self.lea, batches))
        self.lea.trainable = False

    def call(self, images: Any) -> Any:
        codes = self.lea(images)  # [b, rows, columns, code_length]
        autoencoder, (_, rows, columns, length) = self.lea.autoencoder, codes.shape
        windows = autoencoder.decode(ops.reshape(codes, (-1, length)))  # [b·rows·columns, wh, ww, c]
        windows = ops.reshape(windows, (-1, rows, columns, *windows.shape[1:]))
        return lea_keras.windows.merge_windows(windows, tuple(images.shape[1:3]))


def withstood(model: keras.Model, test: Images, settings: Settings, bound: float | None) -> dict[str, Any]:
    """Attacks a model with projected gradient descent in search of the smallest ε.

    Args:
        model: from images in [0, 1] to two logits.
        test: images and labels of the test.
        settings: how many of them are attacked, and in how many steps.
        bound: how far a perturbation within ε = 1 can move a logit (Theorem 2); None if that is not known.

    Returns:
        "test_accuracy" on all images; "masked_gradients", as ``robustness.evaluate`` has them; of each attacked image
        under "distances" the L∞ norm of the smallest adversarial perturbation found, 0 where none is needed and None
        where none was found; under "certified", unless there is no bound, the ε below which there is none: half of
        what its logit is ahead, over the bound.
    """
    logits = computed(model, test.images)
    images, labels = test.where(slice(settings.attacked))
    steps = settings.attack_steps
    attack = robustness.get("projected_gradient_descent", steps=steps, rel_stepsize=_REACH / steps, **_SEARCH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of masked gradients, whose share is stored
        found = robustness.evaluate(model, images, labels, {"pgd": attack}, keep_images=True, verbose=0)
    distances: list[float | None] = [0.0] * len(images)
    for record, adversarial in zip(found.records, found.images["pgd"], strict=True):
        change = np.abs(adversarial.astype(np.float64) - images[record.sample])
        distances[record.sample] = float(np.max(change)) if record.found else None
    accuracy = float(np.mean(np.argmax(logits, axis=1) == test.labels))
    result = {"test_accuracy": accuracy, "masked_gradients": found.masked_gradients or 0.0, "distances": distances}
    if bound is not None:
        ahead = np.where(labels == 0, 1, -1) * (logits[: len(images), 0] - logits[: len(images), 1])  # [n]
        certified = np.maximum(ahead, 0.0).astype(np.float64) / (2 * bound)
        result |= {"bound": bound, "certified": certified.tolist()}
    return result
