"""``evaluate.py --attacks``: which samples, tables and files, going on after an interruption, one line for mistakes."""

import csv
import json
import shutil

import command_checks
import keras
import numpy as np
import pytest

import evaluate
import lea_keras.data
import train
from experiments import attacking, compiling
from experiments.config import RunConfig
from lea_keras.robustness import evaluation as library
from lea_keras.robustness.attacks.semantics import NEAREST, SEMANTICS

pytestmark = pytest.mark.usefixtures("few_test_images")

SMALL = ("--image_size=16", "--limit=80", "--batch_size=40", "--epochs=1", "--learning_rate=0.01", "--window_size=4")
RUNS = {
    "pool": ("--model=pool_fc", "--seed=0"),
    "lea/000": ("--model=lea_fc", "--seed=0"),
    "lea/001": ("--model=lea_fc", "--seed=1"),
}
QUICK = "contrast_reduction,gradient_sign"
FOLDER = "evaluation/attacks/epoch_1_batch_40_samples_{}_seed_0"


def main(*arguments):
    return evaluate.main(["evaluate.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three runs, two of which differ in their seeds alone; not to be changed."""
    folder = tmp_path_factory.mktemp("trained") / "runs"
    with compiling.eager():  # of two steps each, which take less than to trace one
        for name, flags in RUNS.items():
            assert train.main(["train.py", f"--run_dir={folder / name}", "--nopictures", *SMALL, *flags]) == 0
    return folder


@pytest.fixture(scope="module")
def attacked(trained, tmp_path_factory):
    """Copies of them, attacked; not to be changed."""
    folder = copied(trained, tmp_path_factory.mktemp("attacked") / "runs")
    assert main(f"--run_dir={folder}", f"--attacks={QUICK}", "--baseline=pool_fc", "--attack_samples=24") == 0
    return folder


def copied(trained, folder):
    for name in RUNS:
        (folder / name).mkdir(parents=True)
        for file in ("config.json", "metrics.csv", "model.keras"):
            shutil.copy(trained / name / file, folder / name)
    return folder


def the_line(capsys):
    """The one line on stderr."""
    return command_checks.the_line(capsys, "evaluate.py: ")


def results(folder):
    return json.loads((folder / "attacks.json").read_text())


def test_files_and_values(attacked):
    output = attacked / "robustness"
    assert {path.name for path in output.iterdir()} == {
        *("attacks.json", "attacks.csv", "attacks.md", "attacks.png", "attacks_standardised.png", "contents.json")
    }
    for picture in ("attacks.png", "attacks_standardised.png"):
        assert (output / picture).read_bytes().startswith(b"\x89PNG")
    contents = results(output)
    about = {"dataset": "sprites", "batch_size": 40, "attacks": QUICK, "baseline": "pool", "samples": 24, "seed": 0}
    assert about.items() <= contents.items()
    assert [(run["model"], run["seed"], run["epochs"]) for run in contents["runs"]] == [
        *(("lea", 0, 1), ("lea", 1, 1), ("pool", 0, 1))
    ]
    of_runs = {run["path"].removeprefix(f"{attacked}/"): run for run in contents["runs"]}
    for name in RUNS:
        for i, attack in enumerate(QUICK.split(",")):
            stored = json.loads((attacked / name / FOLDER.format(24) / f"{attack}.json").read_text())
            found = [record["found"] for record in stored["records"]]
            assert of_runs[name]["attacks"][i]["success_rate"] == pytest.approx(np.mean(found))
            assert len(found) == round(24 * of_runs[name]["accuracy"])
    medians = {(row["model"], row["attack"]): row for row in contents["means"]}
    assert list(medians) == [(model, attack) for attack in QUICK.split(",") for model in ("lea", "pool")]
    first, second = (of_runs[name]["attacks"][1] for name in ("lea/000", "lea/001"))
    of_both, baseline = medians["lea", "gradient_sign"], medians["pool", "gradient_sign"]
    assert of_both["runs"] == 2
    assert of_both["mean_distance"] == pytest.approx((first["mean_distance"] + second["mean_distance"]) / 2)
    pair = first["mean_distance"], second["mean_distance"]
    assert of_both["distance_over_runs"] == pytest.approx([sum(pair) / 2, min(pair), max(pair)])
    assert baseline["distance_over_runs"] is None
    # Of one model beside the baseline, every difference is one deviation.
    assert of_both["standardised_distance"] == pytest.approx(
        np.sign(of_both["mean_distance"] - baseline["mean_distance"])
    )
    assert baseline["standardised_distance"] == baseline["standardised_success"] == 0
    assert of_both["relative_distance"] is None


def test_csv_and_markdown_hold_the_same(attacked):
    output = attacked / "robustness"
    medians = results(output)["means"]
    with (output / "attacks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for mean, row in zip(medians, rows, strict=True):
        spread = mean.pop("success_over_runs"), mean.pop("distance_over_runs")
        names = [
            f"{name}_over_runs_{part}" for name in ("success", "distance") for part in ("median", "minimum", "maximum")
        ]
        parts = [number for of_column in spread for number in of_column or [None] * 3]
        flat = mean | dict(zip(names, parts, strict=True))
        assert {name: "" if value is None else str(value) for name, value in flat.items()} == row
    lines = (output / "attacks.md").read_text().splitlines()
    assert lines[0] == (
        "| attack | runs | number | success rate | mean distance | median distance "
        "| success rate, median (range) of runs | mean distance, median (range) of runs | model calls | seconds "
        "| success rate, standardised | mean distance, standardised |"
    )
    assert [line.split(" | ")[:3] for line in lines[2:6]] == [
        [f"| {attack}", model, number] for attack in QUICK.split(",") for model, number in (("lea", "2"), ("pool", "1"))
    ]
    assert f"{medians[2]['success_rate']:.4f} | {medians[2]['mean_distance']:.3g} |" in lines[4]


def test_first_samples_of_every_batch(trained):
    data = lea_keras.data.load("sprites", "test", batch_size=40, seed=0)  # a hundred: batches of 40, 40 and 20
    images, labels = (np.concatenate(parts) for parts in zip(*lea_keras.data.batches(data), strict=True))
    found = attacking.first_samples(data, 50)
    places = [*range(20), *range(40, 60), *range(80, 90)]
    np.testing.assert_array_equal(found[0], images[places])
    np.testing.assert_array_equal(found[1], labels[places])
    with pytest.raises(
        ValueError, match="`attack_samples` must be at most 60, the first 20 of every batch of test data"
    ):
        attacking.first_samples(data, 61)
    data = lea_keras.data.load("sprites", "test", batch_size=8, seed=0)
    small = attacking.first_samples(data, 30)[0]  # smaller batches are taken whole
    np.testing.assert_array_equal(small, images[:30])


def test_one_run_and_its_table(trained, tmp_path, capsys):
    run = copied(trained, tmp_path) / "pool"
    assert main(f"--run_dir={run}", "--attacks=gradient_sign", "--attack_samples=8") == 0
    out = capsys.readouterr().out
    (row,) = results(run / "evaluation")["means"]
    lines = out.splitlines()
    assert lines[-6] == "pool, 1 run"
    assert lines[-5].split() == ["success", "distance", "median", "model", "calls", "seconds"]
    assert lines[-4].split()[:3] == ["gradient_sign", f"{row['success_rate']:.4f}", f"{row['mean_distance']:.3g}"]
    assert "pool: accuracy " in out and "classified correctly and attacked" in out
    assert lines[-1] == f"Results: {run / 'evaluation'}"
    assert not (run / "evaluation" / "attacks_standardised.png").exists()


def test_attacks_of_foolbox_1_8_share_no_file_with_ours(trained, tmp_path, capsys):
    run = copied(trained, tmp_path) / "pool"
    command = (f"--run_dir={run}", "--attacks=contrast_reduction", "--attack_samples=8")
    assert main(*command) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "contents.json"}
    assert main(*command, "--attack_semantics=foolbox18") == 0
    assert "The attacks are those of foolbox 1.8, which are not to be compared with others." in capsys.readouterr().out
    assert all(path.read_bytes() == contents for path, contents in before.items())
    new = {path.name for path in run.rglob("*") if path.is_file()} - {path.name for path in before}
    stem = "attacks_foolbox18"
    assert new == {
        "contents.json",
        "foolbox18_contrast_reduction.json",
        *(f"{stem}.{kind}" for kind in ("json", "csv", "md", "png")),
    }
    contents = json.loads((run / "evaluation" / f"{stem}.json").read_text())
    assert contents["semantics"] == contents["means"][0]["semantics"] == "foolbox18"
    assert results(run / "evaluation")["means"][0]["semantics"] == "nearest"


def test_the_semantics_are_the_librarys():
    assert evaluate.ATTACK_SEMANTICS == tuple(SEMANTICS) and attacking.NEAREST == NEAREST


def test_an_interrupted_command_goes_on(trained, tmp_path, monkeypatch, capsys):
    folder = copied(trained, tmp_path / "runs")
    command = (f"--run_dir={folder / 'pool'},{folder / 'lea/000'}", f"--attacks={QUICK}", "--attack_samples=8")
    attack, started = library._attack, []

    def interrupted(victim, images, labels, attacked, name, *rest):
        started.append(name)
        if len(started) == 4:
            raise KeyboardInterrupt
        return attack(victim, images, labels, attacked, name, *rest)

    monkeypatch.setattr(library, "_attack", interrupted)
    assert main(*command) == 130
    again = f"Continue with: python evaluate.py {' '.join(command)}"
    assert capsys.readouterr().err == f"\nevaluate.py: Interrupted. {again}\n"
    assert not (tmp_path / "runs" / "robustness" / "attacks.csv").exists()
    started.clear()
    monkeypatch.setattr(library, "_attack", lambda *arguments: started.append(arguments[4]) or attack(*arguments))
    assert main(*command) == 0
    assert started == ["gradient_sign"]  # the first run and half of the second were done
    out = capsys.readouterr().out
    assert out.count("done before") == 3
    assert (folder / "robustness" / "attacks.csv").is_file()


def test_baseline(trained):
    found = [
        attacking.read(trained / name, RunConfig.from_json((trained / name / "config.json").read_text()))
        for name in RUNS
    ]
    groups = attacking.comparison.group_runs(found)
    for name in (trained / "lea", trained / "lea/001", "lea", "lea_fc"):
        assert attacking.find_baseline(groups, str(name)).name == "lea"
    assert attacking.find_baseline(groups, None) is None


def test_masked_gradients_are_noted(trained, tmp_path, capsys):
    run = copied(trained, tmp_path) / "pool"
    model = keras.models.load_model(run / "model.keras", compile=False)
    for layer in model.layers[-2:]:
        layer.set_weights([weights * 0 for weights in layer.get_weights()])
    model.save(run / "model.keras")
    assert main(f"--run_dir={run}", "--attacks=contrast_reduction", "--attack_samples=8") == 0
    captured = capsys.readouterr()
    assert "; masked gradients: zero for 1.0000 of them, where gradient-based attacks mean nothing" in captured.out
    assert "UserWarning" not in captured.err


def change(run, **values):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | values))


