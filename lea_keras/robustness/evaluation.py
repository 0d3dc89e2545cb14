"""Robustness of a model: attacks on its test samples, with a record of each."""

import contextlib
import os
import re
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import foolbox
import keras
import numpy as np

from lea_keras.checks import check_choice, check_positive_int, check_seed, fail
from lea_keras.robustness.attacks.registry import Factory
from lea_keras.robustness.attacks.semantics import NEAREST, SEMANTICS
from lea_keras.robustness.inputs import check_bounds, check_images, check_labels
from lea_keras.robustness.records import Record, Summary, summarize, to_rows
from lea_keras.robustness.storing import AttackResults, Store, describe, digest_of, digest_of_weights
from lea_keras.robustness.victim import Victim, draw_from
from lea_keras.utils import Progress, say, slices

Attack = foolbox.attacks.base.Attack
_NAME = re.compile(r"\w[\w.-]*")


class Robustness(NamedTuple):
    """What ``evaluate`` found.

    Attributes:
        attacks: their names, in the order in which they ran.
        samples: how many images there were.
        accuracy: the share of them that the model classifies correctly. Only those are attacked.
        masked_gradients: the share of the attacked samples for which the gradient of the log loss with respect to the
            image is zero everywhere, or not finite; None if none was attacked. Where it is above 0, gradient-based
            attacks may fail for want of a direction, which is no sign of robustness.
        attacked: [k] int64, the indices of the attacked samples.
        records: one per attack and attacked sample, attack by attack.
        images: by attack, what it made of the attacked samples, [k, …] float32, clipped to the bounds; the image itself
            where no adversarial was found. Empty unless images were to be kept.
        semantics: "nearest" or "foolbox18", as given.
    """

    attacks: tuple[str, ...]
    samples: int
    accuracy: float
    masked_gradients: float | None
    attacked: np.ndarray
    records: list[Record]
    images: dict[str, np.ndarray]
    semantics: str = NEAREST

    def summary(self) -> list[Summary]:
        """Success rate, distances, model calls and seconds of each attack."""
        return [summarize(attack, self.records, self.semantics) for attack in self.attacks]

    def to_rows(self) -> list[dict[str, Any]]:
        """The records as plain dictionaries, for a table, CSV or JSON."""
        return to_rows(self.records)


