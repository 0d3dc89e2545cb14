"""Fig. 3.5: the reconstruction loss of three pairs of coders (section 3.3.3)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import autoencoders
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished


def series(scale: Scale) -> list[Series]:
    return [autoencoders.series("vae", coders, scale) for coders in autoencoders.CODERS]


def collect(finished: "Finished") -> dict[str, Any]:
    return {"values": {name: autoencoders.losses(finished, name) for name in finished}}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    return autoencoders.draw(stored, {coders: autoencoders.name("vae", coders) for coders in autoencoders.CODERS})


STUDY = Study(
    name="3.5",
    title="reconstruction loss by encoder and decoder",
    thesis="Reconstruction loss of the VAE over 800 epochs of Fashion-MNIST, a line for each pair of coders. The "
    "convolutional one reaches the lowest test loss but overfits after epoch 400; the spatial broadcast decoder is the "
    "worst, and its runs differ most.",
    scales={
        "thesis": Scale(10),
        "small": Scale(3, autoencoders.SMALL),
        "smoke": Scale(1, autoencoders.SMOKE),
    },
    series=series,
    collect=collect,
    draw=draw,
)
