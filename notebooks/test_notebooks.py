"""Every notebook runs from top to bottom, without a warning, and is what its source says."""

import time

import make
import nbformat
import pytest

BYTES = 1_000_000  # of a notebook with its outputs
# Raised by Keras' own export to ONNX.
ALLOWED = ("np.object",)

SOURCES = make.sources()


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    monkeypatch.setenv("LEA_KERAS_NOTEBOOK_LIMIT", "200")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def warnings_in(notebook):
    """What cells wrote on stderr, and TensorFlow's warnings on stdout, but for what is allowed."""
    texts = [
        "".join(output["text"])
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream" and (output["name"] == "stderr" or "WARNING" in "".join(output["text"]))
    ]
    return [text for text in texts if text.strip() and not any(allowed in text for allowed in ALLOWED)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_runs(source, tmp_path):
    started = time.monotonic()
    notebook = make.run(source, tmp_path)
    assert warnings_in(notebook) == []
    print(f"{source.stem}: {time.monotonic() - started:.0f} s")
    assert not list(tmp_path.iterdir()), "what a notebook writes goes to a temporary folder"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_stored_notebook_is_that_of_its_source(source):
    path = source.with_suffix(".ipynb")
    stored, fresh = nbformat.read(path, as_version=4), make.read(source)
    assert [(cell.cell_type, cell.source) for cell in stored.cells] == [
        (cell.cell_type, cell.source) for cell in fresh.cells
    ], "make it anew: python notebooks/make.py"
    assert path.stat().st_size < BYTES
    assert warnings_in(stored) == []
    assert all(cell.execution_count for cell in stored.cells if cell.cell_type == "code")
