"""The two kinds of attacks under one set of names: ours, and those of foolbox 1.8."""

from lea_keras.robustness.attacks.foolbox18.registry import ATTACKS_1_8
from lea_keras.robustness.attacks.registry import ATTACKS, Factory

NEAREST = "nearest"  # every attack looks for its smallest perturbation
SEMANTICS: dict[str, dict[str, Factory]] = {NEAREST: ATTACKS, "foolbox18": ATTACKS_1_8}
