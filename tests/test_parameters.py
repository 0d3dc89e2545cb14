"""Table 3.1 of the thesis, as the command prints it."""

from experiments import parameters

TABLE = {
    ("vae", "sb"): (52_053, 42_196, "18.94%"),
    ("standard", "sb"): (51_723, 41_866, "19.06%"),
    ("vae", "fc"): (2_509_604, 1_081_876, "56.89%"),
    ("standard", "fc"): (2_493_914, 1_071_626, "57.03%"),
    ("vae", "conv"): (25_776_516, 301_716, "98.83%"),
    ("standard", "conv"): (25_776_186, 301_386, "98.83%"),
}


def test_every_count_and_reduction_is_that_of_the_thesis(monkeypatch):
    rows = list(parameters.count())
    counts = {(row.autoencoder, row.coders): (row.whole_image, row.window, f"{row.reduction:.2%}") for row in rows}
    assert counts == TABLE
    monkeypatch.setattr(parameters, "count", lambda: rows)  # to count takes seconds, millions of weights are drawn
    lines = [line.split() for line in parameters.table().splitlines()]
    assert lines[0] == ["autoencoder", "coders", "28x28x1", "4x4x32", "reduction"]
    assert ["vae", "sb", "52,053", "42,196", "18.94%"] in lines[1:]
