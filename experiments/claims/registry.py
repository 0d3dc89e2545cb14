"""The claims of all documents, by number."""

from experiments.claims import ours, slides, thesis
from experiments.claims.base import Claim

#: By number, those of the thesis first.
CLAIMS: dict[int, Claim] = {claim.number: claim for claim in (*thesis.CLAIMS, *ours.CLAIMS, *slides.CLAIMS)}
