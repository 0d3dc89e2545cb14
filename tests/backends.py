"""Test files that run under another backend, and why the others do not.

`pytest` alone runs everything under TensorFlow, and `test_on_jax.py` runs the files in `ON_JAX` once more in processes
of their own, under JAX and without TensorFlow. `KERAS_BACKEND=jax pytest` does the same directly.
"""

import os

import pytest

BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# Files that share a process, which takes seconds to start.
ON_JAX = (
    (
        "test_steps.py",
        "test_coders.py",
        "test_distribution.py",
    ),
    (
        "test_layer.py",
        "test_model.py",
        "test_quantization.py",
        "test_saving.py",
        "test_strips.py",
        "test_windows.py",
    ),
    (
        "test_callbacks.py",
        "test_losses.py",
        "test_metrics.py",
        "test_robustness_attack.py",
        "test_robustness_gradients.py",
        "test_robustness_spatial.py",
        "test_robustness_victim.py",
    ),
)

needs_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow itself")
