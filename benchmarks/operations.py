"""Multiply-adds of a training step, in closed form.

Only matrix products and convolutions count. Each runs forward, backward to its input and backward to its weights at
the same price, so that a part of a model costs its multiply-adds in one direction times how many of those runs a step
takes.
"""

from typing import NamedTuple

CLASSES = 10
HIDDEN = 1024


def convolution(size: int, kernel_size: int, channels: int, filters: int) -> int:
    """Multiply-adds of a convolution with stride 1 and zero padding, for one image of size × size pixels."""
    return size**2 * kernel_size**2 * channels * filters


class Lea(NamedTuple):
    """Multiply-adds, in one direction, of the parts of an fc autoencoder that goes over windows.

    Attributes:
        encoder: windows → features.
        heads: features → mean and logarithmic standard deviation, or the code.
        decoder: codes → hidden → windows.
    """

    encoder: int
    heads: int
    decoder: int


def lea(windows: int, values: int, code_length: int = 10, heads: int = 2) -> Lea:
    """The parts of a LEA: so many windows of so many values; a standard autoencoder has one head, the code."""
    hidden = 2 * values
    return Lea(
        encoder=windows * values * hidden,
        heads=windows * heads * hidden * code_length,
        decoder=windows * (code_length * hidden + hidden * values),
    )


# Runs in one step, by optimisation: forward + to the input + to the weights. Nothing goes back to the images.
# Alternate: phase 1 goes forward and back through encoders without taking their weights' gradients; phase 2 goes
# forward once more and back within each LEA, not to its windows. The encoder's four and the decoder's three are the
# seven matrix products. Independent: one pass forward, and one back per objective through all that influences it.
_RUNS = {
    "classic": {"conv_1": 2, "conv_2": 3, "dense": 3},
    "joint": {
        **{"conv_1": 2, "encoder_1": 3, "heads_1": 3, "decoder_1": 3},
        **{"conv_2": 3, "encoder_2": 3, "heads_2": 3, "decoder_2": 3, "dense": 3},
    },
    "independent": {
        **{"conv_1": 1 + 3, "encoder_1": 1 + 2 * 3, "heads_1": 1 + 2 * 3, "decoder_1": 3},
        **{"conv_2": 1 + 2 * 2, "encoder_2": 1 + 2 * 2, "heads_2": 1 + 2 * 2, "decoder_2": 3, "dense": 3},
    },
    "alternate": {
        **{"conv_1": 2 + 1, "encoder_1": 2 + 2, "heads_1": 2 + 3, "decoder_1": 3},
        **{"conv_2": 3 + 1, "encoder_2": 2 + 2, "heads_2": 2 + 3, "decoder_2": 3, "dense": 3},
    },
}


def cnn_step(
    optimization: str, size: int, batch: int, filters: tuple[int, int] = (32, 64), classes: int = CLASSES
) -> int:
    """Multiply-adds of a training step of ``cnn_lea`` with fc VAEs (4×4 windows, stride 2, codes of 10), or "classic".

    Args:
        optimization: "joint", "independent", "alternate"; or "classic" for the model with max-pools.
        size: pixels of an image's side, divisible by four.
        batch: images.
        filters: of the two convolutions.
        classes: that are told apart.
    """
    depth = filters[0] if optimization == "classic" else 10
    half, quarter = size // 2, size // 4
    features = quarter**2 * (filters[1] if optimization == "classic" else 10)
    parts = {
        "conv_1": convolution(size, 5, 1, filters[0]),
        "conv_2": convolution(half, 3, depth, filters[1]),
        "dense": features * HIDDEN + HIDDEN * classes,
    }
    for i, (side, channels) in enumerate(zip((half, quarter), filters, strict=True), start=1):
        parts |= {f"{name}_{i}": cost for name, cost in lea(side**2, 16 * channels)._asdict().items()}
    return batch * sum(runs * parts[name] for name, runs in _RUNS[optimization].items())


def lea_fc_step(size: int, batch: int, window: int = 8, classes: int = CLASSES) -> int:
    """Multiply-adds of an alternate step of ``lea_fc`` with a standard fc autoencoder, window beside window.

    Its LEA is on the image itself: both phases have the same windows, whose features are computed once; codes are made
    of them in each.

    Args:
        size: pixels of an image's side, divisible by the window's.
        batch: images.
        window: pixels of a window's side.
        classes: that are told apart.
    """
    windows = (size // window) ** 2
    parts = lea(windows, window**2, heads=1)
    hidden, logits = 10 * windows * HIDDEN, HIDDEN * classes
    return batch * (2 * parts.encoder + 4 * parts.heads + 3 * parts.decoder + 2 * hidden + 3 * logits)
