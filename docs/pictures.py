"""Pictures of the page "How a LEA works": ``python docs/pictures.py`` trains a small LEA and draws them anew."""

import argparse
import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import lea_keras

FOLDER = pathlib.Path(__file__).parent / "pictures"
WINDOW = 8
RESOLUTION = 72  # dots an inch


def train() -> keras.Model:
    """A classifier of sprites behind a LEA with windows of 8×8 and codes of five variables."""
    keras.utils.set_random_seed(0)
    data = lea_keras.data.load("sprites", "train", batch_size=32, limit=16_000, image_size=32)
    images = keras.Input((32, 32, 1))
    autoencoder = lea_keras.VariationalAutoencoder(code_length=5, beta=0.05, seed=0)
    code_maps = lea_keras.LocallyEmbeddedAutoencoder(WINDOW, autoencoder, name="lea")(images)
    hidden = layers.Dense(256, activation="relu")(layers.Flatten()(code_maps))
    model = lea_keras.LEAModel(images, layers.Dense(3)(hidden), optimization="alternate")
    model.compile(keras.optimizers.Adam(2e-3), keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(data, epochs=6, shuffle=False, verbose=0)
    return model


def windows(image: np.ndarray):
    """An image with the grid of its windows, and beside it the windows, cut out."""
    cut = keras.ops.convert_to_numpy(lea_keras.windows.extract_windows(image[None], WINDOW))[0]  # [4, 4, 8, 8, 1]
    figure = plt.figure(figsize=(6.4, 3.2), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
    for line in range(WINDOW, len(image), WINDOW):
        axes.axhline(line - 0.5, color="tab:orange")
        axes.axvline(line - 0.5, color="tab:orange")
    axes.axis("off")
    for axes, window in zip(right.subplots(*cut.shape[:2]).flat, cut.reshape(-1, WINDOW, WINDOW), strict=True):
        axes.imshow(window, cmap="gray", vmin=0, vmax=1)
        axes.axis("off")
    return figure


def traversal(model: keras.Model, images: np.ndarray, steps: int = 9):
    """The window of the first image that has most of an edge, decoded while each of its code variables changes.

    Variables go from their 1st to their 99th percentile over the windows of all images, as in the explorer.
    """
    autoencoder = model.lea_layers[0].autoencoder
    codes = keras.ops.convert_to_numpy(model.lea_layers[0](images))  # μ, [n, 4, 4, 5]
    cut = keras.ops.convert_to_numpy(lea_keras.windows.extract_windows(images[:1], WINDOW))[0]
    chosen = np.unravel_index(np.argmax(cut.var(axis=(2, 3, 4))), cut.shape[:2])
    ranges = np.percentile(codes.reshape(-1, codes.shape[-1]), (1, 99), axis=0).T
    figure, rows = plt.subplots(
        len(ranges), steps, figsize=(0.75 * steps + 0.6, 0.8 * len(ranges)), layout="constrained"
    )
    for variable, (row, (low, high)) in enumerate(zip(rows, ranges, strict=True)):
        moved = np.repeat(codes[0][chosen][None], steps, axis=0)
        moved[:, variable] = np.linspace(low, high, steps)
        for axes, window in zip(row, keras.ops.convert_to_numpy(autoencoder.decode(moved)), strict=True):
            axes.imshow(window, cmap="gray", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
        row[0].set_ylabel(f"code {variable + 1}", rotation=0, ha="right", va="center")
    return figure


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()  # --help draws nothing
    model = train()
    images, _ = lea_keras.data.take(lea_keras.data.load("sprites", "test", batch_size=100, image_size=32), 200)
    FOLDER.mkdir(exist_ok=True)
    pictures = {
        "windows": windows(images[0]),
        "code_maps": lea_keras.plots.code_maps(model, images[:3]),
        "confidence": lea_keras.plots.confidence_maps(model, images[:3]),
        "traversal": traversal(model, images),
    }
    for name, figure in pictures.items():
        figure.savefig(FOLDER / f"{name}.png", dpi=RESOLUTION)


if __name__ == "__main__":
    main()
