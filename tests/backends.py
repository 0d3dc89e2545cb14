"""Test files that run under another backend, and why the others do not.

`pytest` alone runs everything under TensorFlow, and `test_on_jax.py` runs the files in `ON_JAX` once more in a process
of its own, under JAX and without TensorFlow; what is no different there is marked `once` in them. `KERAS_BACKEND=jax
pytest` does the same directly.
"""

import importlib.metadata
import os

import pytest

BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# Small tests wait for XLA's compiler, not for what it makes. An unknown flag ends a process, and so versions in which
# these were not tried get none.
_XLA_FLAGS = (
    "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)
_TRIED = {"tensorflow": "2.21.", "jaxlib": "0.10."}


def quick_to_compile(package, flags=""):
    """Environment variables for a process in which "tensorflow" or "jaxlib" compiles quickly.

    Args:
        package: which of them.
        flags: others for XLA.
    """
    try:
        tried = importlib.metadata.version(package).startswith(_TRIED[package])
    except importlib.metadata.PackageNotFoundError:
        tried = False
    return {
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0",  # of each operation where in Python it comes from
        "XLA_FLAGS": " ".join([flags, _XLA_FLAGS if tried else ""]),
    }


def kept_compilations(folder):
    """Environment variables for processes under JAX that compile what is the same once, and keep it in a folder."""
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


ON_JAX = (
    "test_callbacks.py",
    "test_categorical.py",
    "test_code_search.py",
    "test_coders.py",
    "test_constraints.py",
    "test_data_on_jax.py",
    "test_distribution.py",
    "test_info.py",
    "test_joint.py",
    "test_layer.py",
    "test_likelihoods.py",
    "test_layers_pooling.py",
    "test_losses.py",
    "test_metrics.py",
    "test_model.py",
    "test_optimizers.py",
    "test_quantization.py",
    "test_robustness_attack.py",
    "test_robustness_certificates.py",
    "test_robustness_foolbox18_registry.py",
    "test_robustness_gradients.py",
    "test_robustness_latent.py",
    "test_robustness_polytope.py",
    "test_robustness_spatial.py",
    "test_robustness_victim.py",
    "test_saving.py",
    "test_stacks.py",
    "test_steps.py",
    "test_strips.py",
    "test_whole_image.py",
    "test_tied.py",
    "test_windows.py",
)

needs_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow itself")

# For tests of what does not depend on the backend, or what other tests under JAX depend on: see ``few``.
once = pytest.mark.skipif(BACKEND != "tensorflow", reason="the same on every backend")


def few(values, kept):
    """All values for a test's parameter under TensorFlow, and those to keep elsewhere.

    Under JAX a test costs compilations, however small it is, and what differs between the values is the same code on
    every backend.
    """
    return values if BACKEND == "tensorflow" else kept
