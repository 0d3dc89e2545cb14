"""Pictures: what is drawn, from which values, in which range, and whether every text can be read."""

import functools
import io
import pickle

import keras
import numpy as np
import pytest
from generated_pictures import CODES, make_factor_model, make_linear, make_sprites, planar
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

import lea_keras
from lea_keras import plots


def make_model(channels=1, code_length=3, leas=1, window_size=4, strides=2, weight=1.0, size=(12, 16), kind="standard"):
    """LEAs in series, with a convolution between them."""
    keras.utils.set_random_seed(0)
    maps = inputs = keras.Input((*size, channels))
    for i in range(leas):
        if i:
            maps = keras.layers.Conv2D(5, 3, padding="same", activation="relu")(maps)
        autoencoder = lea_keras.autoencoders.get(kind, code_length=code_length)
        maps = lea_keras.LocallyEmbeddedAutoencoder(
            window_size, autoencoder, strides, loss_weight=weight, name=f"lea_{i + 1}"
        )(maps)
    return keras.Model(inputs, maps)


def make_images(channels=1, count=2, size=(12, 16), scale=1.0):
    return np.random.default_rng(0).uniform(size=(count, *size, channels)).astype("float32") * scale


@functools.cache
def views_of(channels=1, count=2, scale=1.0, **arguments):
    """Inspections, which tests read and replace parts of, and do not change."""
    return lea_keras.inspect(make_model(channels, **arguments), make_images(channels, count, scale=scale))


def pictures(figure):
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


def scales(figure):
    return [image.get_clim() for image in figure.axes[0].images]


def texts(figure):
    """Of a grid of pictures: title, then for each picture its heading (first row) and its caption."""
    return [text.get_text() for text in figure.axes[0].texts]


def headings(figure):
    """The texts above pictures, in the larger letters."""
    return [text.get_text() for text in figure.axes[0].texts if text.get_fontsize() == 8 and text.get_ha() == "center"]


def captions(figure):
    """The texts below pictures, without those below colour bars, which come last in a block."""
    return [text.get_text() for text in figure.axes[0].texts if text.get_fontsize() == 7][: len(pictures(figure))]


def bars(figure):
    """The colour bars of the one block drawn: their values, their range, and the text below each."""
    drawn = figure.axes[0].collections
    labels = [text.get_text() for text in figure.axes[0].texts if text.get_fontsize() == 7][len(pictures(figure)) :]
    return [
        (np.asarray(bar.get_array()).ravel(), bar.get_clim(), label) for bar, label in zip(drawn, labels, strict=True)
    ]


def notes(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_fontsize() == 8 and text.get_ha() == "left"]


def colour(image, value):
    """What a picture makes of a value: red, green, blue."""
    return np.array(image.cmap(image.norm(value))[:3])


def titles(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_fontsize() == 11]


def make_runs():
    """Three runs of a metric, by hand: medians 2, 3, 9 where the means are 4, 4, 9; the last goes on alone."""
    values = [[1.0, 3.0], [2.0, 1.0], [9.0, 8.0, 9.0]]
    return [
        [
            {"epoch": i + 1, "loss": v, "accuracy": 0.5, "val_loss": v + 10, "seconds": 1.0}
            for i, v in enumerate(run)
        ]
        for run in values
    ]  # fmt: skip


