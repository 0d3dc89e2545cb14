"""Checks that the tests of command lines share: of what those say, and of what they leave behind."""


def the_line(capsys, start=""):
    """The one line on stderr."""
    errors = capsys.readouterr().err
    assert errors.startswith(start) and errors.count("\n") == 1 and "Traceback" not in errors
    return errors


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
