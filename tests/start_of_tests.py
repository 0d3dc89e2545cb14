"""Start of every test: a quiet backend, two logical devices, seeds set, no state left by the test before."""

import functools
import gc
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from backends import BACKEND, kept_compilations, quick_to_compile

if BACKEND == "jax":
    sys.modules["tensorflow"] = None  # importing it now fails as if it were not installed
    os.environ |= quick_to_compile("jaxlib", "--xla_force_host_platform_device_count=2")
else:
    os.environ |= quick_to_compile("tensorflow")

import keras
import pytest

import lea_keras.callbacks
import lea_keras.data
from experiments import compiling

if BACKEND == "jax":
    from jax._src.interpreters import mlir

    # One for all functions in place of one for each: to make it is a fifth of what a small one takes to be compiled.
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)

if BACKEND == "tensorflow":
    import tensorflow as tf
    from tensorflow.python import pywrap_tfe

    forget_kernels = pywrap_tfe.TFE_ContextClearCaches
    # Two logical CPUs, so that MirroredStrategy has something to mirror; it must be said before TensorFlow starts.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(scope="session")
def jax_environment(tmp_path_factory):
    """The environment of processes under JAX, which compile quickly and share what they have compiled."""
    shared = tmp_path_factory.getbasetemp()
    shared = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "compiled"  # that of all workers
    given = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return given | quick_to_compile("jaxlib") | kept_compilations(shared)


gc.set_threshold(50_000, 20, 50)  # what models leave behind is much to look through, and seldom garbage


@pytest.fixture(scope="module", autouse=True)
def small_heap():
    """Takes what is there before a file's tests, libraries and what they never let go, out of the collector's way:
    looking through all of it took more than a second each time, and Keras asks for that at every ``clear_session``."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def kept_kernels():
    """Keeps TensorFlow's kernels of eager operations from test to test of a file: to make one takes twenty times as
    long as to run it, and Keras forgets them all whenever a session is cleared or a seed set. Only kernels of
    operations that have random states of their own, which Keras' have not, would behave differently: `own_kernels`."""
    if BACKEND != "tensorflow":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pywrap_tfe, "TFE_ContextClearCaches", lambda context: None)
        yield
    keras.utils.clear_session(free_memory=False)


@pytest.fixture
def own_kernels(monkeypatch):
    """Lets a seed that is set reach operations that are random by themselves, as those of foolbox' attacks are."""
    if BACKEND == "tensorflow":
        monkeypatch.setattr(pywrap_tfe, "TFE_ContextClearCaches", forget_kernels)


@pytest.fixture(autouse=True)
def fresh_keras():
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


@pytest.fixture(scope="module")
def few_test_images():
    """A hundred test images instead of 10 006, to save time where whole command lines run."""
    load = lea_keras.data.load

    def load_few(name, split, **kwargs):
        return load(name, split, **kwargs | ({"limit": 100} if split == "test" else {}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lea_keras.data, "load", load_few)
        yield


@pytest.fixture(scope="module")
def untraced():
    """To save time where the few steps of a run take less than to trace one and how it is compiled is not the question.
    JAX cannot do without."""
    with compiling.eager():
        yield


@pytest.fixture
def eagerly():
    """As ``untraced``, for single tests of a file in which others are about what is traced."""
    with compiling.eager():
        yield


@pytest.fixture(scope="module")
def no_pictures_while_training():
    """To save time where runs are trained for something else than what TensorBoard shows of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LEAPictures", "CapacityReadout"):
            patch.setattr(lea_keras.callbacks, name, lambda *_, **__: keras.callbacks.Callback())
        yield
