"""Inspection: each array against what the layer's public parts give, and confidence where the picture is bad."""

import functools

import keras
import numpy as np
import pytest
from backends import few
from keras import layers
from layer_checks import TYPES, compile_model, make_autoencoder, make_data, make_lea, make_model

import lea_keras
from lea_keras.windows import extract_windows, merge_windows

CASES = [*(("alternate", kind) for kind in TYPES), (None, "capacity_vae")]


@pytest.mark.parametrize(("optimization", "kind"), few(CASES, [("alternate", "capacity_vae")]))
def test_every_array_equals_the_public_parts(kind, optimization):
    images, _ = make_data(3)
    leas = 2 if kind == TYPES[0] else 1
    model = compile_model(make_model(optimization, kind, leas=leas))
    before = [np.array(v) for v in model.variables]
    views = lea_keras.inspect(model, images, bins=7)
    assert [view.layer.name for view in views] == ["lea_1", "lea_2"][:leas]
    for view, size, strides in zip(views, (4, 2)[:leas], (2, 2)[:leas], strict=True):
        layer = view.layer
        inputs = np.array(keras.Model(model.input, layer.input)(images))
        np.testing.assert_allclose(view.inputs, inputs, atol=1e-6)
        np.testing.assert_allclose(view.code_maps, layer(inputs), atol=1e-6)
        cut = np.array(extract_windows(inputs, size, strides))
        flat = cut.reshape(-1, *cut.shape[3:])
        decoded = np.array(layer.autoencoder(flat)).reshape(cut.shape)
        np.testing.assert_allclose(view.windows, decoded, atol=1e-5)
        merged = np.array(merge_windows(decoded, inputs.shape[1:3], strides))
        np.testing.assert_allclose(view.reconstructions, np.clip(merged, inputs.min(), inputs.max()), atol=1e-5)
        errors = np.sum(np.square(decoded - cut), axis=(3, 4, 5))
        np.testing.assert_allclose(view.confidence, 1 - errors / errors.max(), atol=1e-4)
        assert view.confidence.min() == 0.0 and view.confidence.max() <= 1.0
        assert view.histograms.inputs.sum() == inputs.size == view.histograms.reconstructions.sum()
        assert view.histograms.edges.shape == (8,)
    for ours, theirs in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)  # looking changes nothing: no clock, no noise, no weight


def test_a_badly_reconstructed_corner_has_the_lowest_confidence_there():
    """A decoder that always returns zeros reproduces black and misses a bright corner."""
    images = np.zeros((2, 12, 10, 1), "float32")
    images[0, :3, -3:] = 1.0  # upper right corner of the first image
    autoencoder = make_autoencoder()
    autoencoder.build((None, 3, 3, 1))
    for weight in autoencoder.decoder.weights:
        weight.assign(keras.ops.zeros(weight.shape))
    lea = lea_keras.LocallyEmbeddedAutoencoder(3, autoencoder, strides=1, padding="valid")
    inputs = keras.Input((12, 10, 1))
    (view,) = lea_keras.inspect(keras.Model(inputs, lea(inputs)), images)
    assert np.unravel_index(np.argmin(view.confidence), view.confidence.shape) == (0, 0, 7)
    assert np.unravel_index(np.argmin(view.confidence_images), view.confidence_images.shape) == (0, 0, 9)
    np.testing.assert_array_equal(view.confidence[1], 1.0)
    np.testing.assert_array_equal(view.confidence_images[0, 3:, :], np.minimum(view.confidence_images[0, 3:, :], 1.0))
    assert view.confidence_images.shape == (2, 12, 10)
    assert view.confidence_images[0, 5, 2] == 1.0


def test_nested_subclassed_and_channels_first_models():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([layers.Conv2D(2, 3, padding="same"), make_lea(name="inside")])
            self.lea = lea_keras.LocallyEmbeddedAutoencoder(2, make_autoencoder(), name="outside", loss_weight=0.0)

        def call(self, images):
            return self.lea(self.inner(images))

    images, _ = make_data(2)
    views = lea_keras.inspect(Subclassed(), images)
    assert [view.layer.name for view in views] == ["inside", "outside"]  # those without a loss weight too
    inputs = keras.Input((1, 8, 8))
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, make_autoencoder(), data_format="channels_first")
    (view,) = lea_keras.inspect(keras.Model(inputs, lea(inputs)), np.transpose(images, (0, 3, 1, 2)))
    np.testing.assert_array_equal(view.inputs, images)
    assert view.code_maps.shape == (2, 2, 2, 4)


