"""Disentangled autoencoders against latent attacks: trained, attacked and judged, one model and seed in a run.

S. Sootla, "Investigating the Robustness of Disentangled Variational Autoencoders to Adversarial Examples" (MSc report,
University College London, 2018). His three models, and two that differ from them in one thing each: a β-VAE and a
capacity-controlled VAE without categories, with as many Gaussian variables **(chosen)**.

Departures: the attack is as the report's text says, and not as its code; judge and codes are deterministic; the judge
is trained anew for every seed, the same for all models of it **(chosen)**.
"""

import contextlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

import lea_keras
import models
from experiments import arrays, evaluation, whole_networks
from experiments.arrays import Images, computed, few_steps
from experiments.config import RunConfig
from experiments.results import Results
from lea_keras import robustness
from lea_keras.robustness.success import KINDS, typical_pairs
from lea_keras.utils import write_atomically

FILE, PICTURES = "joint.json", "joint.npz"
JUDGE_FILE, TRAINED_FILE = "judge.keras", "trained.json"
SHOWN = 10  # pairs in a picture
_CHUNK = 500


class Settings(NamedTuple):
    """What is trained, and how it is attacked.

    Attributes:
        dataset: of ``lea_keras.data``.
        image_size: as in ``lea_keras.data.load``; 32 or 64.
        limit: training images; None: all.
        test_limit: test images, sources and targets of attacks; None: all.
        autoencoder: its name.
        arguments: of it, beside those of ``network`` and the steps of capacities, which are those of training.
        network: arguments of ``models.joint_vae``.
        l2: of ``lea_keras.optimizers.CoupledAdam``.
        epochs: of training.
        learning_rate: of Adam.
        batch_size: in training, of the judge, too.
        judge_epochs: of the judge's training.
        judge_learning_rate: of SGD with momentum 0.5.
        samples: sources of the attack; None: all test images.
        attack_steps: of the attack.
        attack_learning_rate: of the attack.
        variants: by name, arguments of ``robustness.LatentAttack``; the first one is for all seeds.
        varied_seeds: for how many seeds all variants are run.
    """

    dataset: str
    image_size: int
    limit: int | None
    test_limit: int | None
    autoencoder: str
    arguments: Mapping[str, Any]
    network: Mapping[str, Any]
    l2: float
    epochs: int
    learning_rate: float
    batch_size: int
    judge_epochs: int
    judge_learning_rate: float
    samples: int | None
    attack_steps: int
    attack_learning_rate: float
    variants: Mapping[str, Mapping[str, Any]]
    varied_seeds: int


def measure(folder: pathlib.Path, config: RunConfig, options: Mapping[str, Any]) -> None:
    """Trains an autoencoder and a judge, attacks it, and stores what comes out in the folder of results.

    What is trained already, or attacked, is taken over, so that it goes on after an interruption.
    """
    settings = Settings(**options)
    training, test = (_load(config, settings, split) for split in ("train", "test"))
    model, judge, steps = _trained(folder, config, settings, training)
    measured = whole_networks.measure(model, test.images)
    found: dict[str, Any] = {"steps": steps, "judge_accuracy": _accuracy(judge, test)}
    found |= {name: measured.get(name) for name in ("rl", "nll", "kl", "discrete_kl")}
    found["purity"] = purity(model.get_layer("lea").autoencoder, test)
    variants = list(settings.variants.items())
    shown: dict[str, np.ndarray] = {}
    for name, arguments in variants if config.seed < settings.varied_seeds else variants[:1]:
        attack = robustness.LatentAttack(
            steps=settings.attack_steps, learning_rate=settings.attack_learning_rate, **arguments
        )
        result = robustness.evaluate_reconstructions(
            model,
            judge,
            *test,
            attack,
            samples=settings.samples,
            seed=config.seed,
            keep_images=True,
            output_dir=folder / "attacks" / name,
            verbose=0,
        )
        found |= {f"{name}/{measure}": value for measure, value in attacked(result).items()}
        if not shown:
            found["accuracy"], found["kept"] = result.accuracy, result.kept
            found |= looks(model, training, test, result)
            shown = examples(model, test, result)
    with contextlib.closing(Results(folder / evaluation.FOLDER, [folder])) as results:
        results.write_json(FILE, found)
        results.write_arrays(PICTURES, shown)


def _load(config: RunConfig, settings: Settings, split: str) -> Images:
    limit = settings.limit if split == "train" else settings.test_limit
    return arrays.load(config, settings.dataset, split, limit, settings.image_size)


def _trained(
    folder: pathlib.Path, config: RunConfig, settings: Settings, training: Images
) -> tuple[Any, keras.Model, int]:
    """The autoencoder, the judge, and the number of training steps; loaded if they have been trained before."""
    steps = settings.epochs * -(-len(training.images) // settings.batch_size)
    told = json.dumps({"seed": config.seed, "steps": steps, **settings._asdict()}, sort_keys=True, default=list)
    paths = [folder / name for name in (whole_networks.MODEL_FILE, JUDGE_FILE)]
    note = folder / TRAINED_FILE
    if note.is_file() and note.read_text(encoding="utf-8") == told:
        model, judge = (_loaded(path) for path in paths)
        return model, judge, steps
    judge = trained_judge(config.seed, settings, training)
    keras.utils.set_random_seed(config.seed)
    arguments = {**settings.arguments}
    if settings.autoencoder != "vae":
        arguments["capacity_steps"] = steps
    network = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.network.items()}
    model = models.joint_vae(training.images.shape[1:], autoencoder=settings.autoencoder, **network, **arguments)
    optimizer = lea_keras.optimizers.CoupledAdam(settings.learning_rate, l2=settings.l2, epsilon=1e-8)
    model.compile(optimizer, run_eagerly=few_steps(training.images, settings.batch_size, settings.epochs))
    model.fit(training.images, batch_size=settings.batch_size, epochs=settings.epochs, verbose=0)
    for path, trained in zip(paths, (model, judge), strict=True):
        temporary = path.with_name(f"new_{path.name}")
        trained.save(temporary)
        temporary.replace(path)
    write_atomically(note, told)
    return model, judge, steps


