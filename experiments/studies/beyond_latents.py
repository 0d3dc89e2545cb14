"""Samples of VAEs by the length of their code, and the manifold of two variables (slides; Kingma and Welling, 2013)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import networks
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished


def series(scale: Scale) -> list[Series]:
    return [
        networks.series(name(length), scale, "slides_vae", {"code_length": length}, batch_size=100)
        for length in scale.options["latents"]
    ]


def name(code_length: int) -> str:
    """Of the series."""
    return f"slides/vae_{code_length}"


def collect(finished: "Finished") -> dict[str, Any]:
    return {"values": {one: networks.losses(finished, one, "nll", "kl", "rl") for one in finished}}


def draw(stored: dict[str, Any], finished: "Finished") -> dict[str, Any]:
    from keras import ops

    from lea_keras import plots
    from lea_keras.plots.grid import Block, Cell
    from lea_keras.plots.grid import draw as draw_blocks

    blocks = []
    for one in finished:
        length, (nll, kl) = one.rpartition("_")[2], (stored["values"][one][of][0] for of in ("nll", "kl"))
        with finished.network(one) as model:
            drawn = ops.convert_to_numpy(networks.autoencoder(model).sample(40, seed=0))[..., 0]
        rows = [[Cell(picture, (0.0, 1.0)) for picture in drawn[start : start + 10]] for start in range(0, 40, 10)]
        # KL has its ½ in the bound.
        blocks.append(Block(f"{length} latents, evidence lower bound −{nll + kl / 2:.0f}", rows, side=0.45, gap=0.04))
    figures = {"": draw_blocks(blocks)}
    with finished.network(name(2)) as model:
        figures["_manifold"] = plots.latent_manifold(networks.autoencoder(model), size=20, value_range=(0.0, 1.0))
    return figures


STUDY = Study(
    name="latents",
    title="samples of VAEs with 2, 5, 10 and 20 latents, and the manifold of two",
    document=networks.SLIDES,
    thesis="Random samples of VAEs of MNIST with 2, 5, 10 and 20 latent variables, and the plane of two of them, "
    "decoded at points that are equally likely under the prior. All are digits; those of more variables vary more.",
    scales={
        "thesis": Scale(1, options={"data": networks.THESIS, "epochs": 50, "latents": (2, 5, 10, 20)}),
        "small": Scale(1, options={"data": networks.SMALL, "epochs": 15, "latents": (2, 5, 10, 20)}),
        "smoke": Scale(1, options={"data": networks.SMOKE, "epochs": 1, "latents": (2,), "arguments": {"units": (8,)}}),
    },
    series=series,
    collect=collect,
    draw=draw,
    pictures=("", "_manifold"),
)