# Every kind of picture, of a LEA whose inputs have so many channels.
PICTURES = {
    "code_maps": lambda views: plots.code_maps(views),
    "reconstructions": lambda views: plots.reconstructions(views),
    "windows": lambda views: plots.windows(views, max_windows=9),
    "confidence": lambda views: plots.confidence_maps(views),
    "epochs": lambda views: plots.confidence_maps({1: views, 20: views, "last": views}),
    "histograms": lambda views: plots.histograms(views),
    "traversal": lambda views: plots.latent_traversal(views[0].layer.autoencoder, name="lea_1"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_size_is_the_same_whatever_the_channels(kind):
    sizes = {tuple(PICTURES[kind](views_of(channels)).get_size_inches()) for channels in (1, 3, 32)}
    assert len(sizes) == 1


def test_code_maps_shows_inputs_code_maps_and_reconstructions():
    model, images = make_model(), make_images()
    figure = plots.code_maps(model, images)
    drawn = pictures(figure)
    assert [picture.shape for picture in drawn] == 2 * [(12, 16), *3 * [(6, 8)], (12, 16)]
    np.testing.assert_array_equal(drawn[0], images[0, ..., 0])
    np.testing.assert_array_equal(drawn[5], images[1, ..., 0])
    codes = np.asarray(model(images))
    np.testing.assert_allclose(np.stack(drawn[1:4], -1), codes[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.stack(drawn[6:9], -1), codes[1], rtol=1e-5, atol=1e-6)
    (view,) = lea_keras.inspect(model, images)
    np.testing.assert_array_equal(drawn[4], view.reconstructions[0, ..., 0])
    assert headings(figure) == ["input", "code 1", "code 2", "code 3", "reconstruction"]
    assert titles(figure) == ["lea_1: windows 4×4, strides 2×2"]


def with_codes(codes):
    """An inspection with code maps [b, rows, columns, code_length] by hand."""
    codes = np.asarray(codes, "float32")
    (view,) = views_of(count=len(codes), code_length=codes.shape[-1])
    return view._replace(code_maps=codes)


def test_each_code_has_one_scale_for_all_images_around_0():
    codes = np.zeros((3, 2, 2, 2))
    codes[0, 0, 0] = (4.0, -0.5)
    codes[1, 0, 0] = (-1.0, 0.25)
    codes[2, 0, 0] = (-9.0, 9.0)  # is not drawn
    figure = plots.code_maps(with_codes(codes), max_images=2)
    drawn = [image for image in figure.axes[0].images if np.shape(image.get_array()) == (2, 2)]
    assert [image.get_clim() for image in drawn] == 2 * [(-4.0, 4.0), (-0.5, 0.5)]
    for image in drawn:
        assert colour(image, 0.0).min() > 0.95  # white in every row and column
        low, high = (colour(image, value) for value in image.get_clim())
        assert low[2] > 2 * low[0] and high[0] > 2 * high[2]  # blue below, red above
    maps = [text for text in captions(figure) if text in ("0 … 4", "-0.5 … 0", "-1 … 0", "0 … 0.25")]
    assert maps == ["0 … 4", "-0.5 … 0", "-1 … 0", "0 … 0.25"]
    assert [(clim, label) for _, clim, label in bars(figure)] == [((-4, 4), "-4 … 4"), ((-0.5, 0.5), "-0.5 … 0.5")]
    assert [(values[0], values[-1]) for values, *_ in bars(figure)] == [(-4, 4), (-0.5, 0.5)]
    left = [bar.get_datalim(bar.axes.transData).x0 for bar in figure.axes[0].collections]
    np.testing.assert_allclose(left, [image.get_extent()[0] for image in drawn[:2]])  # below their columns


def test_code_maps_of_the_thesis_are_grey_and_have_one_scale_too():
    codes = np.zeros((2, 2, 2, 1))
    codes[0, 0, 0], codes[1, 0, 0] = 4.0, -1.0
    figure = plots.code_maps(with_codes(codes), colours="grey")
    drawn = [image for image in figure.axes[0].images if np.shape(image.get_array()) == (2, 2)]
    assert [image.get_clim() for image in drawn] == 2 * [(-1.0, 4.0)]
    assert [tuple(colour(drawn[0], value)) for value in (-1.0, 4.0)] == [(0, 0, 0), (1, 1, 1)]
    assert [label for *_, label in bars(figure)] == ["-1 … 4"]


@pytest.mark.parametrize("shape", [(1, 1), (3, 3)])
def test_single_and_constant_maps_show_their_value(shape):
    """Scaled by themselves, they would all be black."""
    codes = np.stack([np.full((*shape, 1), value) for value in (2.0, -1.0, 0.0)])
    figure = plots.code_maps(with_codes(codes))
    shown = [colour(i, np.asarray(i.get_array())[0, 0]) for i in figure.axes[0].images if i.get_array().shape == shape]
    red, pale_blue, white = shown
    assert red[0] > 2 * red[2] and pale_blue[2] > pale_blue[0] and white.min() > 0.95
    assert pale_blue.min() > red.min() + 0.3  # half as far from 0
    zeros = plots.code_maps(with_codes(0 * codes))
    assert all(image.get_clim() == (-1, 1) for image in zeros.axes[0].images if image.get_array().shape == shape)


@pytest.mark.parametrize(("value", "grey"), [(0.0, 0.0), (1.0, 1.0), (0.25, 0.25), (-3.0, 0.5), (200.0, 0.5)])
def test_constant_inputs_and_grey_maps_are_not_black(value, grey):
    (view,) = views_of()
    view = view._replace(inputs=np.full_like(view.inputs, value), code_maps=np.full_like(view.code_maps, value))
    for image in plots.code_maps(view, colours="grey").axes[0].images[:4]:
        np.testing.assert_allclose(colour(image, value), grey, atol=0.01)


def test_codes_that_a_k_sparse_autoencoder_drops_are_white_everywhere():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    autoencoder = lea_keras.KSparseAutoencoder(code_length=4, k=1, a=1.0)
    model = keras.Model(inputs, lea_keras.LocallyEmbeddedAutoencoder(2, autoencoder)(inputs))
    figure = plots.code_maps(model, make_images(size=(8, 8)))
    maps = [image for image in figure.axes[0].images if np.shape(image.get_array()) == (4, 4)]
    dropped = [np.asarray(image.get_array()) == 0 for image in maps]
    assert len(maps) == 8 and np.mean(dropped) == 0.75
    for image, zero in zip(maps, dropped, strict=True):
        assert np.all(image.cmap(image.norm(np.asarray(image.get_array())))[zero][:, :3] > 0.95)


def test_captions_say_what_was_clipped_and_from_where():
    (view,) = views_of(strides=4)
    shift = np.array([0.0, 1.0], "float32")[:, None, None, None, None, None]
    blocks = lea_keras.windows.extract_windows(view.inputs, 4, 4, "same")
    view = view._replace(windows=np.array(blocks) + shift)  # the second image is too bright by 1
    view = view._replace(reconstructions=np.clip(view.unclipped, view.inputs.min(), view.inputs.max()))
    low, high = view.inputs[1].min() + 1, view.inputs[1].max() + 1
    of_range = f"clipped: to the inputs' range, {view.inputs.min():.2g} … {view.inputs.max():.2g}"
    for draw, note in (
        (plots.reconstructions, of_range),
        (plots.code_maps, f"codes: one scale for all images, below each column; {of_range}"),
    ):
        figure = draw(view)
        first, second = captions(figure)[1:4:2] if draw is plots.reconstructions else captions(figure)[4::5]
        assert first == f"{view.inputs[0].min():.2g} … {view.inputs[0].max():.2g}"
        assert second == f"{low:.2g} … {high:.2g}\nclipped"
        assert notes(figure) == [note]
        assert np.max(pictures(figure)[-1]) == view.inputs.max()
    (within,) = views_of()
    within = within._replace(windows=np.full_like(within.windows, 0.5))
    assert notes(plots.reconstructions(within)) == [] and "clipped" not in "".join(texts(plots.code_maps(within)))
    of_windows = captions(plots.windows(view, max_windows=24))
    assert sum("clipped" in text for text in of_windows) == 12 == sum("clipped" in text for text in of_windows[25::2])


@pytest.mark.parametrize(
    ("channels", "scale", "heading", "shape"),
    [
        (1, 1, "input", (12, 16)),
        (3, 1, "input", (12, 16, 3)),
        (3, 2, "input, mean of\n3 channels", (12, 16)),
        (32, 1, "input, mean of\n32 channels", (12, 16)),
    ],
)
def test_any_number_of_channels(channels, scale, heading, shape):
    views = views_of(channels, scale=scale)
    figure = plots.code_maps(views)
    assert headings(figure)[0] == heading
    assert pictures(figure)[0].shape == pictures(figure)[4].shape == shape
    expected = views[0].inputs[0] if len(shape) == 3 else views[0].inputs[0].mean(axis=-1)
    np.testing.assert_allclose(pictures(figure)[0], expected, rtol=1e-6)
    if heading != "input":  # means of channels lie close together: they have the scale of all pictures of inputs
        means = views[0].inputs.mean(axis=-1)
        for i in (0, 4, 5, 9):
            np.testing.assert_allclose(scales(figure)[i], (means.min(), means.max()), rtol=1e-6)


def test_sources_are_models_nested_ones_too_and_inspections():
    inner, images = make_model(leas=2), make_images()
    inputs = keras.Input(images.shape[1:])
    nested = keras.Model(inputs, keras.layers.Flatten()(inner(inputs)))
    views = lea_keras.inspect(nested, images)
    whole, *others = (plots.code_maps(*s) for s in [(inner, images), (nested, images), (views,), (tuple(views),)])
    for other in others:
        assert texts(whole) == texts(other)
        assert all(np.array_equal(a, b) for a, b in zip(pictures(whole), pictures(other), strict=True))
    assert titles(plots.code_maps(views[1])) == ["lea_2: windows 4×4, strides 2×2"]
    assert [lea.name for lea in plots.lea_layers(nested)] == ["lea_1", "lea_2"]


def test_a_lea_used_twice_has_two_titles():
    inputs = keras.Input((8, 8, 1))
    lea = lea_keras.LocallyEmbeddedAutoencoder(4, name="lea")
    views = lea_keras.inspect(keras.Model(inputs, [lea(inputs), lea(inputs * 2)]), make_images(size=(8, 8)))
    assert plots.names(views) == ["lea", "lea (use 2)"]


def test_long_codes_and_many_images_are_cut_and_titled():
    figure = plots.code_maps(views_of(code_length=6, count=5), max_codes=4, max_images=3)
    assert titles(figure) == ["lea_1: windows 4×4, strides 2×2, first 4 of 6 codes, first 3 of 5 images"]
    assert len(pictures(figure)) == 3 * 6


def test_an_untrained_decoder_is_not_drawn():
    views = views_of(weight=0.0)
    figure = plots.code_maps(views)
    assert headings(figure) == ["input", "code 1", "code 2", "code 3"]
    assert titles(figure)[0].endswith("no decoder")
    assert len(plots.histograms(views).axes[0].patches) == 1
    for function in (plots.reconstructions, plots.windows, plots.confidence_maps):
        with pytest.raises(
            ValueError, match=r"must have a LEA with a trained decoder.* Received: the LEAs \['lea_1'\]"
        ):
            function(views)
    assert plots.with_decoder(views) == []


@pytest.mark.parametrize("channels_first", [False, True])
def test_odd_windows_constant_images_and_channels_first(channels_first):
    inputs = keras.Input((1, 12, 16) if channels_first else (12, 16, 1))
    layer = lea_keras.LocallyEmbeddedAutoencoder(
        (5, 3), "vae", (3, 7), padding="valid", data_format="channels_first" if channels_first else None
    )
    views = lea_keras.inspect(keras.Model(inputs, layer(inputs)), np.zeros((1, *inputs.shape[1:]), "float32"))
    drawn = pictures(plots.code_maps(views))
    assert [picture.shape for picture in drawn] == [(12, 16), *10 * [(3, 2)], (12, 16)]
    assert pictures(plots.windows(views))[0].shape == (5, 3)
    for kind, draw in PICTURES.items():
        assert plots.pixels(draw(views)).min() < 255, kind
    assert all(np.isfinite(picture).all() for picture in drawn)


def test_mixed_precision():
    model = make_model()
    layer = lea_keras.LocallyEmbeddedAutoencoder(4, "vae", dtype="mixed_bfloat16")
    views = lea_keras.inspect(keras.Model(model.input, layer(model.input)), make_images())
    assert all(picture.dtype == np.float32 for picture in pictures(plots.code_maps(views)))
    assert pictures(plots.latent_traversal(layer.autoencoder))[0].dtype == np.float32


def test_reconstructions_stand_beside_their_inputs():
    views = views_of(count=5)
    figure = plots.reconstructions(views)
    drawn = pictures(figure)
    for i in range(5):
        np.testing.assert_array_equal(drawn[2 * i], views[0].inputs[i, ..., 0])
        np.testing.assert_array_equal(drawn[2 * i + 1], views[0].reconstructions[i, ..., 0])
    assert set(scales(figure)) == {(views[0].inputs.min(), views[0].inputs.max())}
    assert headings(figure) == 4 * ["input", "reconstruction"]
    left = [image.get_extent() for image in figure.axes[0].images[:4]]
    assert left[0][1] < left[1][0] < left[1][1] < left[2][0]  # side by side
    assert left[1][0] - left[0][1] < left[2][0] - left[1][1]  # what belongs together stands closer together
    assert {extent[2] for extent in left} == {left[0][2]}


def test_windows_are_drawn_one_by_one():
    """A 12×16 image has 3×4 windows of 4×4, which are blocks of the image; 2 images have 24."""
    (view,) = views_of(strides=4)
    figure = plots.windows(view, max_windows=24)
    drawn = pictures(figure)
    assert len(drawn) == 48
    np.testing.assert_array_equal(drawn[2 * 6], view.inputs[0, 4:8, 8:12, 0])
    np.testing.assert_array_equal(drawn[2 * 6 + 1], view.windows[0, 1, 2, ..., 0])
    np.testing.assert_array_equal(drawn[2 * 23], view.inputs[1, 8:12, 12:16, 0])
    assert [text.partition("\n")[0] for text in captions(figure)[12:14]] == [
        "image 1 (2, 3)",
        f"confidence {view.confidence[0, 1, 2]:.2f}",
    ]
    block = view.inputs[0, 4:8, 8:12, 0]
    assert captions(figure)[12].partition("\n")[2] == f"{block.min():.2g} … {block.max():.2g}"
    assert set(scales(figure)) == {(view.inputs.min(), view.inputs.max())}
    assert titles(figure) == ["lea_1: windows 4×4, strides 4×4; image (row, column)"]


def test_of_many_windows_the_least_confident_are_drawn():
    (view,) = views_of(strides=4)
    figure = plots.windows(view, max_windows=3)
    worst = np.sort(view.confidence.ravel())[:3]
    assert [text.partition("\n")[0] for text in captions(figure)[1::2]] == [f"confidence {c:.2f}" for c in worst]
    assert captions(figure)[1].startswith("confidence 0.00\n")
    image, row, column = np.unravel_index(np.argmin(view.confidence), view.confidence.shape)
    np.testing.assert_array_equal(
        pictures(figure)[0], view.inputs[image, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4, 0]
    )
    assert "the 3 least confident of 24" in titles(figure)[0]


def test_confidence_is_white_at_1_and_black_at_0():
    (view,) = views_of()
    view = view._replace(confidence_images=np.full_like(view.confidence_images, 0.5))
    figure = plots.confidence_maps(view)
    assert scales(figure)[1] == (0.0, 1.0)  # not the map's own range
    np.testing.assert_array_equal(pictures(figure)[1], view.confidence_images[0])
    image = figure.axes[0].images[1]
    assert image.cmap(image.norm(1.0)) == (1, 1, 1, 1) and image.cmap(image.norm(0.0)) == (0, 0, 0, 1)
    assert headings(figure) == ["input", "confidence"]


def test_confidence_over_epochs():
    (view,) = views_of()
    epochs = {
        epoch: view._replace(inputs=view.inputs / epoch, confidence_images=np.full((2, 12, 16), epoch / 32, "float32"))
        for epoch in range(1, 32)
    }
    figure = plots.confidence_maps(epochs, max_epochs=4)
    assert headings(figure) == ["input", "epoch 1", "epoch 11", "epoch 21", "epoch 31"]
    assert len(pictures(figure)) == 2 * 5
    for column, epoch in enumerate((1, 11, 21, 31), start=1):
        assert np.all(pictures(figure)[5 + column] == np.float32(epoch / 32))
    np.testing.assert_array_equal(pictures(figure)[0], epochs[31].inputs[0, ..., 0])  # the last epoch's
    assert headings(plots.confidence_maps({"before": view, "after": [view]}))[1:] == ["before", "after"]


def test_confidence_says_what_it_is_relative_to():
    model, images = make_model(leas=2), make_images()
    batch = "confidence: relative to the worst window of these 2 images"
    split = "confidence: relative to the split's worst window, whose squared error is 12.5"
    views = lea_keras.inspect(model, images, largest={"lea_2": 12.5})
    for draw in (plots.confidence_maps, plots.windows):
        of_first, of_second = (text.partition("; clipped")[0] for text in notes(draw(views)))
        assert (of_first, of_second) == (batch, split)
    assert notes(plots.confidence_maps(model, images[:1]))[0].endswith("of this image")
    first, second = views
    assert notes(plots.confidence_maps({1: first, 2: first})) == [f"{batch}, epoch by epoch"]
    assert notes(plots.confidence_maps({1: first, 2: second._replace(confidence_images=first.confidence_images)})) == [
        f"epoch 1: {batch}; epoch 2: {split}"
    ]


def test_histograms_show_shares_of_both():
    (view,) = views_of()
    histograms = view.histograms._replace(
        edges=np.arange(4.0), inputs=np.array([6, 2, 0]), reconstructions=np.array([4, 0, 4])
    )
    figure = plots.histograms(view._replace(histograms=histograms))
    (axes,) = figure.axes
    area, line = axes.patches
    np.testing.assert_array_equal(area.get_data().values, [0.75, 0.25, 0])
    np.testing.assert_array_equal(line.get_data().values, [0.5, 0, 0.5])
    assert area.get_fill() and not line.get_fill()  # so that neither hides the other
    assert sum(to_rgba(area.get_facecolor())[:3]) > sum(to_rgba(line.get_edgecolor())[:3]) + 1  # and in grey print
    assert axes.get_yscale() == "log" and axes.get_ylim()[0] == 0.5 / 8  # a single value of the 8 is seen
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["input", "reconstruction"]


def band(axes, i):
    """Lower and upper edge of the i-th band at each epoch, from the vertices drawn."""
    edges = {}
    for x, y in axes.collections[i].get_paths()[0].vertices:
        edges.setdefault(float(x), []).append(float(y))
    return {x: (min(y), max(y)) for x, y in edges.items()}


def test_metric_curves_are_medians_and_bands_hold_all_runs():
    figure = plots.metric_curves(make_runs(), ["loss"])
    (axes,) = figure.axes
    test, training = axes.lines
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(training.get_ydata(), [2, 3, 9])  # the means would be 4, 4, 9
    np.testing.assert_array_equal(test.get_ydata(), [12, 13, 19])
    assert band(axes, 1) == {1: (1, 9), 2: (1, 8), 3: (9, 9)}
    assert band(axes, 0) == {1: (11, 19), 2: (11, 18), 3: (19, 19)}
    assert (test.get_linestyle(), training.get_linestyle()) == ("-", "--") and test.get_color() != training.get_color()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["test", "training"]
    assert figure.get_suptitle() == "median of 3 runs, band: all of them\nafter epoch 2: of the runs that got so far"
    assert axes.get_title() == "loss" and axes.get_xlabel() == "epoch"


def test_metric_curves_beside_references():
    levels = {"loss": {"PCA": 2.5, "chance": 7}}
    figure = plots.metric_curves(make_runs(), ["loss"], references=levels)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines["PCA"].get_ydata()) == {2.5} and set(lines["chance"].get_ydata()) == {7.0}
    assert lines["PCA"].get_linestyle() != lines["chance"].get_linestyle()
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"test", "training", "PCA", "chance"}


@pytest.mark.parametrize(
    "references",
    [5.96, [], {"los": {"PCA": 1.0}}, {"loss": 2.0}, {"loss": {}}, {"loss": {"PCA": float("nan")}}],
    ids=repr,
)
def test_bad_references_are_named(references):
    with pytest.raises(ValueError, match="`references` must be"):
        plots.metric_curves(make_runs(), ["loss"], references=references)


def test_a_model_with_one_lea_stands_for_its_autoencoder():
    model = lea_keras.image_autoencoder("vae", (4, 4, 1), code_length=2)
    (lea,) = model.lea_layers
    for draw in (plots.latent_traversal, plots.latent_manifold, plots.samples):
        pictures = [draw(one).axes[0].images[0].get_array() for one in (model, lea.autoencoder)]
        np.testing.assert_array_equal(*pictures)


def history(**metrics):
    """What ``fit`` returns."""
    made = keras.callbacks.History()
    made.set_model(keras.Sequential())
    made.on_train_begin()
    for epoch in range(max(map(len, metrics.values()))):
        made.on_epoch_end(epoch, {name: values[epoch] for name, values in metrics.items() if epoch < len(values)})
    return made


def test_metric_curves_of_what_fit_returns():
    rows = [[{"epoch": 1, "loss": 3.0, "val_loss": 4.0}, {"epoch": 2, "loss": 1.0, "val_loss": 2.0}]]
    made = history(loss=[3.0, 1.0], val_loss=[4.0, 2.0], per_class=[np.ones(3), np.ones(3)])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    fitted = model.fit(np.ones((4, 2)), np.ones(4), validation_data=(np.ones((4, 2)), np.ones(4)), epochs=2, verbose=0)
    for given, expected in (
        (made, rows),
        ([made], rows),
        ([made, *rows], [*rows, *rows]),
        ({"a": made, "b": [made]}, {"a": rows, "b": rows}),
    ):
        ours, theirs = plots.metric_curves(given), plots.metric_curves(expected)
        assert [axes.get_title() for axes in ours.axes] == ["loss"]  # no value per class has a curve
        for line, other in zip(ours.axes[0].lines, theirs.axes[0].lines, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), other.get_xydata())
    (axes,) = plots.metric_curves(fitted).axes
    np.testing.assert_allclose(axes.lines[1].get_xydata(), np.stack([[1, 2], fitted.history["loss"]], axis=1))


