"""The claims of all documents, by number."""

from experiments.claims import defences, letters, ours, robust_vaes, slides, thesis
from experiments.claims.base import Claim

_ALL = (*thesis.CLAIMS, *ours.CLAIMS, *slides.CLAIMS, *letters.CLAIMS, *defences.CLAIMS, *robust_vaes.CLAIMS)
#: By number, those of the thesis first.
CLAIMS: dict[int, Claim] = {claim.number: claim for claim in _ALL}
