"""Codes of windows of the data set `parts`, held against what the windows see: scores, probes, edges and parts.

One LEA, or two of which the second sees the codes of the first, is trained alone on whole images, as ``lea_keras``
trains LEAs; or its components are computed, or nothing at all is learned.
"""

import contextlib
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

import lea_keras
from experiments import evaluation
from experiments.arrays import computed, few_steps
from experiments.config import RunConfig
from experiments.results import Results
from lea_keras import disentanglement
from lea_keras.data import parts
from lea_keras.disentanglement.scores.dci import disentanglement as separated
from lea_keras.probes.factors import chance_level

FILE = "part_codes.json"
#: What scores are told of a window that sees a part; the first three are of the part in this window alone.
FACTORS = (*parts.WINDOW_LABELS, "background")
_TURNS, _PLACES, _EDGES = 8, 5, 6  # values of orientation, of an offset, and of an edge's orientation
_SEEN, _ALIKE = 0.5, 0.8  # of a part in a window, and how far edges agree


class Settings(NamedTuple):
    """What is trained and measured.

    Attributes:
        kind: "standard", "k_sparse", "vae", "capacity_vae", "pca" or "random".
        windows: sizes of one LEA's windows, or of two LEAs', the second's in codes.
        strides: of each.
        arguments: of the autoencoder.
        image_size: rows and columns.
        limit: training images.
        test_limit: test images.
        code_length: of every LEA.
        units: of every LEA's hidden layers.
        epochs: over the images.
        batch_size: images.
        learning_rate: of Adam.
        probed: windows at most, that probes train on and that scores and probes are measured on.
        probe_epochs: over these windows.
        boosted: windows that the boosters of DCI are fitted on.
        trees: of a booster, for each value of a factor.
    """

    kind: str
    windows: Sequence[int]
    strides: Sequence[int]
    arguments: Mapping[str, Any]
    image_size: int
    limit: int
    test_limit: int
    code_length: int
    units: Sequence[int]
    epochs: int
    batch_size: int
    learning_rate: float
    probed: int
    probe_epochs: int
    boosted: int
    trees: int


