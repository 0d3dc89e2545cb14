# %% [markdown]
# # A first LEA
#
# A **locally embedded autoencoder** (LEA) stands where a pooling layer stands. It cuts images into windows, encodes
# every window with one small shared autoencoder, and hands the codes on as *code maps*. Here one is dropped into a small
# network that tells shapes apart, and you look at what it hands on. You need to know Keras, and nothing else.

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
# ## The data
#
# `sprites` are generated: squares, ellipses and hearts at every position, size and orientation. What comes is a
# `tf.data.Dataset` of images and one-hot labels (on JAX, a `keras.utils.PyDataset`).

# %%
import keras
from keras import layers

keras.utils.set_random_seed(0)
train_data = lea_keras.data.load("sprites", "train", batch_size=32, limit=LIMIT, image_size=32)
test_data = lea_keras.data.load("sprites", "test", batch_size=100, limit=min(LIMIT, 1000), image_size=32)
test_images, test_labels = lea_keras.data.take(test_data, 4)
test_images.shape, test_labels

# %% [markdown]
# ## The layer
#
# A `LocallyEmbeddedAutoencoder` has the grid of a pooling layer: windows of 4×4 pixels, next to each other. A 32×32 image
# becomes a code map of 8×8 codes, each of six numbers. `LEAModel` is a `keras.Model` that trains the autoencoder beside the
# main task: with `optimization="alternate"` the autoencoder learns to reconstruct its windows and nothing else, so that
# its codes owe nothing to the labels.

# %%
images = keras.Input((32, 32, 1))
lea = lea_keras.LocallyEmbeddedAutoencoder(4, lea_keras.StandardAutoencoder(code_length=6), name="lea")
code_maps = lea(images)
hidden = layers.Dense(256, activation="relu")(layers.Flatten()(code_maps))
model = lea_keras.LEAModel(images, layers.Dense(3)(hidden), optimization="alternate")
model.compile(
    optimizer=keras.optimizers.Adam(2e-3),
    loss=keras.losses.CategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
print("image", images.shape, "→ code maps", code_maps.shape)
print(f"{lea.count_params():,} of {model.count_params():,} parameters are the autoencoder's")

# %% [markdown]
# ## Training
#
# `fit` is Keras' own. `lea_rl` is the reconstruction loss, the summed squared error of a window; `lea_rln` is the same per
# pixel, in units of the range of values. `shuffle=False`, since the data shuffle themselves.

# %%
history = model.fit(train_data, validation_data=test_data, epochs=4, shuffle=False, verbose=2)

# %%
lea_keras.plots.metric_curves([history], ["main_loss", "accuracy", "lea_rl"])

# %% [markdown]
# ## What the LEA hands on
#
# Each row is a test image, each column one of the six code variables, at every window. What the decoder makes of these
# codes alone is on the right: all that the network behind the LEA can know.

# %%
lea_keras.plots.code_maps(model, test_images)

# %% [markdown]
# ## Where it is sure of itself
#
# The error of a window's reconstruction says how well its code stands for it. Confidence is 1 where nothing is lost and 0
# for the worst window of all. Edges are hard, empty windows are easy.

# %%
lea_keras.plots.confidence_maps(model, test_images)

# %% [markdown]
# All of that is also there as arrays: `inspect` returns, for every LEA of any Keras model, what it saw and what it made
# of it.

# %%
view = lea_keras.inspect(model, test_images)[0]
print("code maps", view.code_maps.shape, "reconstructions", view.reconstructions.shape)
print(f"confidence of the windows: {view.confidence.min():.2f} to {view.confidence.max():.2f}")

# %% [markdown]
# ## Keeping it
#
# A `LEAModel` is saved like any other, with the optimizers of both tasks, so that training goes on where it stopped.

# %%
import pathlib
import tempfile

with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
print(again.evaluate(test_data, verbose=0, return_dict=True)["accuracy"] == history.history["val_accuracy"][-1])

# %% [markdown]
# Next: [what the three optimisations do](02_three_optimisations.ipynb).
