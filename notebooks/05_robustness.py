# %% [markdown]
# # Robustness
#
# How small a change of an image makes a model see something else? Thirteen attacks look for the smallest one, each in its
# own way: along gradients, by asking the model alone, or by blurring, turning and noise. Here two small networks are
# attacked, one with a max-pool and one with a LEA in its place, and you look at what fooled them.

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

# %%
import keras
import numpy as np
from keras import layers

train_data = lea_keras.data.load("sprites", "train", batch_size=32, limit=LIMIT, image_size=32)
test_data = lea_keras.data.load("sprites", "test", batch_size=100, limit=min(LIMIT, 500), image_size=32)
loss = keras.losses.CategoricalCrossentropy(from_logits=True)


def train(reduce, model_class, **options):
    """A classifier behind one layer that makes an image smaller, trained on the same batches as the other."""
    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 1))
    hidden = layers.Dense(256, activation="relu")(layers.Flatten()(reduce(images)))
    model = model_class(images, layers.Dense(3, name="logits")(hidden), **options)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    data = lea_keras.data.load("sprites", "train", batch_size=32, limit=LIMIT, image_size=32)
    model.fit(data, epochs=4, shuffle=False, verbose=0)
    print(f"test accuracy {model.evaluate(test_data, verbose=0, return_dict=True)['accuracy']:.3f}")
    return model


pooled = train(layers.MaxPooling2D(2), keras.Model)
lea = lea_keras.LocallyEmbeddedAutoencoder(4, lea_keras.StandardAutoencoder(code_length=6), name="lea")
embedded = train(lea, lea_keras.LEAModel, optimization="alternate")

# %% [markdown]
# ## Attacking
#
# `robustness.evaluate` takes any Keras model that returns logits. Only images that the model gets right are attacked. The
# distance is the mean squared difference of all pixels. Here are four of the thirteen, on a few images, to be quick;
# `robustness.ATTACKS` names them all.

# %%
from lea_keras import robustness

images, labels = lea_keras.data.take(test_data, 30)
attacks = ["gradient_sign", "deep_fool", "single_pixel", "gaussian_blur"]
results = {
    name: robustness.evaluate(model, images, labels, attacks, seed=0, verbose=0)
    for name, model in {"max-pool": pooled, "LEA": embedded}.items()
}
for name, result in results.items():
    print(f"{name}: {len(result.attacked)} of {result.samples} images attacked")
    for summary in result.summary():
        distance = "–" if summary.mean_distance is None else f"{summary.mean_distance:.5f}"
        print(f"    {summary.attack:15} success {summary.success_rate:.2f}   mean distance {distance}")

# %% [markdown]
# Success alone says little: gradient-based attacks nearly always succeed. What matters is how far they had to go.

# %%
from lea_keras.plots import robustness_plot

robustness_plot.heatmap({name: result.summary() for name, result in results.items()})

# %% [markdown]
# With a baseline, the same as differences from it, in units of the spread of all models about it (the thesis'
# standardisation; with two models, every difference is one deviation: the numbers come into their own with more).

# %%
robustness_plot.heatmap(
    {name: result.summary() for name, result in results.items()}, baseline="max-pool", standardise="relative"
)

# %% [markdown]
# ## What fooled them
#
# The attacks are attacks of foolbox 3 and can be called like those. Here is Deep Fool on the network with a LEA: the image,
# what was added (enlarged), and the adversarial.

# %%
import foolbox
import matplotlib.pyplot as plt

chosen = np.array(results["LEA"].attacked[:4])
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # foolbox asks for GPUs in a way that TensorFlow warns of
    wrapped = foolbox.TensorFlowModel(embedded, bounds=(0, 1))
    tensors = tf.constant(images[chosen]), tf.constant(np.argmax(labels[chosen], axis=1))
    _, adversarials, fooled = robustness.ATTACKS["deep_fool"]()(wrapped, *tensors, epsilons=None)
    adversarials, fooled = adversarials.numpy(), fooled.numpy()
    added = adversarials - images[chosen]
    shapes = ("square", "ellipse", "heart")
    figure, grid = plt.subplots(3, len(chosen), squeeze=False, figsize=(2.2 * len(chosen), 6.6), layout="constrained")
    for column, (panels, found) in enumerate(zip(grid.T, fooled, strict=True)):
        pictures = images[chosen][column], added[column], adversarials[column]
        seen = [int(np.argmax(embedded.predict(picture[None], verbose=0))) for picture in pictures[::2]]
        titles = (
            f"seen as {shapes[seen[0]]}",
            "added, enlarged",
            f"seen as {shapes[seen[1]]}" if found else "not fooled",
        )
        for axes, picture, title in zip(panels, pictures, titles, strict=True):
            limit = 1.0 if title != "added, enlarged" else max(float(np.abs(picture).max()), 1e-6)
            colours = (
                {"cmap": "gray", "vmin": 0, "vmax": 1}
                if limit == 1.0
                else {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
            )
            axes.imshow(picture[..., 0], **colours)
            axes.set_title(title, fontsize=9)
            axes.axis("off")
    plt.show()

# %% [markdown]
# On the command line the same is `python evaluate.py --run_dir=… --attacks=all`, on the 400 images of the thesis, with all
# that was found stored as it comes. The attacks of the thesis itself, which did not look for the smallest change, are
# there as `robustness.ATTACKS_1_8`.
#
# Next: [models of your own](06_your_own.ipynb).
