"""What it takes to classify `parts`: a linear classifier and bags of windows against a small CNN, for its data sheet.

python -m experiments.parts_baselines
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

import lea_keras.data
from experiments import tables
from experiments.arrays import computed, few_steps
from experiments.cli import Flag, help_text, parse
from experiments.runs import RunError
from lea_keras.data import parts

_WINDOW, _STRIDE = 8, 4
_FLAGS = {
    "Baselines": (
        Flag("dataset", "NAME", "parts or parts_colour [parts]"),
        Flag("limit", "N", "training images [8000]"),
        Flag("test_limit", "N", "test images [2000]"),
        Flag("image_size", "N", "rows and columns [64]"),
        Flag("epochs", "N", "of the CNN; of the linear classifiers twice as many [15]"),
        Flag("words", "N", "windows that others are compared with in the bag of windows [256]"),
    )
}


def measure(
    dataset: str = "parts",
    limit: int = 8000,
    test_limit: int = 2000,
    image_size: int = 64,
    epochs: int = 15,
    words: int = 256,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Trains all classifiers and returns their accuracy on training and test images, by name.

    Args:
        dataset: "parts" or "parts_colour".
        limit: training images.
        test_limit: test images.
        image_size: rows and columns.
        epochs: of the CNN; classifiers of fixed features train twice as many, since they are cheap.
        words: how many training windows are the words of the bag of windows.
        seed: of all that is random.
    """
    keras.utils.set_random_seed(seed)
    data = {}
    for split, count in (("train", limit), ("test", test_limit)):
        loaded = lea_keras.data.load(dataset, split, batch_size=500, limit=count, image_size=image_size, shuffle=False)
        data[split] = lea_keras.data.take(loaded, count)
    vocabulary = _vocabulary(data["train"][0], words, seed)
    features = {
        "linear, of pixels": lambda images: images.reshape(len(images), -1),  # [n, h, w, c] → [n, h·w·c]
        "linear, of a histogram of pixels": lambda images: _histogram(images, images.shape[-1]),
        "linear, of a bag of window colours": lambda images: _histogram(_means(images), images.shape[-1]),
        "linear, of a bag of windows": lambda images: _bag(images, vocabulary),
    }
    found = {"chance": {"train": 1 / len(parts.CLASSES), "test": 1 / len(parts.CLASSES)}}
    for name, function in features.items():
        inputs = {split: function(images).astype(np.float32) for split, (images, _) in data.items()}
        mean, spread = inputs["train"].mean(0), inputs["train"].std(0) + 1e-3
        inputs = {split: (values - mean) / spread for split, values in inputs.items()}
        model = keras.Sequential([layers.Dense(len(parts.CLASSES), kernel_regularizer=keras.regularizers.L2(1e-3))])
        found[name] = _accuracies(model, inputs, data, 2 * epochs)
    images = {split: images for split, (images, _) in data.items()}
    found["CNN"] = _accuracies(cnn(), images, data, epochs)
    return found


def cnn(filters: Sequence[int] = (16, 32, 64, 64), units: int = 128) -> keras.Model:
    """Builds convolutions of stride 2, 5x5 and then 3x3, and two dense layers."""
    found: list[Any] = []
    for number, count in enumerate(filters):
        found.append(layers.Conv2D(count, 3 if number else 5, strides=2, padding="same", activation="relu"))
    found += [layers.Flatten(), layers.Dropout(0.3), layers.Dense(units, "relu"), layers.Dense(len(parts.CLASSES))]
    return keras.Sequential(found)


def _accuracies(model: keras.Model, inputs: Any, data: Any, epochs: int) -> dict[str, float]:
    steps = epochs * -(-len(inputs["train"]) // 64)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    eagerly = few_steps(inputs["train"], 64, epochs)
    model.compile(keras.optimizers.Adam(rate), loss, run_eagerly=eagerly)
    model.fit(inputs["train"], data["train"][1], batch_size=64, epochs=epochs, verbose=0)
    accuracies = {}
    for split in inputs:
        logits = computed(model, inputs[split])
        accuracies[split] = float(np.mean(np.argmax(logits, -1) == np.argmax(data[split][1], -1)))
    return accuracies


def _histogram(values: np.ndarray, channels: int) -> np.ndarray:
    """Of values from 0 to 1, [n, …, c]: the share in each of 16 bins of grey or 6³ of colour, [n, bins]."""
    bins = 16 if channels == 1 else 6
    levels = np.minimum((values * bins).astype(np.int64), bins - 1)
    joint = np.ravel_multi_index(tuple(np.moveaxis(levels, -1, 0)), (bins,) * channels).reshape(len(values), -1)
    return np.stack([np.bincount(one, minlength=bins**channels) for one in joint]) / joint.shape[1]


def _means(images: np.ndarray) -> np.ndarray:
    """The mean of every window, [n, rows, columns, c]."""
    return np.asarray(ops.convert_to_numpy(ops.average_pool(images, _WINDOW, _STRIDE, "valid")))


def _windows(images: np.ndarray) -> np.ndarray:
    """Windows as vectors, [n, rows·columns, values]."""
    cut = ops.convert_to_numpy(lea_keras.windows.extract_windows(images, _WINDOW, _STRIDE, "valid"))
    return np.asarray(cut).reshape(len(images), cut.shape[1] * cut.shape[2], -1)


def _vocabulary(images: np.ndarray, words: int, seed: int) -> np.ndarray:
    """Random training windows that are not of one colour, [words, values]."""
    random = np.random.RandomState(seed)
    some = _windows(images[random.permutation(len(images))[:200]])
    some = some.reshape(-1, some.shape[-1])
    some = some[np.std(some, axis=1) > 0.05]
    return some[random.permutation(len(some))[:words]]


def _bag(images: np.ndarray, vocabulary: np.ndarray) -> np.ndarray:
    """How often each word is the nearest one to a window of an image, [n, words]."""
    lengths, found = np.sum(vocabulary**2, axis=1) / 2, []
    for start in range(0, len(images), 200):
        nearest = np.argmax(_windows(images[start : start + 200]) @ vocabulary.T - lengths, axis=-1)
        found += [np.bincount(one, minlength=len(vocabulary)) for one in nearest]
    return np.stack(found) / nearest.shape[1]


def main(argv: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    if any(flag in argv for flag in ("--help", "-h")):
        print(help_text(f"{__doc__}\n", _FLAGS))
        return 0
    try:
        given = parse(argv, _FLAGS)
        if given.get("dataset", "parts") not in ("parts", "parts_colour"):
            raise RunError(f"Argument `dataset` must be parts or parts_colour. Received: {given['dataset']!r}")
        found = measure(**given)
    except (RunError, ValueError) as error:
        print(f"parts_baselines: {error}", file=sys.stderr)
        return 1
    rows = [[name, f"{of['train']:.3f}", f"{of['test']:.3f}"] for name, of in found.items()]
    print(tables.markdown(["classifier", "training", "test"], rows, texts=1))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
