"""Fig. 4.3: confidence over the epochs of training (section 4.4)."""

from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

_DATASETS = {"cifar10": "capacity_vae", "fashion_mnist": "standard", "mnist": "capacity_vae"}
_IMAGES = 2  # of each data set
_LEA = "lea_1"  # which of them the thesis shows, it does not say (chosen)
_SMALL = {"filters": (8, 16), "limit": 1500, "test_limit": 200, "epochs": 10, "learning_rate": 1e-3}


def series(scale: Scale) -> list[Series]:
    planned = []
    for dataset, kind in _DATASETS.items():
        rise = {"gamma": 10.0, "capacity": 25.0, "capacity_epochs": scale.changes.get("epochs", 100)}
        fields = {"dataset": dataset, "autoencoder": kind, "code_length": 10, "epochs": 100}
        config = configuration("cnn_lea", scale, **fields, **(rise if kind == "capacity_vae" else {}))
        planned.append(Series(f"confidence/{dataset}", config, scale.seeds, pictured=True))
    return planned


def collect(finished: "Finished") -> dict[str, Any]:
    return {"values": {name: finished.epochs(name, "val_accuracy", f"val_{_LEA}_rln") for name in finished}}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    """Confidence relative to the worst window of the images in TensorBoard's pictures, epoch by epoch **(chosen)**."""
    import numpy as np

    import lea_keras
    from experiments import training
    from lea_keras.callbacks.tensorboard import CONFIDENCE_FILE
    from lea_keras.plots.grid import Block, Cell
    from lea_keras.plots.grid import draw as draw_blocks

    rows, labels = [], []
    for name in finished:
        images, _ = lea_keras.data.take(finished.data(name), _IMAGES)
        with np.load(finished.folder(name) / training.LOG_FOLDER / "pictures" / CONFIDENCE_FILE) as maps:
            epochs = sorted({int(key.partition("_")[0]) for key in maps.files})
            for i, image in enumerate(images):
                picture = np.squeeze(image, -1) if image.shape[-1] == 1 else image
                shown = [Cell(maps[f"{epoch}_0"][i], (0.0, 1.0), f"epoch {epoch}") for epoch in epochs]
                rows.append([Cell(picture, (0.0, 1.0), "image"), *shown])
                labels.append(name.partition("/")[2])
    title = f"Confidence of {_LEA} over the epochs: white 1, black 0"
    return draw_blocks([Block(title, rows, labels, note=stored["differences"])])


STUDY = Study(
    name="4.3",
    title="confidence over epochs",
    thesis="Two images each of CIFAR-10, Fashion-MNIST and MNIST, and how confident a LEA is of every window over 100 "
    "epochs; white is confident. One run each.",
    scales={
        "thesis": Scale(1),
        "small": Scale(1, _SMALL),
        "smoke": Scale(
            1,
            {"image_size": 16, "filters": (2, 2), "code_length": 2, "limit": 16, "test_limit": 8, "epochs": 1},
        ),
    },
    series=series,
    collect=collect,
    draw=draw,
)
