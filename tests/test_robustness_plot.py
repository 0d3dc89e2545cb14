"""The heatmaps of attacks: colours and sizes of known summaries, and no text that is cut off or lies on another."""

import matplotlib.backends.backend_agg
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

from lea_keras import robustness
from lea_keras.plots import robustness_plot

ATTACKS = tuple(robustness.ATTACKS)


def summary(attack, success, distance=None):
    return robustness.Summary(attack, 400, success, distance, distance, 1.0, 1.0)


KNOWN = {
    "base": [summary("a", 0.8, 0.01), summary("b", 0.5, 0.1), summary("c", 0.0)],
    "worse": [summary("a", 1.0, 0.005), summary("b", 0.5, 0.1), summary("c", 0.1, 0.1)],
    "better": [summary("a", 0.4, 0.015), summary("b", 0.0), summary("c", 0.0)],
    "other": [summary("a", 0.8, 1.0)],
}


def circles(figure):
    """The circles of cells [(radius, colour)], without those of the legend, row by row."""
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, Circle)][:-3]
    return [(patch.radius, to_rgb(patch.get_facecolor())) for patch in patches]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def brightness(colour):
    return float(np.dot(colour, (0.2126, 0.7152, 0.0722)))


def test_raw():
    figure = robustness_plot.heatmap(KNOWN)
    found = circles(figure)
    areas = [(2 * radius / 0.44) ** 2 for radius, _ in found]
    assert areas == pytest.approx([0.8, 0.5, 1.0, 0.5, 0.1, 0.4, 0.8])  # row by row, those that have a success
    distances = [0.01, 0.1, 0.005, 0.1, 0.1, 0.015, 1.0]
    by_distance = [brightness(colour) for _, (_, colour) in sorted(zip(distances, found, strict=True))]
    assert by_distance == sorted(by_distance, reverse=True)  # larger distances are darker
    assert by_distance[0] > 0.8 and by_distance[-1] < 0.1
    shown = texts(figure)
    assert shown[:2] == ["Perturbation distance and success rate of attacks", "smaller and darker circles are better"]
    for text in ("base", "worse", "a", "0.01", "80 %", "0.005", "no adversarial found", "not attacked"):
        assert text in shown
    assert [tick.get_text() for tick in figure.axes[1].get_yticklabels()][::4] == ["0.005", "1"]


def test_relative_heatmap():
    figure = robustness_plot.heatmap(KNOWN, baseline="base", standardise="relative")
    found = circles(figure)
    # Relative success +25 %, 0 %; −50 %; 0 %: areas from 0 at −100 % over a half at 0 %.
    assert [(2 * radius / 0.44) ** 2 for radius, _ in found] == pytest.approx([0.625, 0.5, 0.25, 0.5])
    (red, grey, light_blue, blue) = (colour for _, colour in found)
    assert red[0] > 1.2 * red[2] and max(grey) - min(grey) < 0.01 and light_blue[2] > 1.2 * light_blue[0]
    assert blue == pytest.approx(to_rgb("#2166AC"), abs=0.01)  # +9900 %, at the end of the scale
    shown = texts(figure)
    assert shown[0] == "Perturbation distance and success rate relative to base"
    for text in ("−50 %", "+25 %", "+50 %", "+9900 %", "−100 %", "none found against base", "no adversarial found"):
        assert text in shown
    assert "base" not in shown
    labels = [tick.get_text() for tick in figure.axes[1].get_yticklabels()]
    assert labels == ["−100 %", "−50 %", "0 %", "+50 %", "+100 %"]


def test_standardised_heatmap():
    figure = robustness_plot.heatmap(KNOWN, baseline="base")
    # Success at attack a: +0.2, −0.4 and 0 about 0.8, σ = √(0.2 / 3); at b: 0 and −0.5, σ = √(0.25 / 2).
    largest = 0.4 / np.sqrt(0.2 / 3)
    areas = [(2 * radius / 0.44) ** 2 for radius, _ in circles(figure)]  # of worse at a and b, better at a, other at a
    assert areas == pytest.approx([(1 + 0.2 / np.sqrt(0.2 / 3) / largest) / 2, 0.5, 0.0, 0.5], abs=0.006)
    shown = texts(figure)
    assert shown[0] == "Perturbation distance and success rate in standard deviations about base"
    # Distances at a: −0.005, +0.005 and +0.99, σ = 0.5716.
    for text in ("+0.8 σ", "−1.5 σ", "+1.7 σ", "0 σ", "−1.4 σ", "none found against base"):
        assert text in shown
    assert not any("%" in text for text in shown)


