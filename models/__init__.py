"""Reference networks, as functions of plain keyword arguments that return models, not compiled.

Each file is one document and opens with its citation and the departures from it.
"""

from models.dense import dense_autoencoder
from models.joint_vae import joint_vae, reconstruction_judge
from models.letters import judged, letter_network
from models.slides import beta_vae, beta_vae_chairs, deep_autoencoder, k_sparse
from models.slides import vae as slides_vae
from models.thesis import autoencoder, classic, cnn_lea, decoder_free, lea_fc, lea_only, pool_fc

__all__ = [
    "autoencoder",
    "beta_vae",
    "beta_vae_chairs",
    "classic",
    "cnn_lea",
    "decoder_free",
    "deep_autoencoder",
    "dense_autoencoder",
    "joint_vae",
    "judged",
    "k_sparse",
    "lea_fc",
    "lea_only",
    "letter_network",
    "pool_fc",
    "reconstruction_judge",
    "slides_vae",
]
