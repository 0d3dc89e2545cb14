"""Fig. 5.2: code maps of LEAs on the images of four data sets (section 5.1)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.studies.base import Scale, Series, Study, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

DATASETS = ("cifar10", "sprites", "fashion_mnist", "mnist")
_IMAGES = 2
_MEASURED = 16  # images whose maps are held against shuffled ones


def series(scale: Scale) -> list[Series]:
    """On CIFAR-10 200 epochs, the capacity rising over 25; on the others 800, and it rises all along."""
    planned = []
    for dataset in DATASETS:
        epochs, rise = (200, 25) if dataset == "cifar10" else (800, 800)
        epochs = scale.changes.get("epochs", epochs)
        size = {"image_size": scale.options["sprites"]} if dataset == "sprites" else {}
        config = configuration(
            "autoencoder",
            scale,
            dataset=dataset,
            window_size=4,
            strides=1,
            autoencoder="capacity_vae",
            code_length=10,
            gamma=10.0,
            capacity=25.0,
            capacity_epochs=min(rise, epochs),
            **{"epochs": epochs} | size,
        )
        planned.append(Series(name(dataset), config, scale.seeds))
    return planned


def name(dataset: str) -> str:
    """Of the runs."""
    return f"maps/{dataset}"


def collect(finished: "Finished") -> dict[str, Any]:
    import lea_keras

    values = {}
    for one in finished:
        values[one] = finished.last(one, "val_lea_rln", "val_lea_kl")
        images, _ = lea_keras.data.take(finished.data(one), _MEASURED)
        with finished.model(one) as model:
            maps = lea_keras.inspect(model, images)[0].code_maps
        finished.kept[one] = images[:_IMAGES], maps[:_IMAGES]
        values[one]["coherence"] = coherence(maps)
        values[one]["coherence_shuffled"] = coherence(_shuffled(maps))
    return {"values": values}


def coherence(maps: np.ndarray) -> list[float]:
    """For each image, how much neighbours in its code maps are alike: correlations at distance one, averaged.

    Args:
        maps: [images, rows, columns, codes]; maps without variance are left out.
    """
    found = []
    for image in maps:
        of_codes = []
        for code in np.moveaxis(image, -1, 0):
            if code.std() < 1e-6:
                continue
            pairs = (code[:, :-1], code[:, 1:]), (code[:-1], code[1:])
            known = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs if a.std() > 1e-6 and b.std() > 1e-6]
            of_codes += [np.mean(known)] if known else []
        found.append(float(np.mean(of_codes)) if of_codes else 0.0)
    return found


def _shuffled(maps: np.ndarray) -> np.ndarray:
    """The same values at other places of their maps, all codes of a place together."""
    generator = np.random.default_rng(0)
    rows, columns = maps.shape[1:3]
    flat = maps.reshape(len(maps), rows * columns, -1)
    return np.stack([generator.permutation(image) for image in flat]).reshape(maps.shape)


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from lea_keras.plots.grid import Block, Cell
    from lea_keras.plots.grid import draw as draw_blocks

    rows, labels = [], []
    for one in finished:
        images, maps = finished.kept[one]
        for image, of_image in zip(images, maps, strict=True):
            cells = [Cell(np.squeeze(image, -1) if image.shape[-1] == 1 else image, (0.0, 1.0), "image")]
            for i, code in enumerate(np.moveaxis(of_image, -1, 0)):
                ends = float(code.min()), float(code.max())
                cells.append(Cell(code, ends if ends[0] < ends[1] else (ends[0], ends[0] + 1), f"code {i + 1}"))
            rows.append(cells)
            labels.append(one.partition("/")[2])
    title = "Code maps, each between its own least and largest value"
    return draw_blocks([Block(title, rows, labels, side=0.8, gap=0.06, note=stored["differences"])])


_SMALL = {"limit": 500, "test_limit": 100, "epochs": 6, "validate_every": 6, "learning_rate": 1e-3, "batch_size": 32}
STUDY = Study(
    name="5.2",
    title="code maps on raw images",
    thesis="Two images each of CIFAR-10, dSprites, Fashion-MNIST and MNIST with their ten code maps, of a LEA that is "
    "trained alone. Edges dominate; every code map shows a coherent pattern.",
    scales={
        "thesis": Scale(1, options={"sprites": None}),
        "small": Scale(1, _SMALL, {"sprites": 32}),
        "smoke": Scale(
            1, {"image_size": 16, "limit": 8, "test_limit": 4, "epochs": 1, "batch_size": 4}, {"sprites": 16}
        ),
    },
    series=series,
    collect=collect,
    draw=draw,
)
