"""Latent attacks on five autoencoders: are disentangled ones easier to fool, and what do scale and box decide?"""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration, scales_of

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

_PLAIN = {"gamma": 0.5, "capacity": 0.0, "discrete_capacity": 0.0}
#: By name: the autoencoder, its arguments, and the coupled weight decay. KL counts twice the nats.
MODELS: dict[str, tuple[str, dict[str, Any], float]] = {
    "JointVAE": ("joint_vae", {"gamma": 15.0, "capacity": 10.0, "discrete_capacity": 10.0}, 0.0),
    "VAE": ("joint_vae", _PLAIN, 0.0),
    "VAE-L2": ("joint_vae", _PLAIN, 0.5),
    "β-VAE": ("vae", {"beta": 2.0, "code_length": 10}, 0.0),
    "capacity VAE": ("capacity_vae", {"gamma": 15.0, "capacity": 10.0, "code_length": 10}, 0.0),
}
RAW, RAW_FREE = "raw", "raw_free"
#: The document's attack first; without the box, and of standardised codes.
VARIANTS: dict[str, dict[str, Any]] = {
    RAW: {},
    RAW_FREE: {"epsilon": None},
    "standardised": {"scale": "standardised"},
    "standardised_free": {"scale": "standardised", "epsilon": None},
}
_HEADS = {
    RAW: "raw, ε = 0.1",
    RAW_FREE: "raw, no box",
    "standardised": "standardised, ε = 0.1",
    "standardised_free": "standardised, no box",
}
_THESIS = {
    "dataset": "mnist",
    "models": tuple(MODELS),
    "image_size": 32,
    "limit": None,
    "test_limit": None,
    "network": {},
    "epochs": 107,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "judge_epochs": 10,
    "judge_learning_rate": 0.01,
    "samples": None,
    "attack_steps": 1000,
    "attack_learning_rate": 1e-3,
    "varied_seeds": 1,
}
# The attack's steps are longer as they are fewer, so that it reaches as far.
_SMALL = {
    "limit": 20_000,
    "epochs": 8,
    "learning_rate": 1e-3,
    "judge_epochs": 3,
    "judge_learning_rate": 0.05,
    "samples": 100,
    "attack_steps": 300,
    "attack_learning_rate": 3e-3,
}
_SMOKE = {
    "dataset": "sprites",
    "models": ("JointVAE", "VAE", "VAE-L2"),
    "limit": 48,
    "test_limit": 12,
    "network": {"filters": (2, 2, 2), "units": (4,)},
    "epochs": 1,
    "judge_epochs": 1,
    "samples": 4,
    "attack_steps": 2,
    "varied_seeds": 0,
}


def name(model: str) -> str:
    """Of a series: "joint/jointvae", "joint/vae_l2", "joint/beta_vae"."""
    return "joint/" + model.lower().replace("β", "beta").replace("-", "_").replace(" ", "_")


def series(scale: Scale) -> list[Series]:
    planned = []
    options = {option: value for option, value in scale.options.items() if option != "models"}
    for model in scale.options["models"]:
        autoencoder, arguments, l2 = MODELS[model]
        own = {"autoencoder": autoencoder, "arguments": arguments, "l2": l2, "variants": VARIANTS}
        config = configuration("autoencoder", scale, dataset=options["dataset"])
        measured = {"joint": {**options, **own}}
        planned.append(Series(name(model), config, scale.seeds, measured, trained=False))
    return planned


def collect(finished: "Finished") -> dict[str, Any]:
    """Of every run RL, both KLs, success rates of every variant that it has, else None, and what else was measured."""
    values: dict[str, Any] = {}
    for one in finished:
        of_runs = finished.stored(one, "joint.json")
        measures = dict.fromkeys(measure for run in of_runs for measure in run)
        values[one] = {"seeds": finished.seeds(one)}
        values[one] |= {measure: [run.get(measure) for run in of_runs] for measure in measures}
    steps = sorted({count for of in values.values() for count in of["steps"]})
    return {"values": values, "notes": [f"All models are trained for {' or '.join(map(str, steps))} steps."]}


def _models(stored: Mapping[str, Any]) -> list[str]:
    """Those that are there."""
    return [model for model in MODELS if name(model) in stored["values"]]


def _shown(runs: Sequence[float | None] | None, unit: float = 1.0, digits: int = 1) -> str:
    known = [unit * value for value in runs or () if value is not None]
    return f"{statistics.median(known):.{digits}f}" if known else ""


