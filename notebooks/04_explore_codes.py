# %% [markdown]
# # Explore codes
#
# What does a code stand for? Turn it and look. `lea_keras.explore` makes a page with a slider for every code; the known
# factors of the sprites then say in numbers what the eye has seen.

# %%
import os

# Where the package is to be installed from if it is not there, as on Colab: "https://github.com/<owner>/lea_keras".
REPOSITORY = ""

try:
    import lea_keras
except ImportError:
    import subprocess
    import sys

    if not REPOSITORY:
        raise ImportError("lea_keras is not installed: set REPOSITORY above, or install it from a checkout") from None
    subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", f"git+{REPOSITORY}"])
    import lea_keras

# How many training images: fewer are quicker and teach less.
LIMIT = int(os.environ.get("LEA_KERAS_NOTEBOOK_LIMIT", 16_000))

# %% [markdown]
# ## A whole image as one window
#
# Sprites are drawn from five known factors: shape, scale, orientation and the position x, y. A capacity VAE whose window
# is the whole image compresses them into ten codes. Nobody tells it what the factors are. There is no main task, so
# `compile` gets no loss.
#
# The decoder is a spatial broadcast one, here with kernels of a single pixel: it draws every pixel from the code and the
# pixel's own x and y, and so finds positions easily. The encoder is a Keras model of two dense layers.

# %%
import keras
from keras import layers

EPOCHS = 8
train_data = lea_keras.data.load("sprites", "train", batch_size=64, limit=LIMIT, image_size=32)


def train(autoencoder, window_size, epochs, learning_rate):
    """A LEA and nothing else, trained on its own loss."""
    images = keras.Input((32, 32, 1))
    lea = lea_keras.LocallyEmbeddedAutoencoder(window_size, autoencoder, name="lea")
    model = lea_keras.LEAModel(images, lea(images), optimization="joint")
    model.compile(keras.optimizers.Adam(learning_rate))
    history = model.fit(train_data, epochs=epochs, shuffle=False, verbose=0).history
    told = ", ".join(f"{name} {history[f'lea_{name}'][-1]:.1f}" for name in ("rl", "kl", "capacity"))
    print(f"{lea.count_params():,} parameters; after {epochs} epochs: {told}")
    return model


# %%
keras.utils.set_random_seed(0)
encoder = keras.Sequential(
    [layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dense(256, activation="relu")]
)

# %%
keras.utils.set_random_seed(0)
autoencoder = lea_keras.CapacityControlledAutoencoder(
    code_length=10,
    encoder=encoder,
    decoder="sb",
    kernel_size=1,
    gamma=2,
    capacity=36,
    capacity_steps=(EPOCHS - 1) * len(train_data),
    seed=0,
)
whole = train(autoencoder, window_size=32, epochs=EPOCHS, learning_rate=3e-3)

# %% [markdown]
# ## The explorer
#
# Move a slider and the image changes. Codes are ordered by KL, the information that each carries: the first ones matter,
# the last ones are off, and their strips show the same picture again and again. Everything on the page is decoded
# beforehand, so that it works in this stored notebook too. Moving a code resets the others; with `live=True`, and
# ipywidgets installed, the running model decodes several at once.

# %%
test_images, factors = lea_keras.probes.sprites_data("test", limit=2000, image_size=32)
test_images = test_images.astype("float32")
lea_keras.explore(whole, test_images[:200], max_images=3)

# %% [markdown]
# ## Which code is what
#
# What moves on the screen can be measured, as the factors of the test images are known. The number is η², the share of a
# code's variance that is explained by a factor: the variance of the code's mean over all images that share the factor's
# value, over its variance. It is 1 if the factor alone decides the code, and it does not matter whether the relation is
# straight, or goes round in a circle as it does with the orientation. 2000 images of forty orientations make up to 0.02
# by chance.

# %%
import matplotlib.pyplot as plt
import numpy as np


def share_explained(codes, labels):
    """η² of every code: [n, code length] and [n] → [code length]."""
    groups = [codes[labels == value] for value in np.unique(labels)]
    between = sum(len(group) * (group.mean(axis=0) - codes.mean(axis=0)) ** 2 for group in groups)
    return between / np.maximum(len(codes) * codes.var(axis=0), 1e-12)


