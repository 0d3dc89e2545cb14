"""Checks that the tests of command lines share: of what those say, and of what they leave behind."""

from lea_keras import callbacks


def the_line(capsys, start=""):
    """The one line on stderr."""
    errors = capsys.readouterr().err
    assert errors.startswith(start) and errors.count("\n") == 1 and "Traceback" not in errors
    return errors


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def metrics(run_dir):
    """What ``metrics.csv`` of a run says of every epoch, without the seconds that it took."""
    rows = callbacks.read_metrics(run_dir)
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
