"""Measurements that ``gpu.py`` has made in a process with JAX: device, matrix rate, steps. Nothing else imports it."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from benchmarks import backend, cases, machine, operations, products
from experiments import networks
from experiments.config import CONFIGS, IMAGE_SIZES, RunConfig

CLASSES = 3  # shapes of dSprites
BLOCKS = 9  # of steps or products, of which the median counts
FEW = 3  # as many at least
SIDES = (4096, 8192, 16384)  # of the square matrices whose product sets the rate
CPU_SIDES = (1024, 2048)
TOY_SIDES = (128,)
TOY = cases.Case(16, 4, (4, 8))
FULL = cases.Case(IMAGE_SIZES["dsprites"][0], 64)

# What JAX calls the precision of products of float32 numbers; those of bfloat16 numbers are as they are.
_PRODUCTS = {"float32": "highest", "TF32": "tensorfloat32", "bfloat16": None}


class _Times(NamedTuple):
    """Seconds per call, over blocks of calls: median and quartiles."""

    median: float
    low: float
    high: float


def device(command: str) -> dict[str, Any]:
    """Names of the GPUs, empty on a CPU; and the Markdown lines on the machine.

    Args:
        command: that measures all this.
    """
    return {"gpus": backend.accelerators(), "facts": machine.describe(command)}


def rate(precision: str, toy: bool, seconds: float) -> float:
    """Floating point operations per second in products of large square matrices: the best of several sizes and blocks.

    Args:
        precision: "float32", "TF32" or "bfloat16".
        toy: whether the matrices are small.
        seconds: that it may take, roughly, beside compiling.
    """
    sides = TOY_SIDES if toy else SIDES if backend.accelerators() else CPU_SIDES
    best = 0.0
    with backend.precision(_PRODUCTS[precision]):
        multiply = backend.compiled(lambda a, b: backend.product(a, b, False, False))
        for side in sides:
            a, b = (backend.random((side, side), _dtype(precision)) for _ in range(2))
            times = _blocks(lambda a=a, b=b: multiply(a, b), seconds / len(sides))
            best = max(best, 2 * side**3 / min(times))
    return best


def measure(model: str, precision: str, toy: bool, seconds: float) -> dict[str, Any]:
    """Steps of a model and, after them, its plain products.

    Args:
        model: "cnn_lea" or "lea_fc".
        precision: "float32", "TF32" or "bfloat16".
        toy: whether images, batches and filters are few.
        seconds: that the steps may take, roughly, beside compiling; the products take half as many.

    Returns:
        "step" and "products": seconds, each [median, lower quartile, upper quartile]; "needed": floating point
        operations of the matrix products and convolutions that a step needs; "counted": those that XLA counts in it, or
        None; "peak": bytes of the device's memory at most in use until all steps were done, or None; "compiled":
        seconds until the step was.
    """
    case = TOY if toy else FULL
    config = CONFIGS[model].replace(
        dataset="dsprites",
        filters=case.filters,
        batch_size=case.batch,
        optimization="alternate",
        mixed_precision="bfloat16" if precision == "bfloat16" else "none",
    )
    keras.utils.set_random_seed(0)
    with networks.precision(config):
        built = networks.build(config, (case.size, case.size, 1), CLASSES, steps_per_epoch=1)
        networks.compile_model(built, config)
    batch = backend.images(case.batch, case.size), backend.one_hot(case.batch, CLASSES)
    with backend.precision(_PRODUCTS[precision]):
        started = time.perf_counter()
        stepping = backend.Stepping(built, batch)
        counted = stepping.operations()
        compiled = time.perf_counter() - started
        steps = _summary(_blocks(stepping, seconds))
        peak = backend.peak_device_memory()  # before the products, which need memory of their own
        alone = _summary(_blocks(_products(model, case, config, precision), seconds / 2))
    return {
        "step": steps,
        "products": alone,
        "needed": 2 * _multiply_adds(model, case, config),
        "counted": counted,
        "peak": peak,
        "compiled": compiled,
    }


def _products(model: str, case: cases.Case, config: RunConfig, precision: str) -> Callable[[], Any]:
    def random(shape: tuple[int, int]) -> Any:
        return backend.random(shape, _dtype(precision))

    if model == "cnn_lea":
        return products.launching(case.leas, xla=True, random=random)
    window = config.window_size
    leas = [(case.batch * (case.size // window) ** 2, window**2)]
    return products.launching(leas, xla=True, products=products.AT_THE_FRONT, random=random)


def _multiply_adds(model: str, case: cases.Case, config: RunConfig) -> int:
    if model == "cnn_lea":
        return operations.cnn_step("alternate", case.size, case.batch, case.filters, CLASSES)
    return operations.lea_fc_step(case.size, case.batch, config.window_size, CLASSES)


def _dtype(precision: str) -> str:
    return "bfloat16" if precision == "bfloat16" else "float32"


def _blocks(launch: Callable[[], Any], seconds: float) -> list[float]:
    """Seconds per call: of blocks of calls that are asked for one after the other, and waited for together, so that a
    device need not wait for Python."""

    def block(count: int) -> float:
        before = time.perf_counter()
        for _ in range(count):
            output = launch()
        backend.wait(output)
        return (time.perf_counter() - before) / count

    block(2)  # compiles
    one = block(3)
    blocks = max(FEW, min(BLOCKS, int(seconds / one)))
    count = max(1, int(seconds / blocks / one))
    return [block(count) for _ in range(blocks)]


def _summary(times: Sequence[float]) -> _Times:
    low, middle, high = statistics.quantiles(times, n=4, method="inclusive")
    return _Times(middle, low, high)