def measure(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Trains the LEAs of a run and stores what their codes say as ``part_codes.json``, in place of a run.

    Args:
        folder: of the run.
        config: seed and backend.
        options: fields of ``Settings``.
    """
    settings = Settings(**options)
    keras.utils.set_random_seed(config.seed)
    train, test = (_labels(split, count) for split, count in (("train", settings.limit), ("test", settings.test_limit)))
    images = {"train": _images(train, settings), "test": _images(test, settings)}
    model = build(settings, images["train"])
    some = parts.Labels(*(values[: settings.test_limit] for values in train))  # as many as there are to test
    labels = {"train": some, "test": test}
    codes = {split: _codes(model, images[split][: settings.test_limit]) for split in labels}
    if len(settings.windows) == 1:
        found = _scores(codes, labels, settings, config.seed)
    else:
        found = _stacked(codes, labels, settings, config.seed)
    found["reconstruction"] = _error(model, images["test"])
    with contextlib.closing(Results(folder / evaluation.FOLDER, [folder])) as results:
        results.reserve([FILE])
        results.write_json(FILE, found)


def build(settings: Settings, images: np.ndarray) -> lea_keras.LEAModel:
    """Returns LEAs that know the images: trained, with their components, or as they were initialised."""
    outputs = inputs = keras.Input(images.shape[1:])
    linear = settings.kind == "pca"
    for size, stride in zip(settings.windows, settings.strides, strict=True):
        kind = settings.kind if settings.kind not in ("pca", "random") else "standard"
        units = () if linear else tuple(settings.units)
        options = {"code_length": settings.code_length, "units": units, **settings.arguments}
        if kind == "capacity_vae":
            options["capacity_steps"] = max(1, settings.epochs * len(images) // settings.batch_size // 2)
        autoencoder = lea_keras.autoencoders.get(kind, **options)
        lea = lea_keras.LocallyEmbeddedAutoencoder(size, autoencoder, strides=stride, padding="valid")
        outputs = lea(outputs)
    model = lea_keras.LEAModel(inputs, outputs)
    eagerly = few_steps(images, settings.batch_size, settings.epochs)
    model.compile(keras.optimizers.Adam(settings.learning_rate), run_eagerly=eagerly)
    if linear:
        (lea,) = model.lea_layers
        batches = (images[start : start + 100] for start in range(0, len(images), 100))
        lea_keras.pca.fit(lea.autoencoder, _windows(batches, settings))
    elif settings.kind != "random":
        model.fit(images, batch_size=settings.batch_size, epochs=settings.epochs, verbose=0)
    return model


def _windows(batches: Any, settings: Settings) -> Any:
    """All windows of batch after batch, [n, rows, columns, channels]."""
    for batch in batches:
        cut = lea_keras.windows.extract_windows(batch, settings.windows[0], settings.strides[0], "valid")
        windows = np.asarray(keras.ops.convert_to_numpy(cut))
        yield windows.reshape(-1, *windows.shape[3:])  # [b, rows, columns, wh, ww, c] → [b·rows·columns, wh, ww, c]


def _labels(split: str, count: int) -> parts.Labels:
    return parts.labels_from_indices(parts.indices(split)[:count])


def _images(labels: parts.Labels, settings: Settings) -> np.ndarray:
    return parts.draw(labels, settings.image_size).astype(np.float32) / 255


def _codes(model: lea_keras.LEAModel, images: np.ndarray) -> list[np.ndarray]:
    """Code maps of every LEA, [n, rows, columns, d]."""
    maps = []
    for lea in model.lea_layers:
        images = computed(lea, images)
        maps.append(images)
    return maps


def _error(model: lea_keras.LEAModel, images: np.ndarray) -> float:
    """Squared error of the first LEA's windows, a mean over them, over that of the windows' mean."""
    lea = model.lea_layers[0]
    cut = keras.ops.convert_to_numpy(
        lea_keras.windows.extract_windows(images[:100], lea.window_size, lea.strides, lea.padding)
    )
    windows = np.asarray(cut).reshape(-1, *cut.shape[3:])
    decoded = computed(lea.autoencoder.decode, computed(lea.autoencoder.encode, windows))
    return float(np.sum((decoded - windows) ** 2) / np.sum((windows - windows.mean(0)) ** 2))


def _scores(codes: Any, labels: Any, settings: Settings, seed: int) -> dict[str, Any]:
    """Scores and probes of the codes of one LEA, of windows that see at least half of a part."""
    size, stride = settings.windows[0], settings.strides[0]
    told, vectors, keys = {}, {}, {}
    for split, of in labels.items():
        seen = parts.factors_of_windows(of, size, stride, "valid", settings.image_size)
        own = parts.labels_of_windows(seen, size, _SEEN, _TURNS, _PLACES)
        place = _some(own["shape"] >= 0, settings.probed, seed)
        columns = [*(own[name][place] for name in parts.WINDOW_LABELS), of.scenes[place[0], 6]]
        told[split] = np.stack(columns, axis=1).astype(np.int64)  # [windows, 7]
        vectors[split] = codes[split][0][place]  # [windows, d]
        keys[split] = seen.shape[place] == 0
    dci = _dci(vectors, told, settings, seed)
    mig = disentanglement.mig(vectors["test"], told["test"], bootstrap=0)
    alone = [{split: of[split][keys[split]] for split in of} for of in (vectors, told)]
    own = {split: factors[:, :3] for split, factors in alone[1].items()}
    factors = {name: {split: told[split][:, column] for split in told} for column, name in enumerate(FACTORS)}
    accuracies = probe(vectors, factors, settings.probe_epochs, seed)
    found = {
        "windows": len(vectors["test"]),
        "windows/key": len(own["test"]),
        "separation": _separation(dci),
        "separation/key": _separation(_dci(alone[0], own, settings, seed)),
        "dci": dci.score,
        "completeness": dci.completeness,
        "informativeness": dci.informativeness,
        "mig": mig.score,
        "mig/key": disentanglement.mig(alone[0]["test"], own["test"], bootstrap=0).score,
        "dead_codes": mig.dead_codes,
        "probe/offset": (accuracies["offset_x"] + accuracies["offset_y"]) / 2,
    }
    turns = {split: of[:, 0] for split, of in own.items()}
    found["probe/orientation/key"] = probe(alone[0], {"key": turns}, settings.probe_epochs, seed)["key"]
    found["chance/orientation/key"] = chance_level(turns["test"])
    found["chance/offset"] = np.mean([chance_level(factors[axis]["test"]) for axis in ("offset_x", "offset_y")])
    for name in FACTORS:
        found |= {f"probe/{name}": accuracies[name], f"chance/{name}": chance_level(factors[name]["test"])}
    return {name: float(value) for name, value in found.items()}


def _dci(vectors: Any, told: Any, settings: Settings, seed: int) -> Any:
    test = vectors["test"], told["test"]
    options = {"limit": settings.boosted, "trees": settings.trees, "bootstrap": 0, "seed": seed}
    return disentanglement.dci(vectors["train"], told["train"], test=test, **options)


def _separation(dci: Any) -> float:
    """DCI disentanglement of two factors: orientation, and offset along both axes."""
    where = [dci.factors.index(column) for column in range(3)]
    turn, x, y = np.moveaxis(dci.matrix[:, where], 1, 0)
    return separated(np.stack([turn, (x + y) / 2], axis=1))


def _stacked(codes: Any, labels: Any, settings: Settings, seed: int) -> dict[str, Any]:
    """Probes of the first LEA's code in the middle of each of the second's windows, and of the second's code."""
    (first, second), (step, further) = settings.windows, settings.strides
    size, stride, middle = first + (second - 1) * step, step * further, (second - 1) // 2
    found: dict[str, Any] = {}
    for about in ("edge", "shape"):
        told, of_first, of_second = {}, {}, {}
        for split, of in labels.items():
            seen = parts.factors_of_windows(of, size, stride, "valid", settings.image_size)
            small = parts.factors_of_windows(of, first, step, "valid", settings.image_size)
            rows, columns = seen.part.shape[1:]
            inner = (slice(None), *(slice(middle, middle + further * count, further) for count in (rows, columns)))
            edges, agree = small.edge[inner], np.nan_to_num(small.agreement[inner])
            usable = seen.visible >= _SEEN
            place = _some(usable & (agree >= _ALIKE) if about == "edge" else usable, settings.probed, seed)
            bins = np.floor(np.nan_to_num(edges[place]) / np.pi * _EDGES + 0.5) % _EDGES
            told[split] = (bins if about == "edge" else seen.shape[place]).astype(np.int64)
            of_first[split], of_second[split] = codes[split][0][inner][place], codes[split][1][place]
        for which, vectors in (("first", of_first), ("second", of_second)):
            accuracy = probe(vectors, {about: told}, settings.probe_epochs, seed)[about]
            found[f"{about}/{which}"] = float(accuracy)
        found |= {f"chance/{about}": chance_level(told["test"]), f"windows/{about}": len(told["test"])}
    return found


def _some(usable: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Places of windows that can be used, at most so many of them, chosen at random."""
    found = np.argwhere(usable)
    if not len(found):
        raise ValueError("No window can be used: there are too few images")
    return tuple(found[np.sort(np.random.RandomState(seed).permutation(len(found))[:count])].T)


def probe(vectors: Any, factors: Any, epochs: int, seed: int) -> dict[str, float]:
    """Trains a network of one hidden layer of 128 units for each factor and returns its test accuracy.

    Args:
        vectors: codes by split, [n, d].
        factors: by name, labels by split, [n].
        epochs: over the training codes.
        seed: of weights and order.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    spread = vectors["train"].std(0)
    scale = np.maximum(spread, 0.05 * spread.max() + 1e-9)  # noise of dead codes stays small
    inputs = {split: (of - vectors["train"].mean(0)) / scale for split, of in vectors.items()}
    accuracies = {}
    for name, told in factors.items():
        size = min(64, len(told["train"]))
        network = MLPClassifier((128,), batch_size=size, learning_rate_init=2e-3, max_iter=epochs, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # after so many epochs as are wanted
            network.fit(inputs["train"], told["train"])
        accuracies[name] = float(network.score(inputs["test"], told["test"]))
    return accuracies
