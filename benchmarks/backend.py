"""Access of benchmarks to the framework below Keras, from the module that knows it: a process has one of them.

Everything is measured on TensorFlow. On JAX there is what a training step, its products and a GPU's memory need.
"""

import os

import keras
import numpy as np

if keras.backend.backend() == "tensorflow":
    from benchmarks.on_tensorflow import (
        VERSION,
        OutOfMemory,
        accelerators,
        coarse_products,
        compiled,
        operations,
        peak_device_memory,
        product,
        random,
        restart_device_memory,
        thread_limit,
        training_step,
        wait,
    )
elif keras.backend.backend() == "jax":
    from benchmarks.on_jax import (
        VERSION,
        Stepping,
        accelerators,
        compiled,
        peak_device_memory,
        precision,
        product,
        random,
        thread_limit,
        training_step,
        wait,
    )
else:
    raise NotImplementedError(f"benchmarks run on tensorflow and jax. Received: backend={keras.backend.backend()!r}")

__all__ = [
    "VERSION",
    "OutOfMemory",
    "Stepping",
    "accelerators",
    "coarse_products",
    "compiled",
    "cores",
    "images",
    "one_hot",
    "operations",
    "peak_device_memory",
    "precision",
    "product",
    "random",
    "restart_device_memory",
    "thread_limit",
    "threads",
    "training_step",
    "wait",
]


def threads() -> int:
    """How many threads one operation may use."""
    return thread_limit() or cores()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def images(batch: int, size: int, channels: int = 1) -> np.ndarray:
    """Images [batch, size, size, channels], the same every time."""
    return np.random.default_rng(0).random((batch, size, size, channels), dtype=np.float32)


def one_hot(batch: int, classes: int = 10) -> np.ndarray:
    """Labels [batch, classes], one after the other."""
    return np.eye(classes, dtype=np.float32)[np.arange(batch) % classes]