def other_data(folder):
    change(folder / "pool", dataset="mnist")


def damaged_model(folder):
    (folder / "pool" / "model.keras").write_text("mine")


def no_epoch(folder):
    (folder / "pool" / "metrics.csv").unlink()


def foreign_results(folder):
    (folder / "robustness").mkdir()
    (folder / "robustness" / "attacks.md").write_text("mine")


def foreign_records(folder):
    path = folder / "lea/000" / FOLDER.format(400)
    path.mkdir(parents=True)
    (path / "deep_fool.json").write_text("mine")


WRONG = [
    (None, ["--attacks=deepfool"], "`attacks` must be one of ('all', 'gradient_sign', "),
    (None, ["--attacks=deepfool"], "Did you mean 'deep_fool'? Received: attacks='deepfool'"),
    (None, ["--attacks=deep_fool,all"], "`attacks` must be all, or different names with commas between them"),
    (None, ["--attacks=deep_fool,deep_fool"], "`attacks` must be all, or different names with commas between them"),
    (None, ["--attacks="], "`attacks` must be one of"),
    (None, ["--attacks=deep_fool", "--baseline=pol"], "`baseline` must be one of ('lea', 'pool', 'lea_fc', 'pool_fc')"),
    (None, ["--attacks=deep_fool", "--attack_samples=61"], "`attack_samples` must be at most 60"),
    (None, ["--attacks=deep_fool", "--attack_samples=0"], "`attack_samples` must be an integer of at least 1"),
    (None, ["--attacks=deep_fool", "--attack_seed=-1"], "`attack_seed` must be an integer from 0 to"),
    (None, ["--attacks=deep_fool", "--attack_seed=4294967296"], "`attack_seed` must be an integer from 0 to 2**32 - 1"),
    (None, ["--attacks=deep_fool", "--attack_semantics=1.8"], "`attack_semantics` must be one of ('nearest', "),
    (None, ["--attack_semantics=nearest"], "Add --attacks to --attack_semantics, which is of no use without it"),
    (None, ["--attacks=deep_fool", "--images=3"], "`images` must be left out with --attacks"),
    (None, ["--attack_samples=3"], "Add --attacks to --attack_samples, which is of no use without it"),
    (None, ["--baseline=pool"], "Add --attacks to --baseline"),
    (other_data, ["--attacks=deep_fool"], "`run_dir` must be runs on one data set where they are attacked"),
    (damaged_model, ["--attacks=deep_fool", "--attack_samples=8"], "pool/model.keras cannot be loaded"),
    (no_epoch, ["--attacks=deep_fool"], "has no metrics.csv: no epoch of it has finished"),
    (foreign_results, ["--attacks=deep_fool", "--attack_samples=8"], "attacks.md is in the way: not written by"),
]  # fmt: skip


