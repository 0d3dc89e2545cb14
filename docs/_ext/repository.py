"""Sphinx extension: pages that take what they say from elsewhere in the repository, when the site is built.

In a page's Markdown

- ``{part} README.md`` stands for a file, or with ``:section:`` for one section of it (see ``part``),
- ``{flags}`` for all flags of the scripts in ``SCRIPTS`` (see ``flags``),
- links to files of the repository lead to the page that has their text, or else offer the file.

All of it is text in, text out, and needs no Sphinx, so that tests can hold the pages against the repository without
building them.
"""

import functools
import importlib
import os
import pathlib
import re
import shutil
import string
import sys
from typing import Any

DOCS = pathlib.Path(__file__).parents[1]
ROOT = DOCS.parent

#: Pages by what they show of files that have no page of their own.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SCOREBOARD.md": "study.md",
    "docs/study/README.md": "study.md",
}
STUDY = ("SCOREBOARD.md", "docs/study/README.md")

#: Scripts in the root whose flags the page on the command line lists.
SCRIPTS = ("train", "evaluate", "study")

_DIRECTIVE = re.compile(r"^```\{(part|flags)\} ?(\S*)\n((?:^:.*\n)*)```$", re.M)
_FENCED = re.compile(r"^(`{3,})[^\n]*\n.*?^\1`*$", re.M | re.S)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.M)


def has_study() -> bool:
    """Whether there is anything for the page of the study to show."""
    return any((ROOT / file).exists() for file in STUDY)


def pages() -> list[pathlib.Path]:
    """All Markdown pages of the site, without those that have nothing to show."""
    return [page for page in sorted(DOCS.glob("*.md")) if page.name != "study.md" or has_study()]


def expand(page: pathlib.Path) -> str:
    """The text of a page with everything that it takes from elsewhere."""
    text = _DIRECTIVE.sub(lambda found: _expansion(page, *found.groups()), page.read_text("utf-8"))
    if not has_study():
        text = re.sub(r"^study\n", "", text, flags=re.M)  # in the table of contents
    return _linked(text, page, page)


def _expansion(page: pathlib.Path, directive: str, argument: str, options: str) -> str:
    values = dict(re.findall(r"^:([\w-]+): ?(.*)$", options, re.M))
    if directive == "flags":
        return "\n".join(f"## Flags of {script}.py\n\n{flags(script)}" for script in SCRIPTS)
    file = ROOT / argument
    if "optional" in values and not file.exists():
        return ""
    text = part(file.read_text("utf-8"), values.get("section"), values.get("until"), "only" in values)
    return _linked(text if "titled" in values else _untitled(text), file, page)


def part(text: str, section: str | None = None, until: str | None = None, only: bool = False) -> str:
    """A part of a Markdown text, its headings raised or lowered so that its own first one is of the first level.

    Args:
        text: of the whole file.
        section: the heading of the part. None: from the beginning.
        until: the heading of what comes after it. None: the next one of the section's level or above.
        only: whether to end at the next heading of any level.
    """
    found = headings(text)
    first = next((i for i, heading in enumerate(found) if section in (None, heading[1])), None)
    if first is None:
        raise ValueError(f"Argument `section` must be a heading. Received: {section!r}")
    level, _, start = found[first]
    ends = [
        position
        for deeper, name, position in found[first + 1 :]
        if (name == until if until else only or (section is not None and deeper <= level))
    ]
    if until and not ends:
        raise ValueError(f"Argument `until` must be a heading. Received: {until!r}")
    chosen = text[start : ends[0] if ends else len(text)]
    for deeper, _, position in reversed(headings(chosen)):
        chosen = chosen[:position] + "#" * (deeper - level + 1) + chosen[position + deeper :]
    return chosen.strip() + "\n"


def headings(text: str) -> list[tuple[int, str, int]]:
    """Level, text and position of every heading outside code."""
    code = [found.span() for found in _FENCED.finditer(text)]
    return [
        (len(found[1]), found[2], found.start())
        for found in _HEADING.finditer(text)
        if not any(start <= found.start() < end for start, end in code)
    ]