def test_standardised_values():
    """Eq. 2.14 with the baseline's value for the mean, in the deviation, too (section 4.6)."""
    values = {"base": 1.0, "a": 2.0, "b": 4.0, "none": None}
    sigma = np.sqrt((1.0**2 + 3.0**2) / 2)
    spread = robustness_plot.standardised(values, "base")
    assert spread["none"] is None and spread["base"] == 0.0
    assert [spread[name] for name in "ab"] == pytest.approx([1 / sigma, 3 / sigma])
    # The tempting mistakes: the deviation about the mean, and the difference over the baseline.
    about_mean = np.std([1.0, 2.0, 4.0])
    assert abs(spread["a"] - 1 / about_mean) > 0.1 and abs(spread["a"] - 1.0) > 0.1
    relative = robustness_plot.standardised(values, "base", "relative")
    assert relative == {"base": 0.0, "a": 1.0, "b": 3.0, "none": None}
    assert robustness_plot.standardised({"base": 0.0, "a": 1.0}, "base", "relative") == {"base": None, "a": None}
    assert robustness_plot.standardised({"base": None, "a": 1.0}, "base") == {"base": None, "a": None}
    assert robustness_plot.standardised({"base": 2.0, "a": 2.0}, "base") == {"base": 0.0, "a": 0.0}
    with pytest.raises(ValueError, match="`how` must be one of .* Did you mean 'spread'"):
        robustness_plot.standardised(values, "base", "spred")
    with pytest.raises(ValueError, match="`baseline` must be one of"):
        robustness_plot.standardised(values, "bse")


def test_linear_colours():
    """As the thesis' seem to be: half of the largest distance has the colour in the middle of the scale."""
    summaries = {"m": [summary("a", 1.0, 0.5), summary("b", 1.0, 1.0), summary("c", 1.0, 0.01)]}
    linear, logarithmic = (robustness_plot.heatmap(summaries, colours=name) for name in ("linear", "logarithmic"))
    half, whole, little = (brightness(colour) for _, colour in circles(linear))
    assert whole < half < little and little > 0.75
    assert brightness(circles(logarithmic)[0][1]) < half  # near the largest there
    assert [tick.get_text() for tick in linear.axes[1].get_yticklabels()] == ["0", "0.25", "0.5", "0.75", "1"]
    with pytest.raises(ValueError, match="`colours` must be one of"):
        robustness_plot.heatmap(summaries, colours="lineal")


@pytest.mark.parametrize(
    ("distance", "text"),
    [(0.123, "0.12"), (0.0012, "0.0012"), (0.00096, "9.6e-4"), (1.2e-12, "1.2e-12"), (1.0, "1"), (0.0, "0")],
)
def test_numbers_are_short(distance, text):
    assert text in texts(robustness_plot.heatmap({"m": [summary("a", 1.0, distance)]}))


def made_up(models, attacks=ATTACKS):
    rng = np.random.default_rng(0)
    return {
        model: [
            summary(attack, s, 10 ** rng.uniform(-5, 0)) for attack, s in zip(attacks, rng.random(13), strict=False)
        ]
        for model in models
    }


CASES = {
    "one": ({"m": [summary("a", 1.0, 0.1)]}, None),
    "one of thirteen": (made_up(["classic"]), None),
    "twelve": (made_up([f"cnn_lea/capacity_vae_{i}" for i in range(12)]), None),
    "twelve standardised": (made_up([f"cnn_lea/capacity_vae_{i}" for i in range(12)]), "cnn_lea/capacity_vae_3"),
    "missing": (KNOWN, None),
    "missing standardised": (KNOWN, "base"),
    "missing relative": (KNOWN, "base", "relative"),
    "nothing found": ({"m": [summary("a", 0.0)], "n": [summary("a", None)]}, None),
    "nothing to compare": ({"m": [summary("a", 0.0)], "n": [summary("a", 0.5, 0.1)]}, "m"),
    "long names": ({"a name of a model that does not end": [summary("an_attack_whose_name_does_not_end", 1, 1)]}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_no_text_is_cut_off_or_lies_on_another(case):
    summaries, baseline, *how = CASES[case]
    figure = robustness_plot.heatmap(summaries, baseline, **({"standardise": how[0]} if how else {}))
    renderer = matplotlib.backends.backend_agg.FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    width, height = figure.canvas.get_width_height()
    drawn = [text for text in figure.axes[0].texts if text.get_text()] + figure.axes[1].get_yticklabels()
    boxes = [(text.get_text(), text.get_window_extent(renderer), text.get_rotation()) for text in drawn]
    for text, box, _ in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
    upright = [(text, box) for text, box, rotation in boxes if not rotation]
    for i, (text, box) in enumerate(upright):
        assert not [other for other, another in upright[:i] if box.overlaps(another)], text


def test_it_shows_itself_in_a_notebook():
    assert robustness_plot.heatmap(KNOWN)._repr_png_().startswith(b"\x89PNG")


def test_bad_arguments_are_one_line():
    with pytest.raises(ValueError, match="`summaries` must be those of at least one model and attack"):
        robustness_plot.heatmap({})
    with pytest.raises(ValueError, match="`summaries` must be those of at least one model and attack"):
        robustness_plot.heatmap({"m": []})
    with pytest.raises(ValueError, match="`baseline` must be one of .* Did you mean 'base'"):
        robustness_plot.heatmap(KNOWN, "bse")
    with pytest.raises(ValueError, match="at least one model beside the baseline"):
        robustness_plot.heatmap({"base": KNOWN["base"]}, "base")
