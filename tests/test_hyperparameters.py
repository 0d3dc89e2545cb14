"""Hyperparameters that differ: which they are, their numbers, and their order."""

import random

import pytest

from experiments import hyperparameters, tables
from experiments.config import RunConfig


def differing(*changes):
    return hyperparameters.differing([RunConfig(**change) for change in changes])


def test_only_what_differs():
    assert differing({"window_size": 16, "seed": 1}, {"window_size": 4, "data_dir": "/x", "download": True}) == [
        {"window_size": 16},
        {"window_size": 4},
    ]
    assert differing({}, {"seed": 1}) == [{}, {}]


def test_a_none_is_the_number_that_it_stands_for():
    assert differing({"limit": 500}, {}) == [{"limit": 500}, {"limit": 59_972}]
    assert differing({"batch_size": 64}, {}) == [{}, {}]  # that of sprites
    assert differing({"strides": 2}, {"strides": 4}, {}) == [{"strides": 2}, {"strides": 4}, {"strides": 4}]
    # Batch sizes and numbers of samples of the data sets, which nobody gave, are told by the data set's name.
    assert differing({"dataset": "mnist"}, {"dataset": "cifar10"}) == [{"dataset": "mnist"}, {"dataset": "cifar10"}]
    assert differing({"jit_compile": True}, {}) == [{"jit_compile": True}, {"jit_compile": None}]


@pytest.mark.parametrize(
    "ordered",
    [
        [{"code_length": 4}, {"code_length": 16}, {"code_length": 100}],
        [{"window_size": 4}, {"window_size": (4, 6)}, {"window_size": (6, 4)}, {"window_size": 6}],
        [{"units": ()}, {"units": (4, 8)}, {"units": (16,)}, {}],
        [{"chunk_windows": 9}, {"chunk_windows": 16}, {"chunk_windows": "auto"}, {}],
        [{"beta": 0.5, "model": "cnn_lea"}, {"beta": 0.1, "model": "lea_fc"}, {"beta": 2, "model": "lea_fc"}],
        [{"jit_compile": False}, {"jit_compile": True}, {}],
    ],
    ids=repr,
)
def test_natural_order(ordered):
    values = differing(*ordered)
    shuffled = random.Random(0).sample(values, len(values))
    assert sorted(shuffled, key=hyperparameters.place) == values


def test_names_with_numbers():
    names = ["lea_16", "lea_4", "lea_4b", "a", "4", "16"]
    assert sorted(names, key=tables.natural) == ["4", "16", "a", "lea_4", "lea_4b", "lea_16"]
    measures = ["lea_10_rl", "lea_2_rl", "accuracy", "lea_2_loss"]
    assert tables.in_order(measures) == ["accuracy", "lea_2_loss", "lea_2_rl", "lea_10_rl"]


def test_cells():
    assert [hyperparameters.cell(value) for value in (4, 0.5, (4, 6), None, "vae", ())] == [
        4,
        0.5,
        "4,6",
        None,
        "vae",
        "linear",
    ]
    assert [hyperparameters.shown(value) for value in (4, 1e-4, (4, 6), None)] == ["4", "0.0001", "4,6", "–"]
