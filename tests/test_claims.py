"""Verdicts on claims against hand-worked cases, and claims against results made up to agree or to contradict."""

import json
import math
import pathlib

import numpy as np
import pytest
from backends import once

from experiments.claims import scoreboard, thesis_autoencoders, verdicts
from experiments.claims.registry import CLAIMS
from experiments.claims.verdicts import AGREES, CONTRADICTED, PARTLY, UNDECIDED, Effect, Statement, exactly
from experiments.studies import STUDIES, beyond_defences, fig_5_5, fig_5_8, report

ROOT = pathlib.Path(__file__).parents[1]
pytestmark = once


def effect(low, high):
    return Effect((low + high) / 2, low, high, (3, 3))


@pytest.mark.parametrize(
    ("low", "high", "least", "most", "outcome"),
    [
        (1, 2, 0, math.inf, "holds"),
        (-1, 2, 0, math.inf, "open"),  # its value is above 0, which decides nothing
        (-2, -1, 0, math.inf, "fails"),
        (0.9, 1.1, 0.8, 1.2, "holds"),
        (0.9, 1.3, 0.8, 1.2, "open"),
        (1.3, 1.4, 0.8, 1.2, "fails"),
        (0, 0, 0, math.inf, "holds"),
        (-math.inf, math.inf, 0, math.inf, "open"),
    ],
)
def test_a_statement_is_judged_by_its_whole_interval(low, high, least, most, outcome):
    assert Statement("", Effect(0.5 * (low + high), low, high), least, most).outcome == outcome


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ("hh", AGREES),
        ("ff", CONTRADICTED),
        ("oo", UNDECIDED),
        ("", UNDECIDED),
        ("hf", PARTLY),
        ("ho", PARTLY),
        ("fo", PARTLY),
        ("hfo", PARTLY),
    ],
)
def test_the_verdict_joins_statements(outcomes, verdict):
    intervals = {"h": (1, 2), "f": (-2, -1), "o": (-1, 1)}
    statements = [Statement("", effect(*intervals[letter]), least=0) for letter in outcomes]
    assert verdicts.verdict(statements) == verdict


def test_effects_are_those_of_medians_and_not_of_means():
    first, second = [1.0, 2.0, 9.0], [1.0, 1.0, 1.0]
    found = verdicts.difference(first, second)
    assert found.value == 1.0 != np.mean(first) - np.mean(second)
    assert (found.low, found.high) == (0.0, 8.0)  # no resample of three leaves what was seen
    assert found.runs == (3, 3)
    assert verdicts.ratio(first, [2.0, 2.0]).value == 1.0
    assert verdicts.median([None, 3.0, math.nan, 5.0]) == verdicts.median([3.0, 5.0])


def test_intervals_are_those_of_the_normal_distribution_where_runs_are_many():
    sample = np.random.default_rng(1).normal(5.0, 2.0, 400)
    found = verdicts.effect(lambda a: np.mean(a, axis=-1), sample)
    half = 1.96 * sample.std() / math.sqrt(len(sample))
    np.testing.assert_allclose([found.low, found.high], [sample.mean() - half, sample.mean() + half], atol=0.02)
    assert found == verdicts.effect(lambda a: np.mean(a, axis=-1), sample)


def test_a_single_run_decides_nothing():
    found = verdicts.difference([5.0], [1.0])
    assert found.value == 4.0
    assert Statement("", found, least=0.0).outcome == "open"
    assert Statement("", verdicts.median([]), least=0.0).outcome == "open"


