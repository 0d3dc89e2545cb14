"""Downloads where nobody answers, without a network: servers are this machine's, or nobody's."""

import json
import logging
import shutil
import socket

import pytest
from backends import needs_tensorflow
from real_data import tfds_folder

from lea_keras import data
from lea_keras.data import downloads, sources

pytestmark = needs_tensorflow  # through which TensorFlow Datasets reads


class Builder:
    """A data set of TensorFlow Datasets that comes from some addresses."""

    def __init__(self, folder, urls, error=None):
        self.data_path, self.url_infos, self.error = folder / "mnist" / "3.0.1", dict.fromkeys(urls), error
        self.calls = 0

    def is_prepared(self):
        logging.getLogger("absl").warning("Variant folder %s has no dataset_info.json", self.data_path)
        return self.data_path.exists()

    def download_and_prepare(self):
        self.calls += 1
        logging.getLogger("urllib3.connectionpool").warning("Retrying (%r) after connection broken by", 3)
        if self.error:
            raise self.error
        self.data_path.mkdir(parents=True)


@pytest.fixture
def nobody():
    """An address at which no one listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}/images.gz"


@pytest.fixture
def silent(monkeypatch):
    """An address at which someone listens and never answers."""
    monkeypatch.setattr(downloads, "ANSWER", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/images.gz"


def line(builder):
    with pytest.raises(ConnectionError) as error:
        downloads.prepare(builder, "mnist")
    text = str(error.value)
    assert text.startswith("The data set 'mnist' cannot be downloaded: ") and "\n" not in text
    assert "--data_dir" in text and "'sprites'" in text and "HTTPConnection" not in text
    return text


def test_nobody_listens(tmp_path, nobody, caplog):
    builder = Builder(tmp_path, [nobody])
    assert "127.0.0.1:" in line(builder) and "Connection refused" in line(builder)
    assert not builder.calls and not caplog.records and not list(tmp_path.iterdir())


def test_nobody_answers(tmp_path, silent):
    builder = Builder(tmp_path, [silent])
    assert "does not answer (Read timed out" in line(builder)
    assert not builder.calls


def test_the_search_for_an_address_takes_long(tmp_path, nobody, monkeypatch):
    monkeypatch.setattr(downloads, "PATIENCE", 0.0)
    monkeypatch.setattr(downloads.threading.Thread, "start", lambda self: None)
    monkeypatch.setattr(downloads.threading.Thread, "join", lambda self, timeout: None)
    assert "does not answer (for 0 seconds)" in line(Builder(tmp_path, [nobody]))


def test_what_is_there_or_was_downloaded_needs_no_network(tmp_path, nobody, caplog):
    builder = Builder(tmp_path, [nobody])
    folder = tmp_path / "downloads" / "mnist"
    folder.mkdir(parents=True)
    (folder / "images.gz.INFO").write_text(json.dumps({"urls": [nobody]}))
    (folder / "broken.INFO").write_text("{")
    line(builder)  # a note without the file
    (folder / "images.gz").write_bytes(b"all of it")
    downloads.prepare(builder, "mnist")
    downloads.prepare(builder, "mnist")
    assert builder.calls == 1 and not caplog.records
    assert caplog.handler.filters == [] and not logging.getLogger("absl").filters  # later warnings are shown


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("HTTP code: 404.\nmore"), "HTTP code: 404. Give"),
        (
            ConnectionError("HTTPSConnectionPool(host='x', port=443): Read timed out."),
            "downloaded: Read timed out.",
        ),
    ],
)
def test_a_download_that_fails_later(tmp_path, error, reason, caplog):
    assert reason in line(Builder(tmp_path, [], error))
    assert not caplog.records


def test_a_full_disk_is_not_called_a_network(tmp_path):
    with pytest.raises(OSError, match="No space left") as error:
        downloads.prepare(Builder(tmp_path, [], OSError(28, "No space left on device")), "mnist")
    assert not isinstance(error.value, ConnectionError)


def test_load_ends_in_the_same_line(tmp_path, nobody, monkeypatch):
    monkeypatch.setattr(sources, "_builder", lambda *_: Builder(tmp_path, [nobody]))
    with pytest.raises(ConnectionError, match="'mnist' cannot be downloaded"):
        data.load("mnist", data_dir=tmp_path, download=True)


# What is damaged in a prepared data set, and what the line says.
DAMAGED = {
    "half a file": (lambda folder, file: file.write_bytes(file.read_bytes()[:10000]), "damaged or incomplete: trunc"),
    "no file": (lambda folder, file: file.unlink(), "No such file or directory"),
    "empty file": (lambda folder, file: file.write_bytes(b""), "contain 10000 elements but"),
    "garbage": (lambda folder, file: file.write_bytes(b"x" * 999), "corrupted record"),
    "description": (lambda folder, file: (folder / "dataset_info.json").write_text("{"), "Failed to"),
    "no description": (lambda folder, file: (folder / "dataset_info.json").unlink(), "pass download=True"),
    "not renamed": (lambda folder, file: folder.rename(f"{folder}.incompleteABC"), "pass download=True"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_half_a_data_set_is_not_taken_for_whole(name, tmp_path):
    shutil.copytree(tfds_folder("mnist") / "mnist", tmp_path / "mnist")
    (folder,) = (tmp_path / "mnist").iterdir()
    (file,) = folder.glob("mnist-test*")
    act, message = DAMAGED[name]
    act(folder, file)
    sources.read.cache_clear()
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        data.load("mnist", "test", data_dir=tmp_path)
    text = str(error.value)
    assert "'mnist'" in text and message in text and str(tmp_path) in text and "\n" not in text
