"""Real data sets for tests that use them where they are.

In the folder that the environment variable ``LEA_KERAS_TEST_DATA`` names, or in ``shared/data`` beside the checkout:
data sets prepared by TensorFlow Datasets in ``tfds``, and some images of dSprites.
"""

import os
import pathlib

import pytest

DATA = pathlib.Path(os.environ.get("LEA_KERAS_TEST_DATA") or pathlib.Path(__file__).parents[2] / "shared" / "data")
TFDS = DATA / "tfds"


def tfds_folder(*names):
    """The folder of prepared data sets; skips the test where one of these is missing."""
    for name in names:
        if not (TFDS / name).is_dir():
            pytest.skip(f"{name} is not prepared in {TFDS}")
    return TFDS
