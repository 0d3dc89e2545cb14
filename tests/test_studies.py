"""Studies: the thesis' configurations and numbers of runs, and what is read off runs.

All of them at smoke scale: ``documentation/test_smoke_studies.py``.
"""

import collections
import json
import os
import threading
import time

import numpy as np
import pytest
from backends import once
from command_checks import contents, the_line

import study
import train
from experiments import extras
from experiments.config import CONFIGS, locks
from experiments.engines import estimates, requirements, units
from experiments.studies import STUDIES, base, fig_5_1, fig_5_2, pictures, report, robustness, samples
from experiments.studies.base import SCALES, Scale, configuration
from experiments.studies.pictures import Line, Panel
from lea_keras.plots.pixels import text_width

pytestmark = once
THESIS = [
    *("3.3", "3.4", "3.5", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6"),
    *("5.1", "5.2", "5.4", "5.5", "5.6", "5.7", "5.8", "T3.1", "T3.2", "T4.1"),
]
OTHERS = json.dumps(dict.fromkeys(report._STORED, "") | {"study": "5.5", "scale": "small"})


def main(*arguments):
    return study.main(["study.py", *map(str, arguments)])


def test_every_figure_and_table_is_there_in_the_order_of_the_thesis():
    assert sorted(THESIS) == sorted(name for name in STUDIES if name[-1].isdigit())
    assert list(STUDIES)[:4] == ["3.3", "3.4", "3.5", "T3.1"]


@pytest.mark.parametrize(
    ("name", "runs"),
    [("3.3", 10), ("3.4", 40), ("3.5", 30), ("T3.2", 60), ("4.1", 10), ("4.3", 3), ("4.4", 1), ("5.1", 1), ("5.2", 4)]
    + [("5.4", 20), ("5.5", 300), ("5.6", 80), ("5.7", 100), ("5.8", 70)],
)
def test_runs_of_the_thesis(name, runs):
    assert sum(one.seeds for one in STUDIES[name].plan("thesis")) == runs


@pytest.mark.parametrize("scale", SCALES)
def test_runs_of_one_name_are_the_same_in_all_studies(scale, tmp_path):
    series = [one for one_study in STUDIES.values() for one in one_study.plan(scale)]
    planned = base.units(series, tmp_path)  # refuses them otherwise
    assert len({unit.folder for unit in planned}) == len(planned)


def test_nothing_but_the_seed_differs_within_a_series(tmp_path):
    planned = base.units(STUDIES["5.8"].plan("thesis"), tmp_path)
    by_series = collections.defaultdict(set)
    for unit in planned:
        by_series[unit.folder.parent.name].add(unit.config.replace(seed=0))
    assert {len(configs) for configs in by_series.values()} == {1}
    assert sorted(by_series) == sorted(f"{weight:g}" for weight in (100, 10, 1, 0.1, 0.01, 0.001, 0.0001))


def test_numbers_of_the_thesis_are_not_the_defaults_of_the_models():
    config = STUDIES["5.5"].plan("thesis")[-1].config
    assert (config.learning_rate, config.adam_epsilon, config.epochs, config.loss) == (1e-4, 1e-8, 100, "log_loss")
    assert configuration("lea_fc", Scale(1)).learning_rate == 1e-4  # and not the 1e-3 of a first run
    assert configuration("lea_only", Scale(1)).optimization == "joint"
    assert configuration("cnn_lea", Scale(1)).strides == 2
    fashion = STUDIES["3.4"].plan("thesis")[0].config
    assert (fashion.capacity, fashion.gamma, fashion.capacity_epochs, fashion.kernel_size) == (20, 5, 800, 3)
    joint = STUDIES["5.8"].plan("thesis")[0].config
    assert (joint.window_size, joint.strides, joint.capacity, joint.capacity_epochs) == (8, 4, 25, 25)
    traversal = STUDIES["5.1"].plan("thesis")[0].config
    assert (traversal.kernels, traversal.capacity_epochs, traversal.epochs, traversal.decoder) == (64, 100, 600, "sb")
    few = {one.name: one.config for one in STUDIES["5.6"].plan("thesis")}
    assert few[samples.name("cnn_lea", 10)].code_length == 5
    maps = {one.name: one.config for one in STUDIES["5.2"].plan("thesis")}
    assert (maps["maps/cifar10"].epochs, maps["maps/cifar10"].capacity_epochs) == (200, 25)
    assert (maps["maps/mnist"].epochs, maps["maps/mnist"].capacity_epochs) == (800, 800)


def test_differences_are_from_the_thesis_own_numbers():
    told = STUDIES["5.5"].differences("small")
    assert "epochs 5 (100)" in told and "image_size 32 (64)" in told and "limit 6000 (all)" in told
    assert "windows 2, 4, 8, 16, 32 (2, 4, 8, 16, 32, 64)" in told
    assert STUDIES["5.5"].differences("thesis") == ""
    assert "epochs 6 (200 or 800)" in STUDIES["5.2"].differences("small")


def test_commands_name_their_study():
    commands = {name: study._command(one, "small", None) for name, one in STUDIES.items()}
    assert commands["4.1"] == "python study.py --figure=4.1 --scale=small"
    assert commands["T4.1"] == "python study.py --table=4.1 --scale=small"  # and not Fig. 4.1
    assert commands["time"] == "python study.py --study=time --scale=small"
    assert study._command(STUDIES["5.5"], "thesis", 2).endswith(" --scale=thesis --runs=2")


def test_claims_are_asked_for_by_the_numbers_that_there_are():
    assert "what decides a claim: 1 to " in " ".join(study.help_text().split())
    assert study._numbers().startswith("1 to ") and study._numbers().endswith("60 to 65, 70 to 85")


def test_help_names_every_study():
    told = " ".join(study.help_text().split())
    assert "figures of the thesis, with commas between them: 3.3, 3.4, 3.5, 4.1" in told
    others = ", ".join(sorted(name for name in STUDIES if not name[-1].isdigit()))
    assert "its tables: 3.1, 3.2, 4.1" in told and f"others: {others}" in told


def test_fields_are_given_to_all_runs_and_numbers_of_runs_changed():
    planned = STUDIES["5.8"].plan("small", 7, backend="jax")
    assert {(one.seeds, one.config.backend) for one in planned} == {(7, "jax")}


def test_medians_and_ranges_are_drawn_where_values_are():
    figure = pictures.draw([Panel("", "x", "y", [Line("a", [1, 2, 3], [[1, 2, None], [3, 9, None], [2, 4, None]])])])
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1, 2], [2, 4]])
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1, 9)


