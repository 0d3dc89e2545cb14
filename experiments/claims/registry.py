"""The claims of all documents, by number."""

from experiments.claims import (
    certificates,
    defences,
    disentanglement,
    letters,
    ours,
    parts,
    robust_vaes,
    slides,
    thesis,
)
from experiments.claims.base import Claim

_DOCUMENTS = (thesis, ours, slides, letters, defences, robust_vaes, disentanglement, parts, certificates)
_ALL = [claim for document in _DOCUMENTS for claim in document.CLAIMS]
#: By number, those of the thesis first.
CLAIMS: dict[int, Claim] = {claim.number: claim for claim in _ALL}
