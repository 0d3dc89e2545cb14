# %% [markdown]
# # Three optimisations
#
# A network with LEAs has two kinds of objectives: the main task's loss, and for every LEA the loss of its own
# autoencoder. `LEAModel` combines them in three ways. This notebook shows the step that each takes, and what that does to
# one and the same network.
#
# | `optimization=` | the LEAs follow | everything else follows |
# |---|---|---|
# | `"joint"` | the sum of all losses, by one optimizer | the same sum |
# | `"independent"` | every loss that depends on them, each by an optimizer of its own | the same |
# | `"alternate"` | their own loss alone, by an optimizer each | the main loss, through encoders that stay fixed |

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
LIMIT = int(os.environ.get("LEA_KERAS_NOTEBOOK_LIMIT", 9_600))

# %%
import keras
import numpy as np
from keras import layers

train_data = lea_keras.data.load("sprites", "train", batch_size=32, limit=LIMIT, image_size=32)
test_data = lea_keras.data.load("sprites", "test", batch_size=100, limit=min(LIMIT, 1000), image_size=32)
loss = keras.losses.CategoricalCrossentropy(from_logits=True)


def build(optimization):
    """One LEA behind a convolution, so that there is something before it."""
    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 1))
    features = layers.Conv2D(4, 5, strides=2, padding="same", activation="relu", name="conv")(images)
    autoencoder = lea_keras.StandardAutoencoder(code_length=6)
    codes = lea_keras.LocallyEmbeddedAutoencoder(4, autoencoder, strides=2, name="lea")(features)
    logits = layers.Dense(3, name="logits")(layers.Dense(128, activation="relu")(layers.Flatten()(codes)))
    return lea_keras.LEAModel(images, logits, optimization=optimization)


# %% [markdown]
# ## One step, by hand
#
# With plain gradient descent a step can be written down. Of the alternate one: first everything outside the LEA goes down
# the main loss, the encoder being fixed; then the LEA goes down its own loss, on a fresh pass through what has just moved.
# In a plain Keras model the layer registers its loss, `model.losses`, which is all that is needed here.
#
# (The tape is TensorFlow's; the rest of the notebook runs on JAX, too.)

# %%
x, y = lea_keras.data.take(train_data, 32)
rate = 0.05
model = build("alternate")
model.compile(keras.optimizers.SGD(rate), loss)
main, own = model.main_variables, model.lea_variables[0]
print("main variables:", [variable.path for variable in main])
print("the LEA's:     ", [variable.path.split("/", 1)[1] for variable in own])

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    by_hand = keras.models.clone_model(model)
    by_hand.set_weights(model.get_weights())
    main, own = by_hand.main_variables, by_hand.lea_variables[0]

    def descend(objective, variables):
        with tf.GradientTape() as tape:
            value = objective()
        gradients = tape.gradient(value, [variable.value for variable in variables])
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign(variable - rate * gradient)

    def main_loss():
        return loss(y, by_hand(x, training=True))

    def own_loss():
        by_hand(x, training=True)
        return by_hand.losses[0]

    descend(main_loss, main)
    descend(own_loss, own)
    model.train_on_batch(x, y)
    difference = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), by_hand.get_weights(), strict=True))
    print(f"largest difference from the step of LEAModel: {difference:.1e}")

# %% [markdown]
# ## Who moves whom
#
# The same question without formulas: switch one of the two objectives off, take a step, and look at what moves.


# %%
def moved(optimization, switched_off):
    """How far the encoder and the convolution before it go in a step without one of the two objectives."""
    model = build(optimization)
    if switched_off == "reconstruction":
        model.get_layer("lea").loss_weight = 1e-12
    weights = {"main task": 0.0, "reconstruction": 1.0}
    model.compile(keras.optimizers.SGD(rate), loss, loss_weights=[weights[switched_off]], run_eagerly=True)
    watched = {"encoder": model.lea_variables[0][0], "convolution": model.get_layer("conv").kernel}
    before = {name: keras.ops.convert_to_numpy(variable) for name, variable in watched.items()}
    model.train_on_batch(x, y)
    after = {name: keras.ops.convert_to_numpy(variable) for name, variable in watched.items()}
    return {name: float(np.abs(after[name] - before[name]).max()) for name in watched}


for optimization in ("joint", "independent", "alternate"):
    for switched_off in ("main task", "reconstruction"):
        steps = moved(optimization, switched_off)
        told = ", ".join(f"the {name} {'moves' if step > 1e-9 else 'stays'}" for name, step in steps.items())
        print(f"{optimization:12} without the {switched_off + ':':16} {told}")

# %% [markdown]
# Jointly and independently, every variable follows all that depends on it: the encoder listens to the main task, and the
# convolution becomes easy to reconstruct. The two differ once an optimizer scales its steps, as Adam does: one Adam sees
# the sum of the losses, several give each loss steps of the same size, however large it is. Alternately each has one
# master: a LEA never learns what would please the classifier, and the layers before it know nothing of reconstructions.
#
# ## What that does to a network
#
# Same weights at the start, same data in the same order, three optimisations.

# %%
histories = {}
for optimization in ("joint", "independent", "alternate"):
    model = build(optimization)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    data = lea_keras.data.load("sprites", "train", batch_size=32, limit=LIMIT, image_size=32)
    histories[optimization] = model.fit(data, validation_data=test_data, epochs=3, shuffle=False, verbose=2)

# %%
lea_keras.plots.metric_curves(histories, ["main_loss", "accuracy", "lea_rln"])

# %% [markdown]
# RLN is the reconstruction loss per value, in units of the range of the LEA's own inputs: it can be compared between
# LEAs whose inputs differ, as they do here. One short run of each says little about which one is best; the command line
# compares series: `python train.py --optimization=joint --runs=5`, and `python evaluate.py --compare=…`.
#
# Next: [the autoencoders](03_autoencoders.ipynb).