def test_lines_hold_as_many_words_as_fit():
    text = "median of several runs, and of words that are as wide as theypossiblycouldbeinthisplace or not, to the end"
    lines = pictures.wrapped(text, 1.5, 8.0)
    assert " ".join(lines) == text and len(lines) > 3
    for line, after in zip(lines, lines[1:], strict=False):
        assert text_width(line, 8.0) <= 1.5 or " " not in line
        assert text_width(f"{line} {after.split()[0]}", 8.0) > 1.5
    assert pictures.wrapped("", 1.5, 8.0) == [] and pictures.wrapped("a b", 0.001, 8.0) == ["a", "b"]


def test_values_by_run():
    assert pictures.across([[1, 2, 3], [4, 5]]) == [[1, 4], [2, 5], [3, None]]


def test_coherence_of_known_maps():
    rows, columns = np.mgrid[0:8, 0:8]
    ramp, board = (rows + columns).astype(float), ((rows + columns) % 2).astype(float)
    assert fig_5_2.coherence(ramp[None, ..., None]) == [pytest.approx(1.0)]
    assert fig_5_2.coherence(board[None, ..., None]) == [pytest.approx(-1.0)]
    noise = np.random.default_rng(0).normal(size=(1, 64, 64, 2))
    assert abs(fig_5_2.coherence(noise)[0]) < 0.05
    assert fig_5_2.coherence(np.ones((1, 4, 4, 1))) == [0.0]
    shuffled = fig_5_2._shuffled(np.stack([ramp, ramp], -1)[None])
    assert sorted(shuffled[0, ..., 0].ravel()) == sorted(ramp.ravel())
    np.testing.assert_array_equal(shuffled[..., 0], shuffled[..., 1])


def test_codes_are_named_by_what_they_explain_most():
    explained = {"x": [0.1, 0.9, 0.0], "y": [0.7, 0.2, 0.0]}
    assert fig_5_1.named([1.0, 2.0, 0.01], explained) == [(1, "x"), (0, "y")]
    assert fig_5_1.named([0.0, 0.01, 0.0], explained) == [(1, "x")]  # none is active


def test_csv_has_a_line_for_each_number():
    values = {"a": {"seeds": [0, 1], "accuracy": [0.5, 0.6], "rl": [[1, 2], [3, 4]], "layers": ["x"], "chance": {}}}
    lines = report.rows(values)
    assert len(lines) == 6
    assert lines[0] == {"series": "a", "seed": 0, "measure": "accuracy", "place": None, "value": 0.5}
    assert lines[-1] == {"series": "a", "seed": 1, "measure": "rl", "place": 2, "value": 4}


