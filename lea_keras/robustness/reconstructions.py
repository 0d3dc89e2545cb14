"""Robustness of an autoencoder's reconstructions: targeted pairs of images, and a judge of what comes out of them."""

import contextlib
import os
import time
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from lea_keras.checks import check_positive_int, check_seed, fail
from lea_keras.robustness.inputs import check_bounds, check_images, check_input_shape, check_labels
from lea_keras.robustness.latent import LatentAttack
from lea_keras.robustness.reconstructing import Reconstructor
from lea_keras.robustness.storing import AttackResults, Store, describe, digest_of, digest_of_weights
from lea_keras.robustness.success import PairRecord, Reconstructions
from lea_keras.utils import Progress, say, slices

_CHUNK = 500  # images that the judge takes at once
_NAME = "latent"  # of what is stored


class _Clean(NamedTuple):
    """What is known of all images before any attack.

    Attributes:
        images: [n, …].
        labels: [n].
        codes: h of each, [n, length].
        factors: of the attack, by which entries of h are multiplied before distances are taken, [length].
        predictions: of the judge on their reconstructions, [n].
    """

    images: np.ndarray
    labels: np.ndarray
    codes: np.ndarray
    factors: np.ndarray
    predictions: np.ndarray


def evaluate_reconstructions(
    model: Any,
    judge: keras.Model,
    images: Any,
    labels: Any,
    attack: LatentAttack | None = None,
    *,
    samples: int | None = None,
    seed: int = 0,
    bounds: tuple[float, float] = (0, 1),
    batch_size: int = 256,
    keep_images: bool = False,
    output_dir: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> Reconstructions:
    """Attacks an autoencoder's reconstructions in targeted pairs and measures how often a judge is fooled.

    Every source is paired with one random image of each other class. Of a pair counts what the judge takes the
    adversarial's reconstruction for: another class than the source's (AS ignore-target), or the target's (AS target).
    Sources whose clean reconstruction the judge does not get right are not attacked and do not count; targets may be
    any **(chosen)**. The results of a pair depend on ``seed`` and the pair alone.

    Args:
        model: a ``keras.Model`` with one LEA on its images, on any grid of windows; that LEA; or a built autoencoder
            whose window is the image. It runs outside training.
        judge: a ``keras.Model`` from images to logits (or probabilities) [n, classes].
        images: [n, rows, columns, channels] (or channels first where the LEA has them so): sources and targets.
        labels: their classes, integers [n] or one-hot [n, classes].
        attack: None: ``LatentAttack()``, the published one. Its standardised scale is that of all images.
        samples: how many images are sources, as many of each class as there are: the first ones. None: all.
        seed: of targets and of the attack's starts, from 0 to 2³² − 1.
        bounds: the least and the largest value that images may have.
        batch_size: pairs that are attacked at once; the last batch is filled up, so that one loop serves all.
        keep_images: whether the result has the adversarials, too.
        output_dir: a folder where every batch is stored as soon as it is attacked. Called again with the same
            arguments, finished batches are not attacked again. None: nothing is stored.
        verbose: 0: silent. 1: prints progress, with the time that is left.

    Returns:
        Success rates and distances of all pairs, and the judge's accuracy on clean reconstructions.

    Raises:
        ValueError: in one line, before any attack starts: for a model without a LEA on its images; images that are not
            finite, outside the bounds or not what the model takes; labels that are not theirs; fewer than two classes;
            a judge that takes no such images or whose outputs are not finite; a stored result that is damaged or of
            something else.
        OSError: if the folder cannot be used; ``BlockingIOError`` while another process attacks for it.
    """
    attack = LatentAttack() if attack is None else attack
    if not isinstance(attack, LatentAttack):
        raise fail("attack", "a LatentAttack", attack)
    seed, bounds = check_seed(seed), check_bounds(bounds)
    batch_size = check_positive_int("batch_size", batch_size)
    images = check_images(images, bounds)
    reconstructor = Reconstructor(model, images.shape[1:], bounds)
    if not isinstance(judge, keras.Model):
        raise fail("judge", "a keras.Model", judge)
    check_input_shape(judge, (None, *images.shape[1:]), taker="judge")
    clean, error, classes = _look(reconstructor, judge, images, labels, attack)
    sources = stratified(clean.labels, samples)
    kept = sources[clean.predictions[sources] == clean.labels[sources]]
    pairs = draw_pairs(kept, clean.labels, classes, seed)
    store = None
    if output_dir is not None:
        digests = {"weights": digest_of_weights(reconstructor.layer), "judge_weights": digest_of_weights(judge)}
        digests |= {"images": digest_of(images), "labels": digest_of(clean.labels)}
        digests |= {"predictions": digest_of(clean.predictions), "pairs": digest_of(pairs)}
        store = Store(output_dir, digests | {"seed": seed, "bounds": list(bounds), "batch_size": batch_size})
    results = _attack_all(reconstructor, judge, clean, pairs, attack, seed, batch_size, keep_images, store, verbose)
    correct = clean.predictions == clean.labels
    by_class = [float(np.mean(correct[clean.labels == one])) if one in clean.labels else None for one in range(classes)]
    return Reconstructions(
        classes,
        len(sources),
        len(kept),
        float(np.mean(correct)),
        by_class,
        error,
        results.records,
        results.images,
        describe(attack),
    )


def stratified(labels: np.ndarray, count: int | None) -> np.ndarray:
    """Indices of the first images of each class, in turn: all first ones, then all second ones, … **(chosen)**.

    Args:
        labels: [n].
        count: how many; None: all, in the order of the images.

    Raises:
        ValueError: if there are fewer.
    """
    if count is None:
        return np.arange(len(labels))
    if check_positive_int("samples", count) > len(labels):
        raise fail("samples", f"at most {len(labels)}, the number of images", count)
    turns = np.zeros(len(labels), int)
    for one in np.unique(labels):
        members = np.flatnonzero(labels == one)
        turns[members] = np.arange(len(members))
    return np.sort(np.lexsort((labels, turns))[:count])


def draw_pairs(sources: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Pairs each source with one random image of every other class that has images, with replacement.

    Args:
        sources: indices.
        labels: of all images, [n].
        classes: how many there are.
        seed: together with a source's index of its targets.

    Returns:
        Indices of sources and targets, int64 [pairs, 2], source by source.
    """
    members = [np.flatnonzero(labels == one) for one in range(classes)]
    pairs = []
    for source in sources:
        random = np.random.RandomState((seed, int(source)))
        for one, images in enumerate(members):
            place = random.random_sample()  # drawn for every class, so that none depends on the others
            if one != labels[source] and len(images):
                pairs.append((source, images[int(place * len(images))]))
    return np.array(pairs, np.int64).reshape(-1, 2)


def judge_classes(judge: keras.Model, images: np.ndarray) -> tuple[np.ndarray, int]:
    """The class of each image [n], and how many classes the judge has.

    Raises:
        ValueError: if the judge's outputs are not finite, or not [n, classes] of at least two.
    """
    parts = [
        np.asarray(ops.convert_to_numpy(judge(ops.convert_to_tensor(images[part]), training=False)))
        for part in slices(len(images), _CHUNK)
    ]
    outputs = np.concatenate(parts)
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise fail("judge", "a model with one output [n, classes] of at least two classes", outputs.shape)
    if not np.all(np.isfinite(outputs)):
        raise fail("judge", "a model whose outputs are finite", "NaN or infinite outputs")
    return np.argmax(outputs, axis=1), outputs.shape[1]


def _look(
    reconstructor: Reconstructor, judge: keras.Model, images: np.ndarray, labels: Any, attack: LatentAttack
) -> tuple[_Clean, float, int]:
    """What is known of all images, the mean squared error of their reconstructions, and the number of classes."""
    codes, reconstructed = reconstructor.representations(images), reconstructor.reconstructions(images)
    if not (np.all(np.isfinite(codes)) and np.all(np.isfinite(reconstructed))):
        raise fail("model", "a model whose codes and reconstructions are finite", "NaN or infinite ones")
    predictions, classes = judge_classes(judge, reconstructed)
    labels = check_labels(labels, len(images), classes, "judge")
    if len(np.unique(labels)) < 2:
        raise fail("labels", "of at least two classes, so that there are pairs", np.unique(labels).tolist())
    factors = attack.factors(codes)
    error = np.sum(np.square(reconstructed.astype(np.float64) - images), axis=(1, 2, 3))
    return _Clean(images, labels, codes, factors, predictions), float(np.mean(error)), classes


def _attack_all(
    reconstructor: Reconstructor,
    judge: keras.Model,
    clean: _Clean,
    pairs: np.ndarray,
    attack: LatentAttack,
    seed: int,
    batch_size: int,
    keep_images: bool,
    store: Store | None,
    verbose: int,
) -> AttackResults:
    """Attacks pair by pair, a batch at a time; those that are stored are taken over."""
    size = min(batch_size, max(len(pairs), 1))
    batches = [pairs[part] for part in slices(len(pairs), size)]
    names, options = [f"{_NAME}_{i:05}" for i in range(len(batches))], describe(attack)
    stored = [None if store is None else store.load(name, options, keep_images, PairRecord) for name in names]
    if done := sum(len(one.records) for one in stored if one is not None):
        say(verbose, f"Latent attack: {done} of {len(pairs)} pairs were attacked before")
    progress = Progress("Latent attack", len(pairs) - done, "pairs attacked", verbose=verbose, begins_slowly=True)
    descend = attack.compile(reconstructor)
    results, attacked = [], 0
    with contextlib.nullcontext() if store is None else store.owned(_NAME), progress.meanwhile():
        for name, batch, before in zip(names, batches, stored, strict=True):
            if before is None:
                before = _attack_batch(reconstructor, judge, clean, batch, attack, descend, seed, size, keep_images)
                if store is not None:
                    store.save(name, options, before)
                attacked += len(batch)
                progress.update(attacked)
            results.append(before)
    progress.end()
    records = [record for one in results for record in one.records]
    if not keep_images:
        return AttackResults(records, None)
    images = [one.images for one in results]
    return AttackResults(records, np.concatenate(images) if images else clean.images[:0])


def _attack_batch(
    reconstructor: Reconstructor,
    judge: keras.Model,
    clean: _Clean,
    pairs: np.ndarray,
    attack: LatentAttack,
    descend: Any,
    seed: int,
    size: int,
    keep_images: bool,
) -> AttackResults:
    started = time.perf_counter()
    sources, targets = pairs[:, 0], pairs[:, 1]
    seeds = [(seed, int(source), int(target)) for source, target in pairs]
    originals = clean.images[sources]
    starts = attack.starts(originals, seeds, reconstructor.bounds)
    filled = np.arange(size) % len(pairs)
    aims = clean.codes[targets]
    found = descend(originals[filled], starts[filled], aims[filled], clean.factors)[: len(pairs)]
    found = np.where(np.all(np.isfinite(found), axis=(1, 2, 3), keepdims=True), found, originals)
    predictions, _ = judge_classes(judge, reconstructor.reconstructions(found))
    codes = reconstructor.representations(found)
    changes = (found.astype(np.float64) - originals) / (reconstructor.bounds[1] - reconstructor.bounds[0])
    flat = changes.reshape(len(pairs), -1)
    columns = {
        "source": sources,
        "target": targets,
        "source_class": clean.labels[sources],
        "target_class": clean.labels[targets],
        "predicted_after": predictions,
        "distance": np.mean(np.square(flat), axis=1),
        "l2": np.linalg.norm(flat, axis=1),
        "linf": np.max(np.abs(flat), axis=1),
        "latent_before": np.linalg.norm((clean.codes[sources] - aims) * clean.factors, axis=1),
        "latent_after": np.linalg.norm((codes - aims) * clean.factors, axis=1),
        "seconds": np.full(len(pairs), (time.perf_counter() - started) / len(pairs)),
    }
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    records = [PairRecord(**dict(zip(columns, row, strict=True))) for row in rows]
    return AttackResults(records, found.astype("float32") if keep_images else None)