def test_a_share_of_nothing_is_no_number():
    assert verdicts.share([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]) == verdicts.ratio([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    nothing = verdicts.share([-0.02, -0.01, -0.03], [-0.02, -0.01, 0.01])
    assert math.isnan(nothing.value) and Statement("", nothing, most=0.25).outcome == "open"
    wrong = verdicts.ratio([-0.02, -0.01, -0.03], [-0.02, -0.01, -0.015])  # of two numbers below 0, as if all were kept
    assert Statement("", wrong, most=0.25).outcome == "fails"
    assert scoreboard.shown(nothing) == "no number [no interval], 3 and 3 runs"


def test_single_runs_do_not_show_that_nothing_changes():
    def values(runs):
        rates = {f"success_rate/{name}": [0.5, 0.6][:runs] for name in ("adef", "single_pixel", "local_search")}
        return {"robustness/classic": rates, "robustness/standard_fc": rates}

    outcomes = [[one.outcome for one in CLAIMS[25].statements(values(runs))] for runs in (1, 2)]
    assert outcomes[0][0] == "open" and outcomes[1][0] == "holds"


def test_spreads_are_relative():
    assert verdicts.spread_ratio([1.0, 3.0], [10.0, 30.0]).value == pytest.approx(1.0)


def test_there_are_28_claims_of_the_thesis_about_studies_that_exist():
    assert list(CLAIMS)[:28] == list(range(1, 29))
    assert all(study in STUDIES for claim in CLAIMS.values() for study in claim.studies)


def judge(number, *values):
    return verdicts.verdict(CLAIMS[number].statements(*values))


def test_parameter_counts():
    counts = {name: {"whole_image": [a], "window": [b]} for name, (a, b) in thesis_autoencoders._COUNTS.items()}
    assert judge(1, counts) == AGREES
    counts["vae_fc"]["window"] = [1_071_626]  # that of the standard one
    assert judge(1, counts) == CONTRADICTED


def accuracies(pool, standard, vae, windows=(2, 8, 32)):
    """Fig. 5.5's values: what three runs reach, by kind a function of code length and window."""
    values = {}
    for code_length in fig_5_5.CODES:
        for window in windows:
            for kind, of in {"pool": pool, "standard": standard, "vae": vae}.items():
                value = of(code_length, window)
                name = fig_5_5.name(kind, code_length, window)
                values[name] = {"val_accuracy": [value, value + 0.001, value - 0.001]}
    return values


def test_intelligent_pooling():
    falls = accuracies(lambda c, w: 0.9 - w / 100, lambda c, w: 0.91, lambda c, w: 0.85 + w / 1000)
    level = accuracies(lambda c, w: 0.9, lambda c, w: 0.8 - w / 100, lambda c, w: 0.95 - w / 100)
    assert (judge(12, falls), judge(12, level)) == (AGREES, CONTRADICTED)
    assert (judge(14, falls), judge(14, level)) == (AGREES, CONTRADICTED)
    assert (judge(13, falls, {}), judge(13, level, {})) == (AGREES, CONTRADICTED)
    assert (judge(23, falls, {}), judge(23, level, {})) == (AGREES, CONTRADICTED)


def test_claims_about_vaes_have_a_statement_for_each_reading():
    values = accuracies(lambda c, w: 0.9, lambda c, w: 0.9, lambda c, w: 0.8)
    better = {f"{fig_5_5.name('vae', 10, 2)}_sample": {"val_accuracy": [0.95, 0.96]}}
    statements = CLAIMS[13].statements(values, better)
    assert [one.outcome for one in statements] == ["holds", "holds", "fails"]
    assert "samples" in statements[-1].words


def test_gain_with_windows_looks_at_one_reading_only():
    values = accuracies(lambda c, w: 0.9, lambda c, w: 0.9, lambda c, w: 0.8 + w / 1000)
    samples = {}
    for window, value in ((2, 0.9), (8, 0.5)):  # of which a rule that mixes them would take the first window
        samples[f"{fig_5_5.name('vae', 10, window)}_sample"] = {"val_accuracy": [value, value]}
    assert [one.outcome for one in CLAIMS[23].statements(values, samples)] == ["holds", "fails"]


def test_weights():
    def values(main, rl):
        return {
            fig_5_8.name(weight): {
                "val_main_loss": [main(weight)] * 2,
                "main_loss": [main(weight) - 0.1 * (weight < 0.1)] * 2,
                "val_lea_rl": [rl(weight)] * 2,
            }
            for weight in fig_5_8.WEIGHTS
        }

    agreeing = values(lambda w: 0.3 + 0.01 * max(w - 0.1, 0), lambda w: 10 - 5 * min(w / 0.1, 1))
    assert judge(19, agreeing) == judge(20, agreeing) == judge(21, agreeing) == AGREES
    contrary = values(lambda w: 0.3 - 0.001 * w, lambda w: 10 if w < 1 else 2)
    assert judge(19, contrary) == CONTRADICTED
    assert judge(20, contrary) != AGREES


def test_overconfidence_is_a_rise_after_the_least_loss_and_not_a_high_one():
    rising, level = [[0.6, 0.5, 0.7]] * 2, [[0.9, 0.9, 0.9]] * 2
    values = {f"samples/{model}_10": {"val_loss": runs} for model, runs in (("classic", rising), ("cnn_lea", level))}
    assert judge(15, values, {}) == AGREES
    values["samples/classic_10"], values["samples/cnn_lea_10"] = (
        values["samples/cnn_lea_10"],
        values["samples/classic_10"],
    )
    assert judge(15, values, {}) == CONTRADICTED


def letters(classifier=0.97, other=0.9, far=4.0, mean=0.02, codes=0.01):
    """What the study of letters may have stored of three runs."""
    values = {"accuracy/classifier": classifier, "nearest/classifier": far, "lookup": classifier, "difference": mean}
    for name in ("random", "representative", "mean"):
        values |= {f"accuracy/{name}": other, f"nearest/{name}": 0.8, f"alike/{name}": 0.05, f"error/{name}": 0.06}
    values["error/codes"] = codes
    return {"letters/targets": {name: [value] * 3 for name, value in values.items()}}


def test_letters():
    assert [judge(number, letters()) for number in range(50, 55)] == [AGREES, AGREES, AGREES, CONTRADICTED, AGREES]
    readable = letters(far=0.8, classifier=0.8)
    assert judge(50, readable) == CONTRADICTED
    assert judge(54, letters(codes=0.2)) == CONTRADICTED
    senseless = letters(mean=0.9)
    senseless["letters/targets"] |= {"nearest/mean": [1.2] * 3, "accuracy/mean": [0.5] * 3}
    assert judge(53, senseless) == AGREES


def defences(withstood, cost=0.02):
    """Accuracy at every ε of three runs, by γ and front end; plain is right about all training images."""
    values = {}
    for (radius, front_end), share in withstood.items():
        plain = (radius, front_end) == (None, False)
        values[beyond_defences.name(radius, front_end)] = {
            "train_accuracy": [1.0 if radius is None else {1: 0.9, 2: 0.96, 5: 0.99}[radius]] * 3,
            "test_accuracy": [0.9 if plain else 0.9 - cost] * 3,
            "accuracy": [[share] * len(beyond_defences.EPSILONS)] * 3,
        }
    return values


def test_defences():
    # γ = 1 costs ten points on training images, so that γ = 2 is judged.
    shares = {(None, False): 0.1, (1, False): 0.9, (2, False): 0.3, (5, False): 0.05}
    shares |= {(None, True): 0.2, (1, True): 0.0, (2, True): 0.4, (5, True): 0.0}
    values = defences(shares)
    assert beyond_defences.chosen_radius(values) == 2
    assert [judge(number, values) for number in range(55, 59)] == [AGREES] * 4
    assert judge(58, defences(shares, cost=0.06)) == CONTRADICTED
    worse = shares | {(2, False): 0.05, (None, True): 0.05, (2, True): 0.04}
    assert [judge(number, defences(worse)) for number in (55, 56, 57)] == [CONTRADICTED] * 3


def test_scoreboard_tells_what_is_missing_and_quotes_reasons():
    stored = {"small": {"T3.1": {"values": {}, "command": "python study.py", "commit": "abc", "notes": []}}}
    counts = {name: {"whole_image": [a], "window": [b + 1]} for name, (a, b) in thesis_autoencoders._COUNTS.items()}
    stored["small"]["T3.1"]["values"] = counts
    page = scoreboard.markdown(stored, {"small/1": "Because one was added."})
    assert "| [1](#claim-1-small-scale) | Table 3.1 |" in page and "**contradicted**" in page
    assert page.count("not run") == len(CLAIMS) - 1
    assert "Because one was added." in page and "commit abc" in page


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (exactly(12), "12"),
        (Effect(0.5, -math.inf, math.inf, (1, 1)), "0.5 [no interval], 1 and 1 runs"),
        (Effect(0.5, 0.25, 0.75, (3,)), "0.5 [0.25, 0.75], 3 runs"),
    ],
)
def test_effects_as_text(found, text):
    assert scoreboard.shown(found) == text


STORED = ROOT / "docs" / "study"


@pytest.mark.skipif(not STORED.is_dir(), reason="no results are stored")
def test_the_scoreboard_and_the_page_are_what_the_stored_results_say():
    stored = report.read(STORED)
    reasons = scoreboard.read_reasons(STORED)
    assert (ROOT / "SCOREBOARD.md").read_text(encoding="utf-8") == scoreboard.markdown(stored, reasons)
    assert (STORED / report.PAGE).read_text(encoding="utf-8") == report.page(stored)


@pytest.mark.skipif(not STORED.is_dir(), reason="no results are stored")
def test_contradicting_verdicts_have_a_reason_and_no_result_names_a_machine():
    reasons = scoreboard.read_reasons(STORED)
    for scale, studies in report.read(STORED).items():
        for number, claim in CLAIMS.items():
            statements = scoreboard.judge(claim, studies)
            if statements and verdicts.verdict(statements) == CONTRADICTED:
                assert len(reasons.get(f"{scale}/{number}", "")) > 80, f"no reason for claim {number}"
        for study in studies.values():
            text = json.dumps(study)
            assert not any(place in text for place in ("/tmp/", "/home/", "/root/", "/work/"))
