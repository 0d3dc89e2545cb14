"""The documentation says what is true: its Python runs, its commands have the flags they use, its links lead on."""

import ast
import contextlib
import importlib
import importlib.util
import inspect
import pathlib
import re
import shlex

import keras
import pytest

import lea_keras.data
from experiments import compiling

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Without what is hidden, and without the site that was built.
PAGES = sorted(
    path for path in ROOT.glob("**/*.md") if not any(part[0] in "._" for part in path.relative_to(ROOT).parts)
)
# Modules of public names that are reached through another.
INNER = (
    "autoencoders.coders",
    "data.sprites",
    "plots.certificate_plot",
    "plots.probe_plot",
    "plots.robustness_plot",
    "training.schedule",
)


def blocks(language):
    """(id, code) of every fenced block of a language in every page."""
    found = []
    for page in PAGES:
        for i, code in enumerate(re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)):
            found.append(pytest.param(code, id=f"{page.relative_to(ROOT)}-{i}"))
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code, tmp_path, monkeypatch):
    """With few images, an epoch or two and little traced: that it runs is the question, not what it learns."""
    load, fit = lea_keras.data.load, keras.Model.fit
    monkeypatch.setattr(lea_keras.data, "load", lambda *names, **rest: load(*names, **rest | {"limit": 32}))
    monkeypatch.setattr(keras.Model, "fit", lambda *data, **rest: fit(*data, **few_epochs(rest)))
    monkeypatch.chdir(tmp_path)
    many_steps = "def load_" in code  # in images of its own, which have no limit here
    with contextlib.nullcontext() if many_steps else compiling.eager():
        exec(compile(code, "<documentation>", "exec"), {"__name__": "__main__"})


def few_epochs(arguments):
    """Arguments of ``fit`` with two epochs at most: the first, and one that finds what it left."""
    return arguments | {"epochs": min(arguments.get("epochs", 1), 2)}


def flags_of(script, capsys):
    """What ``--help`` of a script lists; in this process, which has imported already what takes seconds."""
    main = importlib.import_module(script.removesuffix(".py").replace("/", ".")).main
    with contextlib.suppress(SystemExit):
        main([script, "--help"])
    return set(re.findall(r"--(\w+)", capsys.readouterr().out))


def test_shell_blocks_use_flags_that_exist(capsys):
    known = {}
    commands = [
        line for block in blocks("bash") for line in block.values[0].replace("\\\n", " ").splitlines() if ".py" in line
    ]
    assert commands
    for line in commands:
        words = shlex.split(line.split("&&")[-1])
        script = next(word for word in words if word.endswith(".py"))
        assert (ROOT / script).is_file(), line
        used = {word[2:].split("=")[0] for word in words if word.startswith("--")}
        if not used:
            continue
        if script not in known:
            known[script] = flags_of(script, capsys)
        assert used <= known[script], line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.fixture(scope="module")
def repository():
    """The extension of the documentation site, which needs no Sphinx."""
    spec = importlib.util.spec_from_file_location("repository", DOCS / "_ext" / "repository.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def public_modules():
    """All modules that have public names: those with `__all__` and those that the package itself names."""
    rooms = [path.parent.name for path in (ROOT / "lea_keras").glob("*/__init__.py") if "__all__" in path.read_text()]
    named = [name for name in lea_keras.__all__ if inspect.ismodule(getattr(lea_keras, name))]
    names = {*rooms, *named, *INNER} - {"coders", "sprites"}  # of INNER, which has their full names
    return ["lea_keras", *(f"lea_keras.{name}" for name in sorted(names))]


def resolve(name):
    """The object of a full name."""
    path, _, attribute = name.rpartition(".")
    try:
        return importlib.import_module(name)
    except ImportError:
        return getattr(importlib.import_module(path), attribute)


def test_api_pages_have_every_public_name():
    pages = "".join(page.read_text("utf-8") for page in sorted((DOCS / "api").glob("*.rst")))
    told = re.findall(r"^\.\. (?:auto\w+|py:data):: (\S+)$", pages, re.M)
    assert len(set(told)) == len(told)
    objects = [resolve(name) for name in told]  # none is a name that has gone
    for name in public_modules():
        module = importlib.import_module(name)
        names = getattr(module, "__all__", None)
        if names is None:
            body = ast.parse(inspect.getsource(module)).body
            defined = [node.name for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
            names = [each for each in defined if not each.startswith("_")]
        for each in names:
            told_elsewhere = any(getattr(module, each) is found for found in objects)
            assert f"{name}.{each}" in told or told_elsewhere, f"docs/api lacks {name}.{each}"


def test_links_of_the_site_lead_to_pages_and_their_sections(repository):
    texts = {page.name: repository.expand(page) for page in repository.pages()}
    anchors = {name: {repository.slug(text) for _, text, _ in repository.headings(texts[name])} for name in texts}
    for name, text in texts.items():
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            place = path or name
            stored = ROOT / place if place.startswith("notebooks/") else DOCS / place
            assert stored.exists(), f"{name}: {target}"
            assert not anchor or anchor in anchors[place], f"{name}: {target}"
        for file in re.findall(r"\{download\}`[^`]* <\.\./([^>]+)>`", text):
            assert (ROOT / file).exists(), f"{name}: {file}"


def test_pages_of_the_site_are_in_its_tables_of_contents(repository):
    entries = set()
    for page in repository.pages():
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", repository.expand(page), re.M | re.S):
            entries |= {line for line in block.split() if not line.startswith(":")}
    pages = {page.stem for page in repository.pages()} - {"index"}
    assert pages <= entries
    assert entries - pages <= {"notebooks/*", "api/index", "2", "1"}  # and depths


def test_the_site_lists_the_flags_of_every_script(repository):
    scripts = {path.stem for path in ROOT.glob("*.py") if re.search(r"\bGROUPS\b", path.read_text("utf-8"))}
    assert scripts == set(repository.SCRIPTS)
    for script in scripts:
        listed = re.findall(r"^```\{option\} --(\w+)", repository.flags(script), re.M)
        assert listed == [flag.name for group in importlib.import_module(script).GROUPS.values() for flag in group]


def test_the_study_is_left_out_where_there_is_none(repository, monkeypatch):
    monkeypatch.setattr(repository, "STUDY", ())
    assert "study.md" not in {page.name for page in repository.pages()}
    assert "\nstudy\n" not in repository.expand(DOCS / "index.md")


TEXT = """# All
first
## One
a [link](LICENSE) and [another](#two)
### Deep
```python
## no heading
```
## Two
last
"""


def test_parts_of_a_file(repository):
    assert repository.part(TEXT, "One") == TEXT[TEXT.index("## One") : TEXT.index("## Two")].replace(
        "##", "#", 1
    ).replace("### Deep", "## Deep")
    assert repository.part(TEXT, "One", only=True).splitlines() == ["# One", "a [link](LICENSE) and [another](#two)"]
    assert repository.part(TEXT, until="Two").endswith("```\n")
    for wrong in ({"section": "Three"}, {"until": "Three"}):
        with pytest.raises(ValueError, match="Three"):
            repository.part(TEXT, **wrong)


def test_what_is_added_takes_at_most_thirty_lines():
    added = re.findall(r"^```python\n(.*?)^```", (DOCS / "extend.md").read_text("utf-8"), re.M | re.S)
    assert len(added) == 3
    assert all(sum(bool(line.strip()) for line in code.splitlines()) <= 30 for code in added)