@pytest.mark.parametrize(("prepare", "arguments", "message"), WRONG)
def test_wrong_command_line_gets_one_line_and_changes_nothing(
    prepare, arguments, message, trained, tmp_path, monkeypatch, capsys
):
    def never(*_):
        raise AssertionError("an attack started")

    monkeypatch.setattr(library, "_attack", never)
    folder = copied(trained, tmp_path / "runs")
    if prepare:
        prepare(folder)
    before = sorted(folder.rglob("*"))
    assert main(f"--run_dir={folder}", *arguments) == 1
    assert message in the_line(capsys)
    assert sorted(folder.rglob("*")) == before


def test_ambiguous_baseline_and_foreign_records(trained, tmp_path, capsys):
    folder = copied(trained, tmp_path / "runs")
    change(folder / "lea/001", code_length=3)  # no longer one group
    assert main(f"--run_dir={folder}", "--attacks=deep_fool", "--baseline=lea_fc", "--attack_samples=8") == 1
    assert "`baseline` must be the folder of one of the runs. Several are meant: 000, 001. Received" in the_line(capsys)
    records = folder / "pool" / FOLDER.format(8)
    records.mkdir(parents=True)
    (records / "deep_fool.json").write_text("mine")
    assert main(f"--run_dir={folder / 'pool'}", "--attacks=deep_fool", "--attack_samples=8") == 1
    assert "deep_fool.json is damaged or no result of attacks; remove it or choose another folder" in the_line(capsys)
    assert (records / "deep_fool.json").read_text() == "mine"


def test_defaults_are_the_thesis(trained, monkeypatch):
    seen = []

    class Module:
        Settings = attacking.Settings

        @staticmethod
        def attack(members, settings, results):
            seen.extend((members, settings, results.folder))
            return ""

    monkeypatch.setattr(evaluate, "quiet_import", lambda name: Module)
    assert main(f"--run_dir={trained / 'pool'},{trained / 'lea/000'}", "--attacks=all", "--data_dir=/new") == 0
    members, settings, folder = seen
    assert settings == attacking.Settings("all", None, 400, 0) == attacking.Settings()
    assert folder == trained / "robustness"
    assert [path for path, _ in members] == [trained / "pool", trained / "lea/000"]
    assert {config.data_dir for _, config in members} == {"/new"}
    assert all(isinstance(config, RunConfig) for _, config in members)
