# %% [markdown]
# # Your own
#
# The layer goes wherever a pooling layer goes, with whatever autoencoder you like. This notebook has an encoder and a
# decoder of its own, a LEA in a residual network and in a U-Net, several LEAs in one model, and the ways out: saving, the
# encoder alone, TFLite and ONNX.

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
LIMIT = int(os.environ.get("LEA_KERAS_NOTEBOOK_LIMIT", 4_000))

# %%
import keras
import numpy as np
from keras import layers

train_data = lea_keras.data.load("sprites", "train", batch_size=32, limit=LIMIT, image_size=32)
test_data = lea_keras.data.load("sprites", "test", batch_size=100, limit=min(LIMIT, 500), image_size=32)
test_images, test_labels = lea_keras.data.take(test_data, 4)
loss = keras.losses.CategoricalCrossentropy(from_logits=True)


def fit(model, epochs=1):
    """Trains a classifier and says what every LEA in it reconstructs."""
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    data = lea_keras.data.load("sprites", "train", batch_size=32, limit=LIMIT, image_size=32)
    history = model.fit(data, epochs=epochs, shuffle=False, verbose=0).history
    print({name: round(values[-1], 4) for name, values in history.items() if name.endswith(("rln", "accuracy"))})


# %% [markdown]
# ## An encoder and a decoder of your own
#
# Any Keras layers do: from windows `[n, rows, columns, channels]` to features `[n, …]`, and from codes back to windows. A
# linear layer to the code is added by the autoencoder.

# %%
keras.utils.set_random_seed(0)
encoder = keras.Sequential([layers.Conv2D(8, 3, padding="same", activation="gelu"), layers.Flatten()], name="encoder")
decoder = keras.Sequential(
    [layers.Dense(4 * 4 * 8, activation="gelu"), layers.Reshape((4, 4, 8)), layers.Conv2D(1, 3, padding="same")],
    name="decoder",
)
autoencoder = lea_keras.VariationalAutoencoder(code_length=4, encoder=encoder, decoder=decoder)
images = keras.Input((32, 32, 1))
codes = lea_keras.LocallyEmbeddedAutoencoder(4, autoencoder, name="lea")(images)
model = lea_keras.LEAModel(images, layers.Dense(3)(layers.Flatten()(codes)))
fit(model)
lea_keras.plots.reconstructions(model, test_images)

# %% [markdown]
# ## In a residual network
#
# Strided convolutions are where a residual network makes its maps smaller. Here LEAs do that, each with an autoencoder of
# its own, which sees the feature maps and not the image.


# %%
def residual(features, filters):
    """Two convolutions beside an identity."""
    shortcut = layers.Conv2D(filters, 1)(features)
    features = layers.Conv2D(filters, 3, padding="same", activation="relu")(features)
    features = layers.Conv2D(filters, 3, padding="same")(features)
    return layers.ReLU()(layers.Add()([shortcut, features]))


keras.utils.set_random_seed(0)
images = keras.Input((32, 32, 1))
features = residual(images, 8)
features = lea_keras.LocallyEmbeddedAutoencoder(2, lea_keras.StandardAutoencoder(12), name="lea_1")(features)
features = residual(features, 16)
features = lea_keras.LocallyEmbeddedAutoencoder(2, lea_keras.StandardAutoencoder(24), name="lea_2")(features)
logits = layers.Dense(3)(layers.GlobalAveragePooling2D()(features))
resnet = lea_keras.LEAModel(images, logits, optimization="alternate")
fit(resnet)
print("code maps:", [lea.output.shape for lea in resnet.lea_layers])

# %% [markdown]
# ## In a U-Net
#
# The main task need not be classification. This U-Net goes down by LEAs and up again, and separates sprites from the noise
# that was added to them.

# %%
keras.utils.set_random_seed(0)
images = keras.Input((32, 32, 1))
first = layers.Conv2D(8, 3, padding="same", activation="relu")(images)
down = lea_keras.LocallyEmbeddedAutoencoder(4, lea_keras.StandardAutoencoder(16), strides=2, name="lea_1")(first)
second = layers.Conv2D(16, 3, padding="same", activation="relu")(down)
down = lea_keras.LocallyEmbeddedAutoencoder(4, lea_keras.StandardAutoencoder(24), strides=2, name="lea_2")(second)
up = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.UpSampling2D()(down))
up = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.Concatenate()([up, second]))
up = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.Concatenate()([layers.UpSampling2D()(up), first]))
unet = lea_keras.LEAModel(images, layers.Conv2D(1, 1, activation="sigmoid")(up), optimization="joint")
unet.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")

clean = np.concatenate([batch for batch, _ in lea_keras.data.batches(train_data)])
noisy = np.clip(clean + np.random.default_rng(0).normal(0, 0.5, clean.shape), 0, 1).astype("float32")
history = unet.fit(noisy, clean, batch_size=32, epochs=1, verbose=0).history
print({name: round(values[-1], 4) for name, values in history.items() if name == "main_loss" or name.endswith("rln")})

# %%
import matplotlib.pyplot as plt

restored = unet.predict(noisy[:4], verbose=0)
figure, grid = plt.subplots(2, 4, figsize=(7, 3.8), layout="constrained")
for row, (pictures, title) in enumerate(((noisy, "with noise"), (restored, "restored"))):
    for column in range(4):
        grid[row, column].imshow(pictures[column, ..., 0], cmap="gray", vmin=0, vmax=1)
        grid[row, column].set_title(title, fontsize=9)
        grid[row, column].axis("off")
plt.show()

# %% [markdown]
# ## Saving, and the encoder alone
#
# Models are saved as always. For use, decoders and windows are not needed: `export_encoder` makes plain convolutions of
# the LEAs, a model without any class of this package, which predicts the same.

# %%
import pathlib
import tempfile

with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "resnet.keras"
    resnet.save(path)
    again = keras.models.load_model(path)
encoder = lea_keras.export_encoder(again)
difference = np.abs(encoder.predict(test_images, verbose=0) - resnet.predict(test_images, verbose=0)).max()
print(f"{resnet.count_params():,} parameters → {encoder.count_params():,}; largest difference {difference:.1e}")

# %% [markdown]
# From there it goes where Keras' models go: to a SavedModel, to TFLite, to ONNX (`pip install tf2onnx` or what Keras asks
# for).

# %%
import contextlib
import importlib.util
import io

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = pathlib.Path(folder)
        encoder.export(path / "saved_model", verbose=False)
        converted = tf.lite.TFLiteConverter.from_saved_model(str(path / "saved_model")).convert()
        (path / "encoder.tflite").write_bytes(converted)
        sizes = {"SavedModel": sum(file.stat().st_size for file in (path / "saved_model").rglob("*"))}
        sizes["TFLite"] = len(converted)
        if importlib.util.find_spec("tf2onnx") is not None:
            encoder.export(path / "encoder.onnx", format="onnx", verbose=False)
            sizes["ONNX"] = (path / "encoder.onnx").stat().st_size
    print({name: f"{size / 1e3:.0f} kB" for name, size in sizes.items()})

# %% [markdown]
# Next: [larger images, quicker steps](07_scale.ipynb).
