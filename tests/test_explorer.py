"""The explorer: what its page shows is what the autoencoder decodes, in a browser too where there is one."""

import base64
import json
import re
import shutil
import subprocess
import sys
import zlib
from importlib import resources

import keras
import numpy as np
import pytest
from keras import layers, ops

import lea_keras
from lea_keras.windows import merge_windows

STEPS = 5
TOLERANCE = 1 / 255  # of the range from black to white


def model_of(autoencoder="vae", window_size=8, shape=(16, 16, 1), **arguments):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    return keras.Model(
        inputs, lea_keras.LocallyEmbeddedAutoencoder(window_size, autoencoder, name="lea", **arguments)(inputs)
    )


def images_of(count=3, shape=(16, 16, 1)):
    images = np.random.default_rng(0).random((count, *shape)).astype("float32")
    images[0, : shape[0] // 2] = 0  # windows that are alike
    return images


def data_in(explorer):
    text = re.search(r'<script id="data" type="application/json">(.*?)</script>', explorer.html, re.S)
    return json.loads(text[1])


def unpacked(text, size):
    """Bytes [n, size]: each row was stored less the one before it."""
    stored = np.frombuffer(zlib.decompress(base64.b64decode(text)) if text else b"", np.uint8).reshape(-1, size)
    return np.cumsum(stored, axis=0, dtype=np.uint64).astype(np.uint8)


def codes_in(lea):
    """[windows, code_length], as the page has them."""
    whole = unpacked(lea["codes"], 2 * lea["codeLength"]).copy().view("<u2")
    return np.array(lea["offset"]) + whole * np.array(lea["unit"])


def tiles_in(lea):
    """Windows as they are [windows, bytes] and moved [different, codes, steps, bytes]."""
    size = lea["windowSize"][0] * lea["windowSize"][1] * lea["channels"]
    codes = lea["shownCodes"]
    return unpacked(lea["own"], size), unpacked(lea["moved"], size).reshape(
        -1, len(codes), len(codes[0]["values"]), size
    )


def shown(lea, values):
    """What the page ought to show, 0 to 1, of decoded windows [n, wh, ww, c]."""
    values = values if lea["channels"] == values.shape[-1] else values.mean(axis=-1, keepdims=True)
    part = (values - lea["black"]) / (lea["white"] - lea["black"])
    return np.clip(part, 0, 1).reshape(len(values), -1)


def decoded(autoencoder, codes):
    return ops.convert_to_numpy(autoencoder.decode(ops.convert_to_tensor(np.asarray(codes, "float32"))))


def check_tiles(lea, autoencoder):
    """Every tile is what the autoencoder decodes of the codes that the page has; returns how many were moved."""
    codes, (own, moved) = codes_in(lea), tiles_in(lea)
    np.testing.assert_allclose(own / 255, shown(lea, decoded(autoencoder, codes)), atol=TOLERANCE)
    movable = [window for window, place in enumerate(lea["sets"]) if place >= 0]
    places = [lea["sets"][window] for window in movable]
    for i, of_code in enumerate(lea["shownCodes"]):
        for step, value in enumerate(of_code["values"]):
            there = codes[movable]
            there[:, of_code["code"]] = value
            tiles = moved[places, i, step] / 255
            np.testing.assert_allclose(tiles, shown(lea, decoded(autoencoder, there)), atol=TOLERANCE)
    return len(movable) * len(lea["shownCodes"])


CASES = {
    "standard": {"autoencoder": "standard"},
    "k_sparse": {"autoencoder": "k_sparse"},
    "capacity_vae": {"autoencoder": "capacity_vae"},
    "overlapping": {"strides": 4},
    "whole image": {"window_size": 16},
    "colours": {"shape": (16, 16, 3)},
    "channels first": {"shape": (2, 16, 16), "data_format": "channels_first"},
    "oblong, in chunks": {"window_size": (6, 4), "padding": "valid", "chunk_windows": 4},
}


@pytest.mark.parametrize("case", CASES)
def test_tiles_are_what_the_autoencoder_decodes(case):
    model, images = model_of(**CASES[case]), images_of(shape=CASES[case].get("shape", (16, 16, 1)))
    [lea] = data_in(lea_keras.explore(model, images, steps=STEPS, ranges={0: (-3, 3)}))
    layer = model.layers[-1]
    view = lea_keras.inspect(model, images)[0]
    np.testing.assert_allclose(codes_in(lea), view.code_maps.reshape(-1, layer.code_length), atol=1e-4)
    assert check_tiles(lea, layer.autoencoder) == np.prod(view.code_maps.shape)  # every code of every window
    moved = tiles_in(lea)[1].astype(int)
    assert np.abs(moved[:, :, 0] - moved[:, :, -1]).max() > 20  # or there would be nothing to see
    size = 16 * lea["channels"]
    inputs = unpacked(lea["inputs"], size).reshape(3, -1)
    np.testing.assert_allclose(inputs / 255, shown(lea, view.inputs), atol=TOLERANCE)


def test_leas_deep_in_a_network_used_twice_and_without_decoder():
    inputs = keras.Input((16, 16, 1))
    features = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    shared = lea_keras.LocallyEmbeddedAutoencoder(4, lea_keras.StandardAutoencoder(6), name="shared")
    maps = layers.UpSampling2D(4)(shared(features))
    free = lea_keras.LocallyEmbeddedAutoencoder(4, loss_weight=0, name="free")(shared(maps))
    model = keras.Model(inputs, free)
    explorer = lea_keras.explore(model, images_of(), ranges={"shared": {1: (-2, 1)}}, steps=STEPS)
    first, second = data_in(explorer)
    assert [first["name"], second["name"]] == ["shared", "shared (use 2)"]
    for lea in (first, second):
        assert check_tiles(lea, shared.autoencoder) and lea["drawn"] == "mean of 6 channels"
        assert any("free" in note for note in lea["notes"])
        [of_code] = [of_code for of_code in lea["shownCodes"] if of_code["code"] == 1]
        np.testing.assert_allclose(of_code["values"], np.linspace(-2, 1, STEPS))


def test_variational_codes_are_means_in_the_order_of_their_divergence():
    autoencoder = lea_keras.VariationalAutoencoder(4, code_maps="sample")
    model, images = model_of(autoencoder), images_of(6)
    model(images)
    autoencoder.mean.kernel.assign(autoencoder.mean.kernel * np.array([1.0, 4.0, 0.0, 2.0]))
    [lea] = data_in(lea_keras.explore(model, images, max_images=2))
    windows = lea_keras.windows.extract_windows(images, 8, 8, "same")
    mean, log_std = autoencoder.posterior(autoencoder.features(ops.reshape(windows, (-1, 8, 8, 1))))
    mean, std = ops.convert_to_numpy(mean), np.exp(ops.convert_to_numpy(log_std))
    np.testing.assert_allclose(codes_in(lea), mean[:8], atol=1e-4)
    kl = np.mean(mean**2 + std**2 - np.log(std**2) - 1, axis=0)  # Eq. 2.24
    assert lea["measure"] == "KL"
    assert [of_code["code"] for of_code in lea["shownCodes"]] == np.argsort(-kl).tolist()
    np.testing.assert_allclose([of_code["measure"] for of_code in lea["shownCodes"]], np.sort(kl)[::-1], rtol=1e-4)
    for of_code in lea["shownCodes"]:  # of all six images, not of the two that are shown
        values = mean[:, of_code["code"]]
        ends = np.percentile(values, [1, 99]) if np.ptp(values) else values[0] + [-1, 1]
        np.testing.assert_allclose(np.array(of_code["values"])[[0, -1]], ends, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(of_code["deviation"], values.std(), rtol=1e-3)


def test_other_codes_are_in_the_order_of_their_variance():
    model, images = model_of("standard"), images_of()
    [lea] = data_in(lea_keras.explore(model, images))
    variances = lea_keras.inspect(model, images)[0].code_maps.var(axis=(0, 1, 2))
    assert [of_code["code"] for of_code in lea["shownCodes"]] == np.argsort(-variances).tolist()


@pytest.mark.parametrize("max_bytes", [110_000, 60_000, 40_000])
def test_what_there_is_no_room_for_is_left_out_and_said(max_bytes):
    model, images = model_of(shape=(32, 32, 1)), images_of(6, (32, 32, 1))
    explorer = lea_keras.explore(model, images, max_bytes=max_bytes)
    assert 0.6 * max_bytes < len(explorer.html.encode()) <= max_bytes
    [lea] = data_in(explorer)
    check_tiles(lea, model.layers[-1].autoencoder)
    text = " ".join(explorer.notes["lea"])
    movable = sum(place >= 0 for place in lea["sets"])
    for left_out, words in (
        (lea["images"] < 6, f"The first {lea['images']} of 6 images"),
        (len(lea["shownCodes"]) < 10, f"The {len(lea['shownCodes'])} of 10 codes"),
        (movable < len(lea["sets"]), f"Codes of {movable} of {len(lea['sets'])} windows can be moved"),
        (len(lea["shownCodes"][0]["values"]) < 9, "steps instead of 9"),
    ):
        assert left_out == (words in text), words
    assert text


def test_eight_images_of_sprites_stay_far_below_two_megabytes():
    sprites = lea_keras.data.sprites
    images = sprites.draw(sprites.labels_from_indices(range(0, 720_000, 90_000))).astype("float32")
    assert len(images) == 8
    explorer = lea_keras.explore(model_of(shape=(64, 64, 1)), images)
    assert len(explorer.html.encode()) < 700_000 and explorer.notes == {"lea": []}


def test_page_needs_nothing_else_and_stands_in_a_frame(tmp_path):
    explorer = lea_keras.explore(model_of(), images_of())
    assert not re.search(r"https?:|src=|@import|url\(", explorer.html)
    assert explorer.save(tmp_path / "explorer.html").read_text("utf-8") == explorer.html
    frame = explorer._repr_html_()
    assert frame.startswith("<iframe srcdoc=") and frame.count("<") == 2  # its own two tags


def test_names_cannot_end_the_data():
    inputs = keras.Input((16, 16, 1))
    layer = lea_keras.LocallyEmbeddedAutoencoder(8, name="<!--<script>&")
    explorer = lea_keras.explore(keras.Model(inputs, layer(inputs)), images_of())
    assert data_in(explorer)[0]["name"] == "<!--<script>&"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ranges": {10: (0, 1)}}, "`ranges` must be by numbers of codes from 0 to 9.* Received: ranges={10: "),
        ({"ranges": {0: (1, 1)}}, r"`ranges` must be pairs .*low < high. Received: ranges=\(1, 1\)"),
        ({"ranges": {0: "ab"}}, "`ranges` must be pairs"),
        ({"ranges": {"lae": {0: (0, 1)}}}, r"by names of LEAs, \['lea'\]"),
        ({"ranges": [(0, 1)]}, "`ranges` must be a mapping"),
        ({"steps": 1}, "`steps` must be an integer of at least 2. Received: steps=1"),
        ({"max_images": 0}, "`max_images`"),
        ({"max_bytes": 15_000}, "`max_bytes` must be enough for one image.*bytes are missing. Received: max_bytes=150"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        lea_keras.explore(model_of(), images_of(), **arguments)


def test_models_without_decoders_are_refused():
    with pytest.raises(ValueError, match=r"`model` must be a model with a LEA that has .* Received: model=\['lea'\]"):
        lea_keras.explore(model_of(loss_weight=0), images_of())


# The page's own functions, and the page in a browser

NODE = """
const page = require(process.argv[2]), data = JSON.parse(require("fs").readFileSync(0, "utf8"));
page.unpackLea(data).then((lea) => {
  const number = page.windowNumber(lea, { image: 1, row: 2, column: 1 });
  const places = page.positions(lea.shownCodes[3].values, page.ownValue(lea, number, lea.shownCodes[3].code));
  const tile = page.tileOf(lea, number, 3, 4);
  console.log(JSON.stringify({
    number, places, tile: [...tile], own: [...page.tileOf(lea, number, 3, -1)],
    merged: [...page.merge(lea, 1)], moved: [...page.merge(lea, 1, number, tile)], corner: page.corner(lea, 2, 1),
    at: [page.windowAt(lea, 0, 15.9), page.windowAt(lea, 8, 6)],
    next: ["ArrowUp", "ArrowRight", "Tab"].map((key) => page.neighbour(lea, { row: 0, column: 1 }, key)),
    text: [page.text(-1.2345), page.text(0)], colour: [page.colour(0), page.colour(-1), page.colour(2)],
  }));
});
"""


def test_functions_of_the_page(tmp_path):
    """Overlapping windows, and what the page merges of them."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    model, images = model_of("standard", strides=4), images_of()
    [lea] = data_in(lea_keras.explore(model, images, steps=STEPS))
    script = tmp_path / "run.js"
    script.write_text(NODE, encoding="utf-8")
    page = resources.files("lea_keras.explorer") / "page.js"
    command = [node, str(script), str(page)]
    done = subprocess.run(command, input=json.dumps(lea), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    number, code, (own, moved) = (1 * 4 + 2) * 4 + 1, lea["shownCodes"][3], tiles_in(lea)
    assert result["number"] == number
    value = codes_in(lea)[number, code["code"]]
    positions = sorted([*code["values"], value])
    np.testing.assert_allclose([place["value"] for place in result["places"]], positions)
    assert result["places"][positions.index(value)]["step"] == -1
    tile = moved[lea["sets"][number], 3, 4]
    assert result["tile"] == tile.tolist() and result["own"] == own[number].tolist()
    assert result["corner"] == [2 * 4 - 2, 4 - 2] and result["at"][0] == {"row": 0, "column": 3}
    assert result["at"][1] == {"row": 2, "column": 1}  # whose centre is at row 10, column 6; nearest below half
    windows = own.reshape(3, 4, 4, 8, 8, 1)[1:2].astype("float32")
    for name in ("merged", "moved"):
        merged = ops.convert_to_numpy(merge_windows(windows, (16, 16), 4, "same"))
        np.testing.assert_allclose(result[name], merged.ravel(), atol=0.51)
        windows[0, 2, 1] = tile.reshape(8, 8, 1)
    assert result["next"] == [{"row": 0, "column": 1}, {"row": 0, "column": 2}, None]
    assert result["text"] == ["−1.23", "+0"]
    assert result["colour"] == [[255, 255, 255], [0, 0, 255], [255, 0, 0]]


@pytest.fixture
def browser():
    """Headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (README, The explorer)")
    program, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if program is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed (README, The explorer)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield started
    started.quit()


PIXELS = """
const canvas = document.querySelector(`${arguments[0]} canvas`);
return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
"""


def test_page_in_a_browser(browser, tmp_path):
    """Choose an image, click a window, move a slider with the keyboard: pixels are what the autoencoder decodes."""
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.support.ui import WebDriverWait

    model, images = model_of(), images_of()
    explorer = lea_keras.explore(model, images, steps=STEPS, ranges={0: (-3, 3)})
    [lea] = data_in(explorer)

    def pixels(place):
        return np.array(browser.execute_script(PIXELS, place)).reshape(-1, 4)[:, 0] / 255

    def text(selector):
        return browser.find_element("css selector", selector).text

    browser.get(explorer.save(tmp_path / "explorer.html").as_uri())
    WebDriverWait(browser, 20).until(lambda _: browser.find_element("css selector", "main").is_displayed())
    browser.find_elements("css selector", "#images button")[2].click()
    canvas = browser.find_element("css selector", "#input canvas")
    quarter = canvas.size["width"] // 4
    ActionChains(browser).move_to_element_with_offset(canvas, quarter, -quarter).click().perform()
    assert "Image 3, window in row 1 of 2, column 2 of 2" in text("#place")
    window = 2 * 4 + 1
    codes = codes_in(lea)[window]
    autoencoder = model.layers[-1].autoencoder
    np.testing.assert_allclose(pixels("#window"), shown(lea, decoded(autoencoder, codes[None]))[0], atol=TOLERANCE)
    before = pixels("#merged").reshape(16, 16)

    slider = browser.find_element("css selector", "#code0")
    slider.send_keys(Keys.END)
    expected = codes.copy()
    expected[0] = max(3.0, codes[0])
    np.testing.assert_allclose(pixels("#window"), shown(lea, decoded(autoencoder, expected[None]))[0], atol=TOLERANCE)
    after = pixels("#merged").reshape(16, 16)
    np.testing.assert_array_equal(after[:8, 8:].ravel(), pixels("#window"))
    after[:8, 8:] = before[:8, 8:]
    np.testing.assert_array_equal(after, before)  # no other window has changed
    slider.send_keys(Keys.LEFT)
    expected[0] = sorted([*np.linspace(-3, 3, STEPS), codes[0]])[-2]
    np.testing.assert_allclose(pixels("#window"), shown(lea, decoded(autoencoder, expected[None]))[0], atol=TOLERANCE)
    browser.find_element("css selector", "#reset").click()
    np.testing.assert_array_equal(pixels("#merged").reshape(16, 16), before)
    browser.find_element("css selector", "#input").send_keys(Keys.LEFT)
    assert "row 1 of 2, column 1 of 2" in text("#place")
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


# Live


def test_live_says_in_a_line_that_widgets_are_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ImportError, match=r"needs ipywidgets: pip install 'lea_keras\[notebook\]'$"):
        lea_keras.explore(model_of(), images_of(), live=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ipywidgets' own dependencies
def test_live_codes_are_decoded_several_at_once():
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed (the extra `notebook`)")
    model, images = model_of(), images_of()
    explorer = lea_keras.explore(model, images, live=True, max_images=2)
    view = lea_keras.inspect(model, images)[0]
    explorer.image.value, explorer.row.value, explorer.column.value = 2, 1, 2
    codes = view.code_maps[1, 0, 1].copy()
    np.testing.assert_array_equal(explorer.codes(), codes)
    own = explorer.pictures["window"].value
    merged = explorer.pictures["merged"].value
    for code in (0, 7):
        slider = explorer.sliders[code]
        slider.value = slider.max
        codes[code] = slider.value
    np.testing.assert_allclose(explorer.codes(), codes)
    np.testing.assert_allclose(explorer.window(), decoded(model.layers[-1].autoencoder, codes[None])[0], atol=1e-6)
    assert explorer.pictures["window"].value != own and explorer.pictures["merged"].value != merged
    explorer.reset.click()
    assert explorer.pictures["window"].value == own
    assert explorer.image.max == 2 and "<iframe" in explorer._repr_html_()
