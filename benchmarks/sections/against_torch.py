"""The alternate step of ``cnn_lea`` beside the same step in PyTorch, which is needed for nothing else."""

import importlib.util
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from benchmarks import backend, cases, products
from benchmarks.settings import Settings
from benchmarks.table import Goal, Row
from benchmarks.timing import compare, median

EAGER = Goal(at_least=1.3)
COMPILED = Goal(at_least=1.0)
STEPS = 3  # in which the losses are compared
PAUSE = 0.02  # OpenMP's threads wait actively for a while, on the cores that come next


def rows(settings: Settings) -> list[Row]:
    """PyTorch's step, as written and compiled, over that of ``lea_keras``, for the same weights and losses."""
    if importlib.util.find_spec("torch") is None:
        return [Row("PyTorch twin", beside="left out: torch is not installed")]
    from benchmarks import twin

    twin.prepare(backend.threads(), backend.coarse_products())
    return [row for case in cases.cases(settings) for row in _rows(settings, case)]


def _rows(settings: Settings, case: cases.Case) -> list[Row]:
    from benchmarks import twin

    apart = differences(case)
    if apart > tolerance():
        raise AssertionError(f"the losses of both must agree to {tolerance():g}. Received: {apart:.2g}")
    images, labels = backend.images(case.batch, case.size), backend.one_hot(case.batch, cases.CLASSES)
    functions: dict[str, Callable[[], Any]] = {}
    for mode in (None, "auto"):
        functions[f"lea_keras, chunk_windows={mode}"] = cases.step(cases.cnn(case, chunk_windows=mode), case)
    ours = list(functions)
    weights = twin.weights_of(cases.cnn(case))
    functions |= {"products": products.floor(case.leas), "products in PyTorch": twin.floor(case.leas)}
    functions["eager"] = twin.Twin(weights).stepping(images, labels)
    found = []
    if settings.toy:  # compiling takes a minute
        found.append(Row("torch.compile", beside="left out at toy size"))
    else:
        step = twin.Twin(weights, compile=True).stepping(images, labels)
        try:
            step()
            functions["compiled"] = step
        except Exception as error:  # there may be no C++ compiler
            found.append(Row("torch.compile", beside=f"cannot run here: {type(error).__name__}: {_line(error)}"))
    times = settings.measure(f"PyTorch, {case}", functions, turns=15, pause=PAUSE)
    ratio = compare(times, "products in PyTorch", "products")
    found.append(Row(f"PyTorch, the seven products × 2 LEAs, {case}", "the same products here", ratio))
    for name, goal in (("eager", EAGER), ("compiled", COMPILED)):
        for base in ours if name in functions else ():
            own = compare(times, name, "products in PyTorch").median
            beside = f"{own:.2f} over its own products; {1e3 * median(times, name):.0f} ms; losses agree to {apart:.0e}"
            found.append(
                Row(f"PyTorch, {name}, alternate step, {case}", base, compare(times, name, base), goal, beside)
            )
    return found


def tolerance() -> float:
    """How far losses may lie apart, relative to their size: rounding, which is coarse on a GPU."""
    return 1e-2 if backend.accelerators() else 1e-4


def differences(case: cases.Case) -> float:
    """The largest relative difference of any loss in the first steps of both, which are fed the same noise."""
    from benchmarks import twin

    model = cases.cnn(case)
    other = twin.Twin(twin.weights_of(model))
    rng = np.random.default_rng(1)
    noises = [rng.standard_normal((windows, 10), dtype=np.float32) for windows, _ in case.leas]
    for lea, noise in zip(model.lea_layers, noises, strict=True):
        lea.autoencoder.draw_noise = _fixed(noise)
    step = cases.step(model, case)
    images, labels = backend.images(case.batch, case.size), backend.one_hot(case.batch, cases.CLASSES)
    theirs = other.stepping(images, labels, noises)
    largest = 0.0
    for _ in range(STEPS):
        model.reset_metrics()
        losses = step()
        expected = [losses[name] for name in ("main_loss", "lea_1_loss", "lea_2_loss")]
        for one, two in zip(theirs(), expected, strict=True):
            largest = max(largest, abs(one - two) / abs(two))
    return largest


def _fixed(noise: np.ndarray) -> Callable[[Any, bool], Any]:
    return lambda count, training: keras.ops.convert_to_tensor(noise) if training else None


def _line(error: Exception) -> str:
    return (str(error).strip() or "?").splitlines()[0]
