"""The attacked runs that Figs. 4.5 and 5.7 share."""

from typing import TYPE_CHECKING, Any

from experiments.studies.autoencoders import CODERS
from experiments.studies.base import Scale, Series, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

CLASSIC = "robustness/classic"
#: Rows of Fig. 5.7, from top to bottom; the two below, which the thesis leaves out, are made at its scale alone.
ROWS = (
    ("standard", "fc"),
    ("standard", "conv"),
    ("standard", "sb"),
    ("vae", "fc"),
    ("vae", "conv"),
    ("capacity_vae", "fc"),
    ("capacity_vae", "conv"),
)
LEFT_OUT = (("vae", "sb"), ("capacity_vae", "sb"))
_CNN = {"image_size": 32, "filters": (8, 16), "learning_rate": 1e-3, "kernels": 8}
SCALES = {
    "thesis": Scale(10, options={"attacked": 400, "rows": ROWS + LEFT_OUT}),
    "small": Scale(
        3, _CNN | {"limit": 2000, "test_limit": 200, "epochs": 5, "validate_every": 5}, {"attacked": 20, "rows": ROWS}
    ),
    "smoke": Scale(
        1,
        {"image_size": 16, "filters": (2, 2), "kernels": 2, "limit": 64, "test_limit": 32, "epochs": 1},
        {"attacked": 1, "rows": ROWS[:1]},
    ),
}  # fmt: skip


def name(kind: str, coders: str) -> str:
    """Of the runs of a CNN-LEA."""
    return f"robustness/{kind}_{coders}"


def classic(scale: Scale) -> Series:
    """The baseline, 100 epochs as the others **(chosen)**: of Fig. 4.5 alone the thesis does not say how many."""
    config = configuration("classic", scale, dataset="sprites", epochs=100)
    return Series(CLASSIC, config, scale.seeds, _attacks(scale))


def leas(scale: Scale) -> list[Series]:
    """The CNN-LEAs of Fig. 5.7."""
    planned = []
    for kind, coders in scale.options["rows"]:
        encoder, decoder = CODERS[coders]
        config = configuration(
            "cnn_lea",
            scale,
            dataset="sprites",
            autoencoder=kind,
            encoder=encoder,
            decoder=decoder,
            kernel_size=3,
            code_length=10,
            gamma=10.0,
            capacity=25.0,
            epochs=100,
            capacity_epochs=scale.changes.get("epochs", 100),
        )
        planned.append(Series(name(kind, coders), config, scale.seeds, _attacks(scale)))
    return planned


def _attacks(scale: Scale) -> dict[str, dict[str, Any]]:
    """All thirteen as foolbox 1.8 had them, which the thesis ran."""
    return {"attacks": {"samples": scale.options["attacked"], "semantics": "foolbox18"}}


def collect(finished: "Finished") -> dict[str, Any]:
    """Of every run its accuracy and, by attack, success rate and mean distance of the successes."""
    values: dict[str, Any] = {}
    for one in finished:
        runs = [stored["runs"][0] for stored in finished.stored(one, "attacks_foolbox18.json")]
        values[one] = {"seeds": finished.seeds(one), "accuracy": [run["accuracy"] for run in runs]}
        for i, attack in enumerate(row["attack"] for row in runs[0]["attacks"]):
            values[one][f"success_rate/{attack}"] = [run["attacks"][i]["success_rate"] for run in runs]
            values[one][f"mean_distance/{attack}"] = [run["attacks"][i]["mean_distance"] for run in runs]
    return {"values": values, "notes": _constant(values)}


def _constant(values: dict[str, Any]) -> list[str]:
    """Says which runs no attack changed: they have not learned, and answer alike whatever they see."""
    notes = []
    for one, of in values.items():
        rates = [rates for measure, rates in of.items() if measure.startswith("success_rate/")]
        constant = sum(not any(run) for run in zip(*rates, strict=True))
        if constant:
            notes.append(f"No attack at all changes {constant} of {len(of['seeds'])} runs of {one.partition('/')[2]}")
    return notes


def summaries(stored: dict[str, Any]) -> dict[str, list[Any]]:
    """Means over runs (section 5.5), as heatmaps take them."""
    from experiments.attack_tables import Row

    rows: dict[str, list[Any]] = {}
    for one, values in stored["values"].items():
        label = one.partition("/")[2]
        for measure in values:
            kind, _, attack = measure.partition("/")
            if kind == "success_rate":
                rates, distances = values[measure], values[f"mean_distance/{attack}"]
                means = [_mean(rates), _mean(distances), None, None, None]
                rows.setdefault(label, []).append(Row(label, len(rates), attack, *means, semantics="foolbox18"))
    return rows


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
