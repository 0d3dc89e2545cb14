"""The generated data set of objects that are made of parts, labelled on every level: `parts` and `parts_colour`.

A scene has an object; an object has three to five parts; a part has shape, size, orientation, colour and an offset of
its own; and of every pixel it is known which part covers it and how the outline runs there. One part, the key, is
always a ring, and what an object *is* says how its parts lie and where among them the key is: all classes have the same
parts, so that no bag of textures tells them apart. `docs/parts.md` is the data sheet. All of it is **(chosen)**.

As with sprites, a pixel belongs to a part if and only if its centre lies inside, and nothing is smoothed. Any subset of
the images can be drawn without the others: the labels are a hash of the image's number. Every step is an integer
operation or one of IEEE 754 that is rounded correctly, so that images are the same on every machine. The
module needs NumPy alone.
"""

from lea_keras.data.parts.drawing import draw, edge_maps, paint, part_maps
from lea_keras.data.parts.labels import (
    BACKGROUNDS,
    CLASSES,
    COLOURS,
    FACTORS,
    GREYS,
    IMAGE_SHAPE,
    PART_FACTORS,
    PART_VALUES,
    PARTS,
    SHAPES,
    SMALLEST,
    TEST_SIZE,
    TRAIN_SIZE,
    VALUES,
    Labels,
    Places,
    indices,
    labels_from_indices,
    places,
)
from lea_keras.data.parts.windows import WINDOW_LABELS, WindowFactors, factors_of_windows, labels_of_windows

__all__ = [
    "BACKGROUNDS",
    "CLASSES",
    "COLOURS",
    "FACTORS",
    "GREYS",
    "IMAGE_SHAPE",
    "PARTS",
    "PART_FACTORS",
    "PART_VALUES",
    "SHAPES",
    "SMALLEST",
    "TEST_SIZE",
    "TRAIN_SIZE",
    "VALUES",
    "WINDOW_LABELS",
    "Labels",
    "Places",
    "WindowFactors",
    "draw",
    "edge_maps",
    "factors_of_windows",
    "indices",
    "labels_from_indices",
    "labels_of_windows",
    "paint",
    "part_maps",
    "places",
]
