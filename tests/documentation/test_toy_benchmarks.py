"""The benchmarks of the documentation: every section, and the command for a GPU, at toy size. Nothing here is timed."""

import importlib.util
import itertools
import pathlib
import re
import subprocess
import sys

import pytest

from benchmarks import gpu, sections

ROOT = pathlib.Path(__file__).parents[2]
JAX = importlib.util.find_spec("jax") is not None


def run(environment, file, before, *command):
    """What a command printed that writes to a file with something in it, and what the file has then."""
    file.write_text(before, encoding="utf-8")
    arguments = [sys.executable, *command, "--toy", f"--output={file}"]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done, file.read_text(encoding="utf-8")


def test_everything_runs_at_toy_size(tmp_path, jax_environment):
    before = "old table\n## GPU\n\nQuick.\n\n## Notes\n\nWhy something is slow.\n"
    done, text = run(jax_environment, tmp_path / "results.md", before, "-m", "benchmarks")
    assert "to go, about" in done.stderr
    whole = done.stdout.split("# All\n")[1]
    found = [line.split("|")[1].strip() for line in whole.splitlines() if line.startswith("|")]
    found = [name for name in found if name != "section" and name.strip("-")]
    assert [name for name, _ in itertools.groupby(found)] == list(sections.SECTIONS)
    assert "failed" not in whole and "missed" not in whole
    assert whole.strip() in text and "old table" not in text
    assert text.endswith("\n\n## GPU\n\nQuick.\n\n## Notes\n\nWhy something is slow.\n")
    steps = [line.split("|")[4:-1] for line in whole.splitlines() if line.startswith("| step")]
    assert len(steps) == 4 and all(re.match(r" \d", cell) or not JAX for line in steps for cell in line)
    assert "CPU" in text and "keras 3" in text and "`python -m benchmarks --toy --output=results.md`" in text
    assert str(tmp_path) not in text


@pytest.mark.skipif(not JAX, reason="jax is not installed")
def test_gpu_command_at_toy_size(tmp_path, jax_environment):
    before = "# All\n\n## GPU\n\nold\n\n## Notes\n\nWhy.\n"
    done, text = run(jax_environment, tmp_path / "results.md", before, "benchmarks/gpu.py", "--models=lea_fc")
    assert re.match(r"\[0 s, at most 470 s left\] starting JAX\n", done.stderr) and "1 to go" in done.stderr
    assert re.match(r"No GPU found: toy sizes on the CPU\.\n|GPU: ", done.stdout)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "|" in line]
    assert lines[0] == list(gpu.HEADER)
    assert [line[:2] for line in lines[2:]] == [["lea_fc", precision] for precision in gpu.PRECISIONS]
    column = gpu.HEADER.index("GFLOP per step")
    for line in lines[2:]:
        assert all(re.match(r"[\d–]", cell) for cell in line[2:])
        # XLA counts what is not a product, too, and nothing twice.
        assert 1.0 < float(line[column + 1]) / float(line[column]) < 2.0
    assert "keras 3" in done.stdout and "jax 0." in done.stdout and str(tmp_path) not in done.stdout
    assert text.startswith("# All\n\n## GPU\n\n- CPU: ") and text.endswith("\n\n## Notes\n\nWhy.\n")
    assert "\n".join(done.stdout.splitlines()[2:]) in text and "old" not in text.split("## Notes")[0]
