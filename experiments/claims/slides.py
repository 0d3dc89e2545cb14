"""Claims of lecture slides on robustness and autoencoders, as far as they can be computed.

Thresholds are chosen here and were written down before the runs **(chosen)**: a difference in the direction of the
words is enough unless a statement says more.
"""

from typing import Any

from experiments.claims.base import Claim, Values
from experiments.claims.verdicts import Statement, difference, ratio
from experiments.studies import beyond_beta, beyond_info_vae, beyond_k_sparse, beyond_two_dimensions, fig_5_1


def _below_components(values: Values) -> list[Statement]:
    of = values[beyond_two_dimensions.NAME]
    words = "RL on training images, autoencoder over the least of two components"
    return [Statement(words, ratio(of["autoencoder/rl"], of["pca/rl"]), most=1.0)]


def _separates(values: Values) -> list[Statement]:
    of = values[beyond_two_dimensions.NAME]
    words = "test images whose nearest neighbour in the plane has their class, autoencoder less PCA"
    return [Statement(words, difference(of["autoencoder/neighbour"], of["pca/neighbour"]), least=0.0)]


def _best_k(values: Values) -> list[Statement]:
    errors = {k: values[beyond_k_sparse.name(k)]["error"] for k in beyond_k_sparse.PRINTED}
    return [
        Statement("test error of k = 25 less that of 40", difference(errors[25], errors[40]), most=0.0),
        Statement("test error of k = 25 less that of 10", difference(errors[25], errors[10]), most=0.0),
        Statement("test error of k = 10 less that of 40", difference(errors[10], errors[40]), least=0.0),
        Statement(
            "test error of k = 25 less that of raw pixels",
            difference(errors[25], values[beyond_k_sparse.RAW]["error"]),
            most=0.0,
        ),
    ]


def _disentangles(values: Values) -> list[Statement]:
    vae, beta = (values[beyond_beta.name(one)] for one in beyond_beta.BETAS)
    return [
        Statement(
            f"{factor}: what the best latent explains less what the next one does, β = 4 less β = 1",
            difference(*(fig_5_1.leads(of[f"explained/{factor}"]) for of in (beta, vae))),
            least=0.0,
        )
        for factor in ("x", "y", "scale", "orientation")
    ]


def _pushed_away(values: Values) -> list[Statement]:
    far, near = (values[beyond_info_vae.points(kind)]["distance"] for kind in ("vae", "info_vae"))
    return [
        Statement("mean |μ| of two points, VAE less InfoVAE", difference(far, near), least=0.0),
        Statement("the same as a ratio", ratio(far, near), least=1.5),
    ]


def _generalises(values: Values) -> list[Statement]:
    vae, info = (values[beyond_info_vae.name(kind)] for kind in ("vae", "info_vae"))
    return [
        Statement("MMD² of codes of test images, InfoVAE less VAE", difference(info["mmd"], vae["mmd"]), most=0.0),
        Statement("RL on test images, InfoVAE over VAE", ratio(info["rl"], vae["rl"]), most=1.0),
    ]


def _claim(number: int, place: str, words: str, study: str, statements: Any, stand_in: str = "") -> Claim:
    return Claim(number, "Slides", place, words, (study,), statements, stand_in)


CLAIMS: list[Claim] = [
    _claim(34, "PCA and autoencoders", "Autoencoders extend PCA by depth.", "two_dimensions", _below_components),
    _claim(
        35,
        "Hinton et al. 06",
        "Two-dimensional codes of a deep autoencoder separate digits better than PCA.",
        "two_dimensions",
        _separates,
        "digits are separated as far as nearest neighbours are of one class",
    ),
    _claim(
        36, "Makhzani et al. 13", "k = 25 has the best features, k = 10 the worst of the three.", "k_sparse", _best_k
    ),
    _claim(
        37,
        "Higgins et al. 17",
        "β = 4 disentangles position, scale and rotation, β = 1 does not.",
        "beta",
        _disentangles,
        "a latent explains the square of its rank correlation with a factor",
    ),
    _claim(
        38,
        "Zhao et al. 17",
        "The VAE pushes the codes of two points away from 0, the InfoVAE does not.",
        "info_vae",
        _pushed_away,
    ),
    _claim(
        39,
        "Zhao et al. 17",
        "With 500 samples the VAE overfits: its samples are poor, where the InfoVAE generalises.",
        "info_vae",
        _generalises,
        "samples are as good as codes of test images follow the prior that samples are drawn from",
    ),
]