def table(stored: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Medians over runs; AS ignore-target (target), and for that of a single run the interval of its sources."""
    lines = []
    for model in _models(stored):
        of = stored["values"][name(model)]
        line = [model, _shown(of["rl"]), _shown(of["kl"], 0.5, 2), _shown(of.get("discrete_kl"), 0.5, 2)]
        line += [_shown(of["accuracy"], 100)]
        for variant in VARIANTS:
            line += [_rates(of, variant)]
        lines.append(line)
    heads = ["model", "RL", "KL_z, nats", "KL_c, nats", "judge, clean, %"]
    return [*heads, *(f"AS, %: {_HEADS[variant]}" for variant in VARIANTS)], lines


def _rates(of: Mapping[str, Any], variant: str) -> str:
    """ "36.6 (12.5)", and, where it is one run's, "[33.9, 39.2]"."""
    rates = _shown(of.get(f"{variant}/ignore_target"), 100)
    if not rates:
        return ""
    text = f"{rates} ({_shown(of.get(f'{variant}/target'), 100)})"
    intervals = [one for one in of[f"{variant}/ignore_target/interval"] if one is not None]
    if len(intervals) == 1:
        text += f" [{100 * intervals[0][0]:.1f}, {100 * intervals[0][1]:.1f}]"
    return text


def draw(stored: dict[str, Any], finished: "Finished") -> dict[str, Any]:
    from lea_keras import plots

    figures = {"_ignore_target": _matrices(stored, "ignore_target"), "_target": _matrices(stored, "target")}
    figures["_pairs"] = _pairs(finished)
    for model, ending in (("JointVAE", "_traversal"), ("VAE", "_traversal_vae")):
        first = finished.arrays(name(model), "joint.npz")["first"][0]
        with finished.network(name(model)) as network:
            figures[ending] = plots.latent_traversal(network, steps=10, around=first, name=model)
    return figures


def _matrices(stored: dict[str, Any], kind: str) -> Any:
    """Success rates of the document's attack, means over runs cell by cell, side by side."""
    import numpy as np

    from lea_keras import plots

    cells = {}
    for model in _models(stored):
        of_runs = np.array(stored["values"][name(model)][f"{RAW}/{kind}/matrix"], float)  # [runs, classes, classes]
        known = np.isfinite(of_runs)
        sums, counts = np.where(known, of_runs, 0).sum(axis=0), known.sum(axis=0)
        cells[model] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return plots.pairs(cells, kind)


def _pairs(finished: "Finished") -> Any:
    """Sources, adversarials and targets above their reconstructions."""
    from lea_keras.plots.grid import Block, Cell
    from lea_keras.plots.grid import draw as draw_blocks

    blocks = []
    for model in ("JointVAE", "VAE", "VAE-L2"):
        shown, rows, labels = finished.arrays(name(model), "joint.npz"), [], []
        for row in ("source", "adversarial", "target") if "source" in shown else ():
            for ending, label in (("", row), ("_reconstructed", "reconstruction")):
                pictures = shown[f"{row}{ending}"][..., 0]
                cells = [Cell(picture, (0.0, 1.0)) for picture in pictures]
                for i, (source, target, after) in enumerate(shown["classes"]):
                    if (row, ending) == ("source", ""):
                        cells[i] = cells[i]._replace(heading=f"{source} → {target}")
                    if (row, ending) == ("adversarial", "_reconstructed"):
                        cells[i] = cells[i]._replace(caption=f"judged {after}")
                rows.append(cells)
                labels.append(label)
        if not rows:  # the judge got no source right
            rows, labels = [[Cell(shown["first"][0, ..., 0], (0.0, 1.0))]], ["no pair was attacked"]
        blocks.append(Block(f"{model}, raw codes, ε = 0.1", rows, labels, side=0.7, gap=0.06))
    return draw_blocks(blocks)


STUDY = Study(
    name="joint",
    title="whether disentangled autoencoders are easier to fool",
    document="S. Sootla's report",
    thesis="A JointVAE, a VAE and a VAE with weight decay on MNIST at 32×32; adversarials within ε = 0.1 whose code is "
    "close to that of an image of another class; a classifier judges their reconstructions. Means of all pairs of "
    "classes, another class than the source's (the target's): JointVAE 36.6 % (12.5 %), VAE 29.7 % (9.2 %), with "
    "weight decay 27.0 % (8.0 %); one run each. Here also a β-VAE and a capacity-controlled VAE without "
    "categories, codes in units of their standard deviation, and no box. The judge of a seed is the same for all "
    "models, and so is the number of training steps, with capacities rising over all of them. AS: medians over "
    "runs, with the interval of its sources where there is one run; variants are those of one seed. Matrices, and the "
    "means in their titles, are means over runs; images and traversals are those of the first run.",
    scales=scales_of(_THESIS, _SMALL, _SMOKE),
    series=series,
    collect=collect,
    table=table,
    draw=draw,
    pictures=("_ignore_target", "_target", "_pairs", "_traversal", "_traversal_vae"),
)
