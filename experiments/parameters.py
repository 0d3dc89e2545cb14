"""Parameters of autoencoders on whole images and on windows, side by side (thesis Table 3.1).

``python -m experiments.parameters`` prints the table: code length 10, 32 kernels of 3×3, with which alone the thesis'
numbers come out, though its text says 4×4.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from experiments import tables
from lea_keras import autoencoders

WHOLE_IMAGE, WINDOW = (28, 28, 1), (4, 4, 32)
TYPES = ("standard", "vae")
CODERS = {"sb": ("conv", "sb"), "fc": ("fc", "fc"), "conv": ("conv", "conv")}


class Row(NamedTuple):
    """The parameters of one autoencoder.

    Attributes:
        autoencoder: its type.
        coders: "sb" (with a convolutional encoder), "fc" or "conv".
        whole_image: how many on a whole image.
        window: how many on a window.
    """

    autoencoder: str
    coders: str
    whole_image: int
    window: int

    @property
    def reduction(self) -> float:
        """By which share the window's are fewer, from 0 to 1."""
        return 1 - self.window / self.whole_image


def count() -> Iterator[Row]:
    """Counts the parameters of every type with every pair of coders."""
    for coders, kind in itertools.product(CODERS, TYPES):
        sizes = [_parameters(kind, *CODERS[coders], shape) for shape in (WHOLE_IMAGE, WINDOW)]
        yield Row(kind, coders, *sizes)


def _parameters(kind: str, encoder: str, decoder: str, shape: tuple[int, int, int]) -> int:
    options = {"code_length": 10, "kernels": 32, "kernel_size": 3}
    autoencoder = autoencoders.get(kind, encoder=encoder, decoder=decoder, **options)
    autoencoder.build((None, *shape))
    return autoencoder.count_params()


def table() -> str:
    """The counts as text."""
    whole, window = ("x".join(map(str, shape)) for shape in (WHOLE_IMAGE, WINDOW))
    lines = [("autoencoder", "coders", whole, window, "reduction")]
    for row in count():
        sizes = (f"{row.whole_image:,}", f"{row.window:,}", f"{row.reduction:.2%}")
        lines.append((row.autoencoder, row.coders, *sizes))
    return "\n".join(tables.aligned(lines, [12, 8, 14, 12, 12]))


if __name__ == "__main__":
    print(table())
