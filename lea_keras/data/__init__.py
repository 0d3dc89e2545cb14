"""Data sets by name, as pipelines of (image, one-hot label): `load("sprites", "train", batch_size=64)`."""

from lea_keras.data.datasets import Dataset, batches, check_images, info, load, take
from lea_keras.data.pairs import ClassPairs, class_pairs
from lea_keras.data.sources import NAMES, SELECTION_SEED, DatasetInfo, file_size, selection, to_channels_last

__all__ = [
    "NAMES",
    "SELECTION_SEED",
    "ClassPairs",
    "Dataset",
    "DatasetInfo",
    "batches",
    "check_images",
    "class_pairs",
    "file_size",
    "info",
    "load",
    "selection",
    "take",
    "to_channels_last",
]
