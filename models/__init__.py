"""Reference networks, as functions of plain keyword arguments that return models, not compiled.

Each file is one paper and opens with its citation and the departures from it.
"""

from models.letters import judged, letter_network
from models.thesis import autoencoder, classic, cnn_lea, decoder_free, lea_fc, lea_only, pool_fc

__all__ = [
    "autoencoder",
    "classic",
    "cnn_lea",
    "decoder_free",
    "judged",
    "lea_fc",
    "lea_only",
    "letter_network",
    "pool_fc",
]
