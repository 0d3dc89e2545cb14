"""Results as text: names and order of measures, the layout of tables, and the one of an epoch or an evaluation."""

import re
from collections.abc import Iterable, Mapping, Sequence

from experiments.config import RunConfig

SPLITS = ("train", "validation", "test")
NOT_MEASURES = ("epoch", "seconds", "learning_rate")  # in a row of metrics.csv
# What is measured of the main task, by its name in files, with its name in tables.
MAIN = {
    "samples": "samples",
    "log_loss": "log loss",
    "crossentropy": "cross-entropy",
    "accuracy": "accuracy",
    "majority_accuracy": "  of the majority class",
}
# What is measured of a LEA: "lea_rl" in files is "lea RL" in tables, for a layer of the name "lea".
OF_LEAS = {
    "loss": "loss",
    "nll": "NLL",
    "rl": "RL",
    "rl_max": "RL max",
    "mae": "MAE",
    "rln": "RLN",
    "rln_split": "RLN split",
    "kl": "KL",
    "discrete_kl": "discrete KL",
    "mmd": "MMD²",
    "capacity": "capacity",
    "discrete_capacity": "discrete capacity",
    "dead_codes": "dead codes",
    "confidence_min": "confidence min",
    "confidence_25": "confidence 25 %",
    "confidence_50": "confidence 50 %",
    "confidence_75": "confidence 75 %",
}

Values = Mapping[str, Mapping[str, float]]  # split → name → value
Blocks = Mapping[str, Sequence[tuple[str, Sequence[str]]]]  # name → group and cells of each line


def of_row(row: Mapping[str, float], config: RunConfig) -> dict[str, dict[str, float]]:
    """The measures in a row of ``metrics.csv``, by split: of "train" and of the one that the run validates on.

    The main task's loss has the name of what it is here, "log_loss" or "crossentropy". ``LEAModel`` calls it
    "main_loss", and its "loss" is the weighted sum of all, which is not taken over; Keras calls the only loss of a
    model without LEAs "loss". In an epoch that was not validated, the second split has no measures.
    """
    renamed = {"main_loss": config.main_loss}
    renamed["loss"] = None if "main_loss" in row else config.main_loss
    measures = {name: value for name, value in row.items() if name not in NOT_MEASURES}
    found: dict[str, dict[str, float]] = {"train": {}, config.validates_on: {}}
    for column, value in measures.items():
        name = column.removeprefix("val_")
        if (name := renamed.get(name, name)) is not None:
            found[config.validates_on if column.startswith("val_") else "train"][name] = value
    return found


def natural(text: str) -> list[str | int]:
    """A key that sorts texts by the numbers in them: "lea_4" before "lea_16"."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", text))]


def in_order(names: Iterable[str]) -> list[str]:
    """Sorts measures: the main task's, then LEA by LEA, each as the thesis introduces them; each once."""
    main, of_leas = list(MAIN), list(OF_LEAS)

    def place(name: str) -> tuple[bool, list[str | int], int]:
        if name in MAIN:
            return False, [], main.index(name)
        layer, measure = _parts(name)
        return True, natural(layer), of_leas.index(measure) if measure in OF_LEAS else len(of_leas)

    return sorted(dict.fromkeys(names), key=place)


def label(name: str) -> str:
    """ "lea_1_rln" → "lea_1 RLN"; abbreviations are capitals in the thesis."""
    if name in MAIN:
        return MAIN[name]
    layer, measure = _parts(name)
    return f"{layer} {OF_LEAS.get(measure, measure)}".strip()


def _parts(name: str) -> tuple[str, str]:
    """ "lea_1_confidence_25" → "lea_1", "confidence_25"."""
    for measure in sorted(OF_LEAS, key=len, reverse=True):  # "discrete_kl" ends in "kl"
        if name.endswith(f"_{measure}"):
            return name.removesuffix(f"_{measure}"), measure
    return "", name


def number(name: str, value: float | None) -> str:
    """A value as tables show it; nothing where there is none."""
    if value is None:
        return ""
    if name.endswith("_dead_codes"):  # a median of two may be a half
        return f"{value:g}"
    return f"{value:.0f}" if name == "samples" else f"{value:.4f}"


def aligned(lines: Iterable[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Lines of cells in columns of these widths, the first to the left, the others to the right; one may end early."""
    columns = [f"<{widths[0]}", *(f">{width}" for width in widths[1:])]
    return ["".join(map(format, line, columns)) for line in lines]


def grouped(heads: Sequence[str], blocks: Blocks, groups: Mapping[str, int], widths: Sequence[int], gap: int) -> str:
    """A table with one line per group below each name, or one line per name where there is one group only.

    Args:
        heads: of the cells.
        blocks: the lines.
        groups: the number of runs of every group.
        widths: of the names, at least, and of the cells.
        gap: what is left free between a group and its cells, at least.
    """
    titles = {group: f"{group}, {count} run" + "s" * (count > 1) for group, count in groups.items()}
    single = len(groups) == 1
    names = [len(name) + 2 for name in blocks] + [len(title) + 4 + gap for title in titles.values() if not single]
    lines = [*([title] for title in titles.values() if single), ["", *heads]]
    for name, block in blocks.items():
        lines += [] if single else [[name]]
        lines += [[name if single else f"    {titles[group]}", *cells] for group, cells in block]
    return "\n".join(line.rstrip() for line in aligned(lines, [max(widths[0], *names), *widths[1:]]))


def markdown(heads: Sequence[str], lines: Iterable[Sequence[str]], texts: int = 2) -> str:
    """A Markdown table: ``texts`` columns of text, and the others of numbers."""
    rows = [[cell.replace("|", r"\|") for cell in line] for line in (heads, *lines)]
    first, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([first, "|" + "---|" * texts + "--:|" * (len(heads) - texts), *rest]) + "\n"


def of_splits(values: Values) -> str:
    """One line per measure, one column per split."""
    splits = [split for split in SPLITS if split in values]
    lines = [("", *splits)]
    for name in in_order(name for split in splits for name in values[split]):
        lines.append((label(name), *(number(name, values[split].get(name)) for split in splits)))
    return "\n".join(aligned(lines, [24] + [12] * len(splits)))


def of_epoch(
    row: Mapping[str, float],
    config: RunConfig,
    majorities: Mapping[str, float],
    test: Mapping[str, float] | None = None,
) -> str:
    """The results of an epoch of training.

    Args:
        row: of ``metrics.csv``.
        config: of the run.
        majorities: accuracy of the most frequent class, by split.
        test: what ``evaluate`` returned for the test data, where the run validates on others.
    """
    values = of_row(row, config)
    if test:
        values["test"] = of_row(test, config)["train"]
    for split, majority in majorities.items():
        values[split]["majority_accuracy"] = majority
    return f"{of_splits(values)}\ntrain: mean over the last epoch's batches, while the weights changed"
