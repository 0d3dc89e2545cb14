"""The 28 claims of the thesis, each with its statements, written down before the runs that decide them.

Thresholds are chosen here, as the thesis has words only **(chosen)**: "worse" and "better" are any difference in that
direction, "the same" and "hardly" are what each statement says. Accuracies and losses are those on test data after the
last epoch unless another is named. Where the thesis leaves open what a VAE hands on, a claim about VAEs is made of one
statement for each reading.
"""

from typing import Any

from experiments.claims import thesis_autoencoders as of_autoencoders
from experiments.claims import thesis_classifiers as of_classifiers
from experiments.claims import thesis_robustness as of_robustness
from experiments.claims.base import Claim


def _claim(number: int, place: str, words: str, studies: tuple[str, ...], statements: Any, stand_in: str = "") -> Claim:
    return Claim(number, "Thesis", place, words, studies, statements, stand_in)


CLAIMS: list[Claim] = [
    _claim(
        1,
        "Table 3.1",
        "The parameter counts of six autoencoders on images and on windows.",
        ("T3.1",),
        of_autoencoders.counts,
    ),
    _claim(2, "Table 3.2", "conv, fc and sb train in times like 151 : 125 : 112.", ("T3.2",), of_autoencoders.times),
    _claim(3, "Fig. 3.4", "k-sparse is worse and less stable than standard.", ("3.4",), of_autoencoders.k_sparse),
    _claim(4, "Fig. 3.4", "The capacity VAE surpasses the VAE in reconstruction.", ("3.4",), of_autoencoders.capacity),
    _claim(
        5,
        "Fig. 3.5",
        "conv reaches the lowest loss but overfits; sb is worst and varies most.",
        ("3.5",),
        of_autoencoders.combinations,
    ),
    _claim(6, "Fig. 4.1", "RLN falls while RL rises.", ("4.1",), of_autoencoders.normalised),
    _claim(
        7,
        "Fig. 5.1",
        "x, y and scale are perfectly separated, and five of ten codes encode anything.",
        ("5.1",),
        of_autoencoders.separated,
        "a code explains the square of its rank correlation with a factor; it is active above 0.1 nats of KL",
    ),
    _claim(
        8,
        "Fig. 5.2",
        "Every code map shows a coherent pattern.",
        ("5.2",),
        of_autoencoders.coherent,
        "neighbours in a coherent map are alike: their correlation, against maps whose places are shuffled",
    ),
    _claim(
        9,
        "Fig. 5.4",
        "The output layer holds close to no information about any factor.",
        ("5.4",),
        of_classifiers.output,
    ),
    _claim(
        10,
        "Fig. 5.4",
        "Classic loses orientation, CNN-LEA keeps and improves it.",
        ("5.4",),
        of_classifiers.orientation,
    ),
    _claim(11, "Fig. 5.4", "Scale becomes clearer in later layers.", ("5.4",), of_classifiers.scale),
    _claim(
        12,
        "Fig. 5.5",
        "With one code variable LEA-standard is at least as good as max-pooling at every window.",
        ("5.5",),
        of_classifiers.at_least_max_pool,
    ),
    _claim(13, "Fig. 5.5", "The VAE hurts with windows of 2×2.", ("5.5", "readings"), of_classifiers.vae_at_two),
    _claim(
        14,
        "Fig. 5.5",
        "With ten code variables max-pooling falls with the window, LEAs do not.",
        ("5.5",),
        of_classifiers.larger_windows,
    ),
    _claim(
        15,
        "Fig. 5.6",
        "With 10 and 500 samples Classic becomes overconfident, CNN-LEA does not.",
        ("5.6", "repeated"),
        of_classifiers.overconfidence,
        "overconfidence is a test loss that has risen by 5 % from its least",
    ),
    _claim(16, "Fig. 5.6", "Classic converges faster.", ("5.6",), of_classifiers.faster),
    _claim(
        17,
        "Fig. 5.7",
        "ADef, Deep Fool and SLSQP succeed more often on CNN-LEAs, PGD and Saliency Map slightly less.",
        ("5.7",),
        of_robustness.some_more_some_less,
        of_robustness.SUCCESS,
    ),
    _claim(
        18,
        "Fig. 5.7",
        "Single Pixel succeeds less often on the standard and the capacity-controlled CNN-LEAs.",
        ("5.7",),
        of_robustness.single_pixel,
    ),
    _claim(19, "Fig. 5.8", "RL falls with λ up to 0.1, and no further.", ("5.8",), of_classifiers.reconstruction),
    _claim(20, "Fig. 5.8", "The classification loss rises with λ.", ("5.8",), of_classifiers.classification),
    _claim(21, "Fig. 5.8", "λ = 0.1 is the sweet spot, with less overfitting.", ("5.8",), of_classifiers.sweet_spot),
    _claim(
        22, "Chapter 6", "Training takes up to ten times as long as that of a CNN.", ("time",), of_classifiers.slower
    ),
    _claim(
        23,
        "Section 5.3",
        "With ten code variables the VAE's LEA improves with larger windows.",
        ("5.5", "readings"),
        of_classifiers.vae_and_windows,
    ),
    _claim(
        24,
        "Chapter 7",
        "LEAs beat max-pooling at larger code lengths, except with small windows.",
        ("5.5",),
        of_classifiers.code_length,
    ),
    _claim(
        25,
        "Section 5.5, chapter 7",
        "Robustness does not change significantly, except against attacks on scores.",
        ("5.7",),
        of_robustness.unchanged,
        of_robustness.SUCCESS,
    ),
    _claim(
        26,
        "Section 5.5",
        "ADef, SLSQP and Blur need larger distances; Salt and Pepper and Spatial succeed less often.",
        ("5.7",),
        of_robustness.distances,
    ),
    _claim(
        27,
        "Section 5.4",
        "The gap between training and test is smaller for LEAs; 10 and 500 samples stay near chance; both end alike.",
        ("5.6",),
        of_classifiers.gaps,
    ),
    _claim(
        28, "Table 3.2", "sb takes by far the most time per parameter.", ("T3.2",), of_autoencoders.time_per_parameter
    ),
]
