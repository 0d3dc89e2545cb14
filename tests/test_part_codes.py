"""Codes of windows of `parts`: scores of codes whose answer is known, and LEAs from training to results."""

import json

import numpy as np
import pytest
from backends import once

from experiments import evaluation, part_codes
from experiments.claims.registry import CLAIMS
from experiments.part_codes import FACTORS, Settings
from experiments.studies import STUDIES
from lea_keras.data import parts

pytestmark = [once, pytest.mark.usefixtures("untraced")]
SMOKE = {one.name: one for one in STUDIES["parts"].plan("smoke")}


@pytest.fixture(scope="module")
def settings():
    options = SMOKE["parts/standard_8"].measures["part_codes"]
    return Settings(**options | {"image_size": 64, "probed": 300, "boosted": 200, "trees": 3})


@pytest.fixture(scope="module")
def labels():
    numbers = {"train": np.arange(50), "test": np.arange(60_000, 60_050)}
    return {split: parts.labels_from_indices(of) for split, of in numbers.items()}


@pytest.fixture
def neighbours(monkeypatch):
    """The label of the nearest training code in place of probes, which take longer."""

    def nearest(vectors, factors, *_):
        distances = np.sum((vectors["test"][:, None] - vectors["train"]) ** 2, axis=-1)
        found = np.argmin(distances, axis=1)
        return {name: np.mean(of["train"][found] == of["test"]) for name, of in factors.items()}

    monkeypatch.setattr(part_codes, "probe", nearest)


def test_probes_learn_what_a_line_does_not_tell():
    vectors = {
        split: np.random.RandomState(seed).uniform(-1, 1, (256, 2)) for seed, split in enumerate(("train", "test"))
    }
    quadrants = {split: (np.prod(of, axis=1) > 0).astype(int) for split, of in vectors.items()}
    noise = {split: np.random.RandomState(0).randint(0, 3, 256) for split in vectors}
    found = part_codes.probe(vectors, {"quadrants": quadrants, "noise": noise}, 40, 0)
    assert found["quadrants"] > 0.85 and found["noise"] < 0.5


def codes_of(labels, *names):
    """Codes that are factors of windows themselves, with noise."""
    found = {}
    for split, of in labels.items():
        seen = parts.factors_of_windows(of, 8, 4, "valid")
        columns = [np.nan_to_num(getattr(seen, name).astype(float)) for name in names]
        noise = np.random.RandomState(0).normal(0, 1e-3, (*seen.part.shape, len(names)))
        found[split] = [np.stack(columns, -1) + noise]
    return found


def test_codes_that_are_the_factors_separate_them(labels, settings, neighbours):
    apart = codes_of(labels, "orientation", "offset_x", "offset_y")
    found = part_codes._scores(apart, labels, settings, 0)
    assert found["separation"] > 0.9 and found["separation/key"] > 0.7
    assert found["probe/offset"] > 0.6 and found["windows"] == 300
    # The tempting mistake: codes that know as much, but mix the two.
    mixed = {split: [of[0] @ np.array([[0.3, 0.3, 0], [1, -1, 0], [0, 0, 1]])] for split, of in apart.items()}
    worse = part_codes._scores(mixed, labels, settings, 0)
    assert worse["separation"] < found["separation"] - 0.3
    assert set(found) >= {f"probe/{name}" for name in FACTORS} | {f"chance/{name}" for name in FACTORS}
    assert found["chance/orientation"] < 0.3


def test_stacked_codes_are_of_the_same_window(labels, settings, neighbours):
    """A code that is the edge's own orientation, at every 4×4 window, and a second that is the shape of 16×16."""
    first, second = {}, {}
    for split, of in labels.items():
        small = parts.factors_of_windows(of, 4, 2, "valid")
        doubled = np.nan_to_num(2 * small.edge)
        first[split] = np.stack([np.cos(doubled), np.sin(doubled)], -1)
        second[split] = np.eye(6)[parts.factors_of_windows(of, 16, 4, "valid").shape]
    codes = {split: [first[split], second[split]] for split in labels}
    both = settings._replace(windows=(4, 7), strides=(2, 2))
    found = part_codes._stacked(codes, labels, both, 0)
    assert found["edge/first"] > 0.85 > 0.5 > found["edge/second"]
    assert found["shape/second"] == 1 and found["shape/first"] < 0.6
    shifted = {split: [np.roll(of[0], 3, axis=1), of[1]] for split, of in codes.items()}
    assert part_codes._stacked(shifted, labels, both, 0)["edge/first"] < 0.6


@pytest.mark.parametrize("kind", ["capacity_vae", "random", "pca"])
def test_every_kind_is_measured(kind, tmp_path):
    one = SMOKE["parts/standard_8"]
    options = one.measures["part_codes"] | {"kind": kind}
    part_codes.measure(tmp_path, one.config, options)
    found = json.loads((tmp_path / evaluation.FOLDER / part_codes.FILE).read_text("utf-8"))
    assert all(np.isfinite(value) for value in found.values())
    assert 0 <= found["separation"] <= 1 and found["windows"] > 10
    if kind == "pca":
        assert found["reconstruction"] < 0.9


def test_claims_need_no_more_than_there_is():
    values = {one: {"separation": [0.2], "probe/orientation": [0.5]} for one in ("parts/standard_8", "parts/random_8")}
    statements = {number: CLAIMS[number].statements(values) for number in range(75, 80)}
    assert [len(statements[number]) for number in range(75, 80)] == [0, 1, 0, 0, 0]
    every = {
        one.name: {"separation": [0.2] * 3, "probe/orientation": [0.5] * 3} for one in STUDIES["parts"].plan("small")
    }
    every["parts/stacked"] = {
        f"{about}/{which}": [0.5] * 3 for about in ("edge", "shape") for which in ("first", "second")
    }
    assert [len(CLAIMS[number].statements(every)) for number in range(75, 80)] == [2, 8, 4, 4, 2]