def evaluate(
    model: keras.Model,
    images: Any,
    labels: Any,
    attacks: str | Sequence[str] | Mapping[str, Attack] | None = None,
    *,
    semantics: str = NEAREST,
    seed: int = 0,
    bounds: tuple[float, float] = (0, 1),
    batch_size: int = 100,
    keep_images: bool = False,
    output_dir: str | os.PathLike[str] | None = None,
    verbose: int = 1,
) -> Robustness:
    """Attacks a model and measures how often that succeeds, and with how large a perturbation (thesis section 4.6).

    Only samples that the model classifies correctly are attacked, without a target: an adversarial is any image within
    the bounds that it takes for another class. What an attack returns is clipped to the bounds and classified again
    here; its own word for it is not taken.

    An attack named here has its seed from ``seed``, its name and the place of the batch, so that its results depend
    neither on the order of the attacks nor on which others there are. Nothing global changes. Attacks given as objects
    bring their own randomness, but on JAX what foolbox's attacks draw comes from such a seed, too.

    Args:
        model: a ``keras.Model`` that maps images to logits [n, classes]. It runs outside training, without decoders.
        images: [n, rows, columns, channels], or with channels first where ``keras.config.image_data_format()`` says so.
        labels: their classes, integers [n] or one-hot [n, classes].
        attacks: names from ``ATTACKS``, one or a sequence; None or "all": all of them. Or attacks of foolbox 3 by
            names of your own; they must search for the smallest perturbation, as ``SmallestEpsilon`` does around one
            that takes a fixed ε.
        semantics: "nearest": names are those of ``ATTACKS``, each in search of its smallest perturbation. "foolbox18":
            those of ``ATTACKS_1_8``, as in the thesis' version of foolbox; it handed misclassified samples back at
            distance 0, which are not attacked here either way. Attacks given as objects are recorded as what this says.
        seed: of everything random in the named attacks, from 0 to 2³² − 1.
        bounds: the least and the largest value that images may have; distances are in units of their range.
        batch_size: samples that are attacked at once. Random attacks draw other numbers for another one.
        keep_images: whether the result has the adversarial images, too.
        output_dir: a folder where the result of every attack is stored as soon as it has finished. Called again with
            the same arguments, finished attacks are not run again. None: nothing is stored.
        verbose: 0: silent. 1: prints a line per attack, with the time that is left.

    Returns:
        Records of all attacks on all attacked samples, accuracy, and the share of masked gradients.

    Raises:
        ValueError: in one line, before any attack starts: for an unknown attack (the nearest is named); images that are
            not finite, outside the bounds or not what the model takes; labels that are not theirs; a model that is
            random outside training or returns probabilities or logits that are not finite; a stored result that is
            damaged or of something else.
        OSError: if the folder cannot be used; ``BlockingIOError`` while another process runs the same attack for it.

    Warns:
        UserWarning: if gradients are masked.
    """
    makers = _makers(attacks, SEMANTICS[check_choice("semantics", semantics, SEMANTICS)])
    seed, bounds = check_seed(seed), check_bounds(bounds)
    batch_size = check_positive_int("batch_size", batch_size)
    images = check_images(images, bounds)
    victim = Victim(model, images.shape[1:], bounds)
    progress = Progress("Before the attacks", 2 * len(images), "images through the model", verbose=verbose)
    with victim.watched(progress.update), progress.meanwhile():
        logits = victim.check(images)
    progress.end()
    labels = check_labels(labels, *logits.shape)
    predictions = np.argmax(logits, axis=1)
    attacked = np.flatnonzero(predictions == labels)
    shared = {"seed": seed, "bounds": list(bounds), "batch_size": batch_size}
    store, stored, options = None, {}, {name: describe(make(seed)) for name, make in makers.items()}
    if output_dir is not None:
        digests = {"weights": digest_of_weights(model), "images": digest_of(images), "labels": digest_of(labels)}
        store = Store(output_dir, {**digests, "predictions": digest_of(predictions), **shared}, semantics)
        stored = {name: store.load(name, options[name], keep_images) for name in makers}
    progress = Progress("Gradients", 2 * len(attacked), "images through the model", verbose=verbose)
    with victim.watched(progress.update), progress.meanwhile():
        masked = _masked_gradients(victim, images[attacked], labels[attacked])
    progress.end()
    accuracy = len(attacked) / len(images)
    say(verbose, f"{len(attacked)} of {len(images)} samples are classified correctly and attacked ({accuracy:.4f})")
    results = {}
    for i, (name, make) in enumerate(makers.items(), 1):
        title = f"{name} ({i} of {len(makers)})"
        if stored.get(name) is not None:
            results[name] = stored[name]
            say(verbose, f"{title}: done before; {_outcome(name, results[name], semantics)}")
            continue
        progress = Progress(title, len(attacked), "samples attacked", verbose=verbose)
        owned = store.owned(name) if store is not None else contextlib.nullcontext()
        with owned, victim.watched(partial(_tell_calls, progress)), progress.meanwhile():
            results[name] = _attack(
                victim, images, labels, attacked, name, make, seed, batch_size, progress, keep_images, semantics
            )
            if store is not None:
                store.save(name, options[name], results[name])
        progress.end(_outcome(name, results[name], semantics))
    return Robustness(
        tuple(makers),
        len(images),
        accuracy,
        masked,
        attacked,
        [record for of_attack in results.values() for record in of_attack.records],
        {name: of_attack.images for name, of_attack in results.items()} if keep_images else {},
        semantics,
    )


def _makers(attacks: Any, factories: Mapping[str, Factory] = SEMANTICS[NEAREST]) -> dict[str, Callable[[int], Attack]]:
    """What makes each attack, given a seed, by name."""
    if attacks is None or isinstance(attacks, str) and attacks == "all":
        attacks = list(factories)
    if isinstance(attacks, Mapping):
        for name, attack in attacks.items():
            _check_attack(name, attack)
        makers = {name: lambda seed, attack=attack: attack for name, attack in attacks.items()}
    else:
        names = [attacks] if isinstance(attacks, str) else attacks
        if not isinstance(names, Sequence):
            raise fail("attacks", "names, or a dictionary of foolbox's attacks by name", attacks)
        names = [check_choice("attacks", name, factories) for name in names]
        if len(set(names)) < len(names):
            raise fail("attacks", "different names", attacks)
        makers = {name: lambda seed, factory=factories[name]: factory(seed=seed) for name in names}
    if not makers:
        raise fail("attacks", "at least one", attacks)
    return makers


