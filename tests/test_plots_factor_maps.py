"""Code variables against factors: means by hand, an encoder that knows the factors, and the order of columns."""

import keras
import numpy as np
import pytest
from generated_pictures import make_factor_model, make_sprites, planar

import lea_keras
from lea_keras import plots, sprites
from lea_keras.plots import factor_maps


def test_means_over_groups_are_those_of_a_loop():
    images, labels = make_sprites(300)
    values = np.random.default_rng(0).normal(size=(300, 2))
    means = factor_maps.group_means(values, labels, ("shape", "scale"))
    assert means.shape == (3, 6, 2)
    for shape in range(3):
        for scale in range(6):
            own = values[(labels["shape"] == shape) & (labels["scale"] == scale)]
            np.testing.assert_allclose(means[shape, scale], own.mean(axis=0))
    maps = factor_maps.group_means(values, labels, ("y", "x"))
    seen = np.zeros((32, 32), bool)
    seen[labels["y"], labels["x"]] = True
    np.testing.assert_array_equal(np.isnan(maps).any(axis=-1), ~seen)


class Knowing(lea_keras.VariationalAutoencoder):
    """Codes are the factors themselves, hidden in the first pixels of an image: x, y, orientation."""

    def posterior(self, features):
        zeros = keras.ops.zeros_like(features[:, :3])
        log_std = zeros + keras.ops.convert_to_tensor([0.0, -1.0, -3.0])
        return features[:, :3], log_std


def knowing(count=400):
    images, labels = make_sprites(count)
    images = images.astype("float32")
    images.reshape(count, -1)[:, :3] = np.stack([labels["x"], labels["y"], labels["orientation"]], axis=-1)
    autoencoder = Knowing(3, units=())
    autoencoder.encode(images[:1])
    return autoencoder, images, labels


def test_columns_are_sorted_by_variance_and_x_runs_to_the_right():
    autoencoder, images, labels = knowing()
    found = factor_maps.activations(autoencoder, images, labels)
    assert found.order == [2, 1, 0]  # the most informative first
    np.testing.assert_allclose(found.variances, np.exp([0.0, -2.0, -6.0]), rtol=1e-5)
    seen = ~np.isnan(found.maps[..., 0])
    columns, rows = np.meshgrid(np.arange(32), np.arange(32))
    np.testing.assert_allclose(found.maps[..., 0][seen], columns[seen])
    np.testing.assert_allclose(found.maps[..., 1][seen], rows[seen])
    figure = plots.factor_activations(autoencoder, images, labels)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert [title.partition("\n")[0] for title in titles] == ["code 3", "code 2", "code 1"]
    maps = [axes for axes in figure.axes if axes.get_title()]
    np.testing.assert_array_equal(np.ma.filled(maps[2].images[0].get_array(), np.nan), found.maps[..., 0])
    assert maps[2].images[0].origin == "upper"  # y points down, as in the images
    assert len({axes.images[0].get_clim() for axes in maps}) == 1  # one scale for all
    turns = [axes for axes in figure.axes if axes.get_xlabel() == "orientation in degrees"][0].figure.axes[6:9]
    for shape, line in enumerate(turns[0].lines[:3]):
        np.testing.assert_allclose(line.get_xdata()[[0, -1]], [0, 360])
        own = found.orientations[shape, :, 2]
        np.testing.assert_array_equal(line.get_ydata(), own)
        np.testing.assert_allclose(own[~np.isnan(own)], np.arange(40)[~np.isnan(own)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(sprites.SHAPES)
    assert len({(line.get_color(), line.get_linestyle()) for line in turns[0].lines[:3]}) == 3


def test_activations_are_means_of_the_posterior_whatever_the_batch(monkeypatch):
    model, (images, labels) = make_factor_model(), make_sprites(150)
    autoencoder = model.lea_layers[0].autoencoder
    whole = factor_maps.activations(autoencoder, images, labels)
    mean, log_std = autoencoder.posterior(autoencoder.features(images.astype("float32")))
    np.testing.assert_allclose(whole.variances, np.mean(np.exp(2 * np.asarray(log_std)), axis=0), rtol=1e-5)
    own = np.asarray(mean)[(labels["shape"] == 1) & (labels["scale"] == 2)]
    np.testing.assert_allclose(whole.scales[1, 2], own.mean(axis=0), rtol=1e-4)
    monkeypatch.setattr(factor_maps, "_BATCH", 64)
    np.testing.assert_allclose(factor_maps.activations(autoencoder, images, labels).maps, whole.maps, atol=1e-6)


def test_of_long_codes_the_first_are_drawn():
    figure = plots.factor_activations(make_factor_model(5), *make_sprites(60), max_codes=2, name="vae")
    assert sum(bool(axes.get_title()) for axes in figure.axes) == 2
    assert figure.get_suptitle() == "vae: code variables against factors, the 2 of 5 with the smallest σ²"


def behind_a_convolution():
    inputs = keras.Input((16, 16, 1))
    maps = keras.layers.Conv2D(1, 3, padding="same")(inputs)
    return keras.Model(inputs, lea_keras.LocallyEmbeddedAutoencoder(16, "vae", name="lea")(maps))


def draw(model=None, images=None, **labels):
    all_images, all_labels = make_sprites(20)
    return plots.factor_activations(
        make_factor_model() if model is None else model, all_images if images is None else images, all_labels | labels
    )


WRONG = {
    "type": (lambda: draw(lea_keras.image_autoencoder("standard", (16, 16, 1))), "of a variational type"),
    "behind": (lambda: draw(behind_a_convolution()), "whose LEA is right at its input"),
    "size": (lambda: draw(planar()), r"`images` must be of shape \(n, 3, 4, 1\)"),
    "count": (lambda: draw(images=np.zeros((3, 16, 16, 1))), "`labels` must be integers from 0, one for each of 3"),
    "label": (lambda: draw(scale=np.full(20, 6)), "`labels` must be below 6 for 'scale'. Received: labels=6"),
    "no labels": (
        lambda: plots.factor_activations(make_factor_model(), make_sprites(2)[0], [1, 2]),
        "`labels` must be a dictionary of those of shape, scale, orientation, x, y. Received: labels='list'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_get_one_line(case):
    make, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
