"""Modules under the names that they had before: ``import lea_keras.layer`` imports ``lea_keras.layers.lea``."""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

#: Where a module of an earlier version is now, both without the package's name.
MOVED = {
    "autoencoder": "autoencoders.base",
    "coders": "autoencoders.coders",
    "chunks": "layers.chunking",
    "differentiation": "layers.autodiff",
    "downloads": "data.downloads",
    "functional": "training.functional",
    "influences": "training.influences",
    "jax_step": "training.jax",
    "layer": "layers.lea",
    "maps": "inspection",
    "model": "training.model",
    "optimizations": "training.schedule",
    "pipelines": "data.pipelines",
    "probe_plot": "plots.probe_plot",
    "progress": "utils",
    "robustness.adef": "robustness.attacks.adef",
    "robustness.decisions": "robustness.attacks.decisions",
    "robustness.deep_fool": "robustness.attacks.deep_fool",
    "robustness.gradients": "robustness.attacks.gradients",
    "robustness.levels": "robustness.attacks.search",
    "robustness.local_search": "robustness.attacks.local_search",
    "robustness.paths": "robustness.attacks.search",
    "robustness.pixels": "robustness.attacks.base",
    "robustness.progress": "utils",
    "robustness.registry": "robustness.attacks.registry",
    "robustness.saliency_map": "robustness.attacks.saliency_map",
    "robustness.salt_and_pepper": "robustness.attacks.salt_and_pepper",
    "robustness.searching": "robustness.attacks.searching",
    "robustness.single_pixel": "robustness.attacks.single_pixel",
    "robustness.slsqp": "robustness.attacks.slsqp",
    "robustness.spatial": "robustness.attacks.spatial",
    "robustness.trials": "robustness.attacks.base",
    "robustness_plot": "plots.robustness_plot",
    "splits": "data.splits",
    "sprites": "data.sprites",
    "steps": "training.trainer",
    "strips": "layers.strips",
    "tensorflow_step": "training.tensorflow",
}
_PACKAGE = __package__ or "lea_keras"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds nothing but what has moved, and that only after everything else has not found it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        has_moved = fullname.removeprefix(f"{_PACKAGE}.") in MOVED and fullname not in MOVED
        return importlib.machinery.ModuleSpec(fullname, self) if has_moved else None

    def exec_module(self, module: Any) -> None:
        # The import system takes what stands here in place of the module that it has made.
        new = MOVED[module.__name__.removeprefix(f"{_PACKAGE}.")]
        sys.modules[module.__name__] = importlib.import_module(f"{_PACKAGE}.{new}")


if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
    sys.meta_path.append(_Finder())
