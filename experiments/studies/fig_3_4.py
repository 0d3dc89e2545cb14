"""Fig. 3.4: the reconstruction loss of four types of autoencoders (section 3.3.3)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import autoencoders
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

_TYPES = {"k_sparse": "k-sparse", "standard": "standard", "vae": "VAE", "capacity_vae": "capacity VAE"}


def series(scale: Scale) -> list[Series]:
    return [autoencoders.series(kind, "fc", scale) for kind in _TYPES]


def collect(finished: "Finished") -> dict[str, Any]:
    return {"values": {name: autoencoders.losses(finished, name) for name in finished}}


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    names = {label: autoencoders.name(kind, "fc") for kind, label in _TYPES.items()}
    return autoencoders.draw(stored, names)


STUDY = Study(
    name="3.4",
    title="reconstruction loss by type of autoencoder",
    thesis="Reconstruction loss over 800 epochs of Fashion-MNIST, a line for each type. The k-sparse autoencoder is "
    "worse than the standard one and differs much from run to run; the capacity VAE pauses, then passes the VAE.",
    scales={
        "thesis": Scale(10),
        "small": Scale(5, autoencoders.SMALL),
        "smoke": Scale(1, autoencoders.SMOKE),
    },
    series=series,
    collect=collect,
    draw=draw,
)