def test_estimates_grow_with_work_and_learn_from_what_is_done(tmp_path):
    todo = base.units(STUDIES["5.5"].plan("small"), tmp_path)
    whole = estimates.seconds_left(todo)
    assert estimates.seconds_left(base.units(STUDIES["5.5"].plan("thesis"), tmp_path)) > 20 * whole
    assert whole / 2 < estimates.seconds_left(todo, parallel=2) < whole
    todo[0].folder.mkdir(parents=True)
    (todo[0].folder / "model.keras").touch()
    units.write_outcome(todo[0], units.Outcome("", 10 * estimates.work(todo[0])))
    assert estimates.seconds_left(todo) == pytest.approx(10 * (whole - estimates.work(todo[0])))
    few = todo[1:3]
    assert estimates.seconds_left(few, parallel=1000) == estimates.seconds_left(few, parallel=min(2, os.cpu_count()))
    told = [estimates.told(seconds) for seconds in (0, 40, 720, 12_000, 1_000_000)]
    assert told == ["0 s", "40 s", "12 min", "3 h 20 min", "12 days"]


def test_what_is_trained_in_place_of_a_run_is_estimated_from_its_options(tmp_path):
    for one in STUDIES.values():
        smoke, thesis = (
            {unit.folder.name: unit for unit in base.units(one.plan(scale), tmp_path) if not unit.trained}
            for scale in ("smoke", "thesis")
        )
        for seed, unit in smoke.items():
            assert 1 < estimates.work(unit) < 10 < estimates.work(thesis[seed]), one.name


def test_changed_options_make_a_unit_anew(tmp_path):
    (unit, *_) = base.units(STUDIES["letters"].plan("smoke"), tmp_path)
    unit.folder.mkdir(parents=True)
    units.write_outcome(unit, units.Outcome("", 1.0))
    assert units.read_outcome(unit)
    changed = {"letters": {**unit.measures["letters"], "epochs": 2}}
    assert units.read_outcome(unit._replace(measures=changed)) is None


@pytest.mark.parametrize("name", ["letters", "defences", "joint"])
def test_plans_of_what_is_trained_in_place_of_a_run(name, capsys, tmp_path):
    assert main(f"--study={name}", "--scale=small", "--only_print", f"--run_dir={tmp_path}") == 0
    lines = capsys.readouterr().out.splitlines()
    count = {"letters": 3, "defences": 30, "joint": 15}[name]
    assert lines[-1] == f"{count} runs" and sum(f": {name}, {{" in line for line in lines) == count
    assert main(f"--study={name}", "--list", f"--run_dir={tmp_path}") == 0
    assert f"{name:12} {count:>5}     0 " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (["--figure=9.9"], "figure"),
        (["--table=5.5"], "table"),
        (["--study=5.5"], "study"),
        (["--claim=99"], "claim"),
        (["--scale=huge"], "scale"),
        (["--runs=0"], "runs"),
        (["--parallel=-1"], "parallel"),
        (["--engine=cloud"], "engine"),
        (["--slurm_gpus=1"], "slurm_gpus"),
        (["--backend=torch"], "backend"),
        (["--scoreboard="], "scoreboard"),
        (["--list", "--only_print"], "only_print"),
        (["--only_report", "--figure=5.5"], "figure"),
        (["--only_report", "--runs=2"], "runs"),
        (["--figure=3.3", "--data_dir=nowhere"], "data_dir"),
    ],
)
def test_mistakes_are_one_line(flags, name, capsys, tmp_path):
    assert main(*flags, f"--run_dir={tmp_path / 'runs'}") == 1
    assert f"`{name}`" in the_line(capsys, "study.py: ")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["run_dir", "output_dir"])