def _loaded(path: pathlib.Path) -> Any:
    return keras.models.load_model(path, compile=False)


def trained_judge(seed: int, settings: Settings, training: Images) -> keras.Model:
    """The classifier of reconstructions, trained on real images."""
    keras.utils.set_random_seed(seed)
    judge: Any = models.reconstruction_judge(training.images.shape[1:], int(training.labels.max()) + 1)
    judge.compile(
        keras.optimizers.SGD(settings.judge_learning_rate, momentum=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=few_steps(training.images, settings.batch_size, settings.judge_epochs),
    )
    judge.fit(*training, batch_size=settings.batch_size, epochs=settings.judge_epochs, verbose=0)
    return judge


def _accuracy(judge: keras.Model, images: Images) -> float:
    return float(np.mean(np.argmax(computed(judge, images.images), axis=1) == images.labels))


def purity(autoencoder: Any, test: Images) -> float | None:
    """The share of images whose class is the commonest of its category's; None without categories."""
    categories = getattr(autoencoder, "categories", ())
    if not categories:
        return None
    chosen = np.argmax(computed(autoencoder.representation, test.images)[:, -categories[-1] :], axis=1)
    counts = np.zeros((categories[-1], int(test.labels.max()) + 1))
    np.add.at(counts, (chosen, test.labels), 1)
    return float(np.sum(np.max(counts, axis=1)) / len(test.labels))


def attacked(result: robustness.Reconstructions) -> dict[str, Any]:
    """Success rates, their intervals over sources, and distances, for JSON."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        cells = result.matrix(kind)
        found[kind] = getattr(result.mean(), kind)
        found[f"{kind}/interval"] = result.interval(kind)
        found[f"{kind}/matrix"] = [[value if np.isfinite(value) else None for value in row] for row in cells.tolist()]
    return found | {name: result.mean_of(name) for name in ("l2", "linf", "latent_before", "latent_after")}


def looks(model: Any, training: Images, test: Images, result: robustness.Reconstructions) -> dict[str, float | None]:
    """How natural the reconstructions of adversarials look that fool the judge, and how far Gaussian codes moved.

    Returns:
        "natural": their mean distance to the nearest training image, over that of the sources' clean reconstructions.
        "moved": the mean of ‖μ(x*) − μ(x_s)‖ / ‖μ(x_t) − μ(x_s)‖. None where no adversarial fools the judge.
    """
    places = [i for i, record in enumerate(result.records) if record.succeeded(KINDS[0])]
    if not places:
        return {"natural": None, "moved": None}
    reconstructor = robustness.Reconstructor(model, test.images.shape[1:])
    autoencoder, found = reconstructor.autoencoder, result.adversarials[places]
    sources, targets = (test.images[[getattr(result.records[i], end) for i in places]] for end in ("source", "target"))
    far, near = (np.mean(nearest(reconstructor.reconstructions(x), training.images)) for x in (found, sources))
    gaussians = autoencoder.code_length - sum(getattr(autoencoder, "categories", ()))
    after, before, aims = (reconstructor.representations(x)[:, :gaussians] for x in (found, sources, targets))
    shares = np.linalg.norm(after - before, axis=1) / np.maximum(np.linalg.norm(aims - before, axis=1), 1e-6)
    return {"natural": float(far / max(near, 1e-6)), "moved": float(np.mean(shares))}


def nearest(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The L2 distance of each image to the nearest known one, [n]."""
    flat, others = images.reshape(len(images), -1), known.reshape(len(known), -1)
    squares, found = np.sum(others**2, axis=1), []
    for start in range(0, len(flat), _CHUNK):
        part = flat[start : start + _CHUNK]
        distances = np.sum(part**2, axis=1)[:, None] + squares - 2 * part @ others.T  # [images, known]
        found.append(np.sqrt(np.maximum(np.min(distances, axis=1), 0)))
    return np.concatenate(found)


def examples(model: Any, test: Images, result: robustness.Reconstructions) -> dict[str, np.ndarray]:
    """Pairs spread over all: sources, adversarials and targets, their reconstructions, and what the judge says.

    Without a pair there is the "first" test image alone.
    """
    places = typical_pairs(result.records, min(SHOWN, len(result.records))) if result.records else []
    records = [result.records[i] for i in places]
    reconstructor = robustness.Reconstructor(model, test.images.shape[1:])
    of_rows = {end: test.images[[getattr(r, end) for r in records]] for end in ("source", "target")} if records else {}
    of_rows |= {"adversarial": result.adversarials[places]} if records else {}
    shown = {"first": test.images[:1]}
    for name, images in of_rows.items():
        shown |= {name: images, f"{name}_reconstructed": reconstructor.reconstructions(images)}
    said: Sequence[tuple[int, int, int]] = [(r.source_class, r.target_class, r.predicted_after) for r in records]
    return shown | {"classes": np.array(said, int).reshape(-1, 3)}
