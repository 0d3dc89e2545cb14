"""The documentation's study: all of its figures, tables and claims at smoke scale, from the command to the pages."""

import json
import shutil

import pytest
from command_checks import contents
from real_data import TFDS

import study
from experiments.studies import STUDIES, report
from lea_keras.data import sources

STORED = 200


def main(*arguments):
    return study.main(["study.py", *map(str, arguments)])


@pytest.fixture
def few_stored_images(monkeypatch):
    """The first few images of data sets that are stored, as if there were no more: smoke studies take 128 at most, but
    to read 50 000 is a tenth of all that they do. That whole test sets are read: ``test_real_test_splits``."""
    whole = sources._open
    monkeypatch.setattr(sources, "_open", lambda name, split, folder: whole(name, split, folder).take(STORED))
    for name in ("mnist", "fashion_mnist", "cifar10"):
        few = sources.DATASETS[name]._replace(train_size=STORED, test_size=STORED)
        monkeypatch.setitem(sources.DATASETS, name, few)
    sources.read.cache_clear()
    yield
    sources.read.cache_clear()


def test_smoke(tmp_path, capsys, monkeypatch, few_stored_images):
    """All studies at smoke scale, or those on generated images where the others are missing.

    In one test: in several, each of pytest's processes would make them for itself.
    """
    folder = tmp_path
    there = all((TFDS / name).is_dir() for name in ("mnist", "fashion_mnist", "cifar10"))
    generated = [
        "--figure=4.1,4.2,4.4,4.5,4.6,5.1,5.4,5.5,5.6,5.7",
        "--table=3.1,4.1",
        "--study=letters,defences,joint,disentanglement,parts,certificates",
    ]
    chosen = [] if there else generated
    chosen += [] if there else ["--study=beta,info_vae,k_sparse,latents,objective,two_dimensions"]
    flags = ["--scale=smoke", "--parallel=0", f"--run_dir={folder}", f"--data_dir={TFDS}", *chosen]
    assert main(*flags) == 0
    check_what_is_stored(folder, there)
    check_that_what_was_deleted_alone_is_made_again(folder, flags, capsys)
    check_that_pages_are_made_from_what_is_stored_alone(folder)
    check_that_what_is_drawn_anew_keeps_its_commit(folder, flags, monkeypatch)
    check_that_claims_are_told(folder, flags, capsys)


def check_what_is_stored(folder, there):
    results = folder / "results" / "smoke"
    for one in STUDIES.values():
        if (results / f"{one.stem}.json").is_file():
            stored = json.loads((results / f"{one.stem}.json").read_text(encoding="utf-8"))
            assert stored["study"] == one.name and stored["command"].startswith("python study.py --")
            for suffix in one.pictures:
                assert (results / f"{one.stem}{suffix}.png").stat().st_size > 1000
            assert bool(one.table) == (results / f"{one.stem}.md").is_file()
        else:
            assert not there, one.name
    page = (folder / "results" / "README.md").read_text(encoding="utf-8")
    assert "## Fig. 5.5" in page and "smoke/fig_5_5.png" in page
    board = (folder / "results" / "SCOREBOARD.md").read_text(encoding="utf-8")
    assert "| [1](#claim-1-smoke-scale) | Table 3.1 |" in board
    if there:
        assert "not run" not in board


def flags_of_all(flags):
    """Those that do not say which studies."""
    return [flag for flag in flags if not flag.startswith(("--figure", "--table", "--study"))]


def check_that_what_was_deleted_alone_is_made_again(folder, flags, capsys):
    mine = [*flags_of_all(flags), "--figure=5.6"]
    gone, kept = (folder / "smoke" / "samples" / f"{model}_10" / "000" for model in ("classic", "cnn_lea"))
    before = contents(kept)
    metrics = (gone / "metrics.csv").read_text().split(",")
    shutil.rmtree(gone)
    capsys.readouterr()
    assert main(*mine) == 0
    assert "1 of 2 runs to be made" in capsys.readouterr().out
    assert contents(kept) == before
    again = (gone / "metrics.csv").read_text().split(",")
    assert len(again) == len(metrics) and again[:10] == metrics[:10]
    assert main(*mine) == 0
    assert "to be made" not in capsys.readouterr().out
    for path, text in ((gone / "metrics.csv", "epoch\n1,2,3"), (kept / "metrics.csv", None)):
        before = path.read_text()
        path.unlink() if text is None else path.write_text(text)
        assert main(*mine) == 1
        told = capsys.readouterr().err
        assert str(path.parent) in told and "Move its folder away" in told and "Traceback" not in told
        path.write_text(before)


def check_that_what_is_drawn_anew_keeps_its_commit(folder, flags, monkeypatch):
    mine = [*flags_of_all(flags), "--figure=5.6"]
    path = folder / "results" / "smoke" / "fig_5_6.json"
    monkeypatch.setattr(report, "commit", lambda: "another")
    before = path.read_text(encoding="utf-8")
    assert main(*mine) == 0 and path.read_text(encoding="utf-8") == before
    path.write_text(before.replace('"seeds": [', '"seeds": [7, '), encoding="utf-8")  # as if numbers had been others
    assert main(*mine) == 0 and json.loads(path.read_text(encoding="utf-8"))["commit"] == "another"


def check_that_claims_are_told(folder, flags, capsys):
    mine = [*flags_of_all(flags), "--claim=16"]
    capsys.readouterr()
    assert main(*mine) == 0
    assert "Claim 16, smoke scale: undecided. Classic converges faster." in capsys.readouterr().out


def check_that_pages_are_made_from_what_is_stored_alone(folder):
    for name in ("README.md", "SCOREBOARD.md"):
        path = folder / "results" / name
        text = path.read_text(encoding="utf-8")
        path.unlink()
        assert main("--only_report", f"--run_dir={folder}") == 0
        assert path.read_text(encoding="utf-8") == text
