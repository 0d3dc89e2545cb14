"""The scoreboard: every claim with its words, what came out, and the verdict, made from stored results alone."""

import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.claims import verdicts
from experiments.claims.base import Claim
from experiments.claims.registry import CLAIMS
from experiments.claims.verdicts import Effect, Statement
from experiments.runs import RunError

REASONS = "reasons.json"
Stored = Mapping[str, Mapping[str, Mapping[str, Any]]]  # scale → study → what it stored

INTRODUCTION = """\
# Scoreboard

What the thesis and its neighbours say, what its readers ask, and what our runs say to it. Made by `python study.py`
from the stored results, never by hand.

{rule}

An effect is shown as its value [bootstrap interval] with the runs of each sample; behind it is the range in which it
would have to be, and whether it holds, fails or is open.
"""


def read_reasons(output: pathlib.Path) -> dict[str, str]:
    """What was written about verdicts, above all those that contradict: a paragraph by "scale/number".

    Raises:
        RunError: one line, if the file holds anything else.
    """
    path = output / REASONS
    if not path.is_file():
        return {}
    try:
        reasons = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        reasons = None
    if not isinstance(reasons, dict) or not all(isinstance(text, str) for text in reasons.values()):
        raise RunError(f'{path} must hold paragraphs by scale and claim, such as {{"small/7": "…"}}, as JSON')
    return reasons


def judge(claim: Claim, stored: Mapping[str, Mapping[str, Any]]) -> list[Statement] | None:
    """The statements of a claim, from what its studies stored; None if one of them has not."""
    if not all(name in stored for name in claim.studies):
        return None
    return list(claim.statements(*(stored[name]["values"] for name in claim.studies)))


def markdown(stored: Stored, reasons: Mapping[str, str]) -> str:
    """The scoreboard as a page: a table for each scale, every statement below, and why verdicts may contradict."""
    rule = " ".join((verdicts.__doc__ or "").split("\n\n", 1)[1].split())
    lines = [INTRODUCTION.format(rule=rule)]
    for scale, studies in stored.items():
        judged = {number: judge(claim, studies) for number, claim in CLAIMS.items()}
        lines += [f"## {scale.capitalize()} scale", ""]
        for document in dict.fromkeys(claim.document for claim in CLAIMS.values()):
            of_document = {number: judged[number] for number, claim in CLAIMS.items() if claim.document == document}
            lines += [f"{document}: {_counts(of_document)}", "", *_table(of_document, scale), ""]
        for number, statements in judged.items():
            if statements is not None:
                lines += _details(CLAIMS[number], scale, statements, studies, reasons.get(f"{scale}/{number}", ""))
    return "\n".join(lines).rstrip() + "\n"


def _table(judged: Mapping[int, Sequence[Statement] | None], scale: str) -> list[str]:
    lines = ["| claim | where | what it says | verdict |", "|--:|---|---|---|"]
    for number, statements in judged.items():
        claim = CLAIMS[number]
        told = "not run" if statements is None else f"**{verdicts.verdict(statements)}**"
        shown_number = str(number) if statements is None else f"[{number}](#claim-{number}-{scale}-scale)"
        lines.append(f"| {shown_number} | {claim.place} | {claim.words} | {told} |")
    return lines


def _counts(judged: Mapping[int, Sequence[Statement] | None]) -> str:
    found = [verdicts.verdict(statements) for statements in judged.values() if statements is not None]
    order = (verdicts.AGREES, verdicts.PARTLY, verdicts.CONTRADICTED, verdicts.UNDECIDED)
    return ", ".join(f"{found.count(kind)} {kind}" for kind in order) + f", of {len(judged)} claims."


def _details(
    claim: Claim,
    scale: str,
    statements: Sequence[Statement],
    studies: Mapping[str, Mapping[str, Any]],
    reason: str,
) -> list[str]:
    lines = [f"### Claim {claim.number}, {scale} scale", "", f"**{claim.words}** ({claim.document}, {claim.place})"]
    lines += ["", f"Stand-in: {claim.stand_in}"] if claim.stand_in else []
    lines += ["", "| statement | ours | would have to be | |", "|---|---|---|---|"]
    for one in statements:
        lines.append(f"| {one.words} | {shown(one.effect)} | {one.allowed} | {one.outcome} |")
    sources = [studies[name] for name in claim.studies]
    commands = "; ".join(dict.fromkeys(f"`{one['command']}`" for one in sources))
    commits = ", ".join(dict.fromkeys(one["commit"] or "unknown" for one in sources))
    lines += [
        "",
        f"Verdict: **{verdicts.verdict(statements)}**. {scale.capitalize()} scale, {commands}, commit {commits}.",
    ]
    notes = list(dict.fromkeys(note.rstrip(".") for one in sources for note in one["notes"]))
    lines += ["", f"To be known of these runs: {'; '.join(notes)}."] if notes else []
    return [*lines, *(["", reason] if reason else []), ""]


def shown(effect: Effect) -> str:
    """ "0.12 [0.10, 0.15], 3 and 3 runs"; a number without chance alone."""
    value = "no number" if math.isnan(effect.value) else f"{effect.value:.3g}"
    samples = " and ".join(map(str, effect.runs))
    if len(effect.runs) > 2 and len(set(effect.runs)) == 1:
        samples = f"{len(effect.runs)} times {effect.runs[0]}"
    runs = f", {samples} run{'s' * (effect.runs != (1,))}" if effect.runs else ""
    if effect.low == effect.high:
        return value + runs
    if math.isinf(effect.low):
        return f"{value} [no interval]{runs}"
    return f"{value} [{effect.low:.3g}, {effect.high:.3g}]{runs}"