def test_a_file_in_the_place_of_a_folder_is_refused_before_any_run(name, capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    flags = [f"--run_dir={tmp_path / 'runs'}", f"--{name}={tmp_path / 'file'}"]
    assert main("--figure=5.6", "--scale=smoke", *flags) == 1
    assert f"Argument `{name}` must be a folder" in the_line(capsys, "study.py: ")
    assert not (tmp_path / "runs").exists() and (tmp_path / "file").read_text() == "mine"


def test_what_a_user_wrote_is_in_the_way_and_stays(capsys, tmp_path):
    places = {"output_dir": tmp_path / "README.md", "scoreboard": tmp_path / "claims.md"}
    for path in (*places.values(), tmp_path / "smoke" / "fig_5_6.png"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        given = [f"--run_dir={tmp_path / 'runs'}", f"--output_dir={tmp_path}", f"--scoreboard={tmp_path / 'claims.md'}"]
        assert main("--figure=5.6", "--scale=smoke", *given) == 1
        assert f"{path} is in the way" in the_line(capsys, "study.py: ")
        if path.suffix == ".md":
            assert main("--only_report", *given) == 1
            assert f"{path} is in the way" in the_line(capsys, "study.py: ")
        assert path.read_text() == "mine" and not (tmp_path / "runs").exists()
        path.unlink()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("smoke/fig_5_5.json", '{"study": "5'),
        ("smoke/fig_5_5.json", "{}"),
        ("small/fig_5_6.json", OTHERS),
        ("reasons.json", "[1]"),
    ],
)
def test_damaged_results_are_named_before_any_run(name, text, capsys, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    for flags in (["--only_report"], ["--figure=5.6", "--scale=smoke"]):
        assert main(*flags, f"--run_dir={tmp_path / 'runs'}", f"--output_dir={tmp_path}") == 1
        assert str(path) in the_line(capsys, "study.py: ")
        assert not (tmp_path / "runs").exists()


def test_a_folder_that_another_command_draws_into_is_waited_for(tmp_path, monkeypatch):
    lock = locks.Lock(tmp_path)
    release = threading.Timer(0.3, lock.release)
    release.start()
    report.write_pages(tmp_path, tmp_path / "claims.md")
    release.join()
    assert (tmp_path / "claims.md").is_file()
    lock = locks.Lock(tmp_path)
    monkeypatch.setattr(report, "_PATIENCE", 0)
    with pytest.raises(BlockingIOError):
        report.write_pages(tmp_path, tmp_path / "claims.md")
    lock.release()


def test_results_that_replace_better_ones_say_so():
    two = {"runs": {"a": 2, "b": 2}, "notes": []}
    one = {"runs": {"a": 1, "b": 1}, "notes": ["left out: mnist, it is not there"]}
    assert report._lost(two, None) == report._lost(two, two) == report._lost(two, one) == []
    runs, left_out = report._lost(one, two)
    assert "2 runs, in place of those of 4" in runs and "less was left out" in left_out


def test_what_units_need_is_looked_for_before_any_run(capsys, tmp_path, monkeypatch):
    (joint, *_) = base.units(STUDIES["joint"].plan("small"), tmp_path)
    (letters, *_) = base.units(STUDIES["letters"].plan("small"), tmp_path)
    (trained, *_) = base.units(STUDIES["5.8"].plan("small"), tmp_path)
    assert [requirements.datasets(unit) for unit in (joint, letters, trained)] == [
        ["mnist"],
        ["mnist", "fashion_mnist"],
        ["cifar10"],
    ]
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    assert main("--study=parts", "--scale=smoke", f"--run_dir={tmp_path / 'runs'}") == 1
    assert "(part_codes) needs scikit-learn: pip install -e '.[metrics]'" in the_line(capsys, "study.py: ")
    assert not (tmp_path / "runs").exists()


def test_plans_are_printed_at_once(capsys, tmp_path):
    started = time.monotonic()
    assert main("--figure=5.5", "--scale=thesis", "--only_print", f"--run_dir={tmp_path}") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "300 runs" and sum(line.startswith("python train.py ") for line in lines) == 300
    assert len({line.partition("--run_dir=")[2] for line in lines[1:-1]}) == 300
    assert main("--list", "--scale=thesis", f"--run_dir={tmp_path}") == 0
    listed = capsys.readouterr().out
    assert all(one.label in listed for one in STUDIES.values())
    assert main("--claim=12", "--list", f"--run_dir={tmp_path}") == 0
    assert "Fig. 5.5" in capsys.readouterr().out
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("scale", SCALES)
def test_commands_that_are_printed_make_the_runs_they_stand_for(scale, tmp_path):
    for one in STUDIES.values():
        trained = [unit for unit in base.units(one.plan(scale), tmp_path) if unit.trained]
        for unit in {unit.folder.parent: unit for unit in trained}.values():
            given = train.parse(["train.py", *(f"--{name}={value}" for name, value in study._flags(unit))])
            assert CONFIGS[given.pop("model")].replace(**given) == unit.config, unit.folder


def test_a_run_of_another_configuration_is_no_run_of_a_study(capsys, tmp_path):
    unit = base.units(STUDIES["5.8"].plan("smoke"), tmp_path / "smoke")[0]
    unit.folder.mkdir(parents=True)
    (unit.folder / "config.json").write_text(unit.config.replace(epochs=1, code_length=3).to_json())
    before = contents(tmp_path)
    assert main("--figure=5.8", "--scale=smoke", f"--run_dir={tmp_path}") == 1
    assert "another configuration" in the_line(capsys, "study.py: ")
    assert contents(tmp_path) == before


def test_runs_that_no_attack_changes_are_told():
    values = {
        "robustness/classic": {"seeds": [0, 1], "success_rate/adef": [0.5, 0.0], "success_rate/slsqp": [0.0, 0.1]},
        "robustness/vae_conv": {"seeds": [0, 1], "success_rate/adef": [0.0, 0.2], "success_rate/slsqp": [0.0, 0.0]},
    }
    assert robustness._constant(values) == ["No attack at all changes 1 of 2 runs of vae_conv"]
