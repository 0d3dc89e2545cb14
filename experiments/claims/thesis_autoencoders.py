"""Statements of the thesis' claims about autoencoders: their sizes, times and losses, and what codes hold."""

from experiments.claims.base import Values, at_end
from experiments.claims.verdicts import Statement, difference, exactly, median, ratio, spread_ratio
from experiments.studies import autoencoders, fig_5_1, fig_5_2, local

_COUNTS = {
    "vae_sb": (52_053, 42_196),
    "standard_sb": (51_723, 41_866),
    "vae_fc": (2_509_604, 1_081_876),
    "standard_fc": (2_493_914, 1_071_626),
    "vae_conv": (25_776_516, 301_716),
    "standard_conv": (25_776_186, 301_386),
}


def counts(values: Values) -> list[Statement]:
    found = {name: (of["whole_image"][0], of["window"][0]) for name, of in values.items()}
    equal = sum(found[name][i] == thesis[i] for name, thesis in _COUNTS.items() for i in (0, 1))
    return [Statement("counts of Table 3.1 that come out exactly", exactly(equal), 12, 12)]


def times(values: Values) -> list[Statement]:
    """Within a fifth of 151 : 125 and 112 : 125, for both types."""
    statements = []
    for kind in ("standard", "vae"):
        seconds = {coders: values[f"time/{kind}_{coders}"]["seconds"] for coders in ("conv", "fc", "sb")}
        for coders, thesis in (("conv", 151 / 125), ("sb", 112 / 125)):
            words = f"seconds of {coders} over fc, {kind} (thesis: {thesis:.2f})"
            statements.append(Statement(words, ratio(seconds[coders], seconds["fc"]), thesis / 1.2, thesis * 1.2))
    return statements


def time_per_parameter(values: Values) -> list[Statement]:
    statements = []
    for kind in ("standard", "vae"):
        of = {coders: values[f"time/{kind}_{coders}"] for coders in ("conv", "fc", "sb")}
        each = {coders: [seconds / one["parameters"][0] for seconds in one["seconds"]] for coders, one in of.items()}
        for coders in ("fc", "conv"):
            words = f"{kind}: seconds a parameter of sb over {coders}"
            statements.append(Statement(words, ratio(each["sb"], each[coders]), least=10.0))
    return statements


def k_sparse(values: Values) -> list[Statement]:
    sparse, standard = (values[autoencoders.name(kind, "fc")] for kind in ("k_sparse", "standard"))
    losses = [at_end(of["val_lea_rl"]) for of in (sparse, standard)]
    dead = [run[-1] for run in sparse["lea_dead_codes"] if run[-1] is not None]
    with_dead = sum(count > 0 for count in dead)
    words = f"spread of RL between runs, k-sparse over standard ({with_dead} of {len(dead)} runs had dead codes)"
    return [
        Statement("RL of k-sparse over standard", ratio(*losses), least=1.0),
        Statement(words, spread_ratio(*losses), least=1.0),
    ]


def capacity(values: Values) -> list[Statement]:
    losses = [at_end(values[autoencoders.name(kind, "fc")]["val_lea_rl"]) for kind in ("capacity_vae", "vae")]
    return [Statement("RL of the capacity VAE over the VAE", ratio(*losses), most=1.0)]


def combinations(values: Values) -> list[Statement]:
    runs = {coders: values[autoencoders.name("vae", coders)]["val_lea_rl"] for coders in autoencoders.CODERS}
    ends = {coders: at_end(of) for coders, of in runs.items()}
    lowest = {coders: [min(run) for run in of] for coders, of in runs.items()}
    rises = [run[-1] / min(run) for run in runs["conv"]]
    return [
        Statement("least RL of conv over that of fc", ratio(lowest["conv"], lowest["fc"]), most=1.0),
        Statement("least RL of conv over that of sb", ratio(lowest["conv"], lowest["sb"]), most=1.0),
        Statement("conv overfits: last RL over its least", median(rises), least=1.02),
        Statement("RL of sb over fc", ratio(ends["sb"], ends["fc"]), least=1.0),
        Statement("spread of RL between runs, sb over fc", spread_ratio(ends["sb"], ends["fc"]), least=1.0),
    ]


def normalised(values: Values) -> list[Statement]:
    of = values[local.NAME]
    statements = []
    for lea in ("lea_1", "lea_2"):
        change = {name: [run[-1] / run[0] for run in of[f"val_{lea}_{name}"]] for name in ("rl", "rln")}
        statements.append(Statement(f"{lea}: RL at the end over its first", median(change["rl"]), least=1.0))
        statements.append(Statement(f"{lea}: RLN at the end over its first", median(change["rln"]), most=1.0))
    return statements


def separated(values: Values) -> list[Statement]:
    of = values[fig_5_1.NAME]
    active = [sum(code > fig_5_1.ACTIVE for code in run) for run in of["kl"]]
    statements = [Statement("active codes, of ten", median(active), 4, 6)]
    for factor in ("x", "y", "scale"):
        gaps = fig_5_1.leads(of[f"explained/{factor}"])
        words = f"{factor}: what the best code explains of it, less what the next one does"
        statements.append(Statement(words, median(gaps), least=0.5))
    return statements


def coherent(values: Values) -> list[Statement]:
    statements = []
    for dataset in fig_5_2.DATASETS:
        if fig_5_2.name(dataset) in values:
            of = values[fig_5_2.name(dataset)]
            words = f"{dataset}: correlation of neighbours in code maps, less that in shuffled ones (samples: images)"
            gap = difference(of["coherence"], of["coherence_shuffled"])
            statements.append(Statement(words, gap, least=0.3))
    return statements
