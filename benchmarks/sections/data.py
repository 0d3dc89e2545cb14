"""The step with its data in memory beside the step that is fed by ``lea_keras.data.load``."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

import lea_keras
from benchmarks import backend
from benchmarks.settings import Settings
from benchmarks.table import Row
from benchmarks.timing import compare, median
from experiments import networks
from experiments.config import CONFIGS

# Data sets that are not generated, tried where a folder is given.
OTHERS = ("mnist", "fashion_mnist", "cifar10", "dsprites")
# Steps in one call: many beside the two batches that the pipeline holds ready.
MODELS = {"lea_fc": 40, "classic": 20, "cnn_lea": 5}


@dataclasses.dataclass(frozen=True)
class _Sizes:
    limit: int | None
    batch: int | None
    filters: tuple[int, int]


def rows(settings: Settings) -> list[Row]:
    """Fed over in memory: of a quick model, for which a pipeline is hardest to keep up with, and of slower ones."""
    sizes = _Sizes(16, 4, (4, 4)) if settings.toy else _Sizes(None, None, (32, 64))
    found = []
    for name in ("sprites", *(OTHERS if settings.data_dir else ())):
        try:
            load = _loader(name, settings.data_dir, sizes)
        except FileNotFoundError:
            found.append(Row(f"data.load({name!r})", beside="not in the folder given as --data_dir"))
            continue
        for model, steps in list(MODELS.items())[: 1 if settings.toy else None]:
            found.append(_row(settings, name, model, steps, load, sizes))
    return found


def _loader(name: str, data_dir: str | None, sizes: _Sizes) -> Callable[[int], Any]:
    def load(batch: int) -> Any:
        return lea_keras.data.load(name, "train", batch_size=batch, limit=sizes.limit, data_dir=data_dir)

    load(sizes.batch or 1)  # drawn or read once per process
    return load


def _row(settings: Settings, name: str, model: str, steps: int, load: Callable[[int], Any], sizes: _Sizes) -> Row:
    info = lea_keras.data.info(name)
    batch = sizes.batch or (8 if model == "cnn_lea" else info.batch_size)
    config = CONFIGS[model].replace(dataset=name, filters=sizes.filters, jit_compile=False)
    batches = load(batch)
    # The last batch of an epoch is smaller: another shape, for which the step would be traced anew in the middle.
    whole = batches.filter(lambda images, labels: keras.ops.shape(images)[0] == batch)
    functions = {}
    # Of the same unknown batch size, so that nothing but where the data comes from is different.
    for how, data in (("in memory", whole.take(1).cache()), ("fed", whole)):
        keras.utils.set_random_seed(0)
        built = networks.build(config, info.image_shape, info.classes, steps_per_epoch=1)
        networks.compile_model(built, config)
        functions[how] = _steps(backend.training_step(built, data), 2 if settings.toy else steps)
    times = settings.measure(f"{model} on {name}, batch {batch}", functions, turns=9)
    rate = batch * (2 if settings.toy else steps) / median(times, "fed")
    beside = f"{rate:.0f} images a second when fed"
    return Row(
        f"{model}, {name} by data.load, batch {batch}",
        "data in memory",
        compare(times, "fed", "in memory"),
        None,
        beside,
    )


def _steps(step: Callable[[], Any], count: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            step()

    return run
