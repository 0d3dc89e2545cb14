"""Training with few samples, which Fig. 5.6 shows and a study of ours repeats with epochs of full length."""

from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

MODELS = {"classic": "Classic", "cnn_lea": "CNN-LEA"}
CNN = {"image_size": 32, "filters": (8, 16), "learning_rate": 1e-3}
SMOKE = {"image_size": 16, "filters": (2, 2), "test_limit": 32, "epochs": 1}


def series(scale: Scale, steps: int | None = None) -> list[Series]:
    """Both models with each number of samples, 20 epochs.

    Args:
        scale: with the limits in its options.
        steps: of an epoch; None: one pass.
    """
    planned = []
    for limit in scale.options["limits"]:
        for model in MODELS:
            fields = {"dataset": "sprites", "limit": limit, "epochs": 20, "code_length": 5, "steps_per_epoch": steps}
            fields |= {"autoencoder": "vae"} if model == "cnn_lea" else {}
            planned.append(Series(name(model, limit, steps), configuration(model, scale, **fields), scale.seeds))
    return planned


def name(model: str, limit: int, steps: int | None = None) -> str:
    """Of the runs."""
    return f"samples/{model}_{limit}{'_repeated' if steps else ''}"


def collect(finished: "Finished") -> dict[str, Any]:
    values = {}
    for one, series in finished.series.items():
        loss = "main_loss" if series.config.model == "cnn_lea" else "loss"
        found = finished.epochs(one, loss, f"val_{loss}", "accuracy", "val_accuracy")
        values[one] = {key.replace("main_loss", "loss"): of_runs for key, of_runs in found.items()}
    return {"values": values, "limits": sorted({one.config.limit for one in finished.series.values()})}


def draw(stored: dict[str, Any], steps: int | None = None) -> Any:
    from experiments.studies.pictures import Line, Panel
    from experiments.studies.pictures import draw as draw_panels

    panels = []
    for limit in stored["limits"]:
        lines = []
        for model, label in MODELS.items():
            values = stored["values"][name(model, limit, steps)]
            for split in ("val_loss", "loss"):
                epochs = range(1, len(values[split][0]) + 1)
                lines.append(Line(label, epochs, values[split], dashed=split == "loss"))
        panels.append(Panel(f"{limit} samples", "epoch", "log loss (Eq. 2.21)", lines))
    return draw_panels(panels, f"solid: test, dashed: training. {stored['differences']}")
