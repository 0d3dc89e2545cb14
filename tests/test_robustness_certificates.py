"""Certificates: closed forms, all thirteen attacks against them, refusals by name, what is stored; robust training."""

import json

import keras
import numpy as np
import pytest
from backends import few, once
from keras import layers, ops
from layer_checks import EAGERLY

import lea_keras
from lea_keras import robustness
from lea_keras.robustness import affine, certificates, polytope

SHAPE = (6, 6, 1)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def data(count=60):
    """Images of three classes: bright above, bright below, dark."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = generator.uniform(0, 0.3, (count, *SHAPE))
    images[labels == 0, :3] += 0.5
    images[labels == 1, 3:] += 0.5
    return images.astype("float32"), labels


def trained(model):
    images, labels = data()
    model.compile(keras.optimizers.Adam(2e-2), LOSS, run_eagerly=EAGERLY)
    model.fit(*(np.concatenate([one] * 12) for one in (images, labels)), batch_size=60, verbose=0, shuffle=False)
    return model


@pytest.fixture(scope="module")
def lea_model():
    """A classifier with a LEA, trained."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input(SHAPE)
    autoencoder = lea_keras.StandardAutoencoder(2, encoder="fc", decoder="fc", units=(6,))
    codes = lea_keras.LocallyEmbeddedAutoencoder(3, autoencoder, name="lea")(inputs)
    values = layers.Dense(6, "relu")(layers.Flatten()(codes))
    return trained(lea_keras.LEAModel(inputs, layers.Dense(3)(values), optimization="joint"))


def linear(seed=0):
    model = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3)])
    generator = np.random.default_rng(seed)
    model.set_weights([generator.normal(size=(36, 3)), generator.normal(size=3)])
    return model


def chain(*stack, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *stack])


@once
def test_no_attack_ends_within_what_is_certified(lea_model):
    images, labels = (one[:6] for one in data())
    radii = robustness.certified_radius(lea_model, images, labels, precision=0.1, verbose=0)
    assert np.sum(radii > 1e-2) >= 4
    fewer = {"saliency_map": {"max_iter": 60}, "local_search": {"rounds": 8}, "salt_and_pepper": {"repeats": 10}}
    fewer |= {name: {"steps": 60} for name in ("gaussian_blur", "contrast_reduction", "additive_gaussian_noise")}
    fewer["projected_gradient_descent"] = {"steps": 6, "rel_stepsize": 0.25, "halvings": 6}
    fewer["slsqp"] = {"max_iter": 8, "classes": 1, "random_starts": 0}
    fewer |= {"deep_fool": {"steps": 10}, "adef": {"max_iter": 10, "shrink_steps": 4}}
    fewer["spatial"] = {"num_translations": 2, "num_rotations": 1}
    attacks = {name: robustness.get(name, **fewer.get(name, {})) for name in robustness.ATTACKS}
    found = robustness.evaluate(lea_model, images, labels, attacks, keep_images=True, verbose=0)
    assert len(found.attacks) == 13
    ends = {name: [] for name in found.attacks}
    for name in found.attacks:
        records = [record for record in found.records if record.attack == name]
        for record, adversarial in zip(records, found.images[name], strict=True):
            if record.found:
                distance = np.abs(adversarial - images[record.sample]).max()
                ends[name].append(distance)
                assert distance > radii[record.sample], name
                assert distance < 4 * radii[record.sample] or name != "projected_gradient_descent"  # nor far away
    assert sum(map(bool, ends.values())) >= 9
    at = robustness.certify(lea_model, images, labels, float(np.sort(radii)[2]), verbose=0)
    assert np.sum(at.certified) == 4 == 6 * (1 - at.bound)


@once
@pytest.mark.usefixtures("eagerly")
def test_radii_and_margins_of_linear_models_are_exact():
    model, (images, _) = linear(), data(5)
    weights, bias = model.get_weights()
    logits = images.reshape(5, -1) @ weights + bias
    labels = np.argmax(logits, axis=1)
    gaps = logits[np.arange(5), labels][:, None] - logits  # [n, classes]
    norms = np.abs(weights[:, labels].T[:, :, None] - weights[None]).sum(axis=1)
    found = robustness.certify(model, images, labels, 0.02, clip=False, verbose=0)
    np.testing.assert_allclose(found.margins, gaps - 0.02 * norms, atol=1e-4)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.nanmin(np.where(norms > 0, gaps / norms, np.inf), axis=1)
    np.testing.assert_array_equal(found.certified, exact > 0.02)
    radii = robustness.certified_radius(model, images, labels, clip=False, verbose=0, batch_size=3)
    assert np.all(radii <= exact * (1 + 1e-4)) and np.all(radii >= 0.98 * exact)
    clipped = robustness.certified_radius(model, images, labels, verbose=0)
    assert np.all(clipped >= radii - 1e-6)
    wrong = (labels + 1) % 3
    assert not np.any(robustness.certified_radius(model, images, wrong, verbose=0))
    at = robustness.certify(model, images, wrong, 0.0, verbose=0)
    assert (at.error, at.bound) == (1.0, 1.0)


