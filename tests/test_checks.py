"""Argument checks: what passes, in which form it comes back, and what the one line of an error says."""

import fractions
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from lea_keras import checks


def message_of(check, *arguments):
    with pytest.raises(ValueError) as error:
        check(*arguments)
    return str(error.value)


def test_fail_names_argument_allowed_and_received():
    error = checks.fail("padding", "one of ('same', 'valid')", "full")
    assert isinstance(error, ValueError)
    assert str(error) == "Argument `padding` must be one of ('same', 'valid'). Received: padding='full'"


def test_fail_puts_the_hint_between():
    error = checks.fail("k", "at most 3", 5, "Take a smaller one.")
    assert str(error) == "Argument `k` must be at most 3. Take a smaller one. Received: k=5"


def test_choice_returns_what_is_allowed():
    assert checks.check_choice("padding", "valid", ("same", "valid")) == "valid"


@pytest.mark.parametrize(
    ("value", "near"),
    [("Same", "Did you mean 'same'?"), ("vaild", "Did you mean 'valid'?"), ("xyz", None), (None, None), (3, None)],
    ids=repr,
)
def test_choice_names_the_nearest(value, near):
    message = message_of(checks.check_choice, "padding", value, ("same", "valid"))
    assert message.startswith("Argument `padding` must be one of ('same', 'valid').")
    assert message.endswith(f"Received: padding={value!r}")
    assert (near in message) if near else ("Did you mean" not in message)


@pytest.mark.parametrize(
    "value", [1, np.int64(1), np.uint8(1), np.array(1), tf.constant(1)], ids=lambda v: type(v).__name__
)
def test_whole_numbers(value):
    assert checks.is_integer(value)
    number = checks.check_positive_int("size", value)
    assert number == 1 and type(number) is int
    assert checks.check_pair("size", value) == (1, 1)


NOT_WHOLE = [
    True,
    np.True_,
    1.0,
    np.float32(1),
    np.array(2.5),
    tf.constant(2.5),
    np.array([2, 2]),
    "2",
    None,
    fractions.Fraction(2),
]


@pytest.mark.parametrize("value", NOT_WHOLE, ids=repr)
def test_not_whole_numbers(value):
    assert not checks.is_integer(value)
    message = message_of(checks.check_positive_int, "size", value)
    assert message == f"Argument `size` must be an integer of at least 1. Received: size={value!r}"
    message = message_of(checks.check_pair, "size", value)
    allowed = "a positive integer or a pair (rows, columns) of them"
    assert message == f"Argument `size` must be {allowed}. Received: size={value!r}"


@pytest.mark.parametrize(("value", "minimum"), [(0, 1), (-3, 1), (1, 2), (-1, 0)])
def test_positive_int_has_a_minimum(value, minimum):
    message = message_of(checks.check_positive_int, "steps", value, minimum)
    assert message == f"Argument `steps` must be an integer of at least {minimum}. Received: steps={value}"
    assert checks.check_positive_int("steps", minimum, minimum) == minimum


@pytest.mark.parametrize("value", [0, 2.5, np.float32(2.5), np.int32(2), fractions.Fraction(5, 2)], ids=repr)
def test_number_is_a_float(value):
    number = checks.check_number("beta", value)
    assert number == float(value) and type(number) is float


@pytest.mark.parametrize(
    "value",
    [-1e-9, float("nan"), float("inf"), -float("inf"), "1", True, None, 1j, (1.0,), 10**400],
    ids=["negative", "nan", "inf", "minus_inf", "text", "bool", "none", "complex", "tuple", "beyond_float"],
)
def test_number_is_finite_and_large_enough(value):
    message = message_of(checks.check_number, "beta", value)
    assert message == f"Argument `beta` must be a finite number of at least 0. Received: beta={checks.show(value)}"


def test_number_has_a_minimum():
    assert checks.check_number("a", 1, minimum=1.0) == 1.0
    message = message_of(checks.check_number, "a", 0.99, 1.0)
    assert message == "Argument `a` must be a finite number of at least 1. Received: a=0.99"


@pytest.mark.parametrize("value", [0, 0.1, np.float32(0.5), fractions.Fraction(9, 10)], ids=repr)
def test_fractions(value):
    number = checks.check_fraction("validation", value)
    assert number == float(value) and type(number) is float


