"""The InfoVAE against the VAE, on 500 images and on two points (slides; Zhao, Song and Ermon, 2017)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.config import RunConfig
from experiments.studies import networks
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

#: By autoencoder: what the pictures say, its arguments, and (α, λ).
KINDS: dict[str, tuple[str, dict[str, Any], tuple[float, float]]] = {
    "vae": ("VAE", {}, (0.0, 1.0)),
    "info_vae": ("InfoVAE, λ = 1000", {"alpha": 0.0, "lambda_": 1000.0}, (0.0, 1000.0)),
}
_COLUMNS = 12


def series(scale: Scale) -> list[Series]:
    """Both types on the images, and both objectives on the points."""
    planned = []
    for kind, (_, arguments, (alpha, lambda_)) in KINDS.items():
        arguments = {"autoencoder": kind, "code_length": 10, **arguments}
        planned.append(networks.series(name(kind), scale, "slides_vae", arguments, batch_size=100))
        options = {"alpha": alpha, "lambda_": lambda_, "steps": scale.options["steps"]}
        config = RunConfig(model="autoencoder", window_size=None, optimization="joint")
        planned.append(Series(points(kind), config, scale.seeds, {"two_points": options}, trained=False))
    return planned


def name(kind: str) -> str:
    """Of the series of images."""
    return f"slides/few_{kind}"


def points(kind: str) -> str:
    """Of the series of two points."""
    return f"slides/two_points_{kind}"


def collect(finished: "Finished") -> dict[str, Any]:
    """RL and MMD² of the codes of images that were not trained on; means and deviations of the codes of two points."""
    values: dict[str, Any] = {}
    for kind in KINDS:
        values[name(kind)] = networks.losses(finished, name(kind), "rl", "nll", "kl") | {"mmd": []}
        for run in range(len(values[name(kind)]["seeds"])):
            values[name(kind)]["mmd"].append(_discrepancy(finished, name(kind), run))
        stored = finished.own(points(kind), "two_points.json")
        values[points(kind)] = {
            "seeds": finished.seeds(points(kind)),
            "mean": [one["mean"] for one in stored],
            "std": [one["std"] for one in stored],
            "distance": [float(np.mean(np.abs(one["mean"]))) for one in stored],
        }
    return {"values": values}


def _discrepancy(finished: "Finished", one: str, run: int) -> float:
    """MMD² of codes drawn from the posteriors of test images, from the prior."""
    from keras import ops

    from lea_keras.losses import maximum_mean_discrepancy

    images, _ = networks.data(finished, one, "test", run)
    with finished.network(one, run) as model:
        autoencoder = networks.autoencoder(model)
        mean, log_std = map(ops.convert_to_numpy, autoencoder.posterior(autoencoder.features(images)))
    codes = mean + np.exp(log_std) * np.random.default_rng(0).normal(size=mean.shape)
    return float(maximum_mean_discrepancy(codes.astype("float32")))


def draw(stored: dict[str, Any], finished: "Finished") -> dict[str, Any]:
    from keras import ops

    from experiments.studies.pictures import Line, Panel
    from experiments.studies.pictures import draw as draw_panels
    from lea_keras.plots.grid import Block, Cell
    from lea_keras.plots.grid import draw as draw_blocks

    images, _ = networks.data(finished, name("vae"), "test")
    rows, labels = [images[:_COLUMNS]], ["not trained on"]
    for kind, (text, _, _) in KINDS.items():
        with finished.network(name(kind)) as model:
            autoencoder = networks.autoencoder(model)
            codes = model(images[:_COLUMNS], training=False)
            rows += [
                ops.convert_to_numpy(autoencoder.decode(codes)),
                ops.convert_to_numpy(autoencoder.sample(_COLUMNS, seed=0)),
            ]
        labels += [f"{text}: reconstructed", f"{text}: from the prior"]
    cells = [[Cell(np.squeeze(one, -1), (0.0, 1.0)) for one in row] for row in rows]
    panels = []
    xs = np.linspace(-3.5, 3.5, 141)
    for kind, (text, _, _) in KINDS.items():
        of = stored["values"][points(kind)]
        lines = [Line("q(z | −1)", xs, _densities(xs, of, 0)), Line("q(z | 1)", xs, _densities(xs, of, 1))]
        lines.append(Line("prior", xs, [_density(xs, 0.0, 1.0)], dashed=True))
        panels.append(Panel(f"two points, {text}", "z", "density", lines))
    count = finished.series[name("vae")].measures["network"]["limit"]
    block = Block(f"{count} training images", cells, labels, side=0.45, gap=0.04, note=stored["differences"])
    return {"": draw_blocks([block]), "_two_points": draw_panels(panels)}


def _densities(xs: np.ndarray, of: dict[str, Any], point: int) -> list[list[float]]:
    """Of the code of a point in every run, the points so named that −1 has the smaller mean."""
    found = []
    for means, stds in zip(of["mean"], of["std"], strict=True):
        order = np.argsort(means)
        found.append(_density(xs, means[order[point]], stds[order[point]]))
    return found


def _density(xs: np.ndarray, mean: float, std: float) -> list[float]:
    return (np.exp(-((xs - mean) ** 2) / (2 * std**2)) / (std * np.sqrt(2 * np.pi))).tolist()


_FEW = {"limit": 500, "test_limit": 1000}
STUDY = Study(
    name="info_vae",
    title="the InfoVAE and the VAE on 500 images, and on two points",
    document=networks.SLIDES,
    thesis="With 500 training images the VAE reconstructs sharply, but its samples are unlike its reconstructions; "
    "those of the InfoVAE are alike. Of the two points −1 and 1 the VAE pushes the codes far apart from 0 and from the "
    "prior, the InfoVAE does not.",
    scales={
        "thesis": Scale(3, options={"data": networks.THESIS | _FEW, "epochs": 1000, "steps": 5000}),
        "small": Scale(3, options={"data": networks.SMALL | _FEW, "epochs": 200, "steps": 5000}),
        "smoke": Scale(1, options={"data": networks.SMOKE, "epochs": 1, "steps": 4, "arguments": {"units": (8,)}}),
    },
    series=series,
    collect=collect,
    draw=draw,
    pictures=("", "_two_points"),
)
