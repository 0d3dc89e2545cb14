"""Command lines: grouped flags that are converted in one place, their help, mistakes in one line.

Nothing here imports Keras, so that ``--help`` and mistakes are answered at once.
"""

import dataclasses
import itertools
import shlex
import sys
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from experiments import streams
from experiments.config import RunConfig, checks
from experiments.runs import RunError

_LONGEST_LINE = 1000  # characters of an error
HELP = ("--help", "-help", "-h", "--helpshort", "--helpfull")


class Flag(NamedTuple):
    """One line of the help: the flag's name, what its value looks like, what it does, and what None stands for.

    Without a look of its value it is a switch: ``--name`` or ``--noname``. A folder is on this machine unless ``urls``
    may name it, too.
    """

    name: str
    value: str
    text: str
    none: str = ""
    urls: bool = False


Groups = Mapping[str, tuple[Flag, ...]]


def flag_of(name: str, note: str = "") -> Flag:
    """The flag of a hyperparameter, with a note at the end of its text."""
    told = RunConfig.__dataclass_fields__[name].metadata
    return Flag(name, told["value"], told["text"] + note, told["none"], told["urls"])


def hyperparameters() -> dict[str, tuple[Flag, ...]]:
    """The flags of all hyperparameters by group."""
    groups = itertools.groupby(dataclasses.fields(RunConfig), lambda field: field.metadata["group"])
    return {title: tuple(flag_of(field.name) for field in fields) for title, fields in groups}


def _integers(text: str) -> int | tuple[int, ...]:
    """ "4" → 4, "4,6" → (4, 6); what cannot be sizes is refused by the configuration."""
    numbers = tuple(int(part) for part in text.split(","))
    return numbers[0] if len(numbers) == 1 else numbers


def _integer_or(word: str) -> Callable[[str], int | str]:
    return lambda text: text if text == word else int(text)


def _one_per_layer(text: str) -> tuple[int, ...]:
    """ "64" → (64,), "128,64" → (128, 64), "linear" → ()."""
    return () if text == "linear" else tuple(int(part) for part in text.split(","))


# How the value of a flag that looks so is read, and what to call it where it cannot be.
CONVERTERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "N": (int, "an integer"),
    "X": (float, "a number"),
    "N,N": (_integers, "two integers with a comma between them"),
    "N,N,…": (_one_per_layer, "integers with commas between them"),
    "N,N,… or linear": (_one_per_layer, "integers with commas between them, or linear"),
    "N or auto": (_integer_or("auto"), "an integer or auto"),
    "N or all": (_integer_or("all"), "an integer or all"),
    "N or N,N": (_integers, "an integer, or two with a comma between them"),
}


def parse(argv: Sequence[str], groups: Groups) -> dict[str, Any]:
    """Returns the flags that were given, converted but not checked.

    The flags are apart from absl's global ones, which libraries also write to.

    Raises:
        RunError: for an unknown flag, a value of the wrong kind, or an argument that is no flag.
    """
    every = [flag for group in groups.values() for flag in group]
    values = flags.FlagValues()
    for flag in every:
        define = flags.DEFINE_string if flag.value else flags.DEFINE_boolean
        define(flag.name, None, flag.text, flag_values=values)
    try:
        rest = values(list(argv))
    except (flags.Error, ValueError) as error:
        raise RunError(str(error)) from None
    except RecursionError:  # absl looks for a flag like it
        raise RunError(f"Unknown command line flag {checks.show(max(argv[1:], key=len))}") from None
    if len(rest) > 1:
        raise RunError(f"Arguments must be flags, --name=value. Received: {checks.shorten(' '.join(rest[1:]))}")
    given = {}
    for flag in every:
        value = values[flag.name].value
        if value is None:
            continue
        convert, kind = CONVERTERS.get(flag.value, (None, ""))
        try:
            given[flag.name] = convert(value) if convert else value
        except ValueError:
            raise RunError(str(checks.fail(flag.name, kind, value))) from None
        if flag.value in ("FOLDER", "FILE"):
            try:
                given[flag.name] = checks.check_path(
                    flag.name, value, f"the path of a {flag.value.lower()}", urls=flag.urls
                )
            except ValueError as error:
                raise RunError(str(error)) from None
    return given


def chosen_names(flag: str, text: str, choices: Collection[str]) -> list[str]:
    """The names that a flag gives: all of them for "all", or different ones with commas between them.

    Raises:
        ValueError: one line, for anything else.
    """
    if text == "all":
        return list(choices)
    names = [checks.check_choice(flag, name, ("all", *choices)) for name in text.split(",")]
    if len(set(names)) < len(names) or "all" in names:
        raise checks.fail(flag, "all, or different names with commas between them", text)
    return names


def help_text(introduction: str, groups: Groups, default: Callable[[Flag], str] = lambda flag: "") -> str:
    """The flags by group.

    Args:
        introduction: what comes first.
        groups: the flags.
        default: what to add to a flag's text, such as " [4]".
    """
    lines = [introduction]
    for title, group in groups.items():
        lines.append(f"{title}:")
        for flag in group:
            left = f"  --{flag.name}" + (f"={flag.value}" if flag.value else "")
            first, *more = textwrap.wrap(flag.text + default(flag), width=90)
            lines += [f"{left:27} {first}"] + [f"{'':28}{text}" for text in more]
        lines.append("")
    return "\n".join(lines)


def one_line(text: str) -> str:
    """An error's text as a line that can be read: what libraries say may have pages, and so may what a user typed."""
    return checks.shorten(" ".join(checks.shorten(word) for word in text.split()), _LONGEST_LINE)


def command(*words: object) -> str:
    """A command line to copy, quoted where a shell needs it."""
    return shlex.join(["python", *map(str, words)])


def main(argv: Sequence[str], script: str, run: Callable[[Sequence[str]], str], help: Callable[[], str]) -> int:
    """Runs a command line and returns the exit status; whatever a user can get wrong is one line on stderr.

    Output that cannot be written ends no work: that is said in such a line, too, once everything is done.

    Args:
        argv: the script's name and its arguments.
        script: what such a line begins with.
        run: returns what is printed at the end, or raises ``RunError``.
        help: returns what ``--help`` prints.
    """
    with streams.tolerant() as output:
        status = _answer(argv, script, run, help)
        if output.error:
            rest = "" if status else ". Everything else is done."
            print(f"{script}: The output could not be written: {output.error}{rest}", file=sys.stderr)
        return status or int(output.error is not None)


def _answer(argv: Sequence[str], script: str, run: Callable[[Sequence[str]], str], help: Callable[[], str]) -> int:
    try:
        print(help() if any(argument in HELP for argument in argv[1:]) else run(argv), flush=True)
    except RunError as error:
        print(f"{script}: {one_line(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"\n{script}: Interrupted. {error}".rstrip(), file=sys.stderr)
        return 130
    return 0
