"""Several seeds: ``train.py --runs`` and ``evaluate.py --compare``."""

import csv
import json
import os
import pathlib
import shutil
import tempfile

import keras
import numpy as np
import pytest
from backends import needs_tensorflow
from command_checks import contents, the_line

import evaluate
import train
from experiments import comparison, compiling, pictures, runs, series, tables, training
from experiments.config import CONFIGS
from experiments.runs import DivergedError, RunError
from lea_keras import callbacks

# Noise and data order depend on the seed, and so do weights.
FLAGS = ["--limit=24", "--batch_size=16", "--autoencoder=vae", "--window_size=4", "--epochs=2", "--image_size=16"]
FLAGS += ["--test_limit=20"]

pytestmark = pytest.mark.usefixtures("no_pictures_while_training")


def main(*arguments):
    with compiling.eager():  # the few steps of these runs take less than to trace one
        return train.main(["train.py", *map(str, arguments)])


def compare(*arguments):
    return evaluate.main(["evaluate.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two finished runs; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "several"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "PICTURE_IMAGES", 1)
        assert main(f"--run_dir={folder}", "--runs=2", "--seed=3", *FLAGS) == 0
    return folder


@pytest.fixture
def undrawn(monkeypatch):
    """To save time where comparisons are not looked at."""
    monkeypatch.setattr(pictures, "of_comparison", lambda *_: None)


def make_run(run_dir, seed=0, epochs=2, rows=2, model="lea_fc", offset=0.0, **changes):
    """A run folder without a model: configuration and metrics are all that a comparison reads."""
    run_dir.mkdir(parents=True)
    config = CONFIGS[model].replace(seed=seed, epochs=epochs, **changes)
    (run_dir / "config.json").write_text(config.to_json())
    names = ["loss", "accuracy"] + (["main_loss", "lea_rl"] if model == "lea_fc" else [])
    names = [prefix + name for prefix in ("", "val_") for name in names]
    lines = [",".join(["epoch", *names, "seconds"])]
    for epoch in range(1, rows + 1):
        values = [offset + i + epoch / 10 for i in range(len(names))]
        lines.append(",".join(map(str, [epoch, *values, 1.5])))
    if rows:
        (run_dir / "metrics.csv").write_text("\n".join(lines) + "\n")
    return run_dir


def fill(run_dir, seed):
    """Makes a claimed folder, in which a lock is, what ``make_run`` makes."""
    (run_dir / "config.json.tmp").unlink()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(make_run(pathlib.Path(folder) / "run", seed), run_dir, dirs_exist_ok=True)


def test_every_run_equals_one_alone(folder, tmp_path):
    assert sorted(path.name for path in folder.iterdir()) == ["003", "004"]
    for seed in (3, 4):
        run_dir = folder / f"{seed:03}"
        assert runs.load_config(run_dir).seed == seed
        names = {path.name for path in run_dir.iterdir()}
        assert names == {"config.json", "metrics.csv", "model.keras", "checkpoints", "logs", "codes.png"}
    keras.utils.set_random_seed(99)  # what came before a run has no influence on it
    assert main(f"--run_dir={tmp_path / 'alone'}", "--seed=4", "--nopictures", *FLAGS) == 0  # nor have pictures
    assert not list(tmp_path.rglob("*.png"))
    alone, member = (keras.models.load_model(run / "model.keras") for run in (tmp_path / "alone", folder / "004"))
    for one, other in zip(alone.variables, member.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    of_both = [callbacks.read_metrics(run) for run in (tmp_path / "alone", folder / "004")]
    first, second = ([{n: v for n, v in row.items() if n != "seconds"} for row in rows] for rows in of_both)
    assert first == second
    assert runs.load_config(tmp_path / "alone") == runs.load_config(folder / "004")


def test_finished_runs_are_skipped_and_others_added(folder, tmp_path, monkeypatch, capsys):
    before = contents(folder)
    monkeypatch.setattr(training, "train", None)  # whose call would fail
    assert main(f"--run_dir={folder}", "--runs=2", "--seed=3", *FLAGS) == 0
    assert contents(folder) == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Folder of the runs: {folder}" and lines[1] == "several, 2 runs"
    assert lines[2].split() == ["train", "median", "range", "test", "median", "range"]
    accuracies = [callbacks.read_metrics(folder / name)[-1]["val_accuracy"] for name in ("003", "004")]
    low, high = f"{min(accuracies):.4f}", f"{max(accuracies):.4f}"
    assert lines[4].split()[-4:] == [f"{np.median(accuracies):.4f}", low, "…", high]
    assert lines[-1].endswith(f"evaluate.py --compare={folder}")
    trained = []
    monkeypatch.setattr(training, "train", lambda _, folder, resume, pictured: trained.append((folder.name, resume)))
    monkeypatch.setattr(series, "_table", lambda members: "")
    assert main(f"--run_dir={folder}", "--runs=4", "--seed=2", *FLAGS) == 0
    assert trained == [("002", False), ("005", False)]
    assert contents(folder) == before


def test_an_unfinished_run_is_resumed(folder, tmp_path, capsys):
    """Interrupted in the second run, the same command goes on in it and equals the series that was not."""
    save, saves = keras.Model.save, []

    def interrupt(self, path, **kwargs):
        saves.append(path)
        if len(saves) == 2:
            raise KeyboardInterrupt
        save(self, path, **kwargs)

    shutil.copytree(folder / "003", tmp_path / "003")  # as if the command had trained it before
    command = [f"--run_dir={tmp_path}", "--runs=2", "--seed=3", *FLAGS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "save", interrupt)
        assert main(*command) == 130
    errors = capsys.readouterr().err
    assert errors == f"\ntrain.py: Interrupted. Continue with: python train.py {' '.join(command)}\n"
    assert [len(callbacks.read_metrics(tmp_path / name)) for name in ("003", "004")] == [2, 1]
    untouched = contents(tmp_path / "003")
    assert main(*command) == 0
    assert f"Run 2 of 2, seed 4: {tmp_path / '004'}, about 00:0" in capsys.readouterr().out
    assert contents(tmp_path / "003") == untouched
    resumed, whole = (keras.models.load_model(path / "004/model.keras") for path in (tmp_path, folder))
    for one, other in zip(resumed.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@needs_tensorflow
def test_what_tensorflow_keeps_of_a_run_is_let_go(tmp_path):
    from tensorflow.python.framework import ops

    registered = ops.gradient_registry._registry
    before = {name for name in registered if name.startswith("CustomGradient-")}
    with pytest.raises(ZeroDivisionError), series.nothing_kept():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
        assert {name for name in registered if name.startswith("CustomGradient-")} > before
        raise ZeroDivisionError
    assert {name for name in registered if name.startswith("CustomGradient-")} == before


def test_a_run_that_diverges_does_not_keep_the_others(tmp_path, monkeypatch, capsys):
    def fake(config, run_dir, resume, pictured):
        if config.seed == 1:
            raise DivergedError("Training stopped in epoch 1: loss became nan")
        fill(run_dir, config.seed)

    monkeypatch.setattr(training, "train", fake)
    assert main(f"--run_dir={tmp_path}", "--runs=3", "--epochs=2") == 1
    output = capsys.readouterr()
    assert output.err == f"train.py: 1 of 3 runs diverged: {tmp_path / '001'}\n"
    assert "Training stopped in epoch 1" in output.out and f"{tmp_path.name}, 2 runs" in output.out
    assert not (tmp_path / "001").exists()


def test_any_other_error_ends_the_series(tmp_path, monkeypatch, capsys):
    def fail(config, run_dir, resume, pictured):
        raise RunError("Memory does not suffice")

    monkeypatch.setattr(training, "train", fail)
    assert main(f"--run_dir={tmp_path / 'runs'}", "--runs=3") == 1
    assert the_line(capsys) == "train.py: Memory does not suffice\n"
    assert not (tmp_path / "runs/000").exists()


WRONG = [
    (["--runs=0"], "Argument `runs` must be an integer of at least 1. Received: runs=0"),
    (["--runs=many"], "Argument `runs` must be an integer. Received: runs='many'"),
    (["--runs=2", "--resume"], "Argument `resume` must be left out with --runs"),
    (["--runs=3", f"--seed={2**32 - 2}"], "Argument `seed` must be an integer from 0 to 2**32 - 1"),
    (["--runs=2", "--beta=low"], "Argument `beta` must be a number"),
    (["--runs=2", "--seed=3", "--epochs=2", "--learning_rate=1"], "{folder}/003 holds a run of another configuration."),
    (["--runs=2", "--seed=3", *FLAGS, "--epochs=1"], "Argument `epochs` must be at least 2"),
    (["--runs=9", "--seed=0", "--epochs=2"], "{folder}/003 holds a run of another configuration."),
    (["--runs=2", "--run_dir={folder}/003"], "Argument `run_dir` must be a folder for several runs; this one is a run"),
    (["--runs=2", "--run_dir={folder}/003/config.json"], "cannot be used: "),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_wrong_series_gets_one_line_before_any_work(arguments, message, folder, capsys):
    before = contents(folder)
    assert main(f"--run_dir={folder}", *(argument.format(folder=folder) for argument in arguments)) == 1
    assert message.format(folder=folder) in the_line(capsys)
    assert contents(folder) == before


def test_what_is_no_run_is_not_touched(tmp_path, capsys):
    (tmp_path / "001").mkdir()
    (tmp_path / "001/notes.txt").write_text("mine")
    assert main(f"--run_dir={tmp_path}", "--runs=3") == 1
    assert f"{tmp_path / '001'} holds something that is no run" in the_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["001"]


def test_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(series, "train", lambda members, _: seen.extend(members) or "")
    assert main("--runs=2", "--model=cnn_lea", "--seed=999") == 0
    assert [path for path, _ in seen] == [pathlib.Path("runs/cnn_lea_sprites") / name for name in ("999", "1000")]
    assert [config.seed for _, config in seen] == [999, 1000]


def test_comparison_against_hand_worked_numbers(tmp_path, capsys):
    """Two kinds of runs, one with three seeds and one without LEAs, whose only loss is the log loss."""
    for seed, offset in enumerate((0.0, 10.0, 1.0)):
        make_run(tmp_path / f"lea/{seed:03}", seed, offset=offset, download=seed == 1)
    make_run(tmp_path / "pool", model="pool_fc", offset=5.0)
    make_run(tmp_path / "short", rows=1)
    assert compare(f"--compare={tmp_path / 'lea'},{tmp_path / 'pool'},{tmp_path / 'short'}") == 0
    output = tmp_path / "comparison"
    assert {path.name for path in output.iterdir()} == {
        "comparison.csv", "comparison.json", "comparison.md", "contents.json", "curves.png",
    }  # fmt: skip
    with (output / "comparison.csv").open(newline="") as file:
        rows = {(row["group"], row["split"], row["measure"]): row for row in csv.DictReader(file)}
    # Columns: loss, accuracy, main_loss, lea_rl, then the same of the test data; 0.2 in the second epoch.
    expected = {
        ("lea", "train", "log_loss"): (3, 3.2, 2.2, 12.2),
        ("lea", "train", "accuracy"): (3, 2.2, 1.2, 11.2),
        ("lea", "train", "lea_rl"): (3, 4.2, 3.2, 13.2),
        ("lea", "test", "log_loss"): (3, 7.2, 6.2, 16.2),
        ("lea", "test", "accuracy"): (3, 6.2, 5.2, 15.2),
        ("lea", "test", "lea_rl"): (3, 8.2, 7.2, 17.2),
        ("pool", "train", "log_loss"): (1, 5.2, 5.2, 5.2),
        ("pool", "train", "accuracy"): (1, 6.2, 6.2, 6.2),
        ("pool", "test", "log_loss"): (1, 7.2, 7.2, 7.2),
        ("pool", "test", "accuracy"): (1, 8.2, 8.2, 8.2),
    }
    assert set(rows) == set(expected)
    for key, (count, *values) in expected.items():
        row = rows[key]
        assert int(row["runs"]) == count
        assert [float(row[name]) for name in ("median", "minimum", "maximum")] == pytest.approx(values)
    groups = json.loads((output / "comparison.json").read_text())["groups"]
    assert [[run["seed"] for run in group["runs"]] for group in groups] == [[0, 1, 2], [0]]
    assert groups[0]["splits"]["test"]["lea_rl"] == pytest.approx({"median": 8.2, "minimum": 7.2, "maximum": 17.2})
    assert groups[1]["config"]["model"] == "pool_fc" and "seed" not in groups[1]["config"]
    text = capsys.readouterr().out
    assert f"left out: {tmp_path / 'short'}, 1 of 2 epochs finished" in text
    assert "    lea, 3 runs" in text and "2.2000 … 12.2000" in text
    table = (output / "comparison.md").read_text().splitlines()
    assert "| measure | runs | number | model | train, median | range | test, median | range |" == table[0]
    assert "| log loss | lea | 3 | lea_fc | 3.2000 | 2.2000 … 12.2000 | 7.2000 | 6.2000 … 16.2000 |" in table
    assert "| log loss | pool | 1 | pool_fc | 5.2000 |  | 7.2000 |  |" in table


def compared(output):
    """The rows of ``comparison.csv`` and what ``comparison.json`` holds."""
    with (output / "comparison.csv").open(newline="") as file:
        return list(csv.DictReader(file)), json.loads((output / "comparison.json").read_text())


def test_hyperparameters_that_differ_are_columns_and_order_the_rows(tmp_path, capsys):
    """In every form, 4 before 16, whatever the folders are called and in which order they come."""
    sizes = {"w16": 16, "w4": 4, "a": 8}
    for name, size in sizes.items():
        for seed in range(2):
            limit = None if size == 16 else 500
            make_run(
                tmp_path / "all" / name / f"{seed:03}", seed, window_size=size, limit=limit, beta=0.25, offset=size
            )
    assert compare(f"--compare={tmp_path / 'all'}") == 0
    rows, contents = compared(tmp_path / "all/comparison")
    assert list(rows[0])[:6] == ["group", "runs", "limit", "window_size", "epoch", "split"]
    in_order = [("w4", 500, 4), ("a", 500, 8), ("w16", 59_972, 16)]  # a number in place of "all"
    found = [(row["group"], int(row["limit"]), int(row["window_size"])) for row in rows]
    assert list(dict.fromkeys(found)) == in_order
    medians = {(row["group"], row["split"]): float(row["median"]) for row in rows if row["measure"] == "accuracy"}
    of_files = {(name, split): size + x for name, size in sizes.items() for split, x in (("train", 1.2), ("test", 5.2))}
    assert medians == pytest.approx(of_files)
    assert [(group["name"], *group["differs"].values()) for group in contents["groups"]] == in_order
    table = (tmp_path / "all/comparison/comparison.md").read_text().splitlines()
    assert table[0].startswith("| measure | runs | number | limit | window_size | train, median |")
    assert [line.split(" | ")[1:5] for line in table[2:5]] == [[name, "2", *map(str, rest)] for name, *rest in in_order]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["limit", "window_size"]
    assert [line.split()[3:5] for line in lines[2:5]] == [list(map(str, rest)) for _, *rest in in_order]


def test_runs_on_different_data_sets_are_said_to_be_no_comparison(undrawn, tmp_path, capsys):
    """They are never one group, even if they differ in nothing else, and every table names the data."""
    for seed, name in enumerate(("mnist", "fashion_mnist", "mnist", "fashion_mnist")):
        make_run(tmp_path / f"runs/{seed}", seed, dataset=name, window_size=7, batch_size=32, offset=seed)
    assert compare(f"--compare={tmp_path / 'runs'}") == 0
    rows, contents = compared(tmp_path / "runs/comparison")
    accuracy = [row for row in rows if (row["split"], row["measure"]) == ("test", "accuracy")]
    assert [(row["dataset"], row["runs"], float(row["median"])) for row in accuracy] == [
        ("fashion_mnist", "2", pytest.approx(2 + 5.2)),
        ("mnist", "2", pytest.approx(1 + 5.2)),
    ]
    warning = "Different data sets: fashion_mnist, mnist. Values of one cannot be compared with those of another."
    assert contents["notes"] == [warning]
    assert warning in capsys.readouterr().out.splitlines()
    assert warning in (tmp_path / "runs/comparison/comparison.md").read_text().splitlines()
    of_one = [f"--compare={tmp_path / 'runs/0'},{tmp_path / 'runs/2'}", f"--output_dir={tmp_path / 'one'}"]
    assert compare(*of_one) == 0
    output = capsys.readouterr().out
    assert "Different" not in output and "dataset" not in output


def with_losses(run_dir, losses):
    """Gives a run of ``make_run`` other main losses on held-out data."""
    lines = (run_dir / "metrics.csv").read_text().splitlines()
    place = lines[0].split(",").index("val_main_loss")
    for i, loss in enumerate(losses, 1):
        cells = lines[i].split(",")
        lines[i] = ",".join([*cells[:place], str(loss), *cells[place + 1 :]])
    (run_dir / "metrics.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("part", [0.0, 0.1])
def test_epochs_of_a_comparison(part, undrawn, tmp_path, capsys):
    split = "validation" if part else "test"
    for seed, losses in enumerate(((3, 1, 2), (1, 2, 3), (4, 3, 2))):
        with_losses(make_run(tmp_path / f"runs/{seed}", seed, 3, 3, offset=seed, validation=part), losses)
    make_run(tmp_path / "runs/unfinished", 3, 3, 2, offset=3, validation=part)

    def results(*flags):
        assert compare(f"--compare={tmp_path / 'runs'}", *flags) == 0
        rows, contents = compared(tmp_path / "runs/comparison")
        assert {row["split"] for row in rows} == {"train", split}
        values = {(row["split"], row["measure"]): row for row in rows}
        numbers = [float(values[split, "accuracy"][name]) for name in ("minimum", "median", "maximum")]
        numbers = [round(number - 5, 6) for number in numbers]  # seed + epoch / 10 is left
        return numbers, contents, {row["epoch"] for row in rows}, capsys.readouterr().out

    numbers, contents, choice, output = results()
    assert numbers == [0.3, 1.3, 2.3] and choice == {"last"} and contents["epoch"] == "last"
    assert "Values: last epoch of every metrics.csv" in output and "chosen" not in output

    numbers, contents, choice, output = results("--epoch=best")
    assert numbers == [0.2, 1.1, 2.3] and choice == {"best"} and contents["epoch"] == "best"
    assert [run["epoch"] for run in contents["groups"][0]["runs"]] == [2, 1, 3]
    table = (tmp_path / "runs/comparison/comparison.md").read_text()
    for text in (output, table):
        assert f"Values: epoch of least {split} log loss of every metrics.csv" in text
        assert "Best epochs: runs 2, 1, 3" in text
        # Whoever chooses by test data is told so.
        assert ("is chosen by the test data" in text) == (not part)

    numbers, contents, choice, output = results("--epoch=2")  # which the unfinished one has, too
    assert numbers == [0.2, 1.7, 3.2] and choice == {"2"} and contents["epoch"] == 2
    assert "Values: epoch 2 of every metrics.csv" in output and "left out" not in output
    numbers, *_, output = results("--epoch=3")
    assert numbers == [0.3, 1.3, 2.3] and "unfinished, 2 of 3 epochs finished" in output
    assert compare(f"--compare={tmp_path / 'runs'}", "--epoch=4") == 1
    assert "None of the runs has epoch 4; left out: " in the_line(capsys)


def test_median_of_an_even_number_of_runs(tmp_path):
    found = [make_run(tmp_path / str(seed), seed, offset=offset) for seed, offset in enumerate((4.0, 1.0, 2.0, 9.0))]
    found, notes = comparison.read_runs(found)
    (first, *_), _ = comparison.aggregate(comparison.group_runs(found))
    assert (first.measure, first.runs) == ("log_loss", 4) and not notes
    assert (first.median, first.minimum, first.maximum) == pytest.approx((5.2, 3.2, 11.2))


def test_evaluations_are_compared_where_all_runs_have_one(tmp_path):
    run_dirs = [make_run(tmp_path / name, seed) for seed, name in enumerate("ab")]
    for value, run_dir in enumerate(run_dirs):
        splits = {split: {"crossentropy": float(value), "lea_confidence_25": 0.5} for split in tables.SPLITS}
        assert "last epoch" in comparison.aggregate(comparison.group_runs(comparison.read_runs(run_dirs)[0]))[1]
        (run_dir / "evaluation").mkdir()
        (run_dir / "evaluation/results.json").write_text(json.dumps({"epochs": 2, "splits": splits}))
    assert (
        "epoch 1 of every metrics.csv"
        in comparison.aggregate(comparison.group_runs(comparison.read_runs(run_dirs, 1)[0]), 1)[1]
    )  # evaluations of another epoch
    assert (
        "whole splits after epoch 2."
        in comparison.aggregate(comparison.group_runs(comparison.read_runs(run_dirs, 2)[0]), 2)[1]
    )
    found, source = comparison.aggregate(comparison.group_runs(comparison.read_runs(run_dirs)[0]))
    assert "what evaluate.py --run_dir found" in source
    assert [item.median for item in found if item.measure == "crossentropy"] == [0.5, 0.5]
    # Of an earlier epoch: no longer what the run is worth.
    (run_dirs[0] / "evaluation/results.json").write_text(json.dumps({"epochs": 1, "splits": splits}))
    assert "last epoch" in comparison.aggregate(comparison.group_runs(comparison.read_runs(run_dirs)[0]))[1]


def test_evaluations_of_earlier_versions_have_the_names_of_today(tmp_path):
    """Their only loss was the cross-entropy, and their RLN that of the whole split."""
    run_dir = make_run(tmp_path / "a", 0)
    (run_dir / "evaluation").mkdir()
    splits = {split: {"main_loss": 1.0, "lea_rl": 2.0, "lea_rln": 3.0} for split in tables.SPLITS}
    (run_dir / "evaluation/results.json").write_text(json.dumps({"epochs": 2, "splits": splits}))
    ((run,), _) = comparison.read_runs([run_dir])
    assert run.evaluated["test"] == {"crossentropy": 1.0, "lea_rl": 2.0, "lea_rln_split": 3.0}


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/a/000", "runs/a/001"], ["a"]),
        (["runs/a_0", "runs/a_1"], ["a"]),
        (["x/000", "y/000"], ["x/000", "y/000"]),
        (["runs/a_0"], ["a_0"]),
    ],
)
def test_names_of_groups(paths, names, tmp_path):
    kinds = {"x": 8, "y": 16}
    for seed, path in enumerate(paths):
        make_run(tmp_path / path, seed, window_size=kinds.get(path[0], 8))
    found, _ = comparison.read_runs([tmp_path / path for path in paths])
    assert [group.name for group in comparison.group_runs(found)] == names


def test_runs_are_found_however_deep_they_lie(undrawn, tmp_path, capsys):
    """Also below another run, but none twice, and none in a hidden folder."""
    names = ["a", "b/c/d/000", "b/c/d/000/again", "b/c/d/e/f/g/001"]
    made = [make_run(tmp_path / name, seed) for seed, name in enumerate(names)]
    make_run(tmp_path / ".hidden", 9)
    (tmp_path / "b/link").symlink_to(tmp_path)
    (tmp_path / "a/notes.txt").write_text("mine")
    assert runs.find_runs(tmp_path) == made
    assert runs.find_runs(made[1]) == [made[1]]
    assert runs.find_runs(tmp_path / "nothing") == runs.find_runs(tmp_path / "a/notes.txt") == []
    assert compare(f"--compare={tmp_path}") == 0
    assert f"{tmp_path.name}, 4 runs" in capsys.readouterr().out


def test_a_configuration_that_is_not_that_of_the_model_is_not_compared(folder, undrawn, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "runs")
    config = json.loads((folder / "004/config.json").read_text())
    (tmp_path / "runs/004/config.json").write_text(json.dumps(config | {"beta": 3.0}))
    assert compare(f"--compare={tmp_path / 'runs'}") == 1
    assert "004/model.keras: beta is 3, and 0.5 in the model" in the_line(capsys)
    (tmp_path / "runs/004/model.keras").write_text("mine")  # of which a comparison reads nothing else
    assert compare(f"--compare={tmp_path / 'runs'}") == 0


def test_a_finished_run_with_a_damaged_model_is_not_finished(folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(folder, tmp_path / "runs")
    command = [f"--run_dir={tmp_path / 'runs'}", "--runs=2", "--seed=3", *FLAGS]
    trained = []
    monkeypatch.setattr(training, "train", lambda _, folder, resume, pictured: trained.append((folder.name, resume)))
    (tmp_path / "runs/003/model.keras").unlink()  # as if an interruption had come before it
    assert main(*command) == 0
    assert trained == [] and (tmp_path / "runs/003/model.keras").is_file()
    os.truncate(tmp_path / "runs/004/checkpoints/epoch_0002.keras", 999)
    assert main(*command) == 0
    assert trained == [("004", True)]


def test_two_series_in_one_folder(tmp_path, monkeypatch, capsys):
    """They may train different runs at the same time, but not the same."""
    trained = []

    def fake(config, run_dir, resume, pictured):
        trained.append(run_dir.name)
        if len(trained) == 1:
            assert main(f"--run_dir={tmp_path}", "--runs=1", "--seed=1", "--epochs=2") == 0
            assert main(f"--run_dir={tmp_path}", "--runs=2", "--epochs=2") == 1
        fill(run_dir, config.seed)
        (run_dir / "model.keras").write_text("model")

    monkeypatch.setattr(training, "train", fake)
    assert main(f"--run_dir={tmp_path}", "--runs=3", "--epochs=2") == 0
    assert trained == ["000", "001", "002"]
    assert f"The run folder {tmp_path} cannot be used: 000: process {os.getpid()} on " in the_line(capsys)


def test_damaged_comparisons(tmp_path, capsys):
    run_dir = make_run(tmp_path / "run", rows=0)
    assert compare(f"--compare={run_dir}") == 1
    assert f"None of the runs is finished; left out: {run_dir}, 0 of 2 epochs finished" in the_line(capsys)
    (run_dir / "metrics.csv").write_text("epoch,loss\nmuch\n")
    assert compare(f"--compare={run_dir}") == 1
    assert f"The metrics of the run are damaged: {run_dir / 'metrics.csv'}" in the_line(capsys)
    (run_dir / "config.json").write_text("[]")
    assert compare(f"--compare={run_dir}") == 1
    assert f"{run_dir / 'config.json'}: The run configuration must be a JSON object" in the_line(capsys)
    assert not (tmp_path / "comparison").exists()


def test_another_comparison_is_not_replaced(undrawn, tmp_path, capsys):
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b", seed=1)
    assert compare(f"--compare={first}") == compare(f"--compare={first}") == 0
    before = contents(tmp_path)
    capsys.readouterr()
    assert compare(f"--compare={first},{second}") == 1
    theirs = os.path.relpath(first)
    assert f"must be a new folder or that of the same runs. This one holds results of {theirs}." in the_line(capsys)
    assert contents(tmp_path) == before
    assert compare(f"--compare={first},{second},{first}", f"--output_dir={tmp_path / 'both'}") == 0
    assert len(json.loads((tmp_path / "both/comparison.json").read_text())["groups"][0]["runs"]) == 2
