# %% [markdown]
# # Scale
#
# A LEA makes many windows of an image: a hundred values of every pixel where windows overlap and the autoencoder is twice
# as wide as its window. This notebook is about what that costs and what helps: chunks of windows, compilation, half
# precision, the other backend, several devices.

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

# Rows and columns of the larger images below: 8 windows in each direction for every 32.
LIMIT = int(os.environ.get("LEA_KERAS_NOTEBOOK_LIMIT", 16_000))
SIZE = 128 if LIMIT < 1000 else 256

# %%
import time

import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(0)


def build(chunk_windows=None, size=SIZE, **options):
    """Two LEAs with overlapping windows, and a classifier behind them."""
    keras.utils.set_random_seed(0)
    images = keras.Input((size, size, 1))
    first = lea_keras.LocallyEmbeddedAutoencoder(
        4, lea_keras.StandardAutoencoder(8), strides=2, chunk_windows=chunk_windows, name="lea_1"
    )
    second = lea_keras.LocallyEmbeddedAutoencoder(
        4, lea_keras.StandardAutoencoder(8), strides=2, chunk_windows=chunk_windows, name="lea_2"
    )
    pooled = layers.GlobalAveragePooling2D()(second(first(images)))
    model = lea_keras.LEAModel(images, layers.Dense(3, dtype="float32")(pooled))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


def seconds(model, images, labels, steps=5):
    """The quickest of a few steps, after one that compiles."""
    model.train_on_batch(images, labels)
    times = []
    for _ in range(steps):
        started = time.perf_counter()
        model.train_on_batch(images, labels)
        times.append(time.perf_counter() - started)
    return min(times)


images, labels = rng.random((4, SIZE, SIZE, 1)).astype("float32"), np.array([0, 1, 2, 0])
print(f"{4 * (SIZE // 2) ** 2:,} windows of the first LEA in a batch of four images")

# %% [markdown]
# ## Chunks
#
# `chunk_windows` is how many windows a LEA works on at once, "auto" as many as fit the processor's cache. The numbers are
# the same but for rounding; memory beyond images and code maps then depends on the chunk alone. Small chunks cost time,
# those of "auto" often save some.

# %%
losses, times = {}, {}
for chunk_windows in (None, "auto", 512):
    model = build(chunk_windows)
    losses[chunk_windows] = model.train_on_batch(images, labels, return_dict=True)
    times[chunk_windows] = seconds(model, images, labels)
    print(f"chunk_windows={chunk_windows!s:5} loss of the first step {losses[chunk_windows]['loss']:.6f}")

# %%
for chunk_windows, duration in times.items():
    print(f"chunk_windows={chunk_windows!s:5} {duration / times[None]:.2f} of the time")

# %% [markdown]
# ## Compilation and half precision
#
# `jit_compile=True` hands the step to XLA, which is worth most on a GPU; there, Keras does so by itself. A dtype policy makes
# layers compute in half precision, with weights and all sums of losses in float32. On a CPU that is rarely quicker.

# %%
for name, policy, options in (
    ("as it is", "float32", {"jit_compile": False}),
    ("XLA", "float32", {"jit_compile": True}),
    ("bfloat16", "mixed_bfloat16", {"jit_compile": False}),
):
    keras.mixed_precision.set_dtype_policy(policy)
    model = build(size=64, **options)
    keras.mixed_precision.set_dtype_policy("float32")
    duration = seconds(model, images[:, :64, :64], labels, steps=3)
    print(
        f"{name:9} computes in {model.lea_layers[0].compute_dtype}, loss {float(model.evaluate(images[:, :64, :64], labels, verbose=0, return_dict=True)['loss']):.4f}"
    )

# %% [markdown]
# ## The other backend
#
# `KERAS_BACKEND=jax` in the environment, before Keras is imported, runs everything on JAX. Steps are the same, and a model
# that was saved under one backend goes on under the other, with its optimizers. A process has one backend; here is another
# process.

# %%
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

script = """
import sys
import keras, numpy as np
import lea_keras
model = keras.models.load_model(sys.argv[1])
images = np.random.default_rng(0).random((4, 64, 64, 1)).astype("float32")
print(keras.backend.backend(), round(float(model.train_on_batch(images, np.array([0, 1, 2, 0]))[0]), 5))
"""
other = "jax" if keras.backend.backend() == "tensorflow" else "tensorflow"
if importlib.util.find_spec(other) is None:
    print(f"{other} is not installed")
else:
    model = build(size=64)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        for backend in (keras.backend.backend(), other):
            environment = os.environ | {"KERAS_BACKEND": backend}
            command = [sys.executable, "-c", script, str(path)]
            print(subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip())

# %% [markdown]
# ## Several devices
#
# On TensorFlow, a model made under `tf.distribute.MirroredStrategy` trains on all GPUs of a host; on JAX,
# `keras.distribution.DataParallel` divides batches among devices, and `python train.py --distribution=data_parallel` does so
# over several hosts. The autoencoders' losses are means over all windows of the whole batch, wherever they were computed.

# %%
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    devices = tf.config.list_logical_devices()
else:
    devices = keras.distribution.list_devices()
print(devices)

# %% [markdown]
# What a step costs, in ratios that do not depend on the machine, is measured by `python -m benchmarks` in a checkout of the
# repository.
