"""Table 4.1: sizes of the data sets (section 4.8)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.studies import datasets
from experiments.studies.base import Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished


def collect(finished: "Finished") -> dict[str, Any]:
    import lea_keras.data

    values = {}
    for name in datasets.NAMES:
        details = lea_keras.data.info(name)
        size = None
        try:
            size = lea_keras.data.file_size(name, finished.data_dir)
        except (ValueError, OSError, ImportError):  # sizes are known without the files, their bytes are not
            pass
        sizes = {"train": [details.train_size], "test": [details.test_size], "bytes": [size]}
        values[name] = sizes | {"image_shape": list(details.image_shape)}
    return {"values": values}


def table(stored: dict[str, Any]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    lines = []
    for name, sizes in stored["values"].items():
        (train,), (test,), (size,) = sizes["train"], sizes["test"], sizes["bytes"]
        shape = "×".join(map(str, sizes["image_shape"]))
        generated = "generated" if name == "sprites" else "–"
        told = generated if size is None else f"{size / 1e6:.2f} MB"
        lines.append([name, shape, f"{train:,}", f"{test:,}", f"{train + test:,}", told])
    return ["data set", "image size", "train", "test", "total", "on disk"], lines


STUDY = Study(
    name="T4.1",
    title="sizes of the data sets",
    thesis="MNIST 28×28×1, 60,000 and 10,000, 11.29 MB; Fashion-MNIST the same, 30.12 MB; dSprites 64×64×1, 59,972 and "
    "10,006, about 1.79 MB (here: sprites, generated); CIFAR-10 32×32×3, 50,000 and 10,000, 181.85 MB.",
    collect=collect,
    table=table,
    pictures=(),
)
