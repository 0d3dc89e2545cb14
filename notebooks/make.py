"""Notebooks from their sources: ``python notebooks/make.py [NAME ...]`` runs them and stores them with their outputs.

A notebook is written as a ``.py`` file in the percent format, which reviewers and ruff read as Python; the ``.ipynb``
beside it is made from that and never edited.
"""

import pathlib
import re
import sys

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = pathlib.Path(__file__).parent
SECONDS = 600  # that a notebook may take
_LOG = re.compile(r"WARNING: All log messages before absl|[IWE]\d{4} |[IWE]\d{13}|To enable the following instructions")


def sources() -> list[pathlib.Path]:
    """The sources of all notebooks, in their order."""
    return sorted(FOLDER.glob("[0-9]*.py"))


def read(source: pathlib.Path) -> nbformat.NotebookNode:
    """Reads a source as a notebook without outputs, the same whenever it is read."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
    notebook["metadata"] = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    return notebook


def run(source: pathlib.Path, folder: pathlib.Path = FOLDER) -> nbformat.NotebookNode:
    """Runs a notebook from top to bottom and returns it with its outputs.

    Args:
        source: its ``.py``.
        folder: the working directory.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = read(source)
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": folder}})
    client.execute()
    for cell in notebook.cells:
        cell["metadata"] = {}  # when each cell ran
        if cell.cell_type == "code":
            cell["outputs"] = [output for output in map(_without_log, cell["outputs"]) if output is not None]
    return notebook


def _without_log(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """An output without the lines in which TensorFlow's C++ says what machine it is on; None if nothing remains."""
    if output["output_type"] != "stream":
        return output
    lines = [line for line in output["text"].splitlines(keepends=True) if not _LOG.match(line)]
    output["text"] = "".join(lines)
    return output if output["text"].strip() else None


def main(names: list[str]) -> None:
    """Makes the notebooks of these names, all of them if there are none."""
    for source in sources():
        if not names or source.stem in names:
            print(f"{source.stem} …", flush=True)
            nbformat.write(run(source), source.with_suffix(".ipynb"))


if __name__ == "__main__":
    main(sys.argv[1:])
