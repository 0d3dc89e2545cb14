"""The 28 claims of the thesis."""

from experiments.claims.base import Claim

CLAIMS: list[Claim] = []
