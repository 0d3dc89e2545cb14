"""Pictures: what is drawn, from which values, in which range, and whether every text can be read."""

import keras
import matplotlib.backends.backend_agg
import numpy as np
import pytest

import lea_keras
from lea_keras import plots


def make_model(channels=1, code_length=3, leas=1, window_size=4, strides=2, weight=1.0, size=(12, 16), first=0):
    """LEAs in series, each after a convolution but the first if ``first`` is 0."""
    keras.utils.set_random_seed(0)
    maps = inputs = keras.Input((*size, channels))
    for i in range(leas):
        if i or first:
            maps = keras.layers.Conv2D(5, 3, padding="same", activation="relu")(maps)
        autoencoder = lea_keras.StandardAutoencoder(code_length=code_length)
        maps = lea_keras.LocallyEmbeddedAutoencoder(
            window_size, autoencoder, strides, loss_weight=weight, name=f"lea_{i + 1}"
        )(maps)
    return keras.Model(inputs, maps)


def make_images(channels=1, count=2, size=(12, 16)):
    return np.random.default_rng(0).uniform(size=(count, *size, channels)).astype("float32")


def pictures(figure):
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def headings(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_shows_inputs_code_maps_and_reconstructions():
    model, images = make_model(), make_images()
    drawn = pictures(plots.code_maps(model, images))
    assert [picture.shape for picture in drawn] == 2 * [(12, 16), *3 * [(6, 8)], (12, 16)]
    np.testing.assert_array_equal(drawn[0], images[0, ..., 0])
    np.testing.assert_array_equal(drawn[5], images[1, ..., 0])
    codes = np.asarray(model(images))
    np.testing.assert_allclose(np.stack(drawn[1:4], -1), codes[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.stack(drawn[6:9], -1), codes[1], rtol=1e-5, atol=1e-6)
    layer = model.layers[-1]
    windows = lea_keras.windows.extract_windows(images, 4, 2, "same")
    decoded = layer.autoencoder(np.reshape(windows, (-1, 4, 4, 1)))
    merged = lea_keras.windows.merge_windows(np.reshape(decoded, windows.shape), (12, 16), 2, "same")
    np.testing.assert_allclose(drawn[4], np.clip(merged, images.min(), images.max())[0, ..., 0], rtol=1e-5, atol=1e-6)


def test_each_map_is_scaled_by_its_own_range_and_says_so():
    figure = plots.code_maps(make_model(), make_images())
    for axes in figure.axes:
        picture = axes.images[0]
        low, high = np.min(picture.get_array()), np.max(picture.get_array())
        assert axes.get_xlabel() == f"{low:.2g} … {high:.2g}"
        if picture.get_array().shape == (6, 8):
            assert picture.get_clim() == (low, high)
        else:  # a reconstruction has the scale of its input
            assert picture.get_clim() == (make_images().min(), make_images().max())


@pytest.mark.parametrize(
    ("channels", "first", "heading", "shape"),
    [
        (1, 0, "input", (12, 16)),
        (3, 0, "input", (12, 16, 3)),
        (2, 0, "input, mean of\n2 channels", (12, 16)),
        (3, 1, "input, mean of\n5 channels", (12, 16)),
    ],
)
def test_any_number_of_channels(channels, first, heading, shape):
    figure = plots.code_maps(make_model(channels, first=first), make_images(channels))
    assert headings(figure) == [heading, "code 1", "code 2", "code 3", "reconstruction"]
    assert pictures(figure)[0].shape == pictures(figure)[4].shape == shape
    assert tuple(figure.get_size_inches()) == tuple(plots.code_maps(make_model(), make_images()).get_size_inches())


def test_several_leas_and_long_codes_are_titled():
    figure = plots.code_maps(make_model(code_length=6, leas=2), make_images(), max_codes=4)
    assert [text.get_text() for text in figure.texts] == [
        "lea_1: windows 4×4, strides 2×2, first 4 of 6 codes",
        "lea_2: windows 4×4, strides 2×2, first 4 of 6 codes",
    ]
    assert len(figure.axes) == 2 * 2 * 6


def test_an_untrained_decoder_is_not_drawn():
    figure = plots.code_maps(make_model(weight=0.0), make_images())
    assert headings(figure) == ["input", "code 1", "code 2", "code 3"]
    assert figure.texts[0].get_text().endswith("no decoder")


@pytest.mark.parametrize("channels_first", [False, True])
def test_odd_windows_constant_images_and_channels_first(channels_first):
    inputs = keras.Input((1, 12, 16) if channels_first else (12, 16, 1))
    layer = lea_keras.LocallyEmbeddedAutoencoder(
        (5, 3), "vae", (3, 7), padding="valid", data_format="channels_first" if channels_first else None
    )
    model = keras.Model(inputs, layer(inputs))
    drawn = pictures(plots.code_maps(model, np.zeros((1, *inputs.shape[1:]), "float32")))
    assert [picture.shape for picture in drawn] == [(12, 16), *10 * [(3, 2)], (12, 16)]
    assert all(np.isfinite(picture).all() for picture in drawn)


def test_mixed_precision():
    model = make_model()
    layer = lea_keras.LocallyEmbeddedAutoencoder(4, "standard", dtype="mixed_bfloat16")
    model = keras.Model(model.input, layer(model.input))
    assert all(picture.dtype == np.float32 for picture in pictures(plots.code_maps(model, make_images())))


def test_a_model_without_leas_is_refused():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.MaxPooling2D(name="pool")(inputs))
    with pytest.raises(ValueError, match="must have LEA layers. Received: a model with the layers .*'pool'"):
        plots.code_maps(model, make_images())


@pytest.mark.parametrize(("code_length", "leas", "count"), [(1, 1, 1), (10, 2, 4), (40, 1, 2)])
def test_no_text_is_clipped_or_overlaps(code_length, leas, count):
    figure = plots.code_maps(make_model(code_length=code_length, leas=leas, first=1), make_images(count=count) * 1234)
    renderer = matplotlib.backends.backend_agg.FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [text for text in (axes.title, axes.xaxis.label) if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    width, height = figure.canvas.get_width_height()
    for text, box in zip(texts, boxes, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()
        assert box.height >= 6, text.get_text()  # pixels; smaller letters are no letters
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i]), texts[i].get_text()