def test_a_lea_used_twice_has_two_views_and_a_model_without_has_none():
    images, _ = make_data(2)
    inputs = keras.Input((8, 8, 1))
    lea = make_lea()
    views = lea_keras.inspect(keras.Model(inputs, [lea(inputs), lea(inputs * 0.5)]), images)
    dark, bright = sorted(views, key=lambda view: view.inputs.max())
    np.testing.assert_allclose(dark.inputs, 0.5 * bright.inputs)
    assert lea_keras.inspect(keras.Model(inputs, layers.Flatten()(inputs)), images) == []


def test_reconstructions_are_there_before_clipping_too():
    images, _ = make_data(2)
    (view,) = lea_keras.inspect(keras.Model(i := keras.Input((8, 8, 1)), make_lea()(i)), images)
    view = view._replace(windows=view.windows + 5)
    by_hand = merge_windows(view.windows, (8, 8), view.layer.strides)
    np.testing.assert_array_equal(view.unclipped, by_hand)
    assert view.unclipped.max() > view.inputs.max() and view.unclipped.shape == view.inputs.shape


def black_model(leas=1):
    """A model whose LEAs, side by side, reconstruct every window as zeros."""
    inputs = keras.Input((8, 8, 1))
    outputs = []
    for i in range(leas):
        autoencoder = make_autoencoder(code_length=1)
        outputs.append(lea_keras.LocallyEmbeddedAutoencoder(4, autoencoder, name=f"lea_{i + 1}")(inputs))
        for weight in autoencoder.decoder.weights:
            weight.assign(keras.ops.zeros(weight.shape))
    return keras.Model(inputs, outputs)


def test_confidence_relative_to_the_worst_window_of_all_data():
    """Of windows of brightness b and 16 pixels, all reconstructed black, the errors are 16·b²."""
    brightness = np.array([1.0, 0.5, 0.25, 2.0], "float32")
    images = np.broadcast_to(brightness[:, None, None, None], (4, 8, 8, 1))
    model = black_model()
    alone = lea_keras.inspect(model, images[1:3])[0]
    np.testing.assert_allclose(alone.confidence[:, 0, 0], [0.0, 0.75], atol=1e-6)  # black, and yet 0.75
    assert alone.largest is None
    for largest in (16.0, {"lea_1": 16.0}):
        (view,) = lea_keras.inspect(model, images[1:], largest=largest)
        np.testing.assert_allclose(view.confidence[:, 0, 0], [0.75, 0.9375, 0.0], atol=1e-6)  # 2.0 is worse than 0
        np.testing.assert_allclose(view.confidence_images[:, 7, 7], view.confidence[:, 1, 1], atol=1e-6)
        assert view.largest == 16.0
    (nothing,) = lea_keras.inspect(model, np.stack([0 * images[0], images[0]]), largest=0.0)
    np.testing.assert_array_equal(nothing.confidence[:, 0, 0], [1.0, 0.0])
    views = lea_keras.inspect(black_model(2), images[1:3], largest={"lea_2": 4.0 * 16})
    first, second = sorted(views, key=lambda view: view.layer.name)
    np.testing.assert_allclose(first.confidence[:, 0, 0], [0.0, 0.75], atol=1e-6)
    np.testing.assert_allclose(second.confidence[:, 0, 0], [1 - 1 / 16, 1 - 1 / 64], atol=1e-6)


class Batches(keras.utils.PyDataset):
    """A data set of one batch, or of none."""

    def __init__(self, *batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


class Sum(keras.Model):
    """A subclassed model, whose inputs Keras does not know."""

    def __init__(self):
        super().__init__()
        self.lea = make_lea(name="lea")

    def call(self, inputs):
        return self.lea(sum(inputs.values()) if isinstance(inputs, dict) else inputs)


@functools.cache
def two_inputs(kind=list):
    inputs = {name: keras.Input((8, 8, 1), name=name) for name in ("image", "other")}
    outputs = make_lea(name="lea")(inputs["image"] + 2 * inputs["other"])
    return keras.Model(inputs if kind is dict else kind(inputs.values()), outputs)


IMAGES, OTHER = np.random.default_rng(1).uniform(size=(2, 3, 8, 8, 1)).astype("float32")
LABELS = np.zeros(3)


@functools.cache
def one_input():
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, make_lea(name="lea")(inputs))


