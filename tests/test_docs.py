"""The documentation says what is true: its Python runs, its commands have the flags they use, its links lead on."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

import lea_keras.data

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(path for path in ROOT.glob("**/*.md") if not any(part.startswith(".") for part in path.parts[1:]))


def blocks(language):
    """(id, code) of every fenced block of a language in every page."""
    found = []
    for page in PAGES:
        for i, code in enumerate(re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)):
            found.append(pytest.param(code, id=f"{page.relative_to(ROOT)}-{i}"))
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code, tmp_path, monkeypatch):
    load = lea_keras.data.load
    monkeypatch.setattr(lea_keras.data, "load", lambda *names, **rest: load(*names, **rest | {"limit": 320}))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "<documentation>", "exec"), {"__name__": "__main__"})


def test_shell_blocks_use_flags_that_exist():
    known = {}
    commands = [
        line for block in blocks("bash") for line in block.values[0].replace("\\\n", " ").splitlines() if ".py" in line
    ]
    assert commands
    for line in commands:
        words = shlex.split(line.split("&&")[-1])
        script = next(word for word in words if word.endswith(".py"))
        if script not in known:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            command = [sys.executable, str(ROOT / script), "--help"]
            text = subprocess.run(command, capture_output=True, text=True, env=environment)
            known[script] = set(re.findall(r"--(\w+)", text.stdout + text.stderr))
        used = {word[2:].split("=")[0] for word in words if word.startswith("--")}
        assert used <= known[script], line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