@once
def test_ties_and_bright_images():
    model = linear()
    model.set_weights([np.zeros((36, 3)), np.zeros(3)])
    images = np.ones((2, *SHAPE), "float32")
    found = robustness.certify(model, images, [0, 0], 0.1, verbose=0)
    assert found.error == 0.0 and found.bound == 1.0  # logits are equal, and argmax is the first
    model.set_weights([np.ones((36, 3)) * [1.0, 0.0, 0.0], np.array([0.0, 35.0, 0.0])])
    # 36 against 35, and where values are at the upper bound they only fall: ε < 1/36.
    assert robustness.certify(model, images, [0, 0], 0.02, verbose=0).bound == 0.0
    unclipped = robustness.certify(model, images, [0, 0], 0.02, clip=False, verbose=0)
    np.testing.assert_allclose(unclipped.margins[:, 1], 1 - 0.72, atol=1e-4)
    darker = robustness.certify(model, images, [0, 0], 0.03, verbose=0)
    assert darker.bound == 1.0
    model.set_weights([model.get_weights()[0], np.array([0.0, 35.0 * 255, 0.0])])
    (radius, _) = robustness.certified_radius(model, 255 * images, [0, 0], bounds=(0, 255), verbose=0)
    assert 0.98 * 255 / 36 < radius < 255 / 36


@once
def test_bounds_of_a_lea_model_are_those_of_its_export(lea_model):
    images, labels = (one[:4] for one in data())
    found = robustness.activation_bounds(lea_model, images, 0.05, batch_size=3)
    again = robustness.activation_bounds(lea_keras.export_encoder(lea_model), images, 0.05)
    assert [pair[0].shape for pair in found] == [(4, 2, 2, 6), (4, 6), (4, 3)]
    for pair, other in zip(found, again, strict=True):
        np.testing.assert_allclose(pair, other, atol=1e-6)
    logits = ops.convert_to_numpy(lea_model(images, training=False))
    assert np.all(found[-1][0] < logits) and np.all(logits < found[-1][1])
    assert np.array_equal(robustness.certify(lea_model, images, np.eye(3)[labels], 0, verbose=0).labels, labels)


def residual():
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(2)(layers.Add()([inputs, layers.Dense(4)(inputs)])))


def k_sparse(a=1.0):
    inputs = keras.Input((4, 4, 1))
    autoencoder = lea_keras.KSparseAutoencoder(4, k=2, a=a, encoder="fc", units=())
    codes = lea_keras.LocallyEmbeddedAutoencoder(2, autoencoder, name="sparse")(inputs)
    return lea_keras.LEAModel(inputs, layers.Dense(2)(layers.Flatten()(codes)))


def mixed():
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(2)(ops.reshape(ops.transpose(inputs, (1, 0)), (-1, 4))))


def categorical():
    inputs = keras.Input((4, 4, 1))
    autoencoder = lea_keras.JointAutoencoder(4, categories=(2,), encoder="fc", units=())
    codes = lea_keras.LocallyEmbeddedAutoencoder(2, autoencoder, name="joint")(inputs)
    return lea_keras.LEAModel(inputs, layers.Dense(2)(layers.Flatten()(codes)))


def broken():
    model = chain(layers.Dense(2))
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.get_weights()])
    return model


def half():
    return chain(layers.Dense(2, dtype="mixed_float16", name="half"))


