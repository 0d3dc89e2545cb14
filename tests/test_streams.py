"""Standard streams that cannot write everything, that nobody reads, or that are not there."""

import errno
import io
import json
import os
import pathlib
import subprocess
import sys

import pytest
from backends import needs_tensorflow

import train
from experiments import comparison, results, streams
from lea_keras import callbacks

ROOT = pathlib.Path(train.__file__).parent
SMALL = ["--model=pool_fc", "--limit=32", "--epochs=1"]
pytestmark = pytest.mark.usefixtures("few_test_images", "no_pictures_while_training")


class Unwritable(io.RawIOBase):
    """A file that refuses everything, after a while."""

    def __init__(self, number, taken=0):
        super().__init__()
        self.number, self.left, self.taken = number, taken, b""

    def writable(self):
        return True

    def write(self, data):
        if self.left <= 0:
            raise OSError(self.number, os.strerror(self.number))
        self.left -= len(data)
        self.taken += bytes(data)
        return len(data)


def text_stream(raw, **options):
    return io.TextIOWrapper(io.BufferedWriter(raw), **{"encoding": "utf-8"} | options)


def shell(command, **environment):
    """Runs the shell's command in the repository; nothing in it imports Keras."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    command = command.replace("python", sys.executable)
    return subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=variables | environment, capture_output=True, timeout=60, check=False
    )


def test_what_cannot_be_encoded_is_replaced_and_the_stream_is_as_before():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1", errors="strict")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        with streams.tolerant() as output:
            print("3 × 4 … \udcff", flush=True)
            assert output.error is None and sys.stdout.encoding == "latin-1"
    assert raw.getvalue() == b"3 \xd7 4 ? ?\n"
    assert stream.errors == "strict"
    with pytest.raises(UnicodeEncodeError):
        stream.write("…")


@pytest.mark.parametrize("encoding", ["ascii", None])
def test_so_it_is_where_a_stream_cannot_be_told_to(encoding):
    class OfNotebook(io.StringIO):
        """Such as ipykernel's, which is no ``TextIOWrapper``."""

        def write(self, text):
            text.encode("ascii")
            return super().write(text)

    OfNotebook.encoding = encoding
    stream = OfNotebook()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        with streams.tolerant() as output:
            print("×…")
        assert output.error is None
    assert stream.getvalue() == "??\n"


@pytest.mark.parametrize(("number", "text"), [(errno.EPIPE, "Broken pipe"), (errno.ENOSPC, "No space left on device")])
def test_output_that_fails_is_noted_once_and_nothing_is_raised(number, text, monkeypatch):
    raw = Unwritable(number, taken=1)
    monkeypatch.setattr(sys, "stdout", text_stream(raw))
    with streams.tolerant() as output:
        print("first", flush=True)
        assert output.error is None
        for _ in range(3):
            print("x" * 100_000, flush=True)
        sys.stdout.writelines(["a", "b"])
        sys.stdout.flush()
    assert output.error == text and raw.taken == b"first\n"
    raw.left = 10**6  # for its finalizer, which would try once more


def test_a_disk_that_has_room_again_gets_the_rest(monkeypatch):
    raw = Unwritable(errno.ENOSPC)
    monkeypatch.setattr(sys, "stdout", text_stream(raw))
    with streams.tolerant() as output:
        print("one", flush=True)
        raw.left = 1000
        print("two", flush=True)
    assert raw.taken == b"one\ntwo\n" and output.error == "No space left on device"


def test_streams_that_are_missing_or_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    with streams.tolerant() as output:
        assert not sys.stdout.isatty() and not sys.stderr.isatty()
        print("nothing", flush=True)
        print("nothing", file=sys.stderr, flush=True)
        with pytest.raises(OSError):
            sys.stdout.fileno()
    assert output.error == "it is closed" and sys.stdout is None and sys.stderr is closed


@pytest.mark.usefixtures("eagerly")
def test_training_goes_on_without_a_reader(tmp_path, monkeypatch, capsys):
    run_dir, raw = tmp_path / "run", Unwritable(errno.EPIPE)
    monkeypatch.setattr(sys, "stdout", text_stream(raw))
    assert train.main(["train.py", f"--run_dir={run_dir}", *SMALL]) == 1
    raw.left = 10**6
    line = "train.py: The output could not be written: Broken pipe. Everything else is done.\n"
    assert capsys.readouterr().err == line
    assert len(callbacks.read_metrics(run_dir)) == 1 and (run_dir / "model.keras").is_file()


@pytest.mark.usefixtures("eagerly")
def test_training_goes_on_without_any_stream(tmp_path, monkeypatch):
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    assert train.main(["train.py", f"--run_dir={tmp_path}", *SMALL]) == 1
    assert len(callbacks.read_metrics(tmp_path)) == 1 and (tmp_path / "model.keras").is_file()