def _check_attack(name: Any, attack: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise fail("attacks", "a dictionary whose keys are names of letters, digits, '_', '-' and '.'", name)
    if not isinstance(attack, Attack):
        raise fail("attacks", "a dictionary of foolbox's attacks by name", f"{name}: {type(attack).__name__}")
    if isinstance(attack, foolbox.attacks.base.FixedEpsilonAttack):
        hint = "That one takes a fixed ε: wrap it in SmallestEpsilon."
        raise fail("attacks", "attacks that search for the smallest perturbation", f"{name}: {attack!r}", hint)


def _attack(
    victim: Victim,
    images: np.ndarray,
    labels: np.ndarray,
    attacked: np.ndarray,
    name: str,
    make: Callable[[int], Attack],
    seed: int,
    batch_size: int,
    progress: Progress,
    keep_images: bool,
    semantics: str,
) -> AttackResults:
    """Runs one attack on the samples to be attacked, batch by batch."""
    records, adversarials = [], []
    for part in slices(len(attacked), batch_size):
        indices = attacked[part]
        originals, classes = images[indices], labels[indices]
        batch_seed = _seed(seed, name, part.start)
        attack = make(batch_seed)
        calls, started = victim.model_calls, time.perf_counter()
        with draw_from(batch_seed):
            raw, *_ = attack(victim.foolbox_model, victim.tensor(originals), victim.criterion(classes), epsilons=None)
        seconds, calls = time.perf_counter() - started, victim.model_calls - calls
        results = _within_bounds(np.asarray(raw, np.float32), originals, victim.bounds)
        predictions = np.argmax(victim.logits(results), axis=1)
        succeeded = predictions != classes
        results[~succeeded] = originals[~succeeded]
        distances = _distances(originals, results, victim.bounds)
        for i, index in enumerate(indices):
            records.append(
                Record(
                    name,
                    int(index),
                    int(classes[i]),
                    int(classes[i]),
                    int(predictions[i]),
                    bool(succeeded[i]),
                    float(distances[i]) if succeeded[i] else None,
                    calls / len(indices),
                    seconds / len(indices),
                    semantics,
                )
            )
        if keep_images:
            adversarials.append(results)
        progress.update(part.stop)
    if not keep_images:
        return AttackResults(records, None)
    return AttackResults(records, np.concatenate(adversarials) if adversarials else images[:0])


def _tell_calls(progress: Progress, calls: int) -> None:
    progress.tick(f"{calls} images through the model")


def _seed(seed: int, name: str, start: int) -> int:
    """The seed of an attack on the batch that begins with the ``start``-th attacked sample."""
    return int(np.random.SeedSequence((seed, zlib.crc32(name.encode()), start)).generate_state(1)[0])


def _within_bounds(results: np.ndarray, originals: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Results clipped to the bounds; what is no number anywhere becomes the original."""
    numbers = np.all(np.isfinite(results), axis=(1, 2, 3), keepdims=True)
    return np.clip(np.where(numbers, results, originals), *bounds).astype(np.float32)


def _distances(originals: np.ndarray, results: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Mean squared errors [n] in units of the bounds' range."""
    differences = (results.astype(np.float64) - originals) / (bounds[1] - bounds[0])
    return np.mean(np.square(differences), axis=(1, 2, 3))


def _masked_gradients(victim: Victim, images: np.ndarray, labels: np.ndarray) -> float | None:
    if not len(images):
        return None
    masked = victim.masked_gradients(images, labels)
    if np.any(masked):
        warnings.warn(
            f"The model masks its gradients: they are zero for {np.count_nonzero(masked)} of {len(masked)} attacked "
            "samples. That gradient-based attacks fail on these says nothing about their robustness.",
            stacklevel=3,
        )
    return float(np.mean(masked))


def _outcome(name: str, results: AttackResults, semantics: str) -> str:
    """What an attack reached, in a few words."""
    summary = summarize(name, results.records, semantics)
    if not summary.samples:
        return "no sample to attack"
    distance = "" if summary.mean_distance is None else f", mean distance {summary.mean_distance:.3g}"
    cost = f"{summary.model_calls:.0f} model calls and {summary.seconds:.3g} s a sample"
    return f"success rate {summary.success_rate:.4f}{distance}; {cost}"
