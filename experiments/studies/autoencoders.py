"""The autoencoders on whole images of section 3.3.3, which Figs. 3.3, 3.4 and 3.5 share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.studies.base import Scale, Series, configuration

if TYPE_CHECKING:
    from experiments.studies.finished import Finished

#: By name: encoder and decoder.
CODERS = {"fc": ("fc", "fc"), "conv": ("conv", "conv"), "sb": ("conv", "sb")}
SMALL = {"limit": 2000, "test_limit": 500, "epochs": 20, "learning_rate": 1e-3, "kernels": 8}
SMOKE = {"limit": 64, "test_limit": 32, "epochs": 1, "kernels": 2}


def series(kind: str, coders: str, scale: Scale) -> Series:
    """The runs of a type with a pair of coders; the capacity rises over the whole training."""
    encoder, decoder = CODERS[coders]
    epochs = scale.changes.get("epochs", 800)
    config = configuration(
        "autoencoder",
        scale,
        dataset="fashion_mnist",
        autoencoder=kind,
        encoder=encoder,
        decoder=decoder,
        code_length=10,
        kernel_size=3,
        gamma=5.0,
        capacity=20.0,
        epochs=800,
        capacity_epochs=epochs,
    )
    return Series(name(kind, coders), config, scale.seeds)


def name(kind: str, coders: str) -> str:
    """Of the runs."""
    return f"autoencoders/{kind}_{coders}"


def losses(finished: "Finished", name: str) -> dict[str, Any]:
    """What Figs. 3.4 and 3.5 show of a run, epoch by epoch, and its dead codes."""
    return finished.epochs(name, "lea_rl", "val_lea_rl", "val_lea_rln", "lea_dead_codes")


def draw(stored: dict[str, Any], names: Mapping[str, str]) -> Any:
    """The reconstruction loss on training and test data over the epochs.

    Args:
        stored: what was collected.
        names: by label, the runs of each line.
    """
    from experiments.studies.pictures import Line, Panel
    from experiments.studies.pictures import draw as draw_panels

    panels = []
    for column, title in (("val_lea_rl", "test"), ("lea_rl", "training")):
        lines = []
        for label, name in names.items():
            runs = stored["values"][name][column]
            lines.append(Line(label, range(1, len(runs[0]) + 1), runs))
        panels.append(Panel(title, "epoch", "reconstruction loss (RL)", lines))
    return draw_panels(panels, stored["differences"])
