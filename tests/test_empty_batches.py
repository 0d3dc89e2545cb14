"""Batches of no images: what is measured of them counts nothing, and training goes on."""

import keras
import numpy as np
import pytest
from backends import BACKEND, few, needs_tensorflow
from layer_checks import EAGERLY, TYPES, compile_model, make_data, make_model

from lea_keras import losses, metrics

NO_WINDOWS = np.zeros((0, 4, 4, 1), "float32")


class Batches(keras.utils.PyDataset):
    """As many images as is said, such as eight, none, and other eight."""

    def __init__(self, sizes):
        super().__init__()
        self.images, self.labels = make_data(sum(sizes))
        self.ends = np.cumsum(sizes)
        self.starts = self.ends - sizes

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, index):
        part = slice(self.starts[index], self.ends[index])
        return self.images[part], self.labels[part]


# Types divide by the number of windows, each in its own objective, and optimisations take its gradients.
CASES = [("alternate", "standard"), ("alternate", "vae"), ("alternate", "capacity_vae"), ("alternate", "info_vae")]
CASES += [("joint", "k_sparse"), ("joint", "joint_vae"), ("independent", "standard")]
assert {kind for _, kind in CASES} == set(TYPES)


def means(model, data):
    """Trains on batches and evaluates on them as ``fit`` does, on TensorFlow."""
    model.make_train_function()
    model.make_test_function()
    history = {}
    for prefix, function in (("", model.train_function), ("val_", model.test_function)):
        model.reset_metrics()
        for batch in data:
            logs = function(iter([batch]))
        history |= {prefix + name: [float(value)] for name, value in logs.items()}
    return history


@pytest.mark.parametrize(("optimization", "kind"), few(CASES, [("alternate", "capacity_vae")]))
def test_an_empty_batch_changes_no_mean_and_no_weight(optimization, kind):
    histories, weights = [], []
    model = make_model(optimization, kind, leas=1)
    compile_model(model, keras.optimizers.SGD(1e-3), run_eagerly=EAGERLY, metrics=[])
    if kind == "capacity_vae":
        model.lea_layers[0].autoencoder.capacity_steps = 0  # C counts steps, and an empty one is one
    before = model.get_weights()
    # Of VAEs there is nothing to compare with: their noise goes on in the empty step.
    for sizes in ([4, 0, 4],) if "vae" in kind else ([4, 0, 4], [4, 4]):
        model.set_weights(before)
        data = Batches(sizes)
        if (optimization, kind) == CASES[0] or BACKEND != "tensorflow":
            history = model.fit(data, validation_data=data, shuffle=False, verbose=0).history
        else:  # without what hands over the batches, which is the same for all
            history = means(model, data)
        histories.append(history)
        weights.append(model.get_weights())
    if "vae" not in kind:
        assert histories[0].keys() == histories[1].keys()
        for name, values in histories[1].items():
            np.testing.assert_allclose(histories[0][name], values, rtol=1e-5, err_msg=name)
        for with_gap, whole in zip(*weights, strict=True):
            np.testing.assert_allclose(with_gap, whole, atol=1e-7)
    assert all(np.isfinite(values).all() for values in histories[0].values())
    assert all(np.isfinite(values).all() for values in weights[0])


# Automatic chunks are other ones where LEAs only encode, as the first phase of "alternate" does.
CHUNKS = [("alternate", 16), ("alternate", "auto"), ("joint", 16), ("independent", "auto")]


@pytest.mark.parametrize(("optimization", "chunk_windows"), few(CHUNKS, CHUNKS[:1]))
def test_in_chunks(optimization, chunk_windows):
    model = make_model(optimization, "vae", leas=1, chunk_windows=chunk_windows)
    compile_model(model, keras.optimizers.SGD(1e-3), run_eagerly=EAGERLY, metrics=[])
    for images, labels in Batches([2, 0, 2]):  # two chunks each, and none
        logs = model.train_on_batch(images, labels, return_dict=True)
        assert all(np.isfinite(value) for value in logs.values())
    assert all(np.isfinite(values).all() for values in model.get_weights())


@needs_tensorflow
def test_a_plain_model():
    model = make_model(None, leas=1)
    compile_model(model, keras.optimizers.SGD(1e-3), metrics=[])  # run eagerly, Keras' own sum of losses fails
    history = model.fit(Batches([8, 0, 8]), shuffle=False, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())


def test_functions_and_metrics_of_no_windows():
    assert float(losses.reconstruction_loss(NO_WINDOWS, NO_WINDOWS)) == 0.0
    assert np.array(losses.kl_divergence(np.zeros((0, 3), "float32"), np.zeros((0, 3), "float32"))).tolist() == [0] * 3
    assert float(metrics.normalized_reconstruction_loss(NO_WINDOWS, NO_WINDOWS)) == 0.0
    assert metrics.reconstruction_confidence(NO_WINDOWS, NO_WINDOWS).shape == (0,)
    windows = np.random.default_rng(0).random((5, 4, 4, 1)).astype("float32")
    for metric in (metrics.ReconstructionLoss(), metrics.NormalizedReconstructionLoss()):
        metric.update_state(windows, 0.5 * windows)
        before = float(metric.result())
        metric.update_state(NO_WINDOWS, NO_WINDOWS)
        assert float(metric.result()) == before > 0
    codes = metrics.KLDivergence(3)
    codes.update_state(np.ones((2, 3), "float32"), np.zeros((2, 3), "float32"))
    before = np.array(codes.result())
    codes.update_state(np.ones((0, 3), "float32"), np.zeros((0, 3), "float32"))
    np.testing.assert_array_equal(codes.result(), before)
