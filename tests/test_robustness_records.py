"""Records and what they sum up to, and stored results."""

import json

import keras
import numpy as np
import pytest

from lea_keras import robustness
from lea_keras.robustness import storing
from lea_keras.robustness.records import summarize

RECORDS = [
    robustness.Record("a", 0, 1, 1, 2, True, 0.1, 10.0, 0.5),
    robustness.Record("b", 0, 1, 1, 1, False, None, 1.0, 0.1),
    robustness.Record("a", 3, 0, 0, 0, False, None, 20.0, 0.5),
    robustness.Record("a", 4, 0, 0, 1, True, 0.2, 30.0, 0.5),
    robustness.Record("a", 5, 0, 0, 1, True, 0.6, 40.0, 1.5),
]


def test_summary_is_of_the_successful_only():
    assert summarize("a", RECORDS) == ("a", 4, 0.75, pytest.approx(0.3), pytest.approx(0.2), 25.0, 0.75, "nearest")
    assert summarize("b", RECORDS) == ("b", 1, 0.0, None, None, 1.0, 0.1, "nearest")
    assert summarize("c", RECORDS) == ("c", 0, None, None, None, None, None, "nearest")


def test_rows_are_plain_and_lead_back():
    rows = robustness.to_rows(RECORDS)
    assert json.loads(json.dumps(rows)) == rows
    assert [robustness.Record(**row) for row in rows] == RECORDS


def own():
    return [record for record in RECORDS if record.attack == "a"]


@pytest.fixture
def stored(tmp_path):
    store = storing.Store(tmp_path / "results", {"weights": "x", "seed": 0})
    assert store.load("a", "A()", False) is None
    store.save("a", "A()", storing.AttackResults(own(), np.arange(8.0).reshape(4, 2)))
    return store


def test_what_is_stored_comes_back(stored):
    assert stored.load("a", "A()", False) == (own(), None)
    records, images = stored.load("a", "A()", True)
    assert records == own()
    np.testing.assert_array_equal(images, np.arange(8.0).reshape(4, 2))
    assert sorted(path.name for path in stored.folder.iterdir()) == ["a.json", "a.npy"]
    stored.save("b", "B()", storing.AttackResults(RECORDS[1:2], None))
    assert stored.load("b", "B()", False).records == RECORDS[1:2]
    assert stored.load("b", "B()", True) is None  # the images were not kept, so the attack has to run again


@pytest.mark.parametrize(
    ("identity", "options", "what"),
    [
        ({"weights": "y", "seed": 0}, "A()", "weights"),
        ({"weights": "y", "seed": 1}, "A()", "weights, seed"),
        ({"weights": "x", "seed": 0}, "A(steps=3)", "attack"),
        ({"weights": "x", "seed": 0, "batch_size": 3}, "A()", "batch size"),
        ({"weights": "x"}, "A()", "seed"),
    ],
)
def test_results_of_something_else_are_refused(stored, identity, options, what):
    other = storing.Store(stored.folder, identity)
    with pytest.raises(ValueError, match=f"a.json holds results for other {what}; remove it or choose another folder"):
        other.load("a", options, False)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"identity": 3, "images": null, "records": []}', "null"])
def test_damaged_results_are_refused(stored, text):
    (stored.folder / "a.json").write_text(text)
    with pytest.raises(ValueError, match="a.json is damaged or no result of attacks; remove it or choose") as error:
        stored.load("a", "A()", False)
    assert "\n" not in str(error.value)


def test_damaged_images_are_refused(stored):
    np.save(stored.folder / "a.npy", np.zeros((4, 2)))
    assert stored.load("a", "A()", False) is not None
    for _ in range(2):
        with pytest.raises(ValueError, match="a.npy is missing or damaged; remove .*a.json to run the attack again"):
            stored.load("a", "A()", True)
        (stored.folder / "a.npy").unlink(missing_ok=True)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="`output_dir` must be a folder"):
        storing.Store(tmp_path / "file", {})


def test_digests():
    array = np.arange(6.0)
    assert storing.digest_of(array) == storing.digest_of(array.copy())
    others = [array + 1, array.reshape(2, 3), array.astype("float32"), array[::-1]]
    assert len({storing.digest_of(other) for other in [array, *others]}) == 5
    first, second = (keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]) for _ in range(2))
    assert storing.digest_of_weights(first) != storing.digest_of_weights(second)
    second.set_weights(first.get_weights())  # their names differ
    assert storing.digest_of_weights(first) == storing.digest_of_weights(second)


def test_an_attack_is_described_with_its_options():
    class Attack:
        def __init__(self, **options):
            self.__dict__.update(options)

    text = storing.describe(Attack(steps=3, inner=Attack(p=2.0), on=(True, None), norm=abs, grid=np.arange(2)))
    digest = storing.digest_of(np.arange(2))
    name = Attack.__qualname__
    assert text == f"{name}(grid=array {digest}, inner={name}(p=2.0), norm=abs, on=[True, None], steps=3)"
    assert storing.describe(Attack(steps=4)) != storing.describe(Attack(steps=3))
    circle = Attack()
    circle.itself = circle
    assert storing.describe(circle).count("itself") == 8
