"""The autoencoders of lecture slides on robustness and autoencoders, as their figures and tables have them.

The slides (a lecture of about 2019, without a printed name) show the work of others, from which these networks are:

- ``deep_autoencoder``: G. Hinton and R. Salakhutdinov, "Reducing the Dimensionality of Data with Neural
  Networks", 2006.
- ``k_sparse``: A. Makhzani and B. Frey, "k-Sparse Autoencoders", 2013.
- ``vae``: D. Kingma and M. Welling, "Auto-Encoding Variational Bayes", 2013.
- ``beta_vae`` and ``beta_vae_chairs``: I. Higgins et al., "β-VAE", 2017, table of architectures.

Departures, where the slides are silent: hidden layers are ReLU, codes linear, outputs logits of Bernoulli pixels (but
of ``k_sparse``), and weights begin as elsewhere in this package, without any training layer by layer **(chosen)**. β of
the literature is twice ``beta``, whose KL has no ½ (Eq. 2.24 of the thesis).
"""

from typing import Any

import lea_keras
from lea_keras import coders

_MNIST = (28, 28, 1)
_SHAPES = (64, 64, 1)


def deep_autoencoder(
    image_shape: tuple[int, int, int] = _MNIST,
    *,
    code_length: int = 2,
    units: tuple[int, ...] = (1000, 500, 250),
    **arguments: Any,
) -> lea_keras.LEAModel:
    """Builds the deep autoencoder that the slides compare with PCA: 784-1000-500-250-2 and back.

    Args:
        image_shape: (rows, columns, channels).
        code_length: variables of the code.
        units: of the encoder's hidden layers; the decoder has them in reverse.
        **arguments: of ``lea_keras.StandardAutoencoder``.

    Returns:
        An ``image_autoencoder``. With the defaults its encoder has 1,411,252 parameters, its decoder 1,412,034.
    """
    options = {"likelihood": "bernoulli"} | arguments
    return lea_keras.image_autoencoder("standard", image_shape, code_length=code_length, units=units, **options)


def k_sparse(
    image_shape: tuple[int, int, int] = _MNIST, *, k: int = 25, code_length: int = 1000, **arguments: Any
) -> lea_keras.LEAModel:
    """Builds the k-sparse autoencoder of the slides' table: one linear layer, with its kernel for both ways.

    Args:
        image_shape: (rows, columns, channels).
        k: values kept in training; the slides have 40, 25 and 10.
        code_length: units of the layer.
        **arguments: of ``lea_keras.KSparseAutoencoder``.

    Returns:
        An ``image_autoencoder``, with the defaults of 785,784 parameters.
    """
    options = {"units": (), "decoder": "tied"} | arguments
    return lea_keras.image_autoencoder("k_sparse", image_shape, k=k, code_length=code_length, **options)


def vae(
    image_shape: tuple[int, int, int] = _MNIST,
    *,
    code_length: int = 2,
    units: tuple[int, ...] = (500,),
    autoencoder: str = "vae",
    **arguments: Any,
) -> lea_keras.LEAModel:
    """Builds the VAE of the slides' manifolds and samples: 784-500-d and back.

    Args:
        image_shape: (rows, columns, channels).
        code_length: d; the slides have 2, 5, 10 and 20.
        units: of the encoder's hidden layers; the decoder has them in reverse.
        autoencoder: "vae", or another of its kind, such as "info_vae".
        **arguments: of the autoencoder.

    Returns:
        An ``image_autoencoder``.
    """
    options = {"likelihood": "bernoulli"} | arguments
    return lea_keras.image_autoencoder(autoencoder, image_shape, code_length=code_length, units=units, **options)


def beta_vae(
    image_shape: tuple[int, int, int] = _SHAPES,
    *,
    beta: float = 2.0,
    code_length: int = 10,
    width: int = 1200,
    **arguments: Any,
) -> lea_keras.LEAModel:
    """Builds the β-VAE for 2D shapes: 4096-1200-1200-10, and back by three layers of 1200 with tanh.

    Args:
        image_shape: (rows, columns, channels).
        beta: half of the literature's β: 2.0 is its 4, 0.5 its 1, the VAE.
        code_length: latents.
        width: units of all hidden layers.
        **arguments: of ``lea_keras.VariationalAutoencoder``.

    Returns:
        An ``image_autoencoder``. With the defaults its hidden layers have 6,357,600 parameters, the two heads 24,020
        and the decoder 7,814,896. The slides train it with Adagrad at 0.01.
    """
    options = {
        "likelihood": "bernoulli",
        "encoder": coders.FullyConnectedEncoder(units=(width, width)),
        "decoder": coders.FullyConnectedDecoder(units=(width,) * 3, activation="tanh"),
    }
    return lea_keras.image_autoencoder("vae", image_shape, beta=beta, code_length=code_length, **options | arguments)


def beta_vae_chairs(
    image_shape: tuple[int, int, int] = _SHAPES,
    *,
    beta: float = 2.0,
    code_length: int = 32,
    filters: tuple[int, ...] = (32, 32, 64, 64),
    units: tuple[int, ...] = (256,),
    **arguments: Any,
) -> lea_keras.LEAModel:
    """Builds the β-VAE for chairs: four convolutions of 4×4 with stride 2, a dense layer of 256, and the reverse.

    Args:
        image_shape: (rows, columns, channels).
        beta: as in ``beta_vae``.
        code_length: latents.
        filters: of the convolutions.
        units: of the dense layers behind them.
        **arguments: of ``lea_keras.VariationalAutoencoder``.

    Returns:
        An ``image_autoencoder``. The slides train it with Adam at 1e-4.
    """
    options = {"likelihood": "bernoulli", "encoder": "conv", "decoder": "conv", "kernel_size": 4}
    options |= {"filters": filters, "units": units}
    return lea_keras.image_autoencoder("vae", image_shape, beta=beta, code_length=code_length, **options | arguments)
