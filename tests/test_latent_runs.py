"""``evaluate.py --attacks=latent``: tables, files and pictures, going on, one line for mistakes."""

import csv
import functools
import json
import re

import command_checks
import numpy as np
import pytest

import evaluate
import train
from experiments import evaluation, latent_attacks
from experiments.comparison import Group, Run
from experiments.results import Results
from lea_keras.robustness import reconstructions

pytestmark = pytest.mark.usefixtures("untraced", "few_test_images")

SMALL = ("--image_size=16", "--limit=40", "--test_limit=24", "--batch_size=20", "--epochs=1", "--learning_rate=0.01")
SMALL += ("--nopictures",)
RUNS = {
    "judge": ("--model=pool_fc", "--window_size=4"),
    "plain": ("--model=autoencoder", "--code_length=4"),
    "grid": ("--model=autoencoder", "--code_length=4", "--window_size=8"),
}
LATENT = ("--attacks=latent", "--attack_steps=2", "--attack_samples=9")


def main(*arguments):
    return evaluate.main(["evaluate.py", *map(str, arguments)])


def the_line(capsys):
    return command_checks.the_line(capsys, "evaluate.py: ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A judge and three runs; the attacks of the tests go into it."""
    folder = tmp_path_factory.mktemp("latent") / "runs"
    for name, flags in RUNS.items():
        assert train.main(["train.py", f"--run_dir={folder / name}", *SMALL, *flags]) == 0
    return folder


def test_files_and_values_and_going_on(folder, monkeypatch, capsys):
    attacked, attack_batch, load_model = [], reconstructions._attack_batch, evaluation.load_model

    def counted(*arguments):
        attacked.append(arguments[3])
        return attack_batch(*arguments)

    monkeypatch.setattr(reconstructions, "_attack_batch", counted)
    # To save time each model is loaded once for all commands.
    monkeypatch.setattr(evaluation, "load_model", functools.cache(lambda *which: load_model(*which)))
    command = (f"--run_dir={folder}", f"--judge={folder / 'judge'}", f"--baseline={folder / 'plain'}", *LATENT)
    assert main(*command) == 0
    assert len(attacked) == 2 and capsys.readouterr().out.count("pairs") >= 2
    output = folder / "robustness"
    assert {path.name for path in output.iterdir()} == {
        *("latent.json", "latent.csv", "latent.md", "latent_ignore_target.png", "latent_target.png"),
        *("latent_pairs_1.png", "latent_pairs_2.png", "contents.json"),
    }
    contents = json.loads((output / "latent.json").read_text())
    about = {"dataset": "sprites", "samples": 9, "steps": 2, "epsilon": 0.1, "scale": "raw", "baseline": "plain"}
    assert about.items() <= contents.items()
    runs = {run["path"].rpartition("runs/")[2]: run for run in contents["runs"]}
    assert list(runs) == ["grid", "plain"]  # and not the judge
    with (output / "latent.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert len(cells) == 2 * 6
    for row, group in zip(contents["means"], ("grid", "plain"), strict=True):
        of_group = contents["groups"][group]["ignore_target"]
        known = [value for line in of_group["matrix"] for value in line if value is not None]
        assert row["model"] == group
        if known:
            assert row["ignore_target"] == of_group["mean"] == pytest.approx(np.mean(known))
    plain = [cell for cell in cells if cell["model"] == "plain" and cell["ignore_target"]]
    shown = contents["groups"]["plain"]["ignore_target"]["matrix"]
    for cell in plain:
        expected = shown[int(cell["source_class"])][int(cell["target_class"])]
        assert float(cell["ignore_target"]) == pytest.approx(expected)
    assert sum(int(cell["pairs"]) for cell in cells) == sum(run["pairs"] for run in runs.values())
    assert all(run["pairs"] == 2 * run["kept"] for run in runs.values())
    table = (output / "latent.md").read_text()
    assert "AS ignore-target" in table and "9 sources reconstructed as their class" in table
    attacked.clear()
    monkeypatch.setattr(Results, "write_picture", lambda *_: None)  # to save time: they were looked at
    assert main(*command) == 0  # what is stored is not attacked again
    assert not attacked
    assert main(f"--run_dir={folder / 'grid'}", *command[1:2], *LATENT, "--attack_scale=standardised") == 0
    assert len(attacked) == 1
    again = json.loads((folder / "grid" / "evaluation" / "latent.json").read_text())
    assert (again["scale"], again["baseline"], len(again["runs"])) == ("standardised", None, 1)
    assert "judge, clean, and squared error: of all 100 test images" in table and "sources by class: " in table


def test_another_judge_leaves_the_results_of_the_first_alone(folder, monkeypatch, capsys):
    monkeypatch.setattr(Results, "write_picture", lambda *_: None)  # to save time
    other = folder.parent / "other"
    assert train.main(["train.py", f"--run_dir={other}", *SMALL, *RUNS["judge"], "--seed=9"]) == 0
    command = (f"--run_dir={folder / 'grid'}", *LATENT)
    stored = folder / "grid" / "evaluation" / "attacks"
    assert main(*command, f"--judge={folder / 'judge'}") == 0
    before = command_checks.contents(stored)
    assert main(*command, f"--judge={other}") == 0
    after = command_checks.contents(stored)
    assert before.items() <= after.items() and len(after) > len(before)


def test_matrices_of_several_runs_are_averaged_cell_by_cell():
    class One:
        def __init__(self, *cells):
            self.cells = np.array(cells)

        def matrix(self, kind):
            return self.cells * (1.0 if kind == "target" else 0.5)

    group = Group("both", [Run(path, None, [], None, 1) for path in "ab"], {})
    attacked = {"a": One([np.nan, 0.2], [np.nan, np.nan]), "b": One([np.nan, 0.6], [0.4, np.nan])}
    found = latent_attacks._matrices(group, attacked)
    np.testing.assert_allclose(found["target"], [[np.nan, 0.4], [0.4, np.nan]])
    np.testing.assert_allclose(found["ignore_target"], [[np.nan, 0.2], [0.2, np.nan]])


def test_relative_columns():
    row = latent_attacks.Row("a", 1, 0.9, 3.0, 0.2, 0.1, 1.0, 0.1)
    assert "AS target" in latent_attacks.table([row]) and "relative" not in latent_attacks.table([row])
    rows = [row._replace(relative_ignore_target=0.0), row._replace(model="b", relative_ignore_target=0.25)]
    assert "+25.0%" in latent_attacks.table(rows) and "+25.0%" in latent_attacks.markdown(rows)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--attacks=latent"], "Add --judge=FOLDER to --attacks=latent"),
        (["--attacks=latent", "--judge=plain"], "`judge` must be a run of a classifier"),
        (["--attacks=latent", "--judge=."], "`judge` must be one run, not 3"),
        (["--attacks=latent", "--judge=judge", "--attack_epsilon=-1"], "`attack_epsilon` must be a number of at least"),
        (["--attacks=latent", "--judge=judge", "--attack_scale=other"], "`attack_scale` must be one of"),
        (["--attacks=latent", "--judge=judge", "--attack_steps=0"], "`attack_steps` must be an integer of at least 1"),
        (["--attacks=latent", "--judge=judge", "--images=3"], "`images` must be left out with --attacks=latent"),
        (["--attacks=latent,deep_fool", "--judge=judge"], "`attacks` must be latent alone, without others"),
        (["--attacks=deep_fool", "--judge=judge"], "Add --attacks=latent to --judge"),
        (["--judge=judge"], "Add --attacks=latent to --judge, which is of no use without it"),
        (["--attacks=latent", "--judge=judge", "--baseline=other"], "`baseline` must be one of ("),
        (["--attacks=latent", "--judge=judge", "--attack_samples=99999"], "`attack_samples` must be at most"),
    ],
)
def test_mistakes_are_one_line(folder, flags, said, capsys):
    given = [re.sub("--judge=(.*)", lambda match: f"--judge={folder / match[1]}", flag) for flag in flags]
    assert main(f"--run_dir={folder / 'plain'}", *given) == 1
    assert said in the_line(capsys)
