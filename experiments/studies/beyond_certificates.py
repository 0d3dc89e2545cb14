"""Certificates: the error of plain and of robust networks, what attacks make of it, and what is proven of it."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration, scales_of
from experiments.studies.networks import SLIDES

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

DATASETS = ("mnist", "fashion_mnist")
NETWORKS = {"convolution": "polytope_network", "lea": "polytope_lea"}
#: Printed in the slides, in per cent: error in the test, under Gradient Sign, under PGD, and its bound.
PRINTED = {
    ("mnist", False): (1.07, 50.01, 81.68, 100.0),
    ("mnist", True): (1.80, 3.93, 4.11, 5.82),
    ("fashion_mnist", False): (9.36, 77.98, 81.85, 100.0),
    ("fashion_mnist", True): (21.73, 31.25, 31.63, 34.53),
}
COLUMNS = ("error", "gradient_sign", "projected_gradient_descent", "bound")
_SHARED = (
    *("image_size", "limit", "test_limit", "certified", "epsilon", "first_epsilon", "tight"),
    *("plain_epochs", "robust_epochs", "learning_rate", "batch_size", "attack_steps"),
)
_THESIS = {
    "datasets": DATASETS,
    "networks": tuple(NETWORKS),
    "image_size": None,
    "limit": None,
    "test_limit": None,
    "certified": 1000,
    "epsilon": 0.1,
    "first_epsilon": 0.05,
    "tight": True,
    "plain_epochs": 20,
    "robust_epochs": 20,
    "learning_rate": 1e-3,
    "batch_size": 50,
    "attack_steps": 40,
}
_SMALL = {"limit": 7000, "test_limit": 2000, "certified": 100, "first_epsilon": 0.01, "tight": False}
_SMALL |= {"plain_epochs": 3, "robust_epochs": 5}
_SMOKE = {
    "datasets": ("sprites",),
    "networks": ("convolution",),
    "image_size": 16,
    "limit": 64,
    "test_limit": 12,
    "certified": 2,
    "tight": False,
    "plain_epochs": 1,
    "robust_epochs": 1,
    "batch_size": 32,
    "attack_steps": 2,
}


def name(dataset: str, network: str = "convolution", robust: bool = False) -> str:
    """Of the runs: "certificates/mnist/convolution", "certificates/fashion_mnist/lea_robust"."""
    return f"certificates/{dataset}/{network}{'_robust' * robust}"


def series(scale: Scale) -> list[Series]:
    """Every data set, network and training."""
    options, planned = scale.options, []
    for dataset in options["datasets"]:
        for network in options["networks"]:
            for robust in (False, True):
                own = {"dataset": dataset, "network": NETWORKS[network], "robust": robust}
                measured = {"certificates": {one: options[one] for one in _SHARED} | own}
                config = configuration("classic", scale)
                series_name = name(dataset, network, robust)
                planned.append(Series(series_name, config, scale.seeds, measured, trained=False))
    return planned


def collect(finished: "Finished") -> dict[str, Any]:
    """Of every run its errors as shares, and how large a share of images is certified and yet fooled."""
    values: dict[str, Any] = {}
    for one in finished:
        of_runs = finished.stored(one, "certificates.json")
        values[one] = {"seeds": finished.seeds(one)}
        for measure in (*COLUMNS, "test_error", "contradictions"):
            values[one][measure] = [run[measure] for run in of_runs]
    return {"values": values}


def datasets(values: Mapping[str, Any]) -> list[str]:
    """Those of which there are runs, in their order."""
    return list(dict.fromkeys(one.split("/")[1] for one in values))


def table(stored: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    values, lines = stored["values"], []
    heads = ["data set", "network", "training", "test", "Gradient Sign", "PGD", "bound"]
    for dataset in datasets(values):
        for network in NETWORKS:
            for robust in (False, True):
                of = values.get(name(dataset, network, robust))
                if of is None:
                    continue
                printed = PRINTED.get((dataset, robust)) if network == "convolution" else None
                cells = [f"{100 * median(of[column]):.1f}" for column in COLUMNS]
                if printed:
                    cells = [f"{cell} ({number:.2f})" for cell, number in zip(cells, printed, strict=True)]
                lines.append([dataset, network, "robust" if robust else "plain", *cells])
    return heads, lines


STUDY = Study(
    name="certificates",
    title="what is proven of robustness, of plain and of robust networks",
    document=SLIDES,
    thesis="Errors in per cent at ε = 0.1 (L∞) on MNIST and Fashion-MNIST: without a perturbation, under Gradient "
    "Sign, under projected gradient descent, and the upper bound of the error under any perturbation, by the convex "
    "outer adversarial polytope. The printed numbers stand in brackets. Ours are medians over runs, on the same test "
    "images in all columns; a network with a LEA for its first convolution stands below. At small scale robust "
    "training bounds hidden values by intervals, which costs a fraction; what is shown is the polytope's bound.",
    scales=scales_of(_THESIS, _SMALL, _SMOKE, small_seeds=2),
    series=series,
    collect=collect,
    table=table,
    pictures=(),
)