def seen(figure):
    """How many pixels each line of the first panel has to itself, by its colour in the panel."""
    drawn = plots.pixels(figure).reshape(-1, 3).astype(int)
    colours = [np.round(255 * np.array(to_rgba(line.get_color())[:3])) for line in figure.axes[0].lines]
    return [int(np.sum(np.all(np.abs(drawn - colour) <= 3, axis=1))) for colour in colours]


def test_curves_that_coincide_stay_visible():
    rows = [{"epoch": i, "loss": 1 / i, "val_loss": 2 / i} for i in range(1, 20)]
    figure = plots.metric_curves({name: [rows] for name in "abcd"})
    assert min(seen(figure)) > 100
    widths = [line.get_linewidth() for line in figure.axes[0].lines]
    assert widths[::2] == sorted(widths[::2], reverse=True) and len(set(widths[::2])) == 4  # the last on top
    assert len({handle.get_linewidth() for handle in figure.legends[0].get_lines()}) == 1
    both = plots.metric_curves([[row | {"val_loss": row["loss"]} for row in rows]])  # test and training
    assert min(seen(both)) > 100
    apart = plots.metric_curves({"a": [rows], "b": [[row | {"loss": 3.0, "val_loss": 4.0} for row in rows]]})
    assert {line.get_linewidth() for line in apart.axes[0].lines} == {1.6}


