"""All scores of the same codes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lea_keras.checks import check_choice, fail
from lea_keras.disentanglement.scores.beta_vae import beta_vae
from lea_keras.disentanglement.scores.dci import dci
from lea_keras.disentanglement.scores.explicitness import explicitness
from lea_keras.disentanglement.scores.factor_vae import factor_vae
from lea_keras.disentanglement.scores.irs import irs
from lea_keras.disentanglement.scores.mig import mig
from lea_keras.disentanglement.scores.modularity import modularity
from lea_keras.disentanglement.scores.sap import sap
from lea_keras.disentanglement.scores.total_correlation import total_correlation
from lea_keras.disentanglement.scores.wasserstein_correlation import wasserstein_correlation

#: By name, those that compare codes with factors.
SUPERVISED: Mapping[str, Callable[..., Any]] = {
    "mig": mig,
    "dci": dci,
    "sap": sap,
    "factor_vae": factor_vae,
    "beta_vae": beta_vae,
    "modularity": modularity,
    "explicitness": explicitness,
    "irs": irs,
}
#: By name, those of codes alone; ``udr`` needs several models.
UNSUPERVISED: Mapping[str, Callable[..., Any]] = {
    "total_correlation": total_correlation,
    "wasserstein_correlation": wasserstein_correlation,
}
SCORES = (*SUPERVISED, *UNSUPERVISED)
SHARED = ("bootstrap", "seed", "dead_below")


def measure(
    codes: Any,
    factors: Any,
    scores: Sequence[str] = SCORES,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    **shared: Any,
) -> dict[str, Any]:
    """Computes several scores of the same codes.

    Args:
        codes: [n, d].
        factors: [n, k] labels.
        scores: which, of ``SCORES``.
        options: by the name of a score, arguments of its own.
        **shared: arguments of all of them: ``SHARED``.

    Returns:
        By name, the named tuples, whose first field is the ``score``.

    Raises:
        ValueError: for a name that there is not, or as the scores do.
        ImportError: if one of them needs scikit-learn and it is not installed.
    """
    if isinstance(scores, str):
        raise fail("scores", "a sequence of names", scores)
    for name in scores:
        check_choice("scores", name, SCORES)
    for name in options or {}:
        check_choice("options", name, SCORES)
    for name in shared:
        check_choice("shared", name, SHARED)
    found = {}
    for name in scores:
        own = {**shared, **(options or {}).get(name, {})}
        of_codes = name in UNSUPERVISED
        found[name] = UNSUPERVISED[name](codes, **own) if of_codes else SUPERVISED[name](codes, factors, **own)
    return found