WRITES = [
    ("--help >/dev/full", "The output could not be written: No space left on device. Everything else is done."),
    ("--help >&-", "The output could not be written: it is closed. Everything else is done."),
    ("--epohcs=1 >&-", "Unknown command line flag 'epohcs'. Did you mean: epochs ?"),
    ("--epohcs=1 2>&-", None),
    ("--epohcs=1 2>/dev/full >/dev/full", None),
    ("--epohcs=1 <&- >&- 2>&-", None),
]


@needs_tensorflow
@pytest.mark.parametrize(("arguments", "line"), WRITES, ids=[arguments for arguments, _ in WRITES])
def test_a_process_of_its_own(arguments, line):
    done = shell(f"python train.py {arguments}")
    assert done.returncode == 1 and done.stdout == b""
    assert done.stderr.decode() == ("" if line is None else f"train.py: {line}\n")


@needs_tensorflow
def test_a_reader_that_leaves():
    done = shell("(python train.py --help; echo $? >&2) | head -c 1")
    assert done.stdout == b"u"
    # The help may fit the pipe before the reader has gone.
    said = "train.py: The output could not be written: Broken pipe. Everything else is done.\n1\n"
    assert done.stderr.decode() in (said, "0\n")


@needs_tensorflow
def test_files_get_no_number_of_a_standard_stream():
    code = (
        "import sys; from experiments import streams\n"
        "with streams.tolerant():\n"
        "    file = open('setup.py')\n"
        "    sys.exit(int(file.fileno() <= 2))"
    )
    assert shell(f'python -c "{code}" <&- >&- 2>&-').returncode == 0


@needs_tensorflow
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C"},
    ],
    ids=lambda environment: " ".join(environment.values()),
)
def test_any_locale(environment):
    done = shell("python train.py --help && python train.py --dataset=a×…$(printf '\\377')", **environment)
    assert done.returncode == 1 and b"with the seeds --seed, --seed + 1, " in done.stdout
    assert done.stderr.startswith(b"train.py: Argument `dataset` must be one of ") and done.stderr.count(b"\n") == 1


# Paths that are no valid UTF-8.


def test_results_of_runs_in_such_a_folder(tmp_path):
    folder = tmp_path / "a\udcff"
    folder.mkdir()
    for _ in range(2):  # the second finds its own list of sources
        written = results.Results(folder / "results", [folder / "b\udcfe"])
        written.write_json("a.json", {"path": str(folder), "sign": "×"})
        written.write_csv("a.csv", [{"path": str(folder)}])
    assert json.loads((folder / "results" / "a.json").read_text("utf-8")) == {"path": str(folder), "sign": "×"}
    assert "\\udcff" in (folder / "results" / "a.csv").read_text("utf-8")


def test_names_of_such_runs_can_be_drawn_and_differ(tmp_path):
    def group(*names):
        return [comparison.Run(tmp_path.joinpath(*names), None, [], None, 1)]

    assert comparison._names([group("é\udcff"), group("b")]) == ["é\ufffd", "b"]
    assert comparison._names([group("a", "x\udcff"), group("b", "x\udcfe")]) == ["a/x\ufffd", "b/x\ufffd"]
    assert comparison._names([group("x\udcff"), group("x\udcfe")])[1].endswith("x\ufffd (2)")


def test_such_a_folder_of_data_is_refused_in_one_line(tmp_path, capsys):
    assert train.main(["train.py", f"--run_dir={tmp_path / 'run'}", "--data_dir=a\udcff"]) == 1
    line = capsys.readouterr().err
    assert line.startswith(
        "train.py: Argument `data_dir` must be a path in valid UTF-8, which TensorFlow Datasets needs"
    )
    assert line.count("\n") == 1


LONG = "abcdefghij" * 500


@pytest.mark.parametrize(
    "arguments",
    [
        [f"--dataset={LONG}"],
        [f"--epochs={LONG}"],
        [f"--seed={'9' * 3000}"],
        [f"--run_dir={LONG}"],
        [f"--{LONG}"],
        [f"--no{LONG}"],
        [f"--{LONG[:400]}"],
        [LONG],
        ["word"] * 1000,
        ["--run_dir=x", "--resume", "--data_dir", LONG],
    ],
    ids=lambda arguments: f"{arguments[0][:12]} {len(arguments)}",
)
def test_a_long_value_makes_no_long_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train.main(["train.py", *arguments]) == 1
    line = capsys.readouterr().err
    assert line.startswith("train.py: ") and line.count("\n") == 1 and len(line) < 600