def test_metric_curves_compare_groups_in_every_metric():
    runs = make_runs()
    figure = plots.metric_curves({"few": runs[:2], "many": runs[2:]})
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]  # neither epoch nor seconds
    loss, accuracy = figure.axes
    assert [line.get_label() for line in loss.lines] == ["few, test", "few, training", "many, test", "many, training"]
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), [1.5, 2])
    np.testing.assert_array_equal(loss.lines[3].get_ydata(), [9, 8, 9])
    assert [line.get_label() for line in accuracy.lines] == ["few, training", "many, training"]  # there is no other
    few, many = (loss.lines[i] for i in (0, 2))
    assert few.get_color() != many.get_color() and few.get_marker() != many.get_marker()  # the latter for grey print
    assert figure.get_suptitle().startswith("median of 1–2 runs")


def test_metric_curves_name_the_data_that_they_show():
    def legend(figure):
        return [text.get_text() for text in figure.legends[0].get_texts()]

    runs = make_runs()
    assert legend(plots.metric_curves(runs, ["loss"], held_out="validation")) == ["validation", "training"]
    names = {"few": "test set", "many": "validation"}
    figure = plots.metric_curves({"few": runs[:2], "many": runs[2:]}, held_out=names)
    assert sorted(legend(figure)) == ["few, test set", "few, training", "many, training", "many, validation"]
    # The names change and nothing else does.
    plain = plots.metric_curves({"few": runs[:2], "many": runs[2:]})
    for axes, other in zip(figure.axes, plain.axes, strict=True):
        for line, same in zip(axes.lines, other.lines, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), same.get_ydata())
            assert (line.get_color(), line.get_linestyle()) == (same.get_color(), same.get_linestyle())


