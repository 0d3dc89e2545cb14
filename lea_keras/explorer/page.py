"""The explorer's page: one file of HTML with its style, its script and its data inside."""

import json
from importlib import resources
from typing import Any

PARTS = {"STYLE": "page.css", "SCRIPT": "page.js"}


def page(data: list[dict[str, Any]]) -> str:
    """The whole page, of what ``tiles.data_of`` returned."""
    # Within a script element "<" could end it; JSON has it in strings alone, where it may be escaped.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    html = _read("page.html")
    for name, file in PARTS.items():
        html = html.replace(f"/*{name}*/", _read(file))
    return html.replace("/*DATA*/", text)


def overhead() -> int:
    """Bytes of a page without data."""
    return len(page([]).encode())


def _read(name: str) -> str:
    return (resources.files("lea_keras.explorer") / name).read_text(encoding="utf-8")