def table(values, rows, columns, title, low=0.0):
    """Numbers from `low` to 1 as a picture."""
    figure, axes = plt.subplots(figsize=(1.5 + 0.9 * len(columns), 0.9 + 0.38 * len(rows)), layout="constrained")
    picture = axes.imshow(values, vmin=low, vmax=1, cmap="Greys" if low == 0 else "RdBu_r", aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    for (row, column), value in np.ndenumerate(values):
        dark = abs(value) > 0.6
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black", fontsize=9)
    figure.colorbar(picture, label=title)
    plt.show()


# %% [markdown]
# The share alone would make a code that hardly varies look as important as one that does. So each code stands with its
# KL, those that carry most first: what has next to none is noise to the decoder, whatever it correlates with.

# %%
features = autoencoder.features(test_images)
mean, log_std = (keras.ops.convert_to_numpy(part) for part in autoencoder.posterior(features))  # μ and log σ, [n, 10]
kl = np.mean(mean**2 + np.exp(2 * log_std) - 2 * log_std - 1, axis=0)  # Eq. 2.24, of every code
order = np.argsort(-kl)
shares = np.stack([share_explained(mean, labels) for labels in factors.values()], axis=1)
rows = [f"code {i + 1}, KL {kl[i]:.1f}" for i in order]
table(shares[order], rows, list(factors), "share of the code's variance, η²")

# %%
for i in order[kl[order] > 1]:
    best = np.argmax(shares[i])
    print(f"code {i + 1} is {list(factors)[best]}, which explains {shares[i, best]:.0%} of it")

# %% [markdown]
# Which factors come apart, and which share their codes, differs from seed to seed: the loss asks for few nats, not for
# factors. The thesis trains for 600 epochs and finds orientation and shape in two more.

# %% [markdown]
# ## The same at a glance
#
# One code from −3 to 3, the others at 0: what the explorer's strips show, from the middle of the code's space rather than
# from an image. Rows are in the order of their numbers.

# %%
lea_keras.plots.latent_traversal(autoencoder, value_range=(0, 1), steps=11)

# %% [markdown]
# ## Codes of windows
#
# A LEA with small windows has no notion of where a sprite is: its position is in *which* windows show something. Click a
# window and move its codes; the image is merged anew. What can a code of eight by eight pixels stand for?

# %%
windows_autoencoder = lea_keras.CapacityControlledAutoencoder(
    code_length=5, gamma=10, capacity=15, capacity_steps=3 * len(train_data), seed=0
)
local = train(windows_autoencoder, window_size=8, epochs=3, learning_rate=1e-3)
lea_keras.explore(local, test_images[:200], steps=7, max_images=3, max_bytes=250_000)

# %% [markdown]
# For windows there are no labels, but they can be measured: how much of a window is white, and how much more of it on the
# right than on the left, at the bottom than at the top. Here is the correlation of each code with these three, over all
# windows that show an edge.

# %%
codes = local.predict(test_images, batch_size=500, verbose=0).reshape(-1, 5)
windows = lea_keras.windows.extract_windows(test_images, 8)
windows = keras.ops.convert_to_numpy(windows).reshape(-1, 8, 8)
edge = (windows.mean(axis=(1, 2)) > 0) & (windows.mean(axis=(1, 2)) < 1)
codes, windows = codes[edge], windows[edge]
properties = {
    "white": windows.mean(axis=(1, 2)),
    "right": windows[:, :, 4:].mean(axis=(1, 2)) - windows[:, :, :4].mean(axis=(1, 2)),
    "bottom": windows[:, 4:].mean(axis=(1, 2)) - windows[:, :4].mean(axis=(1, 2)),
}
correlations = np.corrcoef(codes.T, np.stack(list(properties.values())))[: codes.shape[1], codes.shape[1] :]
table(correlations, [f"code {i + 1}" for i in range(len(correlations))], list(properties), "correlation", low=-1.0)

# %% [markdown]
# ## Keeping the page
#
# `save` writes one file of HTML that opens in any browser, without a server, the model or this package. On the command
# line `python evaluate.py --run_dir=… --explorer` makes it of a trained run.

# %%
import pathlib
import tempfile

with tempfile.TemporaryDirectory() as folder:
    page = lea_keras.explore(whole, test_images[:200], max_images=8)
    path = page.save(pathlib.Path(folder) / "explorer.html")
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB for eight images")

# %% [markdown]
# Next: [attacks, and what withstands them](05_robustness.ipynb).