def test_metric_curves_of_one_epoch_are_seen():
    figure = plots.metric_curves([run[:1] for run in make_runs()], ["loss"])
    assert figure.axes[0].lines[0].get_marker() == "o"
    assert plots.metric_curves(make_runs()[:1]).get_suptitle() == "one run"


def test_values_that_are_missing_or_not_finite_are_left_out():
    runs = make_runs()
    runs[1][0]["loss"] = float("nan")
    del runs[0][1]["loss"]
    figure = plots.metric_curves(runs, ["loss"])
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), [5, 4.5, 9])


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("lea_1_rln", "lea_1 RLN"),
        ("lea_kl", "lea KL"),
        ("lea_nll", "lea NLL"),
        ("lea_1_discrete_kl", "lea_1 discrete KL"),
        ("lea_discrete_capacity", "lea discrete capacity"),
        ("main_loss", "main loss"),
        ("accuracy", "accuracy"),
    ],
)
def test_metric_labels(name, label):
    assert plots.metric_label(name) == label


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_latent_traversal_changes_one_variable_per_row(channels):
    model = make_model(channels, code_length=3, kind="vae")
    autoencoder = model.layers[-1].autoencoder
    figure = plots.latent_traversal(autoencoder, (-2.0, 4.0), steps=4, value_range=(-5, 5))
    drawn = pictures(figure)
    assert len(drawn) == 3 * 4 and headings(figure) == ["-2", "0", "2", "4"]
    window = np.asarray(autoencoder.decode(np.array([[0.0, 4.0, 0.0]], "float32")))[0]
    if channels == 3:
        np.testing.assert_allclose(drawn[7], (window + 5) / 10, atol=1e-6)
    else:
        np.testing.assert_allclose(drawn[7], window.mean(axis=-1), atol=1e-6)
        assert set(scales(figure)) == {(-5, 5)}
    np.testing.assert_allclose(drawn[1], drawn[5], atol=1e-6)  # 0 is 0 whichever variable it is of
    labels = [text for text in texts(figure) if text.startswith("code")]
    assert labels == ["code 1", "code 2", "code 3"]
    assert titles(figure) == ["variational_autoencoder: one code variable changed, the others 0"]
    assert notes(figure)[0] == "black -5, white 5" + (", mean of 4 channels" if channels == 4 else "")


