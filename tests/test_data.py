"""Data sets by name: splits, seeds, scaling, and the order of epochs, also through `fit`."""

import gc
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from real_data import tfds_folder

from lea_keras import data, probes
from lea_keras.data import pipelines, sources, splits, sprites


def arrays(dataset):
    """All samples of a batched data set: images [n, h, w, c] and labels [n, classes]."""
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.fixture
def use_numpy(monkeypatch):
    """Called, it makes `load` return what it returns on other backends than TensorFlow."""
    return lambda: monkeypatch.setattr(pipelines, "on_tensorflow", lambda: False)


def check_same_batches(some, others):
    """Two lists of (images, labels) must be equal, dtypes included."""
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        for array, expected in zip(one, other, strict=True):
            assert array.dtype == expected.dtype == np.float32
            np.testing.assert_array_equal(array, expected)


@pytest.fixture
def fake_dsprites(monkeypatch):
    """A `dsprites` of 500 records in place of 737 280, of which 60 train and 20 test; returns the records."""
    records = sprites.examples(np.random.RandomState(4).choice(sprites.GRID_SIZE, 500, replace=False))
    small = data.info("dsprites")._replace(train_size=60, test_size=20)
    monkeypatch.setattr(sprites, "GRID_SIZE", 500)
    monkeypatch.setitem(sources.DATASETS, "dsprites", small)
    monkeypatch.setattr(sources, "_open", lambda *_: tf.data.Dataset.from_tensor_slices(records))
    sources.read.cache_clear()
    yield records
    sources.read.cache_clear()


def test_splits_of_the_grid_are_disjoint_and_fixed():
    train, test = data.selection("train"), data.selection("test")
    assert (len(train), len(test)) == (59_972, 10_006)
    together = np.concatenate([train, test])
    assert len(np.unique(together)) == 69_978
    assert 0 <= together.min() and together.max() < sprites.GRID_SIZE
    # Golden numbers: another choice would make results incomparable with earlier ones.
    assert train[:3].tolist() == [223581, 322730, 463607] and test[:3].tolist() == [455991, 130000, 613696]
    train[:] = 0  # which is the caller's own
    assert data.selection("train")[0] == 223581


def test_sprites_are_batches_of_binary_images_and_one_hot_labels():
    dataset = data.load("sprites", "train", batch_size=32, limit=100)
    assert dataset.cardinality() == 4
    assert dataset.element_spec[0].shape.as_list() == [None, 64, 64, 1]
    sizes = [len(images) for images, _ in dataset]
    assert sizes == [32, 32, 32, 4]
    images, labels = arrays(dataset)
    assert images.dtype == labels.dtype == np.float32
    assert set(np.unique(images)) == {0.0, 1.0}
    assert labels.shape == (100, 3) and (labels.sum(axis=1) == 1.0).all() and set(np.unique(labels)) == {0.0, 1.0}


def test_an_image_size_is_that_of_what_is_drawn():
    drawn, _ = arrays(data.load("sprites", "test", batch_size=4, limit=8, image_size=32, seed=1))
    chosen = data.selection("test")[splits.choose("test", 10_006, 8, seed=1)]
    np.testing.assert_array_equal(drawn, sprites.draw(chosen, 32))
    assert data.info("cifar10", image_size=16).image_shape == (16, 16, 3)
    assert data.info("dsprites", "x", image_size=16)[:2] == ((16, 16, 1), 32)
    images, labels = probes.sprites_data("test", 8, 1, image_size=32)
    np.testing.assert_array_equal(images, drawn)
    assert labels["shape"].shape == (8,)


def test_an_image_size_is_that_of_what_is_read(fake_dsprites):
    options = dict(split="test", batch_size=20)
    whole, half = (arrays(data.load("dsprites", image_size=size, **options))[0] for size in (64, 32))
    np.testing.assert_array_equal(whole, arrays(data.load("dsprites", **options))[0])
    assert half.shape == (20, 32, 32, 1) and len(np.unique(half)) > 2  # greys between 0 and 1
    means = whole.reshape(20, 32, 2, 32, 2, 1).mean(axis=(2, 4))
    assert np.abs(half - means).mean() < 0.02 and half.max() == 1.0
    probed, _ = probes.sprites_data("test", name="dsprites", image_size=32)
    np.testing.assert_allclose(probed, half, rtol=1e-6)


