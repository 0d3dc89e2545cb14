"""Ends of training: the exact optimum where there is one, and less error than PCA where there is none."""

import keras
import numpy as np
from real_data import tfds_folder

import lea_keras
from lea_keras.autoencoders import coders

CODE_LENGTH = 4


def pca_error(windows, code_length):
    """The least mean summed squared error of any linear code: the sum of the trailing eigenvalues of the covariance."""
    flat = windows.reshape(len(windows), -1).astype("float64")
    eigenvalues = np.linalg.eigvalsh(np.cov(flat, rowvar=False, bias=True))  # ascending
    return float(np.sum(eigenvalues[: flat.shape[1] - code_length]))


def train(windows, autoencoder, schedule, batch_size):
    """RL over all windows [n, 4, 4, 1] after training as a whole-image autoencoder, and the smallest RL on the way."""
    inputs = keras.Input(windows.shape[1:])
    lea = lea_keras.LocallyEmbeddedAutoencoder(windows.shape[1], autoencoder, name="lea")
    model = lea_keras.LEAModel(inputs, lea(inputs), optimization="joint")
    model.compile(keras.optimizers.Adam(), steps_per_execution=len(windows) // batch_size)
    smallest = np.inf
    for rate, epochs in schedule:
        model.optimizer.learning_rate = rate
        model.fit(windows, batch_size=batch_size, epochs=epochs, verbose=0)
        rl = float(autoencoder.objective(windows).measures["rl"])
        smallest = min(smallest, rl)
    return rl, smallest


def windows_of(images):
    """A seeded choice of 4×4 windows that are not constant: [1024, 4, 4, 1]."""
    windows = np.array(lea_keras.windows.extract_windows(images, 4))
    windows = windows.reshape(-1, 4, 4, 1)  # [b, rows, columns, 4, 4, 1] -> [b·rows·columns, 4, 4, 1]
    windows = windows[np.ptp(windows, axis=(1, 2, 3)) > 0]
    return windows[np.random.default_rng(0).permutation(len(windows))[:1024]]


def test_a_linear_autoencoder_reaches_pca_and_never_gets_below_it():
    images = lea_keras.sprites.draw(np.random.default_rng(0).choice(lea_keras.sprites.GRID_SIZE, 400)).astype("float32")
    windows = windows_of(images)
    optimum = pca_error(windows, CODE_LENGTH)
    linear = lea_keras.StandardAutoencoder(
        CODE_LENGTH,
        encoder=coders.FullyConnectedEncoder(activation="linear"),
        decoder=coders.FullyConnectedDecoder(activation="linear"),
    )
    rl, smallest = train(windows, linear, [(1e-2, 25), (1e-3, 5)], batch_size=128)
    assert rl < 1.01 * optimum
    assert smallest > (1 - 1e-4) * optimum  # float32 rounding is all that may be missing
    assert optimum > 0.05 * np.mean(np.sum(np.square(windows - windows.mean(0)), axis=(1, 2, 3)))  # not a trivial bound


def test_the_fc_autoencoder_gets_below_pca_on_real_windows():
    folder = tfds_folder("fashion_mnist")
    dataset = lea_keras.data.load("fashion_mnist", "test", limit=200, batch_size=200, data_dir=str(folder))
    images = next(iter(dataset))[0]
    windows = windows_of(images)
    rl, _ = train(windows, lea_keras.StandardAutoencoder(CODE_LENGTH), [(1e-2, 16), (1e-3, 4)], batch_size=64)
    assert rl < pca_error(windows, CODE_LENGTH)
