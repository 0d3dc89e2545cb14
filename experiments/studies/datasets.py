"""The data sets that Fig. 4.6 and Table 4.1 show."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

NAMES = ("mnist", "fashion_mnist", "sprites", "cifar10")


def load(finished: "Finished", count: int) -> tuple[dict[str, Any], list[str]]:
    """The first test images of each data set that is there, and a note on each other."""
    import lea_keras.data

    images, notes = {}, []
    for name in NAMES:
        try:
            data = lea_keras.data.load(name, "test", batch_size=count, limit=count, data_dir=finished.data_dir)
            images[name], _ = lea_keras.data.take(data, count)
        except (ValueError, OSError, ImportError) as error:
            notes.append(f"left out: {name}, {str(error).partition('.')[0]}")
    return images, notes
