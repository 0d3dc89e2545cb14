"""The file of results: which parts of it a new measurement replaces."""

import re

GPU = "## GPU"
NOTES = "## Notes"


def kept(text: str) -> str:
    """What stays when the tables are measured anew: the section on a GPU, the notes, and all that follows them."""
    found = [position for position in (_position(text, heading) for heading in (GPU, NOTES)) if position >= 0]
    if _position(text, NOTES) >= 0:
        return text[min(found) :]
    return (text[min(found) :].rstrip() + "\n\n" if found else "") + f"{NOTES}\n\nNone yet.\n"


def put(text: str, heading: str, body: str) -> str:
    """The text with a section replaced; a new one stands before the notes, or at the end.

    Args:
        text: of the whole file, may be empty.
        heading: the line that the section begins with, "## …"; it ends before the next such line.
        body: the section without its heading.
    """
    start = _position(text, heading)
    if start < 0:
        notes = _position(text, NOTES)
        start = end = notes if notes >= 0 else len(text)
    else:
        following = re.search(r"^## ", text[start + len(heading) :], re.MULTILINE)
        end = start + len(heading) + following.start() if following else len(text)
    before = text[:start].rstrip()
    parts = [f"{before}\n" if before else "", f"{heading}\n\n{body.strip()}\n", text[end:]]
    return "\n".join(part for part in parts if part)


def _position(text: str, heading: str) -> int:
    """Where the line is, or -1."""
    found = re.search(rf"^{re.escape(heading)}\s*$", text, re.MULTILINE)
    return found.start() if found else -1
