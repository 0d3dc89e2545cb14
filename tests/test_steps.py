"""Every backend takes the steps of TensorFlow, and goes on with models that another one has saved.

The numbers are in `golden/`, see `step_cases.py`. Under every backend they must be met to half of what backends may
differ by among each other.
"""

import keras
import numpy as np
import pytest
import step_cases
from backends import few, once
from layer_checks import OPTIMIZATIONS, make_data
from step_cases import CASES, GOLDEN, TYPES


@pytest.fixture(scope="module")
def golden():
    """Arrays of every case, by name."""
    found = {}
    with np.load(GOLDEN / "steps.npz") as file:
        for key in file.files:
            case, _, name = key.partition("|")
            found.setdefault(case, {})[name] = file[key]
    return found


def check_close(found, expected, tolerance):
    """Up to a tolerance that is relative to what is larger than 1."""
    assert found.keys() == expected.keys()
    for name in expected:
        allowed = tolerance * np.maximum(1, np.abs(expected[name]))
        assert np.all(np.abs(found[name] - expected[name]) <= allowed), name


def test_every_optimisation_of_every_type_is_there(golden):
    assert {f"{optimization} {kind}" for optimization in OPTIMIZATIONS for kind in TYPES} < set(CASES)
    assert golden.keys() == {*CASES, "curve"}


# A step has branches for its phases, which the optimisation decides, for state, which capacity_vae has, for values that
# are counted, which k_sparse has, and for chunks; those for types are in the model.
TAKEN = [
    *(f"alternate {kind}" for kind in TYPES),
    *(f"{optimization} capacity_vae" for optimization in ("joint", "independent")),
    "alternate capacity_vae chunks",
    "joint capacity_vae chunks",
    "independent vae chunks",
]


# Under JAX, where each compiles a step, one for every one of those; "alternate capacity_vae" goes on below.
TAKEN_ON_JAX = [
    "joint standard",
    "joint k_sparse",
    "alternate vae",
    "alternate info_vae",
    "independent capacity_vae",
    "alternate capacity_vae chunks",
    "joint capacity_vae chunks",
    "independent vae chunks",
]
assert {kind for case in TAKEN_ON_JAX for kind in case.split()} == {*OPTIMIZATIONS, *TYPES, "chunks"}


@pytest.mark.parametrize("case", few([*TAKEN, "alternate k_sparse chunks"], TAKEN_ON_JAX))
def test_one_step_without_noise(golden, case):
    found = step_cases.step(case)
    later = {name for name in found if name.endswith("_dead_codes")}  # counted since the golden steps were taken
    assert bool(later) == ("k_sparse" in case)
    check_close({name: value for name, value in found.items() if name not in later}, golden[case], 5e-6)


def test_chunks_change_no_step(golden):
    for case in CASES:
        if case.endswith(" chunks"):
            check_close(golden[case], golden[case.removesuffix(" chunks")], 5e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_optimisations_differ_by_more_than_what_is_allowed(golden, kind):
    steps = [golden[f"{optimization} {kind}"] for optimization in OPTIMIZATIONS]
    for i, one in enumerate(steps):
        for other in steps[:i]:
            assert max(np.abs(one[name] - other[name]).max() for name in one if "encoder" in name) > 1e-3


def test_six_steps_of_cnn_lea(golden):
    found, tolerance = step_cases.curve(6), 5e-4
    check_close(found, {name: values[:6] for name, values in golden["curve"].items()}, tolerance)
    assert all(np.ptp(values) > 60 * tolerance for values in found.values())  # which no flat line would show


@pytest.mark.parametrize("writer", few(["tensorflow", "jax"], ["tensorflow"]))
def test_models_of_another_backend_predict_and_go_on(writer):
    """The state of all optimizers comes along."""
    expected = dict(np.load(GOLDEN / f"{writer}.npz"))
    model = step_cases.load(writer)
    predictions = model.predict(make_data(8)[0], verbose=0)
    np.testing.assert_allclose(predictions, expected.pop("predictions"), rtol=0, atol=1e-5)
    assert [int(optimizer.iterations) for optimizer in (model.optimizer, *model.lea_optimizers)] == [2, 2, 2]
    check_close(step_cases.arrays(step_cases.trained(model, 1)), expected, 1e-5)


@once
@pytest.mark.parametrize("writer", ["tensorflow", "jax"])
def test_without_the_state_of_optimizers_the_step_is_another(writer):
    expected = dict(np.load(GOLDEN / f"{writer}.npz"))
    forgetful = step_cases.load(writer)
    for optimizer in (forgetful.optimizer, *forgetful.lea_optimizers):
        for variable in optimizer.variables[2:]:
            variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
    found = step_cases.arrays(step_cases.trained(forgetful, 1))
    for part in ("dense", "lea_1", "lea_2"):
        assert max(np.abs(found[name] - expected[name]).max() for name in found if part in name) > 1e-4
