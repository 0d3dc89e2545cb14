"""Sparse weights and a sparse input against attacks: accuracy over ε."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, Study, configuration, scales_of
from experiments.studies.networks import SLIDES

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

#: Where accuracy is read off, 0, 0.02, …, 0.3.
EPSILONS = tuple(round(0.02 * i, 2) for i in range(16))
_CLAIMED = 0.05  # how much clean accuracy a constraint may cost
_NETWORK = ("image_size", "limit", "test_limit", "units", "epochs", "learning_rate", "batch_size")
_SHARED = ("dataset", "classes", *_NETWORK, "window", "attacked", "attack_steps")
_THESIS = {
    "dataset": "fashion_mnist",
    "classes": (0, 6),  # T-shirt/top and shirt
    "image_size": None,
    "limit": None,
    "test_limit": None,
    "units": (1000, 1000),
    "epochs": 20,
    "learning_rate": 1e-3,
    "batch_size": 128,
    "radii": (1.0, 2.0, 5.0, 10.0),
    "window": 4,
    "kept": 2,
    "attacked": 100,
    "attack_steps": 40,
}
_SMALL = {"limit": 20_000, "units": (256, 256), "epochs": 10}
_SMOKE = {
    "dataset": "sprites",
    "classes": (0, 2),  # square and heart
    "image_size": 16,
    "limit": 96,
    "test_limit": 12,
    "units": (8, 8),
    "epochs": 1,
    "radii": (2.0,),
    "attacked": 2,
    "attack_steps": 2,
}


def name(radius: float | None, front_end: bool) -> str:
    """Of the runs: "defences/plain", "defences/l1_5", "defences/front_end", "defences/front_end_l1_5"."""
    parts = ["front_end"] * front_end + ([] if radius is None else [f"l1_{radius:g}"])
    return f"defences/{'_'.join(parts) or 'plain'}"


def series(scale: Scale) -> list[Series]:
    """Every radius, and none, with the front end and without."""
    options = scale.options
    planned = []
    for front_end in (False, True):
        for radius in (None, *options["radii"]):
            own = {"radius": radius, "kept": options["kept"] if front_end else None}
            measured = {"defences": {one: options[one] for one in _SHARED} | own}
            config = configuration("classic", scale)
            planned.append(Series(name(radius, front_end), config, scale.seeds, measured, trained=False))
    return planned


def collect(finished: "Finished") -> dict[str, Any]:
    """Of every run accuracy with no attack and over ε, and the share of images that are certified at ε."""
    values: dict[str, Any] = {}
    notes = []
    for one in finished:
        of_runs = finished.stored(one, "defences.json")
        if any(masked := [run["masked_gradients"] for run in of_runs]):
            shares = ", ".join(f"{share:.2g}" for share in masked)
            notes.append(f"{one} masks gradients, where the attack has no direction, of these shares: {shares}")
        values[one] = {"seeds": finished.seeds(one)}
        for measure in ("train_accuracy", "test_accuracy", "zeros"):
            values[one][measure] = [run[measure] for run in of_runs]
        values[one]["accuracy"] = [withstanding(run["distances"]) for run in of_runs]
        if "certified" in of_runs[0]:
            values[one]["bound"] = [run["bound"] for run in of_runs]
            values[one]["certified"] = [withstanding(run["certified"]) for run in of_runs]
    return {"values": values, "notes": notes}


def withstanding(distances: Sequence[float | None]) -> list[float]:
    """For each ε the share of images whose smallest adversarial is further away; None: there is none."""
    return [sum(one is None or one > epsilon for one in distances) / len(distances) for epsilon in EPSILONS]


def radii(values: dict[str, Any]) -> list[float]:
    """γ of all constrained runs, the smallest first."""
    names = [one.partition("/l1_")[2] for one in values if "/l1_" in one]
    return sorted(map(float, names))


def chosen_radius(values: Any) -> float:
    """The γ for which the claims are judged, by training images without attacks alone **(chosen)**.

    The smallest whose median accuracy on training images is at most 5 points below that of the plain network; of none,
    the largest.
    """
    from statistics import median

    plain = median(values[name(None, False)]["train_accuracy"])
    there = radii(values)
    fits = [one for one in there if median(values[name(one, False)]["train_accuracy"]) >= plain - _CLAIMED]
    return fits[0] if fits else there[-1]


def draw(stored: dict[str, Any], finished: "Finished") -> dict[str, Any]:
    from experiments.studies.pictures import Line, Panel
    from experiments.studies.pictures import draw as draw_panels

    values = stored["values"]
    gamma = chosen_radius(values)
    four = {
        "plain": name(None, False),
        f"ℓ1, γ = {gamma:g}": name(gamma, False),
        "front end": name(None, True),
        f"both, γ = {gamma:g}": name(gamma, True),
    }

    def panel(title: str, ylabel: str, shown: dict[str, str], measure: str = "accuracy") -> Panel:
        lines = [Line(label, EPSILONS, values[one][measure]) for label, one in shown.items()]
        return Panel(title, "ε (L∞)", ylabel, lines, limits=(-0.03, 1.03))

    sweep = {f"γ = {one:g}": one for one in radii(values)} | {"γ = ∞": None}
    panels = []
    for title, front_end in (("γ alone", False), ("γ and the front end", True)):
        shown = {label: name(one, front_end) for label, one in sweep.items()}
        panels.append(panel(title, "accuracy under attack", shown))
    without = {label: name(one, False) for label, one in sweep.items()}
    panels.append(panel("Certified by Theorem 2", "share certified", without, "certified"))
    note = stored["differences"]
    return {
        "": draw_panels([panel("Defences", "accuracy under attack", four)], note),
        "_radii": draw_panels(panels, note),
    }


STUDY = Study(
    name="defences",
    title="sparse weights and a sparse input against attacks",
    document=SLIDES,
    thesis="Two classes of Fashion-MNIST, accuracy over ε. If the weights of every neuron have "
    "an ℓ1 norm of at most γ, a perturbation grows by at most γ in every layer (Theorem 2); an input that keeps few "
    "coefficients hands on little of it. The curves are lost, and so are classes, network, attack and γ. Here: T-shirt "
    "or top against shirt, projected gradient descent in search of the smallest ε, and a front end that keeps, of the "
    "principal components of every window, those farthest from 0. γ of the first picture is the smallest that costs at "
    "most 5 points on training images.",
    scales=scales_of(_THESIS, _SMALL, _SMOKE),
    series=series,
    collect=collect,
    draw=draw,
    pictures=("", "_radii"),
)
