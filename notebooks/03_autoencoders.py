# %% [markdown]
# # Autoencoders
#
# A LEA can hold any of four types of autoencoders, with encoders and decoders that are fully connected, convolutional or
# (decoders) spatial broadcast. Here are the four side by side, first on whole images, then on windows; and what the
# *capacity* of a capacity-controlled VAE is for.

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
LIMIT = int(os.environ.get("LEA_KERAS_NOTEBOOK_LIMIT", 6_000))

# %%
import keras

train_data = lea_keras.data.load("sprites", "train", batch_size=64, limit=LIMIT, image_size=32)
test_data = lea_keras.data.load("sprites", "test", batch_size=100, limit=min(LIMIT, 1000), image_size=32)
test_images, _ = lea_keras.data.take(test_data, 4)
steps = len(train_data)  # of an epoch

# %% [markdown]
# ## Four types
#
# | | the code | its loss |
# |---|---|---|
# | standard | what a linear layer makes of the features | RL, the summed squared error |
# | k-sparse | the same, but all except the *k* largest values are 0 | RL |
# | VAE | a mean μ and a standard deviation σ; the decoder sees a sample while training | RL + β·KL |
# | capacity VAE | the same | RL + γ·\|KL − C\|, C rising from 0 |
#
# A model without a main task is compiled without a loss: the autoencoder trains alone. A window as large as the image
# makes an ordinary autoencoder of it.

# %%
types = {
    "standard": lea_keras.StandardAutoencoder(code_length=8),
    "k_sparse": lea_keras.KSparseAutoencoder(code_length=8, k=4),
    "vae": lea_keras.VariationalAutoencoder(code_length=8),
    "capacity_vae": lea_keras.CapacityControlledAutoencoder(code_length=8, capacity=25, capacity_steps=3 * steps),
}


def train(name, autoencoder, window_size, epochs=3):
    """A LEA and nothing else, trained on its own loss."""
    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 1))
    lea = lea_keras.LocallyEmbeddedAutoencoder(window_size, autoencoder, name=name)
    model = lea_keras.LEAModel(images, lea(images), optimization="joint")
    model.compile(keras.optimizers.Adam(1e-3))
    data = lea_keras.data.load("sprites", "train", batch_size=64, limit=LIMIT, image_size=32)
    return model, model.fit(data, validation_data=test_data, epochs=epochs, shuffle=False, verbose=0)


whole = {}
for name, autoencoder in types.items():
    whole[name], history = train(name, autoencoder, window_size=32)
    last = {measure: values[-1] for measure, values in history.history.items()}
    told = f"RL {last[f'val_{name}_rl']:6.2f}"
    told += f", KL {last[f'val_{name}_kl']:5.1f}" if f"val_{name}_kl" in last else ""
    told += f", dead codes {last[f'{name}_dead_codes']:.0f}" if f"{name}_dead_codes" in last else ""
    print(f"{name:13} {told}")

# %% [markdown]
# KL counts as the thesis does, without the factor ½, so that all of its values, β and C among them, are twice those of
# the literature. A *dead code* is a variable that is never among the k largest: it learns nothing.

# %%
lea_keras.plots.reconstructions(whole["standard"], test_images)

# %%
lea_keras.plots.reconstructions(whole["capacity_vae"], test_images)

# %% [markdown]
# ## What a code stands for
#
# One code variable changes from left to right, the others are 0. Rows that show no change belong to variables that the
# VAE has switched off, since KL makes each variable that carries something cost.

# %%
lea_keras.plots.latent_traversal(whole["capacity_vae"].lea_layers[0].autoencoder, value_range=(0, 1))

# %% [markdown]
# ## Windows
#
# On windows of 4×4 pixels the same types have an easy task: there are few things that 16 pixels can show. That is what
# makes one small autoencoder enough for a whole image.

# %%
types = {
    "standard": lea_keras.StandardAutoencoder(code_length=4),
    "k_sparse": lea_keras.KSparseAutoencoder(code_length=4, k=2),
    "vae": lea_keras.VariationalAutoencoder(code_length=4),
    "capacity_vae": lea_keras.CapacityControlledAutoencoder(code_length=4, capacity=10, capacity_steps=2 * steps),
}
windows = {}
for name, autoencoder in types.items():
    windows[name], history = train(name, autoencoder, window_size=4, epochs=2)
    print(f"{name:13} RL of a window {history.history[f'val_{name}_rl'][-1]:.3f}")

# %%
lea_keras.plots.code_maps(windows["standard"], test_images[:2])

# %%
lea_keras.plots.code_maps(windows["vae"], test_images[:2])

# %% [markdown]
# ## Capacity
#
# γ·|KL − C| holds KL at C. With C rising slowly, the code variables come into use one after the other, each for what
# lowers the reconstruction loss most; that is how they come apart. Here is KL following C.

# %%
autoencoder = lea_keras.CapacityControlledAutoencoder(code_length=8, capacity=25, capacity_steps=4 * steps)
_, history = train("lea", autoencoder, window_size=32, epochs=5)
lea_keras.plots.metric_curves([history], ["lea_capacity", "lea_kl", "lea_rl"])

# %% [markdown]
# Next: [which code is what](04_explore_codes.ipynb).
