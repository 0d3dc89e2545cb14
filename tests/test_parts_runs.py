"""Runs on parts, and the commands of their data sheet."""

from backends import once

import evaluate
import train
from experiments import parts_baselines, parts_pictures
from experiments.config import SMALLEST_PARTS, RunConfig
from lea_keras.data import parts

pytestmark = once


def test_runs_train_and_are_evaluated(tmp_path, capsys):
    flags = [
        "--dataset=parts_colour",
        "--image_size=32",
        "--limit=16",
        "--test_limit=8",
        "--batch_size=16",
        "--epochs=1",
    ]
    assert train.main(["train.py", f"--run_dir={tmp_path}", "--model=pool_fc", "--epochs=1", *flags]) == 0
    assert evaluate.main(["evaluate.py", f"--run_dir={tmp_path}", "--splits=test"]) == 0
    assert "accuracy" in capsys.readouterr().out
    assert evaluate.main(["evaluate.py", f"--run_dir={tmp_path}", "--probes"]) == 1  # which know sprites alone
    assert "`probes`" in capsys.readouterr().err


def test_baselines_are_measured(capsys):
    flags = ["--limit=64", "--test_limit=32", "--image_size=32", "--epochs=1", "--words=8", "--dataset=parts_colour"]
    assert parts_baselines.main(["parts_baselines", *flags]) == 0
    told = capsys.readouterr().out
    assert told.count("| linear, of ") == 4 and "| CNN " in told
    assert parts_baselines.main(["parts_baselines", "--dataset=mnist"]) == 1
    assert "`dataset`" in capsys.readouterr().err


def test_sizes_that_the_command_line_knows():
    assert SMALLEST_PARTS == parts.SMALLEST
    assert RunConfig(dataset="parts_colour", image_size=128).image_shape == (128, 128)


def test_pictures_are_drawn(tmp_path, capsys):
    assert parts_pictures.main(["parts_pictures", str(tmp_path)]) == 0
    assert 10_000 < (tmp_path / "parts.png").stat().st_size < 200_000
    assert parts_pictures.main(["parts_pictures"]) == 1
    assert "folder" in capsys.readouterr().err
