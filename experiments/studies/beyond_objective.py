"""What the reconstruction objective is worth: codes that are learned by it, against those that cost nothing."""

from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

#: By name, what the pictures say, and the fields that make a kind of code.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lea": ("LEA, alternate", {}),
    "joint": ("LEA, joint", {"optimization": "joint"}),
    "end_to_end": ("LEA, joint, λ = 0", {"optimization": "joint", "lea_weight": 0.0}),
    "pca": ("PCA, frozen", {"codes": "pca", "units": ()}),
    "random": ("random encoder, frozen", {"codes": "random"}),
    "pool": ("max-pooling", {}),
}
_SMALL = {"limit": 5000, "test_limit": 2000, "epochs": 6, "validate_every": 6, "learning_rate": 1e-3}
_SMOKE = {"image_size": 16, "limit": 64, "test_limit": 32, "epochs": 1}


def series(scale: Scale) -> list[Series]:
    """Every kind on every data set, with each share of the labels."""
    planned = []
    for dataset in scale.options["datasets"]:
        for labelled in scale.options["labelled"]:
            for kind, (_, fields) in KINDS.items():
                shared = {"dataset": dataset, "labelled": labelled, "window_size": 4, "code_length": 10, "epochs": 100}
                model = "pool_fc" if kind == "pool" else "lea_fc"
                config = configuration(model, scale, **shared, **fields, autoencoder="standard")
                planned.append(Series(name(kind, dataset, labelled), config, scale.seeds))
    return planned


def name(kind: str, dataset: str, labelled: float) -> str:
    """Of the runs: "objective/fashion_mnist_1/lea" with a hundredth of the labels."""
    return f"objective/{dataset}_{100 * labelled:g}/{kind}"


def collect(finished: "Finished") -> dict[str, Any]:
    values = {one: finished.last(one, "val_accuracy") for one in finished}
    configs = [one.config for one in finished.series.values()]
    return {"values": values, "panels": list(dict.fromkeys((one.dataset, one.labelled) for one in configs))}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from experiments.studies.pictures import Dots, draw_dots

    panels = []
    for dataset, labelled in stored["panels"]:
        rows = {
            text: stored["values"][name(kind, dataset, labelled)]["val_accuracy"] for kind, (text, _) in KINDS.items()
        }
        panels.append(Dots(f"{dataset}, {100 * labelled:g} % of labels", "test accuracy", rows))
    return draw_dots(panels, stored["differences"])


STUDY = Study(
    name="objective",
    title="what the reconstruction objective is worth",
    document="The question",
    thesis="The thesis compares LEAs with max-pooling alone. Does the reconstruction objective earn its keep? The same "
    "classifier on codes of equal length of the same windows: learned by reconstruction (alternate, and joint with the "
    "main task), learned from the main task alone (λ = 0), the windows' principal components in closed form, and a "
    "random encoder. Images without a label train the LEAs, and give the components, all the same.",
    scales={
        "thesis": Scale(
            5, {"learning_rate": 1e-3}, {"datasets": ("fashion_mnist", "cifar10"), "labelled": (1.0, 0.01)}
        ),
        "small": Scale(5, _SMALL, {"datasets": ("fashion_mnist", "cifar10"), "labelled": (1.0, 0.01)}),
        "smoke": Scale(1, _SMOKE, {"datasets": ("sprites",), "labelled": (0.5,)}),
    },
    series=series,
    collect=collect,
    draw=draw,
)