@pytest.mark.parametrize("value", [1, 1.0, -0.1, float("nan"), float("inf"), "0.1", True, None], ids=repr)
def test_not_fractions(value):
    message = message_of(checks.check_fraction, "validation", value)
    assert (
        message == f"Argument `validation` must be a number of at least 0 and below 1. Received: validation={value!r}"
    )


@pytest.mark.parametrize(
    ("value", "pair"), [(3, (3, 3)), ((1, 2), (1, 2)), ([2, 1], (2, 1)), ((np.int64(4), 5), (4, 5))], ids=repr
)
def test_pairs(value, pair):
    result = checks.check_pair("strides", value)
    assert result == pair
    assert all(type(size) is int for size in result)


@pytest.mark.parametrize("value", [0, -1, (1, 0), (1, 2, 3), (1,), (1.0, 1), (True, 1), "12", {1, 2}], ids=repr)
def test_not_pairs(value):
    message = message_of(checks.check_pair, "strides", value)
    allowed = "a positive integer or a pair (rows, columns) of them"
    assert message == f"Argument `strides` must be {allowed}. Received: strides={value!r}"


LONG = "abcdefghij" * 500


def test_a_long_value_is_shortened():
    text = str(checks.fail("padding", "one of ('same', 'valid')", LONG))
    assert text.startswith("Argument `padding` must be one of ('same', 'valid'). Received: padding='abcdefghij")
    assert text.endswith("abcdefghij'") and "… (5002 characters) …" in text
    assert len(text.partition("padding=")[2]) == checks.LONGEST


@pytest.mark.parametrize(
    "value", ["a" * 198, [1] * 66, {"a": 1, "b": (2, [3])}, np.arange(3), None], ids=lambda v: type(v).__name__
)
def test_what_is_not_long_is_shown_whole(value):
    assert checks.show(value) == repr(value) and len(repr(value)) <= checks.LONGEST


class Slow:
    def __repr__(self):
        self.asked.append(self)
        return "slow"


@pytest.mark.parametrize("container", [list, tuple, dict.fromkeys, lambda items: {"all": list(items)}])
def test_not_all_that_is_in_a_long_container_is_asked_for(container):
    Slow.asked = []
    text = checks.show(container([Slow() for _ in range(1000)]))
    assert len(text) <= checks.LONGEST and 20 < len(Slow.asked) <= checks.LONGEST


def test_a_value_that_cannot_be_shown():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert "Broken" in checks.show(Broken())


@pytest.mark.parametrize("length", [1, 199, 200, 201, 5000, 10**6])
def test_shortened_text(length):
    text = "x" * (length - 1) + "y"
    short = checks.shorten(text)
    assert len(short) == min(length, 200) and short.endswith("y")
    assert (short == text) == (length <= 200) and (f"{length} characters" in short) == (length > 200)


def test_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert checks.check_path("data_dir", "~/x") == checks.check_path("data_dir", pathlib.Path("~/x")) == "/home/me/x"
    assert checks.check_path("data_dir", "a/~b") == "a/~b"
    assert checks.check_path("data_dir", "gs://bucket/~x", urls=True) == "gs://bucket/~x"
    with pytest.raises(
        ValueError, match="`run_dir` must be the path of a folder on this machine, and no URL. Received"
    ):
        checks.check_path("run_dir", "gs://bucket/x")
    for wrong in ("", 3, None, b"x"):
        with pytest.raises(ValueError, match="Argument `path` must be the path of a file. Received: path="):
            checks.check_path("path", wrong, "the path of a file")


@pytest.mark.parametrize("value", [0, -0.1, 1.0001, math.nan, math.inf, "half", None, True])
def test_a_share_is_above_zero_and_at_most_one(value):
    assert [checks.check_share("labelled", share) for share in (1, 0.01)] == [1.0, 0.01]
    with pytest.raises(ValueError, match="`labelled` must be"):
        checks.check_share("labelled", value)
    with pytest.raises(ValueError, match="must be a number above 0 and at most 1"):
        checks.check_share("labelled", value)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "1", None, True])
def test_a_number_above_zero_says_so_whatever_came(value):
    assert checks.check_above_zero("radius", 3) == 3.0
    with pytest.raises(ValueError, match="Argument `radius` must be a finite number above 0. Received: radius="):
        checks.check_above_zero("radius", value)
    with pytest.raises(ValueError, match="a finite number above 0, or None. Received"):
        checks.check_above_zero("radius", value, "None")