def _untitled(text: str) -> str:
    return text.partition("\n")[2].strip() + "\n" if text.startswith("#") else text


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@functools.cache
def _section_pages() -> dict[str, str]:
    """By the anchors of README's sections the page that shows each, with its place on it."""
    found = {}
    for page in pages():
        for directive, file, options in _DIRECTIVE.findall(page.read_text("utf-8")):
            if directive != "part" or file != "README.md":
                continue
            values = dict(re.findall(r"^:([\w-]+): ?(.*)$", options, re.M))
            text = part((ROOT / file).read_text("utf-8"), values.get("section"), values.get("until"), "only" in values)
            for i, (_, name, _) in enumerate(headings(text)):
                found[slug(name)] = page.name if i == 0 and "titled" not in values else f"{page.name}#{slug(name)}"
    return found


def _linked(text: str, file: pathlib.Path, page: pathlib.Path) -> str:
    """Text of a file with links as they must be on a page; what is in code stays as it is."""
    pieces, end = [], 0
    for code in _FENCED.finditer(text):
        if re.match(r"`+\{(option|admonition)", code[0]):
            continue
        pieces += [_LINK.sub(functools.partial(_link, file, page), text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, _LINK.sub(functools.partial(_link, file, page), text[end:])])


def _link(file: pathlib.Path, page: pathlib.Path, found: re.Match[str]) -> str:
    image, text, target = found.groups()
    if re.match(r"\w+:", target):
        return found[0]
    path, _, anchor = target.partition("#")
    if not path:
        if file == page or file.name != "README.md" or file.parent != ROOT:  # others are shown whole, on one page
            return found[0]
        return f"[{text}]({_section_pages()[anchor]})"
    # What comes from elsewhere has been through here once, relative to its own file.
    place = os.path.relpath(os.path.normpath(file.parent / path), ROOT)
    if file == page and not (ROOT / place).exists() and (page.parent / path).parent.name == "notebooks":
        return found[0]
    if not (ROOT / place).exists():
        raise ValueError(f"{page.name}: there is no {target}, to which {file.name} links")
    anchor = f"#{anchor}" if anchor else ""
    if place in PAGES:
        return f"[{text}]({PAGES[place]}{anchor})"
    if place.startswith("notebooks/"):
        return f"[{text}]({place}{anchor})"
    if place.startswith("docs/"):
        return f"{image}[{text}]({place.removeprefix('docs/')}{anchor})"
    return f"{{download}}`{text} <../{place}>`"


def flags(script: str) -> str:
    """All flags of a script in the root, by group: name, default and help, as Markdown of ``option`` directives."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    module = importlib.import_module(script)
    default = getattr(module, "_default", lambda flag: "")
    lines = [f"```{{program}} {script}.py\n```\n"]
    for title, group in module.GROUPS.items():
        lines.append(f"### {title}\n")
        for flag in group:
            text, given = _without_default(flag.text + default(flag))
            name = f"--{flag.name}" + (f"={flag.value}" if flag.value else "")
            told = f" *Default: {_escaped(given)}.*" if given else ""
            lines.append(f"```{{option}} {name}\n{_escaped(text)}.{told}\n```\n")
    return "\n".join(lines)


def _without_default(text: str) -> tuple[str, str]:
    """A flag's help without its default in brackets, wherever that stands, and the default."""
    found = re.search(r" \[([^\[\]]+)\]", text)
    return (text, "") if found is None else (text[: found.start()] + text[found.end() :], found[1])


def _escaped(text: str) -> str:
    plain = ".,:;()'%"
    return "".join(f"\\{c}" if c in string.punctuation and c not in plain else c for c in text)


def copy_notebooks() -> None:
    """Puts the stored notebooks where Sphinx looks for pages, those that are new alone."""
    folder = DOCS / "notebooks"
    folder.mkdir(exist_ok=True)
    stored = {path.name: path for path in (ROOT / "notebooks").glob("*.ipynb")}
    for path in folder.glob("*.ipynb"):
        if path.name not in stored:
            path.unlink()
    for name, path in stored.items():
        if not (folder / name).exists() or (folder / name).read_bytes() != path.read_bytes():
            shutil.copyfile(path, folder / name)


def _read(app: Any, name: str, source: list[str]) -> None:
    page = DOCS / f"{name}.md"
    if page.exists():
        source[0] = expand(page)


def setup(app: Any) -> dict[str, Any]:
    copy_notebooks()
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
