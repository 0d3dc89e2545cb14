"""Fig. 5.4: what layers preserve of the factors of their images (section 5.2)."""

from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

MODELS = {"classic": "Classic", "cnn_lea": "CNN-LEA"}
FACTORS = ("scale", "orientation", "x", "y")
_PROBES = {
    "features": None, "shared": True, "batch_size": 64, "held_out": 0.0
}  # fmt: skip
_CNN = {"image_size": 32, "filters": (8, 16), "learning_rate": 1e-3}


def series(scale: Scale) -> list[Series]:
    """Both models train 50 epochs **(chosen)**: for Classic the thesis does not say."""
    planned = []
    for model in MODELS:
        fields = {"dataset": "sprites", "epochs": 50, "code_length": 10}
        fields |= {"autoencoder": "vae"} if model == "cnn_lea" else {}
        probes = {"probes": _PROBES | dict(scale.options["probes"])}
        planned.append(Series(name(model), configuration(model, scale, **fields), scale.seeds, probes))
    return planned


def name(model: str) -> str:
    """Of the runs."""
    return f"probes/{model}"


def collect(finished: "Finished") -> dict[str, Any]:
    """By factor, the accuracies on test and training images, for each run from the input to the last layer."""
    values = {}
    for one in finished:
        runs = [stored["probes"] for stored in finished.stored(one, "probes.json")]
        layers = list(dict.fromkeys(row["layer"] for row in runs[0]))
        values[one] = {"seeds": finished.seeds(one), "layers": layers, "chance": {}}
        for factor in ("shape", *FACTORS):
            of_runs = [[row for row in rows if row["factor"] == factor] for rows in runs]
            values[one][f"test/{factor}"] = [[row["accuracy"] for row in rows] for rows in of_runs]
            values[one][f"train/{factor}"] = [[row["train_accuracy"] for row in rows] for rows in of_runs]
            values[one]["chance"][factor] = of_runs[0][0]["chance"]
    return {"values": values}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from experiments.studies.pictures import Line, Panel
    from experiments.studies.pictures import draw as draw_panels

    ticks = ["input", "conv", "pool\nLEA", "conv", "pool\nLEA", "fc", "fc"]
    panels = []
    for factor in FACTORS:
        lines = []
        for model, label in MODELS.items():
            values = stored["values"][name(model)]
            for split in ("test", "train"):
                # Flattened maps are what came before them.
                kept = [i for i, layer in enumerate(values["layers"]) if layer != "flatten"]
                runs = [[of_run[i] for i in kept] for of_run in values[f"{split}/{factor}"]]
                lines.append(Line(f"{label}, {split}", range(len(kept)), runs, dashed=split == "train"))
        chance = stored["values"][name("classic")]["chance"][factor]
        panels.append(Panel(factor, "layer", "accuracy of the probe", lines, ticks, level=chance, limits=(0, 1.02)))
    return draw_panels(panels, f"dotted: chance. {stored['differences']}")


STUDY = Study(
    name="5.4",
    title="probes of every layer",
    thesis="Accuracy of classifiers of scale, orientation, x and y on every layer of Classic and CNN-LEA, in training "
    "and test. Scale becomes clearer in later layers; Classic loses orientation, CNN-LEA keeps and improves it; the "
    "output layer knows close to nothing of any.",
    scales={
        "thesis": Scale(10, options={"probes": {"limit": None, "epochs": 20, "learning_rate": 1e-4}}),
        "small": Scale(
            3,
            _CNN | {"limit": 3000, "test_limit": 500, "epochs": 6},
            {"probes": {"limit": 2000, "epochs": 8, "learning_rate": 1e-3}},
        ),
        "smoke": Scale(
            1,
            {"image_size": 16, "filters": (2, 2), "limit": 64, "test_limit": 32, "epochs": 1},
            {"probes": {"limit": 64, "epochs": 1, "learning_rate": 1e-4}},
        ),
    },
    series=series,
    collect=collect,
    draw=draw,
)
