"""Bounds of the convex outer polytope: against sampling, NumPy's forward form and linear programs, on both backends."""

import keras
import numpy as np
import pytest
import scipy.optimize
from backends import few, needs_tensorflow, once
from keras import layers, ops

import lea_keras
from lea_keras.layers.autodiff import vjp
from lea_keras.robustness import affine, polytope

SIZES = (5, 8, 7, 6, 4)


def randomised(model, seed):
    """New weights and biases, large enough that many ReLUs are open; moving averages are what training may make."""
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        value = generator.normal(0, 0.6, variable.shape)
        variable.assign(np.abs(value) + 0.5 if variable.name == "moving_variance" else value)
    return model


def dense():
    return keras.Sequential(
        [keras.Input((SIZES[0],)), *(layers.Dense(n, "relu") for n in SIZES[1:-1]), layers.Dense(SIZES[-1])]
    )


def convolutional():
    return keras.Sequential(
        [
            keras.Input((6, 5, 2)),
            layers.Rescaling(-2.0, 0.5),
            layers.Conv2D(3, 3, strides=2, padding="same", activation=layers.ReLU()),
            layers.Dropout(0.5),
            layers.DepthwiseConv2D(2, padding="valid", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.ZeroPadding2D(1),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(4, "relu"),
            layers.Dense(3),
        ]
    )


def nested():
    inner = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2DTranspose(2, 2, 2), layers.ReLU()])
    inputs = keras.Input((4, 4, 1))
    values = layers.SeparableConv2D(2, 3, activation="relu")(inner(inputs))
    values = ops.relu(ops.transpose(layers.Permute((3, 1, 2))(values), (0, 2, 3, 1)))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(values)))


def with_lea(encoder, kind=lea_keras.StandardAutoencoder):
    inputs = keras.Input((6, 6, 1))
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, kind(3, encoder=encoder, kernels=2), strides=2)
    return lea_keras.LEAModel(inputs, layers.Dense(3)(layers.Dense(4, "relu")(layers.Flatten()(lea(inputs)))))


def exported(*arguments):
    return lea_keras.export_encoder(with_lea(*arguments))


NETWORKS = {
    "dense": dense,
    "convolutional": convolutional,
    "nested": nested,
    "LEA fc": lambda: exported("fc"),
    "LEA conv, VAE": lambda: exported("conv", lea_keras.VariationalAutoencoder),
}


def values_of(network, flat):
    """What every affine map returns for images [n, s]."""
    found = []
    for i, one in enumerate(network):
        flat = one(ops.relu(flat) if i else flat)
        found.append(ops.convert_to_numpy(flat))
    return found


