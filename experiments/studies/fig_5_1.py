"""Fig. 5.1: a latent traversal of a whole-image autoencoder, and what its codes stand for (section 5.1)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.studies.base import Scale, Series, Study, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

NAME = "traversal/capacity_vae"
FACTORS = ("shape", "scale", "orientation", "x", "y")
ACTIVE = 0.1  # nats, as Eq. 2.24 counts them, that an active code carries at least (chosen)
_STEPS = 13
# Of section 5.1: values of codes by the factor that they stand for.
_RANGES = {"x": 3.0, "y": 3.0, "scale": 2.1, "orientation": 1.2, "shape": 1.2}
_IMAGES = 1000  # on which codes are held against factors, of the test data


def series(scale: Scale) -> list[Series]:
    config = configuration(
        "autoencoder",
        scale,
        dataset="sprites",
        autoencoder="capacity_vae",
        encoder="conv",
        decoder="sb",
        kernel_size=3,
        gamma=10.0,
        capacity=25.0,
        code_length=10,
        epochs=600,
        kernels=64,
        capacity_epochs=100,
    )
    return [Series(NAME, config, scale.seeds)]


def collect(finished: "Finished") -> dict[str, Any]:
    """KL of every code, and how much of each factor's order each code explains: squared rank correlations."""
    config = finished.series[NAME].config
    values: dict[str, Any] = finished.last(NAME, "val_lea_rl", "val_lea_kl")
    values |= {"kl": [], **{f"explained/{factor}": [] for factor in FACTORS}}
    for run in range(len(values["seeds"])):
        with finished.model(NAME, run) as model:
            kl, explained = explain(model, config)
        values["kl"].append(kl.tolist())
        for factor, of_codes in explained.items():
            values[f"explained/{factor}"].append(of_codes.tolist())
    return {"values": {NAME: values}}


def explain(model: Any, config: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """KL of every code of a whole-image VAE of sprites [codes], and by factor the squared rank correlation with each
    [codes]."""
    from keras import ops
    from scipy import stats

    from lea_keras import probes
    from lea_keras.losses import kl_divergence

    count = min(_IMAGES, config.test_limit or _IMAGES)
    images, factors = probes.sprites_data("test", count, config.data_seed, image_size=config.image_size)
    autoencoder = model.lea_layers[0].autoencoder
    batches = np.array_split(images.astype("float32"), -(-count // 100))
    parts = [autoencoder.posterior(autoencoder.features(ops.convert_to_tensor(batch))) for batch in batches]
    means, logs = (np.concatenate([ops.convert_to_numpy(part[i]) for part in parts]) for i in (0, 1))
    kl = ops.convert_to_numpy(kl_divergence(means, logs))
    explained = {}
    for factor in FACTORS:
        labels = factors[factor]
        with np.errstate(invalid="ignore"):
            found = [stats.spearmanr(means[:, i], labels).statistic ** 2 for i in range(means.shape[1])]
        explained[factor] = np.nan_to_num(np.array(found))
    return kl, explained


def leads(explained: list[list[float]]) -> list[float]:
    """In each run, what the best code explains of a factor less what the next one does."""
    return [first - second for second, first in (sorted(of_run)[-2:] for of_run in explained)]


def named(kl: list[float], explained: dict[str, list[float]]) -> list[tuple[int, str]]:
    """Active codes, those of the largest KL first, each with the factor of which it explains most.

    Where none is active, the one of the largest KL.
    """
    order = np.argsort(kl)[::-1].tolist()
    order = [i for i in order if kl[i] > ACTIVE] or order[:1]
    return [(i, max(explained, key=lambda factor: explained[factor][i])) for i in order]


def draw(stored: dict[str, Any], finished: "Finished") -> Any:
    from keras import ops

    from lea_keras.plots.grid import Block, Cell
    from lea_keras.plots.grid import draw as draw_blocks

    values = stored["values"][NAME]
    explained = {factor: values[f"explained/{factor}"][0] for factor in FACTORS}
    rows, labels = [], []
    with finished.model(NAME) as model:
        autoencoder = model.lea_layers[0].autoencoder
        for code, factor in named(values["kl"][0], explained):
            ends = _RANGES[factor]
            codes = np.zeros((_STEPS, autoencoder.code_length), "float32")
            codes[:, code] = np.linspace(-ends, ends, _STEPS)
            windows = ops.convert_to_numpy(autoencoder.decode(ops.convert_to_tensor(codes)))
            pictures = zip(codes[:, code], windows, strict=True)
            rows.append([Cell(np.squeeze(one, -1), (0.0, 1.0), f"{value + 0.0:.2g}") for value, one in pictures])
            labels.append(f"code {code + 1}: {factor} ({explained[factor][code]:.2f}), KL {values['kl'][0][code]:.1f}")
    title = "One code changed, the others 0; in brackets the squared rank correlation with the factor"
    return draw_blocks([Block(title, rows, labels, side=0.6, gap=0.05, note=stored["differences"])])


STUDY = Study(
    name="5.1",
    title="latent traversal",
    thesis="Thirteen columns in which one code of a capacity VAE with a spatial broadcast decoder changes, for the "
    "five of ten codes that encode anything: x, y and scale separately, orientation and shape together in two.",
    scales={
        "thesis": Scale(1),
        "small": Scale(
            3,
            {
                "image_size": 32,
                "kernels": 8,
                "limit": 6000,
                "test_limit": 1000,
                "epochs": 15,
                "capacity_epochs": 10,
                "validate_every": 15,
                "learning_rate": 1e-3,
            },
        ),
        "smoke": Scale(
            1, {"image_size": 16, "kernels": 2, "limit": 64, "test_limit": 32, "epochs": 1, "capacity_epochs": 1}
        ),
    },
    series=series,
    collect=collect,
    draw=draw,
)
