"""Argument checks with one form of message: the argument, what is allowed, what came.

Every function returns the checked value in its canonical form or raises ``ValueError`` with a single line that ends in
``Received: name=value``.
"""

import difflib
import math
import operator
import os
import reprlib
from collections.abc import Iterable
from typing import Any

LONGEST = 200  # characters of a value that an error repeats (chosen)

# Of containers as much as can fit: the text of all that is in them may take minutes to make.
_reprlib = reprlib.Repr()
_reprlib.maxstring = _reprlib.maxother = _reprlib.maxlong = 10 * LONGEST
_reprlib.maxlist = _reprlib.maxtuple = _reprlib.maxdict = _reprlib.maxset = _reprlib.maxfrozenset = LONGEST // 2


def show(value: Any) -> str:
    """A value as errors repeat it: its ``repr``, shortened if it is long."""
    if isinstance(value, (str, bytes)):
        return shorten(repr(value))
    return shorten(_reprlib.repr(value))


def shorten(text: str, longest: int = LONGEST) -> str:
    """A text that is not too long to be read: of a longer one the beginning, the end and how long it was."""
    if len(text) <= longest:
        return text
    note = f" … ({len(text)} characters) … "
    end = (longest - len(note)) // 3
    return f"{text[: longest - len(note) - end]}{note}{text[-end:]}"


def fail(argument: str, allowed: str, received: Any, hint: str = "") -> ValueError:
    """Returns (does not raise) the ``ValueError`` for one argument.

    Args:
        argument: the argument's public name.
        allowed: what it must be, to complete "Argument `…` must be".
        received: the value that came; one of more than 200 characters is shortened.
        hint: a sentence that goes between the two, for example "Did you mean 'vae'?".
    """
    hint = f" {hint}" if hint else ""
    return ValueError(f"Argument `{argument}` must be {allowed}.{hint} Received: {argument}={show(received)}")


def check_choice(argument: str, value: Any, choices: Iterable[str]) -> str:
    """Returns ``value`` if it is one of ``choices``; otherwise the error names the nearest of them."""
    choices = tuple(choices)
    if isinstance(value, str) and value in choices:
        return value
    near = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else ""
    raise fail(argument, f"one of {choices}", value, hint)


def is_integer(value: Any) -> bool:
    """Whether ``value`` is a whole number of Python or NumPy (booleans are not)."""
    try:
        operator.index(value)
    except (TypeError, AttributeError):  # arrays and tensors have __index__ whatever they hold
        return False
    return not isinstance(value, bool)


def check_positive_int(argument: str, value: Any, minimum: int = 1) -> int:
    """Returns ``value`` as an ``int`` if it is a whole number of at least ``minimum``."""
    if not is_integer(value) or int(value) < minimum:
        raise fail(argument, f"an integer of at least {minimum}", value)
    return int(value)


def check_seed(value: Any, argument: str = "seed") -> int:
    """Returns ``value`` as an ``int`` if every random generator takes it, NumPy's too: from 0 to 2³² − 1."""
    if not is_integer(value) or not 0 <= int(value) < 2**32:
        raise fail(argument, "an integer from 0 to 2**32 - 1", value)
    return int(value)


def check_number(argument: str, value: Any, minimum: float = 0.0, maximum: float = math.inf) -> float:
    """Returns ``value`` as a ``float`` if it is a finite number of at least ``minimum`` and at most ``maximum``."""
    limits = [f"at least {minimum:g}"] if minimum > -math.inf or maximum == math.inf else []
    limits += [f"at most {maximum:g}"] if maximum < math.inf else []
    allowed = f"a finite number of {' and '.join(limits)}"
    if isinstance(value, (str, bool)):
        raise fail(argument, allowed, value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise fail(argument, allowed, value) from None
    if not math.isfinite(number) or not minimum <= number <= maximum:
        raise fail(argument, allowed, value)
    return number


def check_above_zero(argument: str, value: Any, otherwise: str = "") -> float:
    """Returns ``value`` as a ``float`` if it is a finite number above 0.

    Args:
        argument: its public name.
        value: what came.
        otherwise: what else is allowed, for the message, such as "None".
    """
    try:
        number = check_number(argument, value)
    except ValueError:
        number = 0.0
    if number == 0:
        raise fail(argument, "a finite number above 0" + (f", or {otherwise}" if otherwise else ""), value)
    return number


def check_range(
    argument: str, value: Any, allowed: str = "a pair of finite numbers (low, high) with low < high"
) -> tuple[float, float]:
    """Returns ``value`` as a pair of floats if it is two finite numbers, the first below the second."""
    try:
        low, high = (check_number(argument, number, minimum=-math.inf) for number in value)
    except (TypeError, ValueError):
        raise fail(argument, allowed, value) from None
    if low >= high:
        raise fail(argument, allowed, value)
    return low, high


def check_share(argument: str, value: Any) -> float:
    """Returns ``value`` as a ``float`` if it is a part of a whole that is something: a number above 0, at most 1."""
    try:
        number = check_number(argument, value, maximum=1.0)
    except ValueError:
        number = 0.0
    if number == 0:
        raise fail(argument, "a number above 0 and at most 1", value)
    return number


def check_fraction(argument: str, value: Any) -> float:
    """Returns ``value`` as a ``float`` if it is a part of a whole that leaves something: a number from 0 to below 1."""
    try:
        number = check_number(argument, value)
    except ValueError:
        number = 1.0
    if number >= 1.0:
        raise fail(argument, "a number of at least 0 and below 1", value)
    return number


def check_pair(argument: str, value: Any) -> tuple[int, int]:
    """Returns a positive int, or a pair of them, as ``(rows, columns)``."""
    if is_integer(value):
        pair = (value, value)
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        pair = value
    else:
        raise fail(argument, "a positive integer or a pair (rows, columns) of them", value)
    if not all(is_integer(size) and int(size) >= 1 for size in pair):
        raise fail(argument, "a positive integer or a pair (rows, columns) of them", value)
    return int(pair[0]), int(pair[1])


def check_path(argument: str, value: Any, allowed: str = "the path of a folder", urls: bool = False) -> str:
    """Returns a path with its ``~`` expanded, as a shell does it for a word of its own but not within ``--name=~/x``.

    Args:
        argument: its public name.
        value: a path; a URL (gs://…) is returned as it is if ``urls`` are allowed and refused if not, since a folder
            called "gs:" is not what is meant.
        allowed: what it is called in errors.
        urls: whether what uses it can read URLs.
    """
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path:
        raise fail(argument, allowed, value)
    if "://" not in path:
        return os.path.expanduser(path)
    if not urls:
        raise fail(argument, f"{allowed} on this machine, and no URL", path)
    return path