def in_ball(image, epsilon, generator, count=60):
    """Points of a ball within [0, 1] around an image [s], two thirds of them corners."""
    changes = generator.choice([-1.0, 1.0], (count, image.size))
    changes[: count // 3] *= generator.uniform(size=(count // 3, image.size))
    return np.clip(image + epsilon * changes, 0, 1).astype("float32")


def attacked(network, image, epsilon):
    """The corners to which the gradient of each logit, and of minus it, points: [2 · classes, s]."""
    count = network[-1].outputs
    upstream = ops.concatenate([ops.eye(count), -ops.eye(count)])
    points = ops.repeat(image, 2 * count, axis=0)
    for _ in range(2):
        _, _, (slopes,) = vjp(lambda flat: (affine.forward(network, flat), ()), [points], upstream)
        points = ops.clip(image + epsilon * ops.sign(slopes), 0.0, 1.0)
    return points


@needs_tensorflow
@pytest.mark.parametrize("kind", NETWORKS)
def test_no_sample_no_corner_and_no_attack_leaves_a_bound(kind):
    import tensorflow as tf

    model = NETWORKS[kind]()
    network = affine.read(model, model.input_shape[1:])

    @tf.function(autograph=False)  # of twenty networks that differ in their weights alone
    def computed(image, epsilon, points):
        box = polytope.box(image, epsilon, (0, 1))
        points = ops.concatenate([points, attacked(network, image, epsilon)])
        values = []
        for one in network:
            points = one(ops.relu(points) if values else points)
            values.append(points)
        return values, polytope.activations(network, box), polytope.activations(network, box, tight=False)

    generator = np.random.default_rng(0)
    tightest, opened = np.inf, 0
    for seed in range(20):
        randomised(model, seed)
        epsilon = generator.uniform(0.02, 0.3)
        image = generator.uniform(size=network[0].inputs).astype("float32")
        points = in_ball(image, epsilon, generator)
        results = computed(*map(tf.constant, (image[None], np.float32(epsilon), points)))
        for values, pair, wide in zip(*results, strict=True):
            values, (lower, upper) = values.numpy(), (side.numpy()[0] for side in pair)
            slack = 1e-5 * (1 + np.abs(values).max())
            assert np.all(values >= lower - slack) and np.all(values <= upper + slack)
            assert np.all(lower >= wide[0].numpy()[0] - slack)
            opened += np.count_nonzero((lower < 0) & (upper > 0))
        tightest = min(tightest, np.min((upper - lower) / (np.ptp(values, axis=0) + 1e-6)))
    assert opened > 100 and tightest < 1.7  # neither are all ReLUs decided, nor are the bounds far away


def reference(weights, image, epsilon, bounds):
    """Algorithm 1 as its authors wrote it, forward, in float64; of every layer given the bounds of those before.

    Returns of each layer the better of the polytope's bounds and the intervals', and the last lower ones without what
    open ReLUs add.
    """
    matrices, biases = weights[::2], weights[1::2]
    nu, psi, news, both = matrices[0], image @ matrices[0] + biases[0], [], []
    for i, (lower, upper) in enumerate(bounds):
        reach = epsilon * np.abs(nu).sum(axis=0)
        low = psi - reach + sum(least @ np.maximum(-new, 0) for least, new in news)
        high = psi + reach - sum(least @ np.maximum(new, 0) for least, new in news)
        if i:
            ends = np.maximum(np.squeeze(bounds[i - 1]), 0)
            middle, radius = ends.mean(axis=0), np.ptp(ends, axis=0) / 2
            centre, spread = middle @ matrices[i] + biases[i], radius @ np.abs(matrices[i])
            low, high = np.maximum(low, centre - spread), np.minimum(high, centre + spread)
        both.append((low, high))
        if i == len(bounds) - 1:
            break
        lower, upper = np.squeeze(lower), np.squeeze(upper)
        is_open = (lower < 0) & (upper > 0)
        slope = np.where(is_open, upper / np.where(is_open, upper - lower, 1), lower >= 0)
        step = slope[:, None] * matrices[i + 1]
        news = [(least, new @ step) for least, new in news] + [(np.where(is_open, lower, 0), step)]
        nu, psi = nu @ step, psi @ step + biases[i + 1]
    return both, psi - reach


@pytest.mark.parametrize("seed", few(range(3), [0]))
def test_led_back_is_what_the_authors_lead_forward(seed):
    model = randomised(dense(), seed)
    network = affine.read(model, (5,))
    image = np.random.default_rng(seed).uniform(size=5)
    box = polytope.box(ops.convert_to_tensor(image[None].astype("float32")), 0.2, None)
    found = [[ops.convert_to_numpy(side) for side in pair] for pair in polytope.activations(network, box)]
    weights = [one.astype(np.float64) for one in model.get_weights()]
    expected, without = reference(weights, image, 0.2, found)
    for (lower, upper), pair in zip(found, expected, strict=True):
        np.testing.assert_allclose([lower[0], upper[0]], pair, atol=1e-5, rtol=1e-5)
    assert np.any(without > expected[-1][0] + 0.01)  # and no bound


@once
@pytest.mark.parametrize("seed", range(3))
def test_at_most_what_a_linear_program_over_the_same_triangles_finds(seed):
    model = randomised(dense(), seed)
    network = affine.read(model, (5,))
    image = np.random.default_rng(seed).uniform(size=5)
    box = polytope.box(ops.convert_to_tensor(image[None].astype("float32")), 0.1, (0, 1))
    found = polytope.activations(network, box)
    bounds = [np.stack([ops.convert_to_numpy(side)[0] for side in pair]).astype(np.float64) for pair in found]
    optimum = linear_program(model.get_weights(), ops.convert_to_numpy(box.middle)[0], box.radius, bounds)
    sampled = values_of(network, in_ball(image, 0.1, np.random.default_rng(0), 500))[-1].min(axis=0)
    assert np.all(bounds[-1][0] <= optimum + 1e-4) and np.all(optimum <= sampled + 1e-4)


def linear_program(weights, middle, radius, bounds):
    """The least value of every output over the triangles: variables are inputs, then ẑ and z of every layer."""
    radius = ops.convert_to_numpy(radius)[0]
    limits = list(zip(middle - radius, middle + radius, strict=True))
    before, equalities, right, above, most = np.arange(5), [], [], [], []
    total = 5 + 2 * sum(SIZES[1:-1]) + SIZES[-1]
    place = 5
    for i, (lower, upper) in enumerate(bounds):
        matrix, bias = weights[2 * i], weights[2 * i + 1]
        inner = place + np.arange(len(bias))
        rows = np.zeros((len(bias), total))
        rows[np.arange(len(bias)), inner] = 1
        rows[:, before] = -matrix.T
        equalities.append(rows)
        right.append(bias)
        last = i == len(bounds) - 1
        limits += [(None, None)] * len(bias) if last else list(zip(lower - 1e-5, upper + 1e-5, strict=True))
        if last:
            break
        outer = inner + len(bias)
        limits += [(0, max(high, 0) + 1e-5) for high in upper]
        for low, high, one, other in zip(lower, upper, inner, outer, strict=True):
            row = np.zeros(total)
            row[[one, other]] = 1, -1  # z ≥ ẑ
            above.append(row)
            most.append(0)
            if low >= 0 or high > 0:
                row = np.zeros(total)
                row[[one, other]] = (-1, 1) if low >= 0 else (-high, high - low)
                above.append(row)
                most.append(0 if low >= 0 else -high * low)
        before, place = outer, place + 2 * len(bias)
    shared = {"A_ub": np.array(above), "b_ub": most, "A_eq": np.concatenate(equalities), "bounds": limits}
    costs = np.eye(total)[place : place + SIZES[-1]]
    return np.array([scipy.optimize.linprog(cost, b_eq=np.concatenate(right), **shared).fun for cost in costs])


@once
def test_nothing_is_lost_without_a_perturbation_and_in_linear_networks():
    model = randomised(dense(), 5)
    network = affine.read(model, (5,))
    images = np.random.default_rng(0).uniform(size=(3, 5)).astype("float32")
    found = polytope.activations(network, polytope.box(ops.convert_to_tensor(images), 0.0, (0, 1)))
    for (lower, upper), values in zip(found, values_of(network, images), strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(lower), values, atol=1e-5)
        np.testing.assert_allclose(ops.convert_to_numpy(upper), values, atol=1e-5)
    linear = keras.Sequential([keras.Input((5,)), layers.Dense(6), layers.BatchNormalization(), layers.Dense(4)])
    network = affine.read(randomised(linear, 1), (5,))
    box = polytope.box(ops.convert_to_tensor(images), 0.3, None)
    ((lower, upper),) = polytope.activations(network, box)
    matrix = np.stack([values_of(network, row[None])[0][0] for row in np.eye(5, dtype="float32")])
    matrix -= values_of(network, np.zeros((1, 5), "float32"))[0]
    reach = 0.3 * np.abs(matrix).sum(axis=0)
    centre = values_of(network, images)[0]
    np.testing.assert_allclose(ops.convert_to_numpy(lower), centre - reach, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(upper), centre + reach, atol=1e-5)
    ((wide, _),) = polytope.activations(network, box, tight=False)  # layer by layer it would be less
    assert np.all(ops.convert_to_numpy(wide) < centre - reach - 1e-3)


@once
def test_rows_led_back_and_magnitudes_of_every_layer():
    """Of each map its matrix, from unit rows and from unit inputs."""
    for kind in ("convolutional", "nested", "LEA conv, VAE"):
        model = randomised(NETWORKS[kind](), 2)
        for one in affine.read(model, model.input_shape[1:]):
            back = ops.convert_to_numpy(one.pull(ops.eye(one.outputs)[None]))[0]
            matrix = ops.convert_to_numpy(one(ops.eye(one.inputs)) - one.bias())
            np.testing.assert_allclose(back, matrix.T, atol=1e-4)
            radius = np.random.default_rng(0).uniform(size=(1, one.inputs)).astype("float32")
            spread = ops.convert_to_numpy(one.spread(ops.convert_to_tensor(radius)))
            least = radius @ np.abs(matrix)
            assert np.all(spread >= least - 1e-4)
            if sum(bool(layer.weights) for layer in model.layers) and len(one.steps) == 1:
                np.testing.assert_allclose(spread, least, rtol=1e-3, atol=1e-4)


@once
def test_parts_of_rows_and_permuted_or_split_layers_change_nothing():
    model = randomised(dense(), 3)
    images = ops.convert_to_tensor(np.random.default_rng(0).uniform(size=(2, 5)).astype("float32"))
    box = polytope.box(images, 0.1, (0, 1))

    def last(model, **options):
        return ops.convert_to_numpy(polytope.activations(affine.read(model, (5,)), box, **options)[-1][0])

    whole = last(model)
    np.testing.assert_allclose(last(model, values=50), whole, atol=1e-6)
    order = np.random.default_rng(0).permutation(8)
    weights = model.get_weights()
    weights[:3] = weights[0][:, order], weights[1][order], weights[2][order]
    permuted = keras.models.clone_model(model)
    permuted.set_weights(weights)
    np.testing.assert_allclose(last(permuted), whole, atol=1e-5)
    split = keras.Sequential([keras.Input((5,)), layers.Dense(5, use_bias=False), *model.layers])
    split.layers[0].set_weights([np.diag([2.0, -1, 0.5, 4, 1])])
    weights = model.get_weights()
    split.layers[1].set_weights([np.diag([0.5, -1, 2, 0.25, 1]) @ weights[0], weights[1]])
    np.testing.assert_allclose(last(split), whole, atol=1e-5)


@once
def test_pairs_of_classes_are_those_merged_into_the_last_layer():
    model = randomised(dense(), 4)
    network = affine.read(model, (5,))
    images = np.random.default_rng(1).uniform(size=(3, 5)).astype("float32")
    box = polytope.box(ops.convert_to_tensor(images), 0.1, (0, 1))
    relaxed = [polytope.relax(*pair) for pair in polytope.activations(network, box, final=False)]
    every = ops.convert_to_numpy(polytope.all_margins(network, relaxed, box))
    labels = np.array([0, 3, 1])
    of_class = ops.convert_to_numpy(polytope.margins(network, relaxed, box, labels))
    np.testing.assert_allclose(every[np.arange(3), labels], of_class, atol=1e-5)
    assert not np.any(of_class[np.arange(3), labels])
    merged = keras.Sequential([keras.Input((5,)), *model.layers[:-1], layers.Dense(4)])
    kernel, bias = model.layers[-1].get_weights()
    for label in range(4):
        merged.layers[-1].set_weights([kernel[:, [label]] - kernel, bias[label] - bias])
        (lower, upper) = polytope.activations(affine.read(merged, (5,)), box)[-1]
        np.testing.assert_allclose(every[:, label], ops.convert_to_numpy(lower), atol=1e-5)
        np.testing.assert_allclose(every[:, :, label], -ops.convert_to_numpy(upper), atol=1e-5)
    # Bounds of logits taken apart prove less.
    lower, upper = (ops.convert_to_numpy(side) for side in polytope.activations(network, box)[-1])
    assert np.all(every[:, 0, 1:] >= (lower[:, [0]] - upper[:, 1:]) - 1e-5)
    assert np.mean(every[:, 0, 1:] - (lower[:, [0]] - upper[:, 1:])) > 0.05


@once
@pytest.mark.filterwarnings("ignore")
def test_decomon_agrees_on_intervals():
    """An implementation of others, where it is installed; it needs a name that NumPy 2 dropped."""
    np.float_ = np.float64
    decomon = pytest.importorskip("decomon", reason="decomon, which would be a referee, is not installed")
    from decomon.models import clone

    model = randomised(dense(), 6)
    images = np.random.default_rng(0).uniform(size=(3, 5)).astype("float32")
    box = polytope.box(ops.convert_to_tensor(images), 0.1, None)
    network = affine.read(model, (5,))
    for method, tight in (("forward-ibp", False), ("crown", True)):
        bounded = clone(model, method=method)
        lower, upper = (
            find(bounded, images - 0.1, images + 0.1) for find in (decomon.get_lower_box, decomon.get_upper_box)
        )
        ours = [ops.convert_to_numpy(side) for side in polytope.activations(network, box, tight=tight)[-1]]
        if tight:  # its triangles have another lower side, and neither bound is always the better
            assert np.all(ours[0] <= upper + 1e-4) and np.all(lower <= ours[1] + 1e-4)
            assert np.any(np.abs(ours[1] - upper) < 1e-5)
        else:
            np.testing.assert_allclose(ours, [lower, upper], atol=1e-5)
