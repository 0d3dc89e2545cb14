"""A deep autoencoder against principal components, with two code variables (slides; Hinton and Salakhutdinov, 2006)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.studies import networks
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

NAME = "slides/deep_autoencoder"
_DRAWN = 100  # points of each class; the slides have 500


def series(scale: Scale) -> list[Series]:
    return [networks.series(NAME, scale, "deep_autoencoder", {"code_length": 2}, batch_size=256)]


def collect(finished: "Finished") -> dict[str, Any]:
    """RL on training images, and accuracy of the nearest neighbour in the plane, of codes and of components."""
    values: dict[str, Any] = {
        "seeds": finished.seeds(NAME),
        **{f"{kind}/{name}": [] for kind in ("autoencoder", "pca") for name in ("rl", "neighbour")},
    }
    for run in range(len(values["seeds"])):
        train, test = (networks.data(finished, NAME, split, run) for split in ("train", "test"))
        codes, rl = _of_network(finished, run, train[0], test[0])
        components, least = _of_components(train[0], test[0])
        for kind, (planes, error) in {"autoencoder": (codes, rl), "pca": (components, least)}.items():
            values[f"{kind}/rl"].append(error)
            values[f"{kind}/neighbour"].append(_neighbour(planes[0], train[1], planes[1], test[1]))
    return {"values": {NAME: values}}


def _of_network(finished: "Finished", run: int, train: np.ndarray, test: np.ndarray) -> tuple[Any, float]:
    from experiments.arrays import computed
    from experiments.whole_networks import measure

    with finished.network(NAME, run) as model:
        return [computed(model, images) for images in (train, test)], measure(model, train)["rl"]


def _of_components(train: np.ndarray, test: np.ndarray) -> tuple[Any, float]:
    from lea_keras import pca

    found = pca.components(train)
    planes = [(images.reshape(len(images), -1) - found.mean) @ found.directions[:, :2] for images in (train, test)]
    return planes, float(found.eigenvalues[2:].sum())


def _neighbour(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> float:
    from scipy import spatial

    _, nearest = spatial.cKDTree(train).query(test)
    return float(np.mean(train_labels[nearest] == test_labels))


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from lea_keras import plots

    images, labels = networks.data(finished, NAME, "train")
    chosen = np.concatenate([np.flatnonzero(labels == each)[:_DRAWN] for each in np.unique(labels)])
    codes, _ = _of_network(finished, 0, images[chosen], images[chosen])
    components, _ = _of_components(images, images[chosen])
    values = stored["values"][NAME]
    titles = {
        f"{name}: {100 * values[f'{kind}/neighbour'][0]:.0f} % like their neighbour": plane
        for kind, name, plane in (("pca", "PCA", components[1]), ("autoencoder", "deep autoencoder", codes[0]))
    }
    return plots.codes(titles, labels[chosen])


STUDY = Study(
    name="two_dimensions",
    title="principal components and a deep autoencoder in two dimensions",
    document=networks.SLIDES,
    thesis="Digits in the plane of their first two principal components, where most classes lie over each other, and "
    "in that of the codes of an autoencoder 784-1000-500-250-2, where they come apart.",
    scales={
        "thesis": Scale(3, options={"data": networks.THESIS, "epochs": 50}),
        "small": Scale(3, options={"data": networks.SMALL, "epochs": 15}),
        "smoke": Scale(1, options={"data": networks.SMOKE, "epochs": 1, "arguments": {"units": (8, 4)}}),
    },
    series=series,
    collect=collect,
    draw=draw,
)
