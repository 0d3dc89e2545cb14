"""How far the codes of whole images stand for the factors of sprites, by autoencoder."""

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.studies import networks
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

#: By name: what tables call them, and arguments. β of the literature is twice ``beta``, its C half of ``capacity``.
_CAPACITY = {"gamma": 10.0, "capacity": 25.0}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "standard": ("standard", {"autoencoder": "standard"}),
    "vae": ("VAE", {"autoencoder": "vae", "beta": 0.5}),
    "beta_vae": ("β-VAE, β = 4", {"autoencoder": "vae", "beta": 2.0}),
    "capacity_vae": ("VAE, capacity 25", {"autoencoder": "capacity_vae", **_CAPACITY}),
    "info_vae": ("InfoVAE, λ = 1000", {"autoencoder": "info_vae", "alpha": 0.0, "lambda_": 1000.0}),
    # Beside ten Gaussian variables three classes, as there are shapes, with the same capacity (chosen).
    "joint_vae": (
        "JointVAE",
        {"autoencoder": "joint_vae", "code_length": 13, "categories": [3], **_CAPACITY, "discrete_capacity": 25.0},
    ),
}
#: By what is stored: the score, its field, and its heading.
MEASURES: dict[str, tuple[str, str, str]] = {
    "mig": ("mig", "score", "MIG"),
    "dci": ("dci", "disentanglement", "DCI D"),
    "completeness": ("dci", "completeness", "DCI C"),
    "informativeness": ("dci", "informativeness", "DCI I"),
    "sap": ("sap", "score", "SAP"),
    "factor_vae": ("factor_vae", "score", "FactorVAE"),
    "beta_vae": ("beta_vae", "score", "β-VAE score"),
    "modularity": ("modularity", "score", "modularity"),
    "explicitness": ("explicitness", "score", "explicitness"),
    "irs": ("irs", "score", "IRS"),
    "total_correlation": ("total_correlation", "score", "total correlation"),
    "wasserstein_correlation": ("wasserstein_correlation", "relative", "Wasserstein correlation"),
    "dead_codes": ("mig", "dead_codes", "dead codes"),
}
_RISEN = 0.75  # the share of training after which the capacity is what it is to be (chosen)
_COMPARED = 1000  # images, for UDR
_BETTER = {"total_correlation": "lower", "wasserstein_correlation": "lower", "dead_codes": "", "nll": "lower"}


def name(kind: str) -> str:
    """Of the series: "disentanglement/vae"."""
    return f"disentanglement/{kind}"


def series(scale: Scale) -> list[Series]:
    """Every kind of autoencoder, and its scores."""
    options = scale.options
    scored = dict(options["scores"]) | {"image_size": options["data"]["image_size"]}
    steps = math.ceil(options["data"]["limit"] / options["training"]["batch_size"]) * options["epochs"]
    planned = []
    for kind in options["kinds"]:
        arguments = {"code_length": 10} | KINDS[kind][1]
        if kind in ("capacity_vae", "joint_vae"):
            arguments["capacity_steps"] = max(round(_RISEN * steps), 1)
        one = networks.series(name(kind), scale, "slides_vae", arguments, **options["training"])
        planned.append(one._replace(measures={**one.measures, "disentanglement": scored}))
    return planned


def collect(finished: "Finished") -> dict[str, Any]:
    """All scores of every run, its NLL on test images, and UDR among the runs of a kind."""
    from experiments.disentangled_networks import FILE

    values: dict[str, Any] = {}
    for one in finished:
        stored = [own["scores"] for own in finished.own(one, FILE)]
        values[one] = networks.losses(finished, one, "nll")
        for measure, (score, field, _) in MEASURES.items():
            values[one][measure] = [scores[score][field] for scores in stored]
        values[one]["udr"] = _alike(finished, one)
    return {"values": values}


def _alike(finished: "Finished", one: str) -> list[float | None]:
    """UDR of every run; None where there is one alone."""
    from experiments.disentangled_networks import codes
    from lea_keras import disentanglement, probes

    runs = finished.seeds(one)
    if len(runs) < 2:
        return [None] * len(runs)
    options = finished.series[one].measures["disentanglement"]
    count = min(options["samples"], _COMPARED)
    images, _ = probes.sprites_data("test", count, finished.config(one).data_seed, image_size=options["image_size"])
    of_models = []
    for run in range(len(runs)):
        with finished.network(one, run) as model:
            of_models.append(codes(model, images))
    return disentanglement.udr(of_models).of_models.tolist()


def table(stored: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """A line for each score: medians of runs, with ranges."""
    kinds = [kind for kind in KINDS if name(kind) in stored["values"]]
    headings = {measure: heading for measure, (_, _, heading) in MEASURES.items()} | {"udr": "UDR", "nll": "NLL"}
    rows = []
    for measure, heading in headings.items():
        of_kinds = [stored["values"][name(kind)][measure] for kind in kinds]
        rows.append([heading, _BETTER.get(measure, "higher"), *map(_cell, of_kinds)])
    return ["score", "better", *(KINDS[kind][0] for kind in kinds)], rows


def _cell(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    if not there:
        return "–"
    median, low, high = (f"{value:.3g}" for value in (statistics.median(there), min(there), max(there)))
    return median if low == high else f"{median} [{low}, {high}]"


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    """What the codes of the first run of every kind know of the factors."""
    from experiments.disentangled_networks import FILE
    from lea_keras import plots

    own = {one: finished.own(one, FILE)[0] for one in finished}
    matrices = {KINDS[kind][0]: own[name(kind)]["scores"]["mig"]["matrix"] for kind in KINDS if name(kind) in own}
    factors = next(iter(own.values()))["factors"]
    return plots.score_matrix(matrices, factors, title="What codes know of the factors of sprites, first run of each")


_KINDS = tuple(KINDS)
_TRAINING = {"learning_rate": 1e-3, "batch_size": 64}
STUDY = Study(
    name="disentanglement",
    title="how far codes stand for factors, by autoencoder",
    document="We ask",
    thesis="The thesis ends with the wish for a measure of disentanglement. Which of the autoencoders has codes of "
    "which each stands for one factor of sprites, by all scores in use, and do scores without labels say the same? "
    "Whole images, two hidden layers, ten codes, three seeds; x, y and orientation in eight classes each.",
    scales={
        "thesis": Scale(
            3,
            options={
                "kinds": _KINDS,
                "data": {"dataset": "sprites", "image_size": None, "limit": 59_972, "test_limit": 10_006},
                "epochs": 50,
                "training": _TRAINING,
                "arguments": {"units": (1200, 1200)},
                "scores": {"samples": 10_000, "values": 8, "trees": 100, "boosted": 5000},
            },
        ),
        "small": Scale(
            3,
            options={
                "kinds": _KINDS,
                "data": {"dataset": "sprites", "image_size": 32, "limit": 10_000, "test_limit": 1000},
                "epochs": 15,
                "training": _TRAINING,
                "arguments": {"units": (256, 256)},
                "scores": {"samples": 6000, "values": 8, "trees": 50, "boosted": 2500},
            },
        ),
        "smoke": Scale(
            1,
            options={
                "kinds": ("standard", "vae"),
                "data": networks.SMOKE,
                "epochs": 1,
                "training": _TRAINING,
                "arguments": {"units": (8,)},
                "scores": {"samples": 240, "values": 3, "trees": 1, "boosted": 60},
            },
        ),
    },
    series=series,
    collect=collect,
    draw=draw,
    table=table,
)