def one_of_a_dictionary():
    inputs = {"image": keras.Input((8, 8, 1), name="image")}
    return keras.Model(inputs, make_lea()(inputs["image"]))


def tf_data(*tensors, batch=3):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(tensors[0] if len(tensors) == 1 else tensors).batch(batch)


# A model, what is given, and what the model's LEA then sees.
SUM = IMAGES + 2 * OTHER
BOTH = {"image": IMAGES, "other": OTHER}
TAKEN = {
    "a list": (two_inputs, lambda: [IMAGES, OTHER], SUM),
    "a tuple": (two_inputs, lambda: (IMAGES, OTHER), SUM),
    "names": (two_inputs, lambda: BOTH | {"more": LABELS}, SUM),
    "a dictionary": (lambda: two_inputs(dict), lambda: BOTH | {"more": LABELS}, SUM),
    "tensors": (two_inputs, lambda: [keras.ops.convert_to_tensor(IMAGES), OTHER], SUM),
    "subclassed": (Sum, lambda: {"a": IMAGES, "b": OTHER}, IMAGES + OTHER),
    "one of a dictionary": (one_of_a_dictionary, lambda: IMAGES, IMAGES),
    "Sequential": (lambda: keras.Sequential([keras.Input((8, 8, 1)), make_lea()]), lambda: IMAGES, IMAGES),
    "a list of one": (one_input, lambda: [IMAGES], IMAGES),
    "a list of images": (one_input, lambda: list(IMAGES), IMAGES),
    "a list of images, subclassed": (Sum, lambda: list(IMAGES), IMAGES),
    "numbers": (one_input, lambda: IMAGES.tolist(), IMAGES),
    "without channels": (one_input, lambda: IMAGES[..., 0], IMAGES),
    "integers": (one_input, lambda: (255 * IMAGES).astype("uint8"), np.floor(255 * IMAGES)),
    "PyDataset": (one_input, lambda: Batches((IMAGES, LABELS), (OTHER, LABELS)), IMAGES),
    "PyDataset without labels": (one_input, lambda: Batches(IMAGES), IMAGES),
    "PyDataset of two inputs": (two_inputs, lambda: Batches(((IMAGES, OTHER), LABELS, LABELS)), SUM),
    "tf.data": (one_input, lambda: tf_data(IMAGES, LABELS, batch=2), IMAGES[:2]),
    "tf.data without labels": (one_input, lambda: tf_data(IMAGES), IMAGES),
    "tf.data of a dictionary": (two_inputs, lambda: tf_data(BOTH, LABELS), SUM),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_taken_as_images(case):
    make, images, expected = TAKEN[case]
    view = lea_keras.inspect(make(), images())[0]
    np.testing.assert_allclose(view.inputs, expected, rtol=1e-6)


def with_value(value, dtype="float32"):
    images = IMAGES.astype(dtype)
    images[1, 2, 3, 0] = value
    return images


WHOLE = "images='float32 array of shape"
REFUSED = {
    "NaN": (one_input, lambda: with_value(np.nan), "finite .* minimum nan, maximum nan"),
    "infinite": (one_input, lambda: with_value(np.inf), "finite .* maximum inf"),
    "huge": (one_input, lambda: with_value(-1e30), "squares are float32 .* minimum -1e\\+30"),
    "beyond float32": (one_input, lambda: with_value(1e39, "float64"), "float64 array of .*, maximum 1e\\+39"),
    "NaN at the second": (two_inputs, lambda: [IMAGES, with_value(np.nan)], "finite"),
    "NaN in a data set": (one_input, lambda: Batches(with_value(np.nan)), "finite"),
    "text": (one_input, lambda: "photo.png", "one batch of .* Received: images='str'"),
    "texts": (one_input, lambda: np.array([["a"]]), "numbers. Received: images='str32 array of shape \\(1, 1\\)'"),
    "objects": (one_input, lambda: np.array([[None]]), "numbers. Received: images='object array of shape"),
    "complex": (one_input, lambda: IMAGES * 1j, "numbers. Received: images='complex64 array"),
    "ragged": (one_input, lambda: [[1.0], [1.0, 2.0]], "'a list of lists of different lengths'"),
    "none": (one_input, lambda: None, "one batch of .* Received: images='NoneType'"),
    "a generator": (one_input, lambda: (x for x in [IMAGES]), "Pass a batch of it, .* images='generator'"),
    "symbolic": (one_input, lambda: keras.Input((8, 8, 1)), "one batch of .* Received: images='KerasTensor'"),
    "a number": (one_input, lambda: 0.5, "a batch of at least one image. Received: images=\\(\\)"),
    "no images": (one_input, lambda: IMAGES[:0], "a batch of at least one .* images=\\(0, 8, 8, 1\\)"),
    "no images in a list": (two_inputs, lambda: [IMAGES[:0], OTHER[:0]], "a batch of at least one image"),
    "nothing": (one_input, lambda: {}, "one batch of"),
    "one image": (one_input, lambda: IMAGES[0], f"A single image becomes a batch as .* {WHOLE} \\(8, 8, 1\\)"),
    "one image, subclassed": (Sum, lambda: IMAGES[0], f"A single image becomes .* {WHOLE} \\(8, 8, 1\\)"),
    "single samples": (one_input, lambda: Batches((IMAGES[0], 0)), "single samples of a data set by batching"),
    "another size": (one_input, lambda: IMAGES[:, 1:], f"that the model takes, .*None, 8, 8, 1.* {WHOLE}"),
    "another rank": (one_input, lambda: IMAGES[None], f"that the model takes, .* {WHOLE} \\(1, 3, 8"),
    "an empty data set": (one_input, lambda: Batches(), "at least one batch. Received: images='an empty Batches'"),
    "four parts": (one_input, lambda: Batches((IMAGES,) * 4), "of x, .* Received: images='a Batches of 4 parts'"),
    "one of two": (two_inputs, lambda: IMAGES, "as many arrays as the model has inputs, .*'image', 'other'"),
    "a name less": (two_inputs, lambda: {"image": IMAGES}, "dictionary with .* Received: images=\\['image'\\]"),
    "no names": (lambda: two_inputs(dict), lambda: [IMAGES, OTHER], "a dictionary with the model's inputs"),
    "different numbers": (two_inputs, lambda: [IMAGES, OTHER[:2]], "equally many at all inputs"),
    "unlike images": (one_input, lambda: [IMAGES[0], IMAGES[0, 1:]], "a list of images of one shape"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_as_images(case):
    make, images, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"Argument `images` must be .*{message}") as error:
        lea_keras.inspect(make(), images())
    assert "\n" not in str(error.value) and len(str(error.value)) < 350 and "[[" not in str(error.value)


def test_a_model_whose_leas_make_nothing_finite_is_refused():
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, make_lea(name="broken")(inputs))
    model.set_weights([np.nan * weight for weight in model.get_weights()])
    with pytest.raises(ValueError, match="`model` must be .* Received: model=.NaN or infinite code maps of 'broken'"):
        lea_keras.inspect(model, IMAGES)
    with pytest.raises(ValueError, match="Argument `model` must be a keras.Model. Received: model='str'"):
        lea_keras.inspect("model", IMAGES)


@pytest.mark.parametrize(
    ("largest", "message"),
    [
        (-1.0, "a finite number of at least 0. Received: largest=-1.0"),
        ("20", "a finite number of at least 0"),
        ({"lea_1": np.nan}, "a finite number of at least 0"),
        (20.0, r"a mapping from names of LEAs, here \['lea_1', 'lea_2'\], where there are several"),
        ({"lea": 1.0}, r"a mapping from names of the model's LEAs, .* Received: largest=\['lea'\]"),
    ],
)
def test_largest_errors_are_checked(largest, message):
    with pytest.raises(ValueError, match=f"Argument `largest` must be {message}"):
        lea_keras.inspect(make_model(None), IMAGES, largest=largest)


def test_errors():
    model = make_model()
    with pytest.raises(ValueError, match="Argument `bins` must be an integer of at least 1.*Received: bins=0"):
        lea_keras.inspect(model, make_data(2)[0], bins=0)
    with pytest.raises(ValueError, match="Argument `images` must be a batch of at least one image"):
        lea_keras.inspect(model, np.zeros((0, 8, 8, 1)))
