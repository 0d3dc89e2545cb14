"""Data sets side by side: a few images of each, and their sizes (thesis Fig. 4.6 and Table 4.1)."""

from collections.abc import Sequence

import numpy as np

import lea_keras.data
from experiments import tables
from experiments.results import Results
from experiments.runs import RunError
from lea_keras.plots.grid import Block, Cell, draw

FILES = ("datasets.json", "datasets.csv", "datasets.md", "datasets.png")


def describe(names: Sequence[str], data_dir: str | None, images: int, results: Results) -> str:
    """Counts and draws data sets, stores what that gives and returns it as a table.

    Args:
        names: of the data sets; those that are not there are left out, and the table says so.
        data_dir: as in ``lea_keras.data.load``.
        images: how many test images of each are drawn: the first ones.
        results: where everything goes.

    Raises:
        RunError: one line, if none is there.
        OSError: if the results cannot be written.
    """
    rows, blocks, notes = [], [], []
    for name in names:
        try:
            data = lea_keras.data.load(name, "test", batch_size=images, data_dir=data_dir)
            size = lea_keras.data.file_size(name, data_dir)
        except (ValueError, OSError, ImportError) as error:
            notes.append(f"left out: {error}")
            continue
        shown, _ = lea_keras.data.take(data, images)
        details = lea_keras.data.info(name)
        shape = "x".join(map(str, details.image_shape))
        counts = {"train": details.train_size, "test": details.test_size}
        rows.append({"dataset": name, "image_size": shape} | counts | {"total": sum(counts.values()), "bytes": size})
        pictures = np.squeeze(shown, axis=-1) if shown.shape[-1] == 1 else shown
        blocks.append(Block(f"{name}, {shape}", [[Cell(picture, (0.0, 1.0)) for picture in pictures]]))
    if not rows:
        raise RunError(f"None of the data sets is there; {'; '.join(notes)}")
    try:
        results.reserve(FILES)
    except ValueError as error:
        raise RunError(str(error)) from None
    lines = [[str(row["dataset"]), row["image_size"], *map(str, list(row.values())[2:5]), _size(row)] for row in rows]
    heads = ["data set", "image size", "train", "test", "total", "on disk"]
    notes.append("On disk: as TensorFlow Datasets has it, dsprites with all 737280 images.")
    results.write_json(FILES[0], {"datasets": rows, "notes": notes})
    results.write_csv(FILES[1], rows)
    results.write_text(FILES[2], tables.markdown(heads, lines) + "".join(f"\n{note}\n" for note in notes))
    results.write_picture(FILES[3], draw(blocks))
    return "\n".join([*tables.aligned([heads, *lines], [16, 12, 10, 10, 10, 12]), *notes])


def _size(row: dict) -> str:
    return "generated" if row["bytes"] is None else f"{row['bytes'] / 1e6:.2f} MB"