POOL = (layers.MaxPooling2D(name="pool"), layers.Flatten(), layers.Dense(2))
WRONG = {
    "max-pooling": (lambda: chain(*POOL, shape=(4, 4, 1)), "MaxPooling2D 'pool'"),
    "k-sparse": (k_sparse, "KSparseAutoencoder in 'sparse', which keeps the largest"),
    "sigmoid": (lambda: chain(layers.Dense(2, "sigmoid", name="top")), "Dense 'top' with the activation 'sigmoid'"),
    "softmax": (lambda: chain(layers.Dense(2), layers.Softmax(name="top")), "Softmax 'top'"),
    "leaky": (lambda: chain(layers.LeakyReLU(name="act"), layers.Dense(2)), "LeakyReLU 'act'"),
    "relu6": (lambda: chain(layers.ReLU(6.0, name="act"), layers.Dense(2)), "ReLU 'act' with a maximum"),
    "layer norm": (lambda: chain(layers.LayerNormalization(name="norm"), layers.Dense(2)), "LayerNormalization 'norm'"),
    "two inputs": (residual, "Add 'add"),
    "half precision": (half, "Dense 'half' of float16; bounds are computed in float32"),
    "double precision": (lambda: chain(layers.Dense(2, dtype="float64", name="top")), "Dense 'top' of float64"),
    "categories": (categorical, "JointAutoencoder in 'joint', whose categories"),
    "NaN weights": (broken, "a model whose outputs are finite"),
    "batches mixed": (mixed, "takes every image by itself"),
    "a layer": (lambda: layers.Dense(2), "must be a keras.Model"),
    "no classes": (lambda: chain(layers.Dense(1)), "logits .* of at least two classes"),
}


@once
@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_certified_is_refused_by_name(case, monkeypatch):
    monkeypatch.setattr(polytope, "activations", None)  # before any work
    make, message = WRONG[case]
    model = make()
    shape = getattr(model, "input_shape", (None, 4))[1:]
    with pytest.raises(ValueError, match=message) as error:
        robustness.certify(model, np.zeros((2, *shape)), [0, 1], 0.1)
    assert "\n" not in str(error.value) and str(error.value).startswith("Argument `model` must be")


@once
def test_other_mistakes_are_one_line():
    model, (images, labels) = linear(), data(3)
    for arguments, options, message in (
        ((images, labels, -0.1), {}, "`epsilon` must be a finite number of at least 0"),
        ((images * 255, labels, 0.1), {}, "Divide 8-bit images"),
        ((images[:, 1:], labels, 0.1), {}, "`images` must be of the shape that the model takes"),
        ((images, labels + 1, 0.1), {}, "`labels` must be from 0 to 2"),
        ((images, labels, 0.1), {"batch_size": 0}, "`batch_size`"),
        ((images, labels, 0.1), {"bounds": (1, 0)}, "`bounds`"),
        ((images, labels, 0.1), {"clip": "no"}, "`clip` must be True or False"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            robustness.certify(model, *arguments, **options)
        assert "\n" not in str(error.value)


@once
def test_what_was_finished_is_not_bounded_again(tmp_path, monkeypatch, capsys):
    model, (images, labels) = linear(), data(7)
    options = {"output_dir": tmp_path / "made", "batch_size": 3, "verbose": 0}
    asked, margins = [], certificates._Work.margins

    def failing(work, flat, labels, epsilon):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(flat))
        return margins(work, flat, labels, epsilon)

    monkeypatch.setattr(certificates._Work, "margins", failing)
    with pytest.raises(KeyboardInterrupt):
        robustness.certify(model, images, labels, 0.1, **options)
    path = tmp_path / "made" / "certificates_0.1.json"
    assert len(json.loads(path.read_text())["values"]) == 6
    monkeypatch.setattr(certificates._Work, "margins", margins)
    found = robustness.certify(model, images, labels, 0.1, **options)
    whole = robustness.certify(model, images, labels, 0.1, verbose=0)
    np.testing.assert_allclose(found.margins, whole.margins, atol=1e-5)
    monkeypatch.setattr(certificates._Work, "margins", None)
    again = robustness.certify(model, images, labels, 0.1, **options)
    np.testing.assert_array_equal(found.margins, again.margins)
    for changed, what in (({"clip": False}, "clip"), ({"bounds": (0, 2)}, "bounds")):
        with pytest.raises(ValueError, match=f"holds certificates for other {what}; remove it"):
            robustness.certify(model, images, labels, 0.1, **options | changed)
    with pytest.raises(ValueError, match="other weights; remove it"):
        robustness.certify(linear(1), images, labels, 0.1, **options)
    path.write_text("{}")
    with pytest.raises(ValueError, match="damaged or holds no certificates"):
        robustness.certify(model, images, labels, 0.1, **options)


def small():
    """A classifier with a convolution, and its margins."""
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(8, "relu"),
            layers.Dense(3),
        ]
    )


