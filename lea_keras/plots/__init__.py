"""Pictures of what LEAs learned. Every function returns a matplotlib figure; nothing is shown or saved.

What a LEA makes of images comes from ``lea_keras.inspect``: the functions take its inspections, or a model and images.
matplotlib is imported where a picture is drawn, so that importing the package stays cheap.
"""

from lea_keras.plots.curves import metric_curves, metric_label
from lea_keras.plots.distributions import histograms
from lea_keras.plots.factor_maps import factor_activations
from lea_keras.plots.generated import latent_manifold, samples
from lea_keras.plots.pairs import adversarials, pairs
from lea_keras.plots.pictures import code_maps, confidence_maps, reconstructions, windows
from lea_keras.plots.pixels import pixels
from lea_keras.plots.scatter import codes
from lea_keras.plots.score_maps import score_maps, score_matrix
from lea_keras.plots.traversal import latent_traversal
from lea_keras.plots.views import lea_layers, names, with_decoder
from lea_keras.plots.weights import filters

__all__ = [
    "adversarials",
    "code_maps",
    "codes",
    "confidence_maps",
    "factor_activations",
    "filters",
    "histograms",
    "latent_manifold",
    "latent_traversal",
    "lea_layers",
    "metric_curves",
    "metric_label",
    "names",
    "pairs",
    "pixels",
    "reconstructions",
    "samples",
    "score_maps",
    "score_matrix",
    "windows",
    "with_decoder",
]
