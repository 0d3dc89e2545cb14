"""What each latent of a VAE and of a β-VAE stands for (slides, Fig. 7; Higgins et al., 2017)."""

from typing import TYPE_CHECKING, Any

from experiments.studies import fig_5_1, networks
from experiments.studies.base import Scale, Series, Study

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

#: The literature's β; ours is half of it.
BETAS = (1, 4)
_FACTORS = ("x", "y", "scale", "orientation")


def series(scale: Scale) -> list[Series]:
    return [
        networks.series(name(beta), scale, "beta_vae", {"beta": beta / 2}, **scale.options["training"])
        for beta in BETAS
    ]


def name(beta: int) -> str:
    """Of the series, by the literature's β."""
    return f"slides/beta_vae_{beta}"


def collect(finished: "Finished") -> dict[str, Any]:
    """KL of every latent, and of each factor how much the best latent explains of its order, and the next one."""
    values: dict[str, Any] = {}
    for one, series in finished.series.items():
        options = series.measures["network"]
        config = series.config.replace(test_limit=options["test_limit"], image_size=options["image_size"])
        values[one] = networks.losses(finished, one, "nll", "kl") | {"kl": []}
        values[one] |= {f"explained/{factor}": [] for factor in _FACTORS}
        for run in range(len(values[one]["seeds"])):
            with finished.network(one, run) as model:
                kl, explained = fig_5_1.explain(model, config)
            values[one]["kl"].append(kl.tolist())
            for factor in _FACTORS:
                values[one][f"explained/{factor}"].append(explained[factor].tolist())
    return {"values": values}


def draw(stored: dict[str, Any], finished: "Finished") -> dict[str, Any]:
    from lea_keras import plots, probes

    figures = {}
    for beta in BETAS:
        options = finished.series[name(beta)].measures["network"]
        size, count = options["image_size"], 4 * options["test_limit"]
        images, factors = probes.sprites_data("test", min(count, 10_000), 0, image_size=size)
        with finished.network(name(beta)) as model:
            figures[f"_{beta}"] = plots.factor_activations(model, images, factors, name=f"β = {beta}")
    return figures


_ADAM = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 64}
STUDY = Study(
    name="beta",
    title="what each latent stands for, with β = 1 and β = 4",
    document=networks.SLIDES,
    thesis="Mean activations of ten latents over position, scale and rotation of 2D shapes, for β = 4, where position, "
    "scale and rotation each have latents of their own, and for β = 1, where they do not.",
    scales={
        "thesis": Scale(
            3,
            options={
                "data": networks.THESIS | {"dataset": "sprites", "limit": 59_972},
                "epochs": 25,
                "training": {"optimizer": "adagrad", "learning_rate": 0.01, "batch_size": 64},
            },
        ),
        "small": Scale(
            3,
            options={
                "data": {"dataset": "sprites", "image_size": 32, "limit": 10_000, "test_limit": 1000},
                "epochs": 15,
                "training": _ADAM,
                "arguments": {"width": 400},
            },
        ),
        "smoke": Scale(
            1,
            options={
                "data": networks.SMOKE,
                "epochs": 1,
                "training": _ADAM,
                "arguments": {"width": 8, "code_length": 2},
            },
        ),
    },
    series=series,
    collect=collect,
    draw=draw,
    pictures=("_1", "_4"),
)
