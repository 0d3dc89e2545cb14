"""The three readings of what a VAE's LEA hands on, measured: ``python benchmarks/code_maps.py --rows=rows.jsonl``.

Trains ``lea_fc`` for eight epochs on 5,000 images of Fashion-MNIST and on 20,000 of sprites, for each reading, two
window sizes, two code lengths and three seeds, and prints test accuracies. Rows are stored as they finish, and the same
command goes on. Several processes share the work by ``--part=0/4``, ``--part=1/4``, … and files of their own.
"""

import argparse
import collections
import itertools
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in this folder there is a module `profile`, as in Python itself

from benchmarks.settings import to_stderr  # noqa: E402
from experiments.config import CODE_MAPS  # noqa: E402

DATASETS = {"fashion_mnist": (5_000, 10_000), "sprites": (20_000, 5_000)}  # training and test images
EPOCHS, BATCH_SIZE, LEARNING_RATE = 8, 64, 1e-3
CASE = ("autoencoder", "dataset", "code_length", "window_size")


def runs(autoencoder: str, datasets: list[str]) -> Iterator[dict[str, Any]]:
    """What is to be trained, the three readings of a case together."""
    for dataset, length, window, seed, reading in itertools.product(datasets, (10, 1), (4, 16), range(3), CODE_MAPS):
        yield dict(zip(CASE, (autoencoder, dataset, length, window), strict=True)) | {
            "seed": seed,
            "code_maps": reading,
        }


def arrays(path: pathlib.Path, datasets: list[str], data_dir: str | None, toy: bool) -> dict[str, Any]:
    """Images and labels of the data sets from an ``.npz``, which is written where it is missing: a machine without
    TensorFlow, which Fashion-MNIST needs, takes one that another machine wrote."""
    import numpy as np

    import lea_keras

    if not path.exists():
        found = {}
        for name, split in itertools.product(datasets, ("train", "test")):
            count = 64 if toy else DATASETS[name][split == "test"]
            data = lea_keras.data.load(name, split, batch_size=min(count, 1000), limit=count, data_dir=data_dir)
            images, labels = (np.concatenate(parts) for parts in zip(*lea_keras.data.batches(data), strict=True))
            found |= {f"{name}_{split}_images": np.round(255 * images).astype("uint8")}
            found |= {f"{name}_{split}_labels": labels.astype("uint8")}
        np.savez_compressed(path, **found)
    with np.load(path) as file:
        return dict(file)


def train(run: dict[str, Any], data: dict[str, Any], epochs: int) -> dict[str, Any]:
    """Trains one model and returns what was to be trained with what came out."""
    import keras

    import models

    keras.utils.clear_session()
    keras.utils.set_random_seed(run["seed"])
    images, labels, test_images, test_labels = (
        data[f"{run['dataset']}_{split}_{what}"].astype("float32") / scale
        for split in ("train", "test")
        for what, scale in (("images", 255), ("labels", 1))
    )
    options = {name: run[name] for name in ("autoencoder", "code_length", "window_size", "code_maps")}
    if run["autoencoder"] == "capacity_vae":
        options["capacity_steps"] = epochs * (len(images) // BATCH_SIZE)
    model = models.lea_fc(images.shape[1:], labels.shape[1], optimization="alternate", **options)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    model.compile(keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-8), loss, metrics=[accuracy])
    history = model.fit(images, labels, batch_size=BATCH_SIZE, epochs=epochs, verbose=0).history
    tested = model.evaluate(test_images, test_labels, batch_size=500, verbose=0, return_dict=True)
    found = {"accuracy": tested["accuracy"], "loss": tested["main_loss"], "rl": tested["lea_rl"]}
    return run | found | {"kl": tested["lea_kl"], "train_accuracy": history["accuracy"][-1]}


def table(rows: list[dict[str, Any]]) -> str:
    """Median [range] of the test accuracy of each case and reading, as Markdown."""
    import numpy as np

    found = collections.defaultdict(list)
    for row in rows:
        found[(*(row[name] for name in CASE), row["code_maps"])].append(row["accuracy"])
    lines = [f"| {' | '.join((*CASE, *CODE_MAPS))} |", f"|{'---|' * (len(CASE) + len(CODE_MAPS))}"]
    for case in dict.fromkeys(key[:-1] for key in found):
        cells = [found[(*case, reading)] for reading in CODE_MAPS]
        texts = [f"{np.median(v):.3f} [{min(v):.3f}, {max(v):.3f}]" if v else "–" for v in cells]
        lines.append(f"| {' | '.join((*map(str, case), *texts))} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Trains what is not stored yet and prints the table."""
    parser = argparse.ArgumentParser(prog="python benchmarks/code_maps.py", description=__doc__)
    parser.add_argument("--rows", type=pathlib.Path, required=True, help="file of finished runs, a line of JSON each")
    parser.add_argument("--arrays", type=pathlib.Path, help=".npz of the data; beside the rows if not given")
    parser.add_argument("--autoencoder", choices=("vae", "capacity_vae"), default="vae")
    parser.add_argument("--datasets", type=lambda text: text.split(","), default=list(DATASETS))
    parser.add_argument("--data_dir", help="folder of TFDS data sets")
    parser.add_argument("--part", default="0/1", help="which of how many parts of the work")
    parser.add_argument("--toy", action="store_true", help="64 images and one epoch, to see that it works")
    options = parser.parse_args(arguments)
    rows = [json.loads(line) for line in options.rows.read_text().splitlines()] if options.rows.exists() else []
    done = [{name: row[name] for name in (*CASE, "seed", "code_maps")} for row in rows]
    part, parts = map(int, options.part.split("/"))
    todo = [run for run in list(runs(options.autoencoder, options.datasets))[part::parts] if run not in done]
    data = {}
    if todo:
        path = options.arrays or options.rows.with_suffix(".npz")
        data = arrays(path, options.datasets, options.data_dir, options.toy)
    for i, run in enumerate(todo):
        to_stderr(f"{i + 1} of {len(todo)}: {run}")
        rows.append(train(run, data, 1 if options.toy else EPOCHS))
        with options.rows.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
