"""Claims 70 to 74 against values made up to agree or to contradict, and the study behind them."""

import pytest
from backends import once

from experiments.claims import disentanglement, verdicts
from experiments.claims.registry import CLAIMS
from experiments.claims.verdicts import AGREES, CONTRADICTED, UNDECIDED
from experiments.studies import beyond_disentanglement as study

pytestmark = once


def values(mig, dci, udr, nll=(100, 100, 110, 100, 100, 100)):
    """Three runs of each kind, in the order of ``KINDS``."""
    found = {}
    for kind, *of_kind in zip(study.KINDS, mig, dci, udr, nll, strict=True):
        names = ("mig", "dci", "udr", "nll")
        found[study.name(kind)] = {
            one: [value, value + 0.001, value - 0.001] for one, value in zip(names, of_kind, strict=True)
        }
        found[study.name(kind)]["sap"] = found[study.name(kind)]["mig"]
    return found


def judge(number, of):
    return verdicts.verdict(CLAIMS[number].statements(of))


RISING, FALLING = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), (0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def test_claims():
    agreeing = values(RISING, RISING, RISING)
    assert [judge(number, agreeing) for number in range(70, 75)] == [AGREES] * 5
    contrary = values(FALLING, FALLING, RISING, nll=(100, 100, 90, 100, 100, 100))
    assert [judge(number, contrary) for number in (70, 71, 72, 74)] == [CONTRADICTED] * 4
    assert judge(73, values(RISING, FALLING, RISING)) == CONTRADICTED


def test_values_that_are_missing_decide_nothing():
    some = {name: of for name, of in values(RISING, RISING, RISING).items() if name.endswith(("/standard", "/vae"))}
    assert judge(70, some) == AGREES
    assert [judge(number, some) for number in (71, 72, 73, 74)] == [UNDECIDED] * 4
    single = values(RISING, RISING, RISING)
    for of in single.values():
        of["udr"] = [None]
    assert judge(74, single) == UNDECIDED


@pytest.mark.parametrize(("second", "rho"), [(RISING, 1), (FALLING, -1), ((0.2, 0.1, 0.3, 0.4, 0.5, 0.6), 33 / 35)])
def test_rank_correlation_is_spearmans(second, rho):
    found = disentanglement.rank_correlation([[one] * 3 for one in RISING], [[one] * 3 for one in second])
    assert found[:3] == pytest.approx((rho, rho, rho))


def test_the_table_has_medians_and_ranges():
    stored = values(RISING, RISING, RISING)
    for of in stored.values():
        of |= {measure: [1.0, 1.0] for measure in study.MEASURES if measure not in of}
    heads, rows = study.table({"values": stored})
    assert heads[:4] == ["score", "better", "standard", "VAE"]
    assert rows[0] == ["MIG", "higher", *(f"{one:g} [{one - 0.001:g}, {one + 0.001:g}]" for one in RISING)]
    assert rows[-1][:2] == ["NLL", "lower"] and ["dead codes", ""] == rows[-3][:2] and rows[-3][2] == "1"


def test_capacity_rises_over_three_quarters_of_training():
    planned = {one.name: one for one in study.STUDY.plan("small")}
    arguments = planned["disentanglement/capacity_vae"].measures["network"]["arguments"]
    assert arguments["capacity_steps"] == round(0.75 * 157 * 15) and arguments["code_length"] == 10
    assert planned["disentanglement/beta_vae"].measures["network"]["arguments"]["beta"] == 2.0
    assert list(planned["disentanglement/vae"].measures) == ["network", "disentanglement"]
