"""The flags of ``evaluate.py`` by group, with what they are where they are not given; nothing here imports Keras."""

import pathlib
from typing import Any

from experiments import certify_command, cli, disentanglement_flags, latent_command
from experiments.cli import Flag
from experiments.config import BACKENDS
from experiments.tables import SPLITS

INTRODUCTION = """\
usage: python evaluate.py --run_dir=FOLDER [--flag=value ...]
       python evaluate.py --compare=FOLDER,FOLDER,... [--output_dir=FOLDER]
       python evaluate.py --datasets=all [--data_dir=FOLDER] [--output_dir=FOLDER]
       python evaluate.py --run_dir=FOLDER,FOLDER,... --attacks=all [--baseline=FOLDER] [--flag=value ...]
       python evaluate.py --run_dir=FOLDER,FOLDER,... --certify=EPSILON [--flag=value ...]
       python evaluate.py --run_dir=FOLDER,FOLDER,... --disentanglement [--flag=value ...]
       python evaluate.py --run_dir=FOLDER,FOLDER,... --attacks=latent --judge=FOLDER [--baseline=FOLDER]

Restores model and data of runs that train.py made and measures log loss, cross-entropy, accuracy and every LEA over
whole splits, puts runs side by side, or attacks them. Prints a table and writes it as JSON and CSV, with pictures, to a
folder of results.
"""
IMAGES = 4
# Of probes, by preset: thrifty ones, and those of the thesis (sections 5.2 and A.1). 4096 are the input's 64×64 pixels.
PROBE_PRESETS: dict[str, dict[str, Any]] = {
    "thrifty": {
        "epochs": 20, "features": 4096, "shared": False, "learning_rate": 1e-3, "batch_size": 128, "held_out": 0.1
    },
    "thesis": {
        "epochs": 20, "features": None, "shared": True, "learning_rate": 1e-4, "batch_size": 64, "held_out": 0.0
    },
}  # fmt: skip
WITH_FACTORS = ("sprites", "dsprites")
ATTACK_SAMPLES = 400
ATTACK_SEMANTICS = ("nearest", "foolbox18")
OUTPUT, COMPARISON, ROBUSTNESS = "evaluation", "comparison", "robustness"
DATASETS_FOLDER = pathlib.Path("runs/datasets")


def _of_presets(name: str) -> str:
    """ "[20]", or "[0.1; thesis: 0]" where the presets differ."""
    thrifty, thesis = ("all" if preset[name] is None else f"{preset[name]:g}" for preset in PROBE_PRESETS.values())
    return f"[{thrifty}]" if thrifty == thesis else f"[{thrifty}; thesis: {thesis}]"


GROUPS: dict[str, tuple[Flag, ...]] = {
    "Runs": (
        Flag(
            "run_dir",
            "FOLDERS",
            "a run, or several with commas between them, or a folder of runs, however deep: each is measured",
        ),
        Flag(
            "compare",
            "FOLDERS",
            "the same, put side by side: medians and ranges over runs that differ in their seeds alone, of the "
            "evaluations if all were measured before after the same epochs, else of metrics.csv",
        ),
        Flag(
            "epoch",
            "last, best or N",
            "by which epoch a run is judged; the best one has the least main loss on the run's validation part or, as "
            "the results then say, for lack of one on the test data. --compare finds every epoch in metrics.csv, to "
            "evaluate a run its model must be there, and only those of the last epochs are kept [last]",
        ),
        Flag("backend", "NAME", f"{' or '.join(BACKENDS)}, on which Keras runs [that of the first run]"),
    ),
    "Data": (
        Flag(
            "datasets",
            "NAMES",
            "all, or names with commas between them: show no runs, but sizes and images of the data sets",
        ),
        Flag("splits", "NAMES", f"which to measure, of {', '.join(SPLITS)} [all that a run has]"),
        cli.flag_of("data_dir", " [as in the run]"),
        cli.flag_of("download"),
    ),
    "Probes": (
        Flag(
            "probes",
            "",
            "also probe every layer, and the input, for the factors of sprites or dsprites: minutes; with --compare, "
            "put the probes side by side that were measured so of every run",
        ),
        Flag(
            "probe_preset",
            "NAME",
            "thrifty or thesis: what the flags below are where they are not given; the thesis' probes of a first "
            "feature map have 134 million weights [thrifty]",
        ),
        Flag("probe_limit", "N", "train the probes on N of the run's training images [all]"),
        Flag("probe_epochs", "N", f"for N epochs at most {_of_presets('epochs')}"),
        Flag(
            "probe_features", "N or all", f"average larger layers down to N values an image {_of_presets('features')}"
        ),
        Flag("probe_shared", "", f"let the factors of a layer share one hidden layer {_of_presets('shared')}"),
        Flag("probe_learning_rate", "X", f"of Adam {_of_presets('learning_rate')}"),
        Flag("probe_batch_size", "N", f"images per step {_of_presets('batch_size')}"),
        Flag(
            "probe_held_out",
            "X",
            f"share of the images that decides when to stop; 0: none, and all epochs {_of_presets('held_out')}",
        ),
    ),
    "Disentanglement": disentanglement_flags.FLAGS,
    "Attacks": (
        Flag(
            "attacks",
            "NAMES",
            "attack the runs, instead of measuring them: all, or names with commas between them, in minutes to hours; "
            f"what they find stays in <run_dir>/{OUTPUT}/attacks, so that the same command goes on after an "
            "interruption, and never has to be repeated to compare a run with others",
        ),
        Flag(
            "baseline",
            "FOLDER",
            "also show the others relative to this one of the runs: its folder, or the name of its model if there is "
            "only one such",
        ),
        Flag(
            "attack_samples",
            "N",
            "attack N test images: the first 20 of the first batch, then of the second, and so on "
            f"[{ATTACK_SAMPLES}: of 20 batches]; batches are as large as in the baseline, or else in the first run",
        ),
        Flag("attack_seed", "N", "of all that is random in the attacks [0]"),
        Flag(
            "standardise",
            "NAME",
            "how they are shown so: spread, the difference from the baseline over the standard deviation about it "
            "(section 4.6), or relative, over the baseline's own value [spread]",
        ),
        Flag(
            "attack_colours",
            "NAME",
            "of the heatmap of distances as they are: logarithmic or, as in the thesis, linear [logarithmic]",
        ),
        Flag(
            "attack_semantics",
            "NAME",
            f"{' or '.join(ATTACK_SEMANTICS)}: attacks that search for their smallest perturbation, or those of "
            "foolbox 1.8 as the thesis ran them; results of the two never share a file, a table or a picture "
            f"[{ATTACK_SEMANTICS[0]}]",
        ),
        *latent_command.FLAGS,
    ),
    "Certificates": certify_command.FLAGS,
    "Results": (
        Flag(
            "output_dir",
            "FOLDER",
            f"where they go [<run_dir>/{OUTPUT}, or {COMPARISON} or, of attacks on several, {ROBUSTNESS} in the folder "
            "of the runs]; results of the same runs are replaced there, no other file is",
        ),
        Flag("images", "N", f"how many test images the pictures show [{IMAGES}]"),
        Flag(
            "explorer",
            "",
            "also write explorer.html, a page for any browser on which the codes of windows of test images are moved",
        ),
        Flag(
            "confidence_of",
            "NAME",
            "what confidence is relative to in pictures: split, the worst window of all test images, or images, that "
            "of those which are shown [split]",
        ),
    ),
}


def help_text() -> str:
    """The flags by group, defaults in brackets."""
    return cli.help_text(INTRODUCTION, GROUPS)
