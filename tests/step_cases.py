"""Steps without noise whose numbers every backend must reach, and the program that writes them down.

`python tests/step_cases.py` writes `golden/steps.npz` with the steps of TensorFlow, the reference, and
`golden/tensorflow.keras`; under `KERAS_BACKEND=jax` it writes `golden/jax.keras`. Weights and data come from NumPy, so
that all backends have the same.
"""

import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras
import numpy as np
from layer_checks import OPTIMIZATIONS, compile_model, make_data, make_model

from experiments import networks
from experiments.config import CONFIGS
from lea_keras import autoencoders
from lea_keras.data import sprites

# "joint_vae" came later; its objective is done by hand, under every backend, in `test_joint.py`.
TYPES = ("standard", "k_sparse", "vae", "capacity_vae", "info_vae")
GOLDEN = pathlib.Path(__file__).with_name("golden")
CASES = [
    *(f"{optimization} {kind}" for optimization in OPTIMIZATIONS for kind in TYPES),
    *(f"alternate {kind} chunks" for kind in TYPES if kind != "info_vae"),  # whose objective they would change
    "joint capacity_vae chunks",
    "independent vae chunks",
]
CURVE_STEPS, CURVE_BATCH = 20, 4


@contextlib.contextmanager
def without_noise():
    """The numbers of random generators are the only thing that backends do not share."""
    original = autoencoders.VariationalAutoencoder.draw_noise
    autoencoders.VariationalAutoencoder.draw_noise = lambda self, count, training: None
    try:
        yield
    finally:
        autoencoders.VariationalAutoencoder.draw_noise = original


def set_weights(model):
    """Kernels with the variance of Glorot's initialisation, and biases that keep ReLUs alive."""
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        *window, inputs, outputs = (1, 1, *variable.shape)
        if len(variable.shape) > 1:
            variable.assign(rng.normal(0, (2 / (np.prod(window) * (inputs + outputs))) ** 0.5, variable.shape))
        else:
            variable.assign(rng.normal(0.1, 0.03, variable.shape))


# TensorFlow takes longer to trace a step than to take one; that its graphs do the same is tested elsewhere.
EAGERLY = keras.backend.backend() == "tensorflow"


def compiled(model, main, of_leas, **arguments):
    return compile_model(model, main, lea_optimizer=of_leas, **({"run_eagerly": EAGERLY} | arguments))


def step(case):
    """Weights after one step of gradient descent, and its metrics; arrays by name.

    At a learning rate of 1 a step is the gradient. That of LEAs is another, which tells joint from independent steps.
    """
    keras.utils.clear_session()  # names count what was made before
    optimization, kind, *chunks = case.split()
    model = make_model(optimization, kind, chunk_windows=24 if chunks else None)
    compiled(model, keras.optimizers.SGD(1.0), keras.optimizers.SGD(0.5))
    set_weights(model)
    for lea in model.lea_layers:
        if kind == "capacity_vae":
            clock = lea.autoencoder.clock.state
            clock.assign([int(clock.value[0]), 3])
    with without_noise():
        logs = model.train_on_batch(*make_data(8), return_dict=True)
    return arrays(model) | {name: np.asarray(value) for name, value in logs.items()}


def arrays(model):
    """Trainable weights by their paths."""
    return {variable.path: np.asarray(variable.value) for variable in model.trainable_variables}


def curve(steps=CURVE_STEPS):
    """Losses of the first of twenty steps of cnn_lea on sprites of a quarter of the size, by name."""
    model = networks.build(CONFIGS["cnn_lea"], (16, 16, 1), 3, steps_per_epoch=CURVE_STEPS)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    compiled(model, keras.optimizers.Adam(CONFIGS["cnn_lea"].learning_rate), None, metrics=[], loss=loss)
    set_weights(model)
    rng = np.random.default_rng(2)
    factors = np.stack([rng.integers(0, count, CURVE_STEPS * CURVE_BATCH) for count in sprites.FACTORS.values()], 1)
    images = sprites.draw(factors).astype("float32")[:, ::4, ::4]
    labels = np.eye(len(sprites.SHAPES), dtype="float32")[factors[:, 0]]
    logs = []
    for batch in np.split(np.arange(len(images)), CURVE_STEPS)[:steps]:
        model.reset_metrics()
        with without_noise():
            logs.append(model.train_on_batch(images[batch], labels[batch], return_dict=True))
    return {name: np.array([float(log[name]) for log in logs]) for name in logs[0]}


def model_in_training():
    """A model after two steps with optimizers that remember them."""
    keras.utils.clear_session()
    model = make_model("alternate", "capacity_vae")
    # So large an epsilon keeps rounding of gradients that are almost zero from deciding a step.
    compiled(model, keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.Adam(1e-2, epsilon=1e-2))
    set_weights(model)
    return trained(model, 2)


def load(writer):
    """That model, as another backend or this one has saved it."""
    keras.utils.clear_session()
    model = keras.models.load_model(GOLDEN / f"{writer}.keras")
    model.run_eagerly = EAGERLY  # whatever the file says
    return model


def trained(model, steps):
    with without_noise():
        for _ in range(steps):
            model.train_on_batch(*make_data(8))
    return model


def main():
    backend = keras.backend.backend()
    GOLDEN.mkdir(exist_ok=True)
    if backend == "tensorflow":
        found = {f"{case}|{name}": value for case in CASES for name, value in step(case).items()}
        found |= {f"curve|{name}": value for name, value in curve().items()}
        np.savez_compressed(GOLDEN / "steps.npz", **found)
    model = model_in_training()
    model.save(GOLDEN / f"{backend}.keras")
    predictions = {"predictions": model.predict(make_data(8)[0], verbose=0)}
    np.savez_compressed(GOLDEN / f"{backend}.npz", **predictions, **arrays(trained(model, 1)))


if __name__ == "__main__":
    main()
