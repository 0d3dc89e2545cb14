"""The claims of all documents, by number."""

from experiments.claims import defences, disentanglement, letters, ours, parts, slides, thesis
from experiments.claims.base import Claim

_OF_STUDIES = (*letters.CLAIMS, *defences.CLAIMS, *disentanglement.CLAIMS, *parts.CLAIMS)
_ALL = (*thesis.CLAIMS, *ours.CLAIMS, *slides.CLAIMS, *_OF_STUDIES)
#: By number, those of the thesis first.
CLAIMS: dict[int, Claim] = {claim.number: claim for claim in _ALL}
