"""The alternate CNN-LEA that Figs. 4.1, 4.2 and 4.4 share."""

from experiments.studies.base import Scale, Series, configuration

NAME = "local/vae"
SCALES = {
    "thesis": Scale(10),
    "small": Scale(
        3,
        {
            "image_size": 32,
            "filters": (8, 16),
            "limit": 2500,
            "test_limit": 500,
            "epochs": 8,
            "learning_rate": 1e-3,
        },
    ),
    "smoke": Scale(1, {"image_size": 16, "filters": (2, 2), "limit": 64, "test_limit": 32, "epochs": 1}),
}


def series(scale: Scale) -> list[Series]:
    """A VAE with fc coders and a code of 5, 20 epochs."""
    config = configuration("cnn_lea", scale, dataset="sprites", autoencoder="vae", code_length=5, epochs=20)
    return [Series(NAME, config, scale.seeds)]