def test_resizing_is_bilinear_at_half_pixel_centres_and_rounded():
    images = np.array([[0, 100], [200, 255]], np.uint8)[None, ..., None]
    # In each direction the shares of the second value are 0, ¼, ¾ and 1; corner pixels' centres would have 0, ⅓, ⅔, 1.
    shares = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    larger = sources.resize(images, 4)[0, ..., 0]
    np.testing.assert_array_equal(larger, np.floor(shares @ images[0, ..., 0] @ shares.T + 0.5))
    assert larger.dtype == np.uint8
    assert sources.resize(images, 2) is images and sources.resize(images, None) is images
    np.testing.assert_array_equal(sources.resize(images // 255, 1, 255), [[[[64]]]])  # of all four pixels, 255 / 4


def test_an_epoch_of_so_many_steps_goes_through_pass_after_pass():
    options = dict(batch_size=4, limit=10, seed=5)
    passes = data.load("sprites", **options)
    stream = np.concatenate([arrays(passes)[0] for _ in range(6)])  # 60 images
    repeating = data.load("sprites", steps_per_epoch=7, **options)
    assert len(repeating) == 7
    for epoch in range(2):
        batches = [images for images, _ in data.batches(repeating)]
        assert [len(images) for images in batches] == [4] * 7
        np.testing.assert_array_equal(np.concatenate(batches), stream[28 * epoch : 28 * (epoch + 1)])
    short = data.load("sprites", steps_per_epoch=2, first_epoch=2, **options)
    np.testing.assert_array_equal(arrays(short)[0], stream[16:24])  # and not the beginning of a pass again


def test_single_samples_equal_batches():
    single = data.load("sprites", limit=300, label="x")
    assert single.cardinality() == 300
    assert single.element_spec[0].shape.as_list() == [64, 64, 1] and single.element_spec[1].shape.as_list() == [32]
    images, labels = arrays(data.load("sprites", limit=300, label="x", batch_size=64))
    for i, (image, label) in enumerate(single.as_numpy_iterator()):
        np.testing.assert_array_equal(image, images[i])
        np.testing.assert_array_equal(label, labels[i])
    assert i == 299


def test_whole_test_split_is_the_selection_in_order():
    images, labels = arrays(data.load("sprites", "test", batch_size=512, label="orientation"))
    expected = sprites.examples(data.selection("test"))
    np.testing.assert_array_equal(images, expected["image"])
    np.testing.assert_array_equal(labels.argmax(axis=1), expected["label_orientation"])


@pytest.fixture(scope="module")
def labelled():
    """The same 50 images with the labels of every factor."""
    options = dict(batch_size=50, limit=50, shuffle=False, seed=3)
    return {label: arrays(data.load("sprites", label=label, **options)) for label in sprites.FACTORS}


@pytest.mark.parametrize("label", sprites.FACTORS)
def test_every_factor_can_be_the_label(label, labelled):
    images, labels = labelled[label]
    assert labels.shape == (50, sprites.FACTORS[label]) == (50, data.info("sprites", label).classes)
    every = [of.argmax(axis=1) for _, of in labelled.values()]
    np.testing.assert_array_equal(sprites.draw(np.stack(every, axis=-1)), images)


def test_limit_takes_seeded_nested_samples_of_the_split(monkeypatch):
    drawn = []
    draw = sources.draw
    monkeypatch.setattr(sources, "draw", lambda name, chosen, size: drawn.append(chosen) or draw(name, chosen, size))
    for limit, seed in ((20, 0), (50, 0), (20, 1), (20, 0)):
        data.load("sprites", "train", limit=limit, seed=seed)
    twenty, fifty, other, again = drawn
    assert len(twenty) == 20 and set(twenty) <= set(fifty) <= set(data.selection("train"))
    assert set(twenty) != set(other)
    np.testing.assert_array_equal(twenty, again)
    data.load("sprites", "test", limit=20)
    assert set(drawn[-1]) <= set(data.selection("test"))


@pytest.mark.parametrize("container", ["tf.data", "NumPy"])
def test_weights_say_whose_label_is_known(container, use_numpy):
    if container == "NumPy":
        use_numpy()
    options = dict(batch_size=16, limit=40, seed=5, labelled=0.25)
    dataset = data.load("sprites", "train", **options)
    weighed = []
    for _ in range(2):  # other orders of the same samples
        images, labels, weights = map(np.concatenate, zip(*data.batches(dataset), strict=True))
        assert labels.shape == (40, 3) and weights.dtype == np.float32
        assert sorted(weights) == [0] * 30 + [4] * 10
        weighed.append({image.tobytes() for image, weight in zip(images, weights, strict=True) if weight})
    assert weighed[0] == weighed[1]
    assert len(data.take(dataset, 20)) == 2
    for split in ("test", "validation"):
        assert all(
            len(element) == 2 for element in data.batches(data.load("sprites", split, validation=0.5, **options))
        )


@pytest.mark.parametrize("container", ["tf.data", "NumPy"])
@pytest.mark.parametrize("limit", [60, None])
def test_validation_is_a_part_of_the_training_samples(limit, container, use_numpy, monkeypatch):
    if container == "NumPy":
        use_numpy()
    monkeypatch.setitem(sources.DATASETS, "sprites", data.info("sprites")._replace(train_size=80, test_size=20))
    stored = sprites.labels_from_indices(data.selection("train")[:80])
    monkeypatch.setattr(sources, "draw_all", lambda *_: pipelines.keep(sprites.draw(stored), stored))
    options = dict(batch_size=16, limit=limit, seed=5, validation=0.25)
    count = limit or 80

    def epochs(split, number=2):
        dataset = data.load("sprites", split, **options)
        return [[image.tobytes() for images, _ in data.batches(dataset) for image in images] for _ in range(number)]

    train, validation = epochs("train"), epochs("validation")
    assert (len(train[0]), len(validation[0])) == (count - count // 4, count // 4)
    assert len(data.load("sprites", "train", **options)) == -(-(count - count // 4) // 16)
    assert train[0] != train[1] and sorted(train[0]) == sorted(train[1])
    assert validation[0] == validation[1]  # in a fixed order, as "test"
    whole = [
        image.tobytes()
        for images, _ in data.batches(data.load("sprites", **options | {"validation": 0.0}))
        for image in images
    ]
    assert sorted(train[0] + validation[0]) == sorted(whole)
    test = {"split": "test", "limit": None}
    tested = pipelines.keep(sprites.draw(stored[:20]), stored[:20])
    monkeypatch.setattr(sources, "draw_all", lambda *_: tested)
    check_same_batches(*([*data.batches(data.load(**options | test | {"validation": v}))] for v in (0.0, 0.25)))


def test_epochs_are_a_function_of_seed_and_number():
    options = dict(batch_size=16, limit=100)
    dataset = data.load("sprites", seed=5, **options)
    gc.collect()  # the counter must live as long as the data set
    epochs = [arrays(dataset)[0] for _ in range(3)]
    assert not np.array_equal(epochs[0], epochs[1]) and not np.array_equal(epochs[1], epochs[2])
    for first in range(3):
        np.testing.assert_array_equal(
            arrays(data.load("sprites", seed=5, first_epoch=first, **options))[0], epochs[first]
        )
    as_sets = [sorted(image.tobytes() for image in epoch) for epoch in epochs]
    assert as_sets[0] == as_sets[1] == as_sets[2]
    repeated = arrays(data.load("sprites", seed=5, **options).repeat(3))[0]
    np.testing.assert_array_equal(repeated, np.concatenate(epochs))
    unshuffled = data.load("sprites", seed=5, shuffle=False, **options)
    np.testing.assert_array_equal(arrays(unshuffled)[0], arrays(unshuffled)[0])


def test_global_seeds_change_nothing():
    keras.utils.set_random_seed(1)
    one = arrays(data.load("sprites", batch_size=16, limit=40))[0]
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(arrays(data.load("sprites", batch_size=16, limit=40))[0], one)


def fit_and_record(dataset, epochs, initial_epoch=0):
    """Trains with validation and returns the batches that `train_step` saw."""
    seen = []

    class Recorder(keras.Model):
        def train_step(self, batch):
            seen.append(batch[0].numpy())
            return {"loss": 0.0}

        def test_step(self, batch):
            return {"loss": 0.0}

    model = Recorder()
    model.compile(run_eagerly=True)
    validation = data.load("sprites", "test", batch_size=16, limit=20, image_size=16)
    model.fit(dataset, validation_data=validation, initial_epoch=initial_epoch, epochs=epochs, verbose=0, shuffle=False)
    return seen


@pytest.mark.parametrize("limit", [40, 16])  # with a smaller last batch, and a single full one
@pytest.mark.parametrize("container", ["tf.data", "NumPy"])
def test_resumed_fit_sees_the_batches_of_an_uninterrupted_one(limit, container, use_numpy):
    if container == "NumPy":
        use_numpy()

    def load(first_epoch=0):
        return data.load("sprites", batch_size=16, limit=limit, image_size=16, seed=7, first_epoch=first_epoch)

    uninterrupted = fit_and_record(load(), epochs=3)
    expected = [batch for epoch in range(3) for batch, _ in data.batches(load(epoch))]
    begun = fit_and_record(load(), epochs=1)
    resumed = begun + fit_and_record(load(1), epochs=3, initial_epoch=1)
    restarted = begun + fit_and_record(load(), epochs=3, initial_epoch=1)

    def same(some, others):
        return len(some) == len(others) and all(map(np.array_equal, some, others))

    assert same(uninterrupted, expected)
    assert same(uninterrupted, resumed)
    assert not same(uninterrupted, restarted)  # without `first_epoch`, the resumed epochs would differ


def test_resumed_training_in_graph_mode_ends_with_the_same_weights():
    def train(parts):
        model = keras.Sequential(
            [keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer="zeros")]
        )
        model.compile(keras.optimizers.SGD(0.01), keras.losses.CategoricalCrossentropy(from_logits=True))
        for start, stop in parts:
            dataset = data.load("sprites", batch_size=16, limit=80, image_size=16, first_epoch=start)
            model.fit(dataset, initial_epoch=start, epochs=stop, verbose=0, shuffle=False)
        return model.get_weights()[0]

    whole = train([(0, 4)])
    assert np.abs(whole).max() > 0.0
    np.testing.assert_array_equal(train([(0, 2), (2, 4)]), whole)


@pytest.mark.parametrize(
    "options",
    [
        dict(batch_size=16, limit=40),
        dict(batch_size=16, limit=40, seed=5, first_epoch=3),
        dict(batch_size=16, limit=32, shuffle=False, label="orientation"),
        dict(batch_size=50, limit=20, split="test"),
        dict(batch_size=20, limit=20, split="test", shuffle=True, label="x"),
        dict(limit=300),  # single samples
        dict(batch_size=16, limit=40, labelled=0.3),
        dict(limit=40, labelled=0.3),
    ],
    ids=repr,
)
def test_both_containers_hold_the_same(options, use_numpy):
    reference = data.load("sprites", **options)
    use_numpy()
    dataset = data.load("sprites", **options)
    assert isinstance(reference, tf.data.Dataset) and isinstance(dataset, keras.utils.PyDataset)
    assert len(dataset) == len(reference) == dataset.num_batches
    for _ in range(3):
        check_same_batches(list(dataset), list(data.batches(reference)))
    next(iter(dataset)), next(iter(reference))  # looking at one batch counts as an epoch
    iter(dataset), iter(reference)  # an iterator that is not used does not
    check_same_batches(list(data.batches(dataset)), list(reference.as_numpy_iterator()))


def test_both_containers_divide_by_255_alike(use_numpy, monkeypatch):
    stored = np.random.RandomState(0).randint(0, 256, (40, 28, 28, 1)).astype(np.uint8)
    labels = np.arange(40)[:, np.newaxis] % 10
    monkeypatch.setitem(sources.DATASETS, "mnist", data.info("mnist")._replace(train_size=40))
    with monkeypatch.context() as patch:
        patch.setattr(sources, "read", lambda *_: pipelines.keep(stored, labels))
        reference = list(data.batches(data.load("mnist", batch_size=16)))
    use_numpy()
    monkeypatch.setattr(sources, "read", lambda *_: pipelines.keep(stored, labels))
    check_same_batches(list(data.load("mnist", batch_size=16)), reference)
    assert {len(np.unique(image)) for image, _ in reference} == {256}


def test_tfds_data_come_as_numpy_too(fake_dsprites, use_numpy):
    use_numpy()
    images, labels = zip(*data.load("dsprites", "test", batch_size=16, label="y"), strict=True)
    chosen = data.selection("test")
    np.testing.assert_array_equal(np.concatenate(images), fake_dsprites["image"][chosen])
    np.testing.assert_array_equal(np.concatenate(labels).argmax(axis=1), fake_dsprites["label_y_position"][chosen])


def test_batches_by_their_number_come_in_the_order_of_an_epoch(use_numpy):
    """However they are asked for: `fit` shuffles the numbers if it is not told otherwise."""
    use_numpy()

    def load(first_epoch=0):
        return data.load("sprites", batch_size=16, limit=40, first_epoch=first_epoch)

    expected = [list(load(epoch)) for epoch in range(4)]
    dataset = load()
    check_same_batches([dataset[i] for i in (0, 1, 2)], expected[0])
    check_same_batches([dataset[i] for i in (2, 0, 1)], expected[1])
    check_same_batches([dataset[0], dataset[0]], [expected[2][0], expected[3][0]])  # asked again: another pass
    with pytest.raises(IndexError):
        dataset[3]


def test_what_builds_a_model_is_no_epoch(use_numpy):
    """As the JAX trainer goes about it, see `test_data_on_jax.py`."""
    use_numpy()
    for limit, looks in ((40, 1), (40, 2), (16, 1), (32, 2)):  # two where Keras reads one batch ahead
        dataset = data.load("sprites", batch_size=16, limit=limit)
        expected = [list(data.load("sprites", batch_size=16, limit=limit, first_epoch=epoch)) for epoch in range(2)]
        assert dataset.workers == 0  # which asks for no threads, and says that a reader begins
        for i in range(looks):
            dataset[i]
        dataset.on_epoch_end()
        for epoch in expected:
            dataset.on_epoch_begin()
            check_same_batches([dataset[i] for i in range(len(dataset))], epoch)
            dataset.on_epoch_end()


@pytest.mark.parametrize("library", ["tensorflow", "tensorflow_datasets"])
@pytest.mark.parametrize("name", ["mnist", "dsprites"])
@pytest.mark.parametrize("download", [False, True])
def test_missing_libraries_are_one_line(library, name, download, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)  # importing it now fails as if it were not installed
    with pytest.raises(ImportError) as error:
        data.load(name, download=download)
    message = str(error.value)
    assert message.startswith(f"The data set {name!r} needs TensorFlow") and "\n" not in message
    assert message.endswith(f"Missing: {library}") and "pip install tensorflow tensorflow-datasets" in message


@pytest.mark.parametrize("container", ["tf.data", "NumPy"])
def test_take(container, use_numpy):
    if container == "NumPy":
        use_numpy()
    options = dict(split="test", limit=40, seed=3)
    images, labels = zip(*data.batches(data.load("sprites", batch_size=16, **options)), strict=True)
    for count in (1, 16, 20, 40, 50):
        some = data.take(data.load("sprites", batch_size=16, **options), count)
        check_same_batches([some], [(np.concatenate(images)[:count], np.concatenate(labels)[:count])])
    with pytest.raises(ValueError, match="Argument `dataset` must be batches of images"):
        data.take(data.load("sprites", **options), 3)
    with pytest.raises(ValueError, match="Argument `count`"):
        data.take(data.load("sprites", batch_size=16, **options), 0)


def test_dsprites_are_selected_by_position_and_not_divided(fake_dsprites):
    for split, size in (("train", 60), ("test", 20)):
        chosen = data.selection(split)
        dataset = data.load("dsprites", split, batch_size=16, label="y", shuffle=False)
        images, labels = arrays(dataset)
        assert images.shape == (size, 64, 64, 1) and images.max() == 1.0  # 1 / 255 would be black
        np.testing.assert_array_equal(images, fake_dsprites["image"][chosen])
        np.testing.assert_array_equal(labels.argmax(axis=1), fake_dsprites["label_y_position"][chosen])
    limited, _ = arrays(data.load("dsprites", limit=5, batch_size=5))
    whole = {image.tobytes() for image in fake_dsprites["image"][data.selection("train")].astype(np.float32)}
    assert len(limited) == 5 and all(image.tobytes() in whole for image in limited)


def test_tfds_data_are_read_once_per_process(fake_dsprites, monkeypatch):
    data.load("dsprites")
    monkeypatch.setattr(sources, "_open", lambda *_: pytest.fail("read again"))
    data.load("dsprites", label="scale", seed=1, limit=3)


def test_incomplete_data_are_named(fake_dsprites, monkeypatch):
    records = {name: values[:100] for name, values in fake_dsprites.items()}
    monkeypatch.setattr(sources, "_open", lambda *_: tf.data.Dataset.from_tensor_slices(records))
    with pytest.raises(ValueError, match="'dsprites', 'train' must hold 60 images. Received:"):
        data.load("dsprites")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_real_test_splits(name):
    folder = tfds_folder(name)
    details = data.info(name)
    images, labels = arrays(data.load(name, "test", batch_size=1000, data_dir=folder))
    assert images.shape == (details.test_size, *details.image_shape)
    assert images.min() == 0.0 and images.max() == 1.0
    assert labels.shape == (10_000, 10)
    counts = labels.sum(axis=0)
    assert counts.sum() == 10_000 and (counts > 800).all()
    # The statistics of the training images in the data's README; those of the test images are near.
    mean = {"mnist": 0.1307, "fashion_mnist": 0.2860, "cifar10": (0.4868, 0.4822, 0.4414)}[name]
    deviation = {"mnist": 0.3081, "fashion_mnist": 0.3530, "cifar10": (0.2451, 0.2425, 0.2605)}[name]
    np.testing.assert_allclose(images.mean(axis=(0, 1, 2)), mean, atol=0.01)
    np.testing.assert_allclose(images.std(axis=(0, 1, 2)), deviation, atol=0.01)


@pytest.mark.parametrize("name", ["mnist", "dsprites"])
def test_missing_data_are_one_line(name, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        data.load(name, data_dir=tmp_path)
    message = str(error.value)
    assert "\n" not in message
    for part in ("`data_dir`", f"'{tmp_path / name}", "download=True", f"data_dir={str(tmp_path)!r}"):
        assert part in message
    (tmp_path / name).mkdir()  # a folder of the right name without the data
    with pytest.raises(FileNotFoundError, match="download=True"):
        data.load(name, data_dir=tmp_path)


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for load in (data.load, lambda name, **rest: probes.sprites_data(name=name, **rest)):
        with pytest.raises(FileNotFoundError, match=f"Looked for '{tmp_path}/data/dsprites'"):
            load("dsprites", data_dir="~/data")
    assert sources.folder("gs://bucket/data") == "gs://bucket/data"


@pytest.mark.parametrize(
    "arguments, match",
    [
        (dict(name="minst"), "Argument `name` must be one of .* Did you mean 'mnist'"),
        (dict(split="valid"), "Argument `split` must be one of .* Did you mean 'validation'"),
        (dict(split="validation"), "Argument `validation` must be above 0 for the split 'validation'. Received: .*0.0"),
        (dict(validation=1.0), "Argument `validation` must be a number of at least 0 and below 1"),
        (dict(validation=0.04, limit=10), "Argument `validation` must be 0, or leave some of the 10 training samples"),
        (dict(label="orientatoin"), "Argument `label` must be one of .* Did you mean 'orientation'"),
        (dict(name="mnist", label="scale"), "Argument `label` must be left out for 'mnist'"),
        (dict(batch_size=0), "Argument `batch_size` must be an integer of at least 1. Received: batch_size=0"),
        (dict(limit=0), "Argument `limit` must be an integer of at least 1"),
        (dict(limit=59_973), "Argument `limit` must be at most 59972.*Received: limit=59973"),
        (dict(split="test", limit=10_007), "Argument `limit` must be at most 10006"),
        (dict(shuffle="yes"), "Argument `shuffle` must be True, False or None"),
        (dict(seed=-1), "Argument `seed` must be an integer from 0 to 2"),
        (dict(seed=2**32), "Argument `seed` must be an integer from 0 to 2"),
        (dict(first_epoch=-1), "Argument `first_epoch` must be an integer of at least 0"),
        (dict(first_epoch=0.5), "Argument `first_epoch` must be"),
        (dict(image_size=8), "Argument `image_size` must be an integer of at least 16. Received: image_size=8"),
        (dict(steps_per_epoch=0), "Argument `steps_per_epoch` must be an integer of at least 1"),
        (dict(steps_per_epoch=2), "Argument `steps_per_epoch` must be left out without a batch_size"),
        (dict(data_dir=3), "Argument `data_dir` must be a path"),
    ],
    ids=repr,
)
def test_wrong_arguments_are_named_before_any_work(arguments, match, monkeypatch):
    monkeypatch.setattr(sources, "draw_all", lambda *_: pytest.fail("drew sprites first"))
    monkeypatch.setattr(sources, "read", lambda *_: pytest.fail("read first"))
    with pytest.raises(ValueError, match=match):
        data.load(**arguments)


def test_info_knows_sizes_without_loading():
    assert data.info("mnist") == ((28, 28, 1), 10, 60_000, 10_000, 256)
    assert data.info("fashion_mnist").batch_size == data.info("cifar10").batch_size == 128
    assert data.info("cifar10").image_shape == (32, 32, 3) and data.info("cifar10").train_size == 50_000
    assert data.info("dsprites", "orientation") == ((64, 64, 1), 40, 59_972, 10_006, 64)
    with pytest.raises(ValueError, match="Argument `name`"):
        data.info("imagenet")


def test_channels_last():
    last = np.random.RandomState(0).rand(5, 6, 7, 3)
    first = last.transpose(0, 3, 1, 2)
    for images, data_format in ((last, None), (first, None), (last, "channels_last"), (first, "channels_first")):
        np.testing.assert_array_equal(data.to_channels_last(images, data_format), last)
    two = np.zeros((5, 2, 6, 7))
    assert data.to_channels_last(two, "channels_first").shape == (5, 6, 7, 2)
    # A reshape has the right shape, too, and the wrong pixels.
    assert not np.array_equal(first.reshape(last.shape), last)
    with pytest.raises(ValueError, match="Argument `images`.*channels.*Pass `data_format`"):
        data.to_channels_last(two)
    with pytest.raises(ValueError, match="Argument `images` must be an array of rank 4"):
        data.to_channels_last(last[0])
    with pytest.raises(ValueError, match="Argument `data_format` must be one of"):
        data.to_channels_last(last, "last")


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.float16, bool])
def test_check_images_accepts_the_unit_range(dtype):
    images = np.zeros((2, 4, 4, 1), dtype)
    images[0] = 1
    data.check_images(images)
    data.check_images(tf.constant(images))


@pytest.mark.parametrize(
    "value, match",
    [
        (np.nan, "minimum nan, maximum nan"),
        (np.inf, "minimum 0, maximum inf"),
        (-np.inf, "minimum -inf, maximum 0"),
        (1.001, "minimum 0, maximum 1.001"),
        (-0.5, "minimum -0.5, maximum 0"),
        (255.0, "Divide 8-bit images by 255.* maximum 255"),
    ],
)
def test_check_images_names_the_extremes(value, match):
    images = np.zeros((2, 4, 4, 1), np.float32)
    images[1, 2, 3, 0] = value
    with pytest.raises(ValueError, match=match) as error:
        data.check_images(images)
    assert str(error.value).startswith("Argument `images` must be finite and within [0, 1].")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(4, 4, 1), (2, 3, 4, 4, 1), (0, 4, 4, 1)])
def test_check_images_names_a_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"Argument `images` must be a batch of images \[b, h, w, c\]"):
        data.check_images(np.zeros(shape))
    with pytest.raises(ValueError, match="Argument `images` must be numbers"):
        data.check_images(np.full((1, 2, 2, 1), "a"))