def test_latent_traversal_is_scaled_by_all_it_decodes():
    autoencoder = make_model(code_length=5, kind="vae").layers[-1].autoencoder
    figure = plots.latent_traversal(autoencoder, max_codes=2)
    drawn = np.stack(pictures(figure))
    assert drawn.shape == (2 * 13, 4, 4)
    assert set(scales(figure)) == {(drawn.min(), drawn.max())}
    assert headings(figure)[:7] == ["-3", "-2.5", "-2", "-1.5", "-1", "-0.5", "0"]
    assert notes(figure)[0] == f"black {drawn.min():.2g}, white {drawn.max():.2g}"
    assert titles(figure)[0].endswith("the others 0, first 2 of 5 codes")


@pytest.mark.parametrize("given", ["around", "base"])
def test_latent_traversal_keeps_the_other_variables_of_an_image_or_a_code(given):
    autoencoder = make_model(code_length=3, kind="vae").layers[-1].autoencoder
    image = np.random.default_rng(1).uniform(size=(4, 4, 1)).astype("float32") * 9
    code = np.asarray(autoencoder.posterior(autoencoder.features(image[None]))[0])[0]
    figure = plots.latent_traversal(autoencoder, steps=3, **{given: image if given == "around" else code})
    expected = np.tile(code, (3, 3, 1))
    for variable in range(3):
        expected[variable, :, variable] = (-3, 0, 3)
    windows = np.asarray(autoencoder.decode(expected.reshape(9, 3)))[..., 0]
    np.testing.assert_allclose(np.stack(pictures(figure)), windows, atol=1e-5)
    assert np.ptp(np.stack(pictures(figure))[1::3], axis=0).max() > 0.1  # not the same at 0, as around 0 they would be
    assert titles(figure)[0].endswith("the others as in an image" if given == "around" else "the others as in a code")
    if given == "base":  # as a model in half precision gives it
        half = plots.latent_traversal(autoencoder, steps=3, base=keras.ops.cast(code, "bfloat16"))
        np.testing.assert_allclose(np.stack(pictures(half)), np.stack(pictures(figure)), atol=0.1)