@pytest.mark.parametrize("tight", few([True, False], [False]))
def test_robust_training_makes_margins_larger_with_plain_fit(tight, tmp_path, request):
    if tight:  # few steps take less time than to trace one with a row for every ReLU
        request.getfixturevalue("eagerly")
    images, labels = data(40)
    model = small()
    robust = robustness.margin_model(model, 0.02, tight=tight)
    every = ops.convert_to_numpy(robust(images[:5]))
    found = robustness.certify(model, images[:5], labels[:5], 0.02, verbose=0)
    of_class = every[np.arange(5), labels[:5]]
    if tight:
        np.testing.assert_allclose(of_class, found.margins, atol=1e-5)
    else:
        assert np.all(of_class <= found.margins + 1e-5) and np.any(of_class < found.margins - 1e-4)
    loss = robustness.RobustCrossentropy()
    worst = np.log(np.exp(-of_class).sum(axis=1)).mean()
    np.testing.assert_allclose(ops.convert_to_numpy(loss(labels[:5], every)), worst, rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(loss(np.eye(3)[labels[:5]], every)), worst, rtol=1e-5)
    model.compile("sgd", LOSS, metrics=["accuracy"])  # which is no business of the other's
    metrics = [robustness.certified_accuracy]
    robust.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=metrics, run_eagerly=tight)
    history = robust.fit(images, labels, batch_size=40, epochs=3 if tight else 8, verbose=0).history
    assert set(history) == {"loss", "certified_accuracy"} and history["loss"][-1] < 0.97 * history["loss"][0]
    after = robustness.certify(model, images[:5], labels[:5], 0.02, verbose=0)  # of the shared weights
    assert np.sum(after.margins) > np.sum(found.margins)
    robust.get_layer("margins").epsilon.assign(0.0)
    logits = ops.convert_to_numpy(model(images[:5]))
    np.testing.assert_allclose(
        ops.convert_to_numpy(robust(images[:5])), logits[:, :, None] - logits[:, None], atol=1e-4
    )
    if tight:
        robust.save(tmp_path / "robust.keras")
        loaded = keras.models.load_model(tmp_path / "robust.keras")
        np.testing.assert_allclose(loaded(images[:5]), robust(images[:5]), atol=1e-5)


@once
def test_margins_of_certified_images_count():
    margins = np.array([[[0, 1, 2], [-1, 0, 1], [-2, -1, 0]]] * 3, "float32")
    found = robustness.certified_accuracy(np.array([0, 1, 2]), margins)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), [1, 0, 0])


@once
def test_models_with_leas_do_not_share_their_weights(lea_model):
    with pytest.raises(ValueError, match="without LEAs.*LEA 'lea'.*|LEA 'lea'"):
        robustness.margin_model(lea_model, 0.1)
    robust = robustness.margin_model(lea_keras.export_encoder(lea_model), 0.02, tight=False)
    assert robust.output_shape == (None, 3, 3) and robust.trainable_weights
    sizes = [one.outputs for one in affine.read(lea_keras.export_encoder(lea_model), SHAPE)]
    assert sizes == [24, 6, 3]


@once
def test_relu_of_the_operations_is_an_activation_like_any_other():
    images, labels = data(3)
    margins = []
    for activation in ("relu", ops.relu):
        keras.utils.set_random_seed(0)
        model = chain(layers.Flatten(), layers.Dense(5, activation), layers.Dense(3), shape=images.shape[1:])
        margins.append(robustness.certify(model, images, labels, 0.1, verbose=0).margins)
    np.testing.assert_array_equal(*margins)


@once
@pytest.mark.usefixtures("eagerly")
def test_radii_of_images_together_are_those_alone_and_no_precision_is_too_coarse():
    images = np.random.default_rng(1).uniform(size=(9, 4)).astype("float32")
    keras.utils.set_random_seed(0)
    model = chain(layers.Dense(6, "relu"), layers.Dense(3))
    labels = np.argmax(np.asarray(model(images)), axis=1)
    labels[3] = (labels[3] + 1) % 3  # it is misclassified, and no more looked at

    def radii(chosen, precision):
        return robustness.certified_radius(model, images[chosen], labels[chosen], precision=precision, verbose=0)

    for precision, some in ((0.1, np.arange(9)), (1, [0, 5])):
        together = radii(np.arange(9), precision)
        np.testing.assert_allclose(together[some], [radii([i], precision)[0] for i in some], rtol=1e-6)
        assert together[3] == 0 and np.sum(together > 0) >= 6 and len(set(together)) > 3
