"""Autoencoders and data of tests about pictures of decoders, codes and factors."""

import keras
import numpy as np

import lea_keras
from lea_keras import sprites

CODES = np.random.default_rng(0).normal(size=(60, 2))


def planar(channels=1, size=(3, 4), code_length=2, **arguments):
    """A built variational autoencoder, with codes of length 2 unless another is given."""
    autoencoder = lea_keras.VariationalAutoencoder(code_length, **arguments)
    autoencoder.encode(np.random.default_rng(0).uniform(size=(1, *size, channels)).astype("float32"))
    return autoencoder


def make_linear(code_length=5, kind="standard", channels=1, **arguments):
    """A built autoencoder whose encoder only flattens windows of 3×4."""
    autoencoder = lea_keras.autoencoders.get(kind, code_length=code_length, units=(), **arguments)
    autoencoder.encode(np.zeros((1, 3, 4, channels), "float32"))
    return autoencoder


def make_sprites(count, seed=0):
    """Images of 16×16 with the labels of all factors."""
    labels = sprites.labels_from_indices(np.random.default_rng(seed).integers(0, sprites.GRID_SIZE, count))
    return sprites.draw(labels, 16), dict(zip(sprites.FACTORS, labels.T, strict=True))


def make_factor_model(code_length=3):
    keras.utils.set_random_seed(0)
    return lea_keras.image_autoencoder("vae", (16, 16, 1), code_length=code_length, units=(8,))