def unbuilt():
    return lea_keras.VariationalAutoencoder(code_length=2, name="vae")


def built():
    return make_model(kind="vae").layers[-1].autoencoder


# What is wrong, and what the line must say.
WRONG = {
    "validation_freq": (
        lambda: plots.metric_curves(history(loss=[1.0, 2.0], val_loss=[1.0])),
        "`runs` must be rows .* Received: runs=\"a History with 1 values of 'val_loss' in 2 epochs\"",
    ),
    "no epoch": (lambda: plots.metric_curves(history(loss=[])), "`runs` must be runs that have finished an epoch"),
    "colours": (lambda: plots.code_maps(views_of(), colours="gray"), "`colours` must be one of .* Did you mean 'grey'"),
    "no images": (
        lambda: plots.code_maps(make_model()),
        "Argument `images` must be a batch of images where a model is",
    ),
    "images too": (
        lambda: plots.histograms(views_of(), make_images()),
        "Argument `images` must be left out where inspections are given. Received: images='ndarray'",
    ),
    "a string": (lambda: plots.windows("model"), "Argument `source` must be a model .* Received: source='str'"),
    "nothing": (lambda: plots.reconstructions([]), r"Argument `source` must be .* Received: source=\[\]"),
    "no epochs": (lambda: plots.confidence_maps({}), "Argument `source` must be at least one epoch"),
    "other images": (
        lambda: plots.confidence_maps({1: views_of(count=1), 2: views_of(count=2)}),
        "Argument `source` must be of the same LEAs and images in all epochs",
    ),
    "max_images": (lambda: plots.code_maps(views_of(), max_images=0), "`max_images` must be an integer of at least 1"),
    "max_codes": (lambda: plots.code_maps(views_of(), max_codes=1.5), "`max_codes` must be an integer of at least 1"),
    "max_windows": (lambda: plots.windows(views_of(), max_windows=0), "`max_windows` must be an integer"),
    "max_epochs": (lambda: plots.confidence_maps(views_of(), max_epochs=1), "`max_epochs` must be an integer of at l"),
    "no runs": (lambda: plots.metric_curves([]), r"Argument `runs` must be a list of runs.* Received: runs='?\[\]"),
    "one run": (lambda: plots.metric_curves(make_runs()[0]), "Argument `runs` must be a list of runs, each a list of"),
    "no group": (lambda: plots.metric_curves({}), "Argument `runs` must be"),
    "an empty group": (lambda: plots.metric_curves({"a": []}), r"Argument `runs` must be .* Received: runs='a: \[\]'"),
    "an empty run": (lambda: plots.metric_curves([[]]), "`runs` must be runs that have finished an epoch"),
    "metric": (lambda: plots.metric_curves(make_runs(), ["los"]), "Did you mean 'loss'. Received: metrics='los'"),
    "held out": (
        lambda: plots.metric_curves({"a": make_runs(), "b": make_runs()}, held_out={"a": "test"}),
        "`held_out` must be a name, or a mapping from each of the labels 'a', 'b' to one. Received: held_out={'a': 'te",
    ),
    "metric name": (lambda: plots.metric_curves(make_runs(), "loss"), "`metrics` must be a list of names"),
    "unbuilt": (lambda: plots.latent_traversal(unbuilt()), "`autoencoder` must be built: encode .* autoencoder='vae'"),
    "no LEA": (lambda: plots.latent_traversal(keras.Sequential()), "`autoencoder` must be an autoencoder"),
    "steps": (lambda: plots.latent_traversal(built(), steps=1), "`steps` must be an integer of at least 2"),
    "range": (lambda: plots.latent_traversal(built(), (1, 1)), "`codes_range` must be a pair of finite numbers"),
    "negative": (lambda: plots.latent_traversal(built(), -1.0), "`codes_range` must be a pair of finite numbers"),
    "triple": (lambda: plots.latent_traversal(built(), (1, 2, 3)), "`codes_range` must be a pair of finite numbers"),
    "around": (lambda: plots.latent_traversal(built(), around=np.ones((4, 4))), r"`around` must be .*\(4, 4, 1\)"),
    "base": (lambda: plots.latent_traversal(built(), base=[1.0, np.inf, 0]), r"`base` must be finite .*\(3,\)"),
    "both": (lambda: plots.latent_traversal(built(), around=0, base=[1, 2, 3]), "`base` must be left out where `ar"),
    "values": (lambda: plots.latent_traversal(built(), value_range=(0, np.nan)), "`value_range` must be a pair of fin"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_get_one_line(case):
    draw, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as error:
        draw()
    assert "\n" not in str(error.value)


def test_a_model_without_leas_is_refused():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.MaxPooling2D(name="pool")(inputs))
    with pytest.raises(ValueError, match="must have LEA layers. Received: a model with the layers .*'pool'"):
        plots.code_maps(model, make_images(size=(4, 4)))


def every_text(figure):
    """All texts of a figure that are drawn, and that may not lie on each other."""
    found = [*figure.texts, figure._suptitle] if figure._suptitle else [*figure.texts]
    for axes in figure.axes:
        found += axes.texts
        if axes.axison:
            found += [axes.title, axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = axis.get_view_interval()
                shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
                found += [tick.label1 for tick in shown]
    for legend in figure.legends:
        found += legend.get_texts()
    return list({id(text): text for text in found if text.get_text() and text.get_visible()}.values())


@pytest.mark.parametrize("dpi", [72, 100, 150, 220])
def test_titles_are_not_cut_at_any_resolution(dpi):
    """Letters are whole pixels wide, so that a title's width is not that of another resolution."""
    figure = plots.latent_traversal(built(), steps=2, name=LONG)
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    right = max(text.get_window_extent(canvas.get_renderer()).x1 for text in every_text(figure))
    assert right <= canvas.get_width_height()[0]


LONG = "a layer with quite a long name"
CASES = {
    **{
        f"{kind}, {channels} channels": lambda kind=kind, channels=channels: PICTURES[kind](
            views_of(channels, code_length=10, leas=2, count=3, scale=1234)
        )
        for kind in PICTURES
        for channels in (1, 32)
    },
    "smallest": lambda: plots.code_maps(views_of(code_length=1, count=1)),
    "many codes": lambda: plots.code_maps(views_of(code_length=40)),
    "colours": lambda: plots.confidence_maps(views_of(3)),
    "wide images": lambda: plots.reconstructions(make_model(size=(8, 60)), make_images(size=(8, 60))),
    "high images": lambda: plots.reconstructions(make_model(size=(60, 8)), make_images(size=(60, 8))),
    "long names": lambda: plots.latent_traversal(built(), steps=2, name=LONG),
    "curves": lambda: plots.metric_curves(make_runs()),
    "manifold": lambda: plots.latent_manifold(planar(), 3, (0, 1), name=LONG),
    "samples": lambda: plots.samples(built(), 3, name=LONG),
    "filters": lambda: plots.filters(make_linear(5), 2, name=LONG),
    "scatter": lambda: plots.codes({LONG: CODES, "b": CODES}, np.arange(60) % 10),
    "factors": lambda: plots.factor_activations(make_factor_model(), *make_sprites(200), name=LONG),
    "one factor": lambda: plots.factor_activations(make_factor_model(), *make_sprites(200), max_codes=1),
    "groups": lambda: plots.metric_curves({f"{LONG} {i}": make_runs() for i in range(5)}),
    "eight metrics": lambda: plots.metric_curves(
        [[{"epoch": i, "seconds": 0.1} | {f"lea_{m}_rln": i * 1e-4 for m in range(8)} for i in (1, 2)]]
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_is_clipped_or_overlaps(case):
    figure = CASES[case]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found = every_text(figure)
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in found]
    width, height = canvas.get_width_height()
    for text, box in zip(found, boxes, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text.get_text()
        assert text.get_fontsize() >= 7, text.get_text()  # points; smaller letters are no letters
    for i, box in enumerate(boxes):
        for j, other in enumerate(boxes[:i]):
            assert not box.overlaps(other), (found[i].get_text(), found[j].get_text())
    grids = [axes for axes in figure.axes if not axes.axison]
    for image in (image for axes in grids for image in axes.images):
        left, right, bottom, top = (edge * figure.dpi for edge in image.get_extent())
        assert not any(
            box.x0 < right - 1 and box.x1 > left + 1 and box.y0 < top - 1 and box.y1 > bottom + 1 for box in boxes
        ), "a text lies on a picture"


def test_pixels_are_those_of_the_figure():
    figure = plots.code_maps(views_of())
    drawn = plots.pixels(figure)
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3
    width, height = figure.get_size_inches() * figure.dpi
    assert abs(drawn.shape[1] - width) <= 1 and abs(drawn.shape[0] - height) <= 1
    assert tuple(drawn[0, 0]) == (255, 255, 255)


def test_figures_show_themselves_in_notebooks():
    """Without ``%matplotlib inline``, a notebook asks an object for its picture."""
    views = views_of(kind="vae")
    figures = [draw(views) for draw in PICTURES.values()] + [plots.metric_curves(make_runs())]
    for figure in figures:
        image = Image.open(io.BytesIO(figure._repr_png_()))
        assert image.size == tuple((figure.get_size_inches() * figure.dpi).round().astype(int))
        assert np.array(image.convert("L")).min() < 200  # not an empty sheet
        assert isinstance(figure, Figure)
    copy = pickle.loads(pickle.dumps(figures[0]))
    np.testing.assert_array_equal(plots.pixels(copy), plots.pixels(figures[0]))


def test_data_sets_and_several_inputs():
    """The first batch of a data set, the same for all epochs drawn; and images that cannot be drawn are refused."""
    images = make_images()

    class Shuffled(keras.utils.PyDataset):
        asked = 0

        def __len__(self):
            return 1

        def __getitem__(self, index):
            self.asked += 1
            return images * self.asked, np.zeros(2)

    model, extra = make_model(), keras.Input((1,))
    maps = model(model.inputs[0])
    two = keras.Model([model.inputs[0], extra], [maps, extra])
    for draw in (plots.code_maps, plots.reconstructions, plots.windows, plots.confidence_maps):
        expected = draw(model, images)
        for figure in (draw(model, Shuffled()), draw(two, (images, np.zeros((2, 1))))):
            assert texts(figure) == texts(expected)
            assert all(map(np.array_equal, pictures(figure), pictures(expected)))
    assert plots.histograms(two, [images, np.zeros((2, 1))]).axes
    for draw in (plots.code_maps, plots.confidence_maps, plots.histograms):
        with pytest.raises(ValueError, match="Argument `images` must be finite .* minimum nan, maximum nan'"):
            draw(model, images * np.nan)
    data = Shuffled()
    plots.confidence_maps({1: model, 2: model}, data)
    assert data.asked == 1


def test_no_pyplot_state_is_left():
    import matplotlib.pyplot

    before = matplotlib.pyplot.get_fignums()
    plots.code_maps(views_of())
    plots.histograms(views_of())
    assert matplotlib.pyplot.get_fignums() == before
