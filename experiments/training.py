"""A run from its configuration to its table: data, model, training with checkpoints, results in a run folder."""

import contextlib
import pathlib
import sys
from collections.abc import Sequence

import keras
import numpy as np

import lea_keras.data
from experiments import agreement, codes, distribution, failures, networks, runs, tables
from experiments.config import RunConfig
from experiments.jobs import Job
from experiments.runs import DivergedError, RunError
from lea_keras import callbacks, plots
from lea_keras.callbacks.scalars import EpochScalars
from lea_keras.data import Dataset

LOG_FOLDER = "logs"
PICTURE_FILE = "codes.png"
PICTURE_IMAGES = 4
PICTURED_EPOCHS = 5
# What TensorBoard says beside the curves that it calls "validation", as Keras does whatever the data are.
VALIDATED_ON = {
    "validation": "validation: the part of the training samples that --validation sets aside",
    "test": "validation: the test set, since no part of the training samples is set aside (--validation)",
}


def train(
    config: RunConfig, run_dir: pathlib.Path, resume: bool = False, job: Job | None = None, pictured: bool = True
) -> str:
    """Trains a run to its last epoch and stores its results.

    Args:
        config: of the run; for a resumed one what ``runs.resumed_config`` returned.
        run_dir: a folder that ``runs.claim`` has claimed or, to resume, one that holds a run; of the process that
            writes, one that it owns (``runs.owned``).
        resume: whether to continue after the last finished epoch.
        job: what this process has to do with it; None: everything, on one device.
        pictured: whether what LEAs make is drawn, for TensorBoard and as ``codes.png``: some seconds for every run.

    Returns:
        The table of results; of a process that writes none, who it is.

    Raises:
        RunError: if data or checkpoint are missing or do not fit, if memory does not suffice, or if a loss becomes NaN
            (the last good epoch is kept).
        OSError: if the run folder cannot be written to.
    """
    lines = failures.in_one_line("Memory does not suffice for this model and batch size")
    with networks.precision(config), distribution.devices(job), lines:
        try:
            finished, model, splits = _prepare(config, run_dir if resume else None)
            shown = model
            if job is not None:
                distribution.divide_batches(model)
                # In each process, so that the seeds that building draws are everywhere drawn.
                with distribution.alone():
                    shown = _build(config, splits)
            if job is not None and job.process:
                if finished < config.epochs:
                    _fit(model, splits, config, finished)
                return f"Process {job.process} of {job.processes} has finished."
            _confirm(config, run_dir, resume)
            _say_what_is_damaged(run_dir, finished)
            if finished < config.epochs:
                writers = _writers(model, shown, splits["test"], config, run_dir, pictured)
                _fit(model, splits, config, finished, writers, callbacks.TimeLeft())
            else:
                callbacks.publish_model(run_dir)
                print(f"All {finished} epochs of this run are done; a higher --epochs trains it further.")
            with distribution.alone():
                if shown is not model:
                    shown.set_weights(model.get_weights())
                if pictured:
                    _draw(shown, splits["test"], run_dir)
                test = _test(shown, splits["test"], config) if config.validation else None
            row = callbacks.read_metrics(run_dir)[-1]
            named = config.splits[1:] if config.main_loss else ()
            return tables.of_epoch(row, config, {split: majority_accuracy(splits[split]) for split in named}, test)
        except callbacks.NaNLossError as error:
            raise DivergedError(f"{error}. {_kept(run_dir)}") from error


def _kept(run_dir: pathlib.Path) -> str:
    """Where the last good model is, as a sentence."""
    finished, _ = callbacks.last_checkpoint(run_dir)
    if not finished:
        return "No epoch had finished, so there is no model to keep."
    return f"The model after epoch {finished}, the last good one, is in {run_dir / callbacks.MODEL_FILE}."


def _prepare(config: RunConfig, resumed: pathlib.Path | None) -> tuple[int, keras.Model, dict[str, Dataset]]:
    """Returns the number of finished epochs, the compiled model after them, and the splits of the data."""
    keras.utils.set_random_seed(config.seed)
    try:
        finished, checkpoint = callbacks.last_checkpoint(resumed) if resumed else (0, None)
        splits = load_splits(config, finished)
        if checkpoint is not None:
            agreement.check(checkpoint, config, resumed / runs.CONFIG_FILE)
            return finished, _load(checkpoint, config), splits
        model = _build(config, splits)
    except (ValueError, OSError, ImportError) as error:  # what arguments, data sets and folders are refused with
        raise RunError(str(error)) from error
    networks.compile_model(model, config)
    return 0, model, splits


def _build(config: RunConfig, splits: dict[str, Dataset]) -> keras.Model:
    details = lea_keras.data.info(config.dataset, image_size=config.image_size)
    model = networks.build(config, details.image_shape, details.classes, steps_per_epoch=len(splits["train"]))
    if config.codes != "learned":
        # Of data of their own: a look at those of the training would count as an epoch of them.
        codes.freeze(model, config.codes, load_splits(config, splits=("train",))["train"])
    return model


def _load(checkpoint: pathlib.Path, config: RunConfig) -> keras.Model:
    """Loads a checkpoint with its optimizers."""
    try:
        model = keras.models.load_model(checkpoint)
    except Exception as error:  # a damaged file fails in whatever library meets the damage first
        raise RunError(f"The checkpoint {checkpoint} cannot be loaded: {error}") from error
    # Stored is what Keras decided for the backend and the machine that the run was on before; None: it decides anew.
    model.jit_compile = config.jit_compile
    return model


def load_splits(config: RunConfig, first_epoch: int = 0, splits: Sequence[str] | None = None) -> dict[str, Dataset]:
    """Returns splits of a run's data, all that it has if none are named, batched as in it.

    The training data begin with an epoch, ``first_epoch``.
    """
    batch_size = config.batch_size or lea_keras.data.info(config.dataset).batch_size
    shared = {"batch_size": batch_size, "seed": config.data_seed, "image_size": config.image_size}
    shared |= {"data_dir": config.data_dir, "download": config.download}
    part = {"limit": config.limit, "validation": config.validation}
    epochs = {"first_epoch": first_epoch, "steps_per_epoch": config.steps_per_epoch, "labelled": config.labelled}
    particular = {"train": part | epochs, "validation": part, "test": {"limit": config.test_limit}}
    names = config.splits if splits is None else splits
    return {split: lea_keras.data.load(config.dataset, split, **particular[split], **shared) for split in names}


def _confirm(config: RunConfig, run_dir: pathlib.Path, resume: bool) -> None:
    if resume:
        callbacks.write_atomically(run_dir / runs.CONFIG_FILE, config.to_json())
    else:
        runs.confirm(run_dir)


def _say_what_is_damaged(run_dir: pathlib.Path, finished: int) -> None:
    epochs = len(callbacks.read_metrics(run_dir))
    if finished < epochs:
        last = callbacks.checkpoint_path(run_dir, epochs)
        damage = callbacks.checkpoint_damage(last)
        print(f"{last} is damaged ({damage}): the run goes on after epoch {finished}", flush=True)


def _fit(
    model: keras.Model,
    splits: dict[str, Dataset],
    config: RunConfig,
    finished: int,
    writers: Sequence[keras.callbacks.Callback] = (),
    time_left: callbacks.TimeLeft | None = None,
) -> None:
    """Trains and, after each epoch, validates: on the test data (thesis section 4.1) if the run has no other.

    A process that is given no ``time_left`` says nothing.
    """
    verbose = 1 if sys.stdout.isatty() else 2  # a bar that redraws itself is of use on a terminal only
    with contextlib.nullcontext() if time_left is None else time_left.meanwhile():
        model.fit(
            splits["train"],
            validation_data=splits[config.validates_on],
            validation_freq=_validated(config),
            epochs=config.epochs,
            initial_epoch=finished,
            shuffle=False,  # the data does that
            verbose=0 if time_left is None else verbose,
            callbacks=[callbacks.StopOnNaN(), *writers, *([] if time_left is None else [time_left])],
        )


def _validated(config: RunConfig) -> list[int]:
    """The numbers of the epochs that are followed by validation."""
    every = range(1, config.epochs + 1)
    return [epoch for epoch in every if epoch % config.validate_every == 0 or epoch == config.epochs]


def _writers(
    model: keras.Model, shown: keras.Model, data: Dataset, config: RunConfig, run_dir: pathlib.Path, pictured: bool
) -> list[keras.callbacks.Callback]:
    """What writes during training: what ``RunCheckpoint`` says, and for TensorBoard the metrics of every epoch and,
    about five times in a run, what the LEAs make of a few test images.

    Args:
        model: that is trained.
        shown: the same model, or a copy of it on one device.
        data: of the images.
        config: of the run.
        run_dir: where to.
        pictured: whether anything is written of images.
    """
    logs, of_images = run_dir / LOG_FOLDER, []
    if pictured:
        images = lea_keras.data.take(data, PICTURE_IMAGES)[0]
        every = max(1, config.epochs // PICTURED_EPOCHS)
        of_images = [callbacks.LEAPictures(images, logs, every=every), callbacks.CapacityReadout(images, logs)]
    scalars = EpochScalars(logs, VALIDATED_ON[config.validates_on])
    checkpoints = callbacks.RunCheckpoint(run_dir, lock=False)
    if shown is model:
        return [scalars, *of_images, checkpoints]
    return [distribution.OnlyHere([scalars, checkpoints], of_images, shown)]


def _draw(model: keras.Model, data: Dataset, run_dir: pathlib.Path) -> None:
    """Stores the picture of inputs, code maps and reconstructions; a model without LEAs has none."""
    if not plots.lea_layers(model):
        return
    temporary = run_dir / f"{PICTURE_FILE}.tmp"
    plots.code_maps(model, lea_keras.data.take(data, PICTURE_IMAGES)[0]).savefig(temporary, format="png")
    temporary.replace(run_dir / PICTURE_FILE)


def _test(model: keras.Model, data: Dataset, config: RunConfig) -> dict[str, float]:
    """What a model is worth on test data that it was not validated on, under the names of ``metrics.csv``."""
    if not model.compiled:  # a copy on one device
        networks.compile_model(model, config)
    return model.evaluate(data, verbose=1 if sys.stdout.isatty() else 0, return_dict=True)


def majority_accuracy(data: Dataset) -> float:
    """The share of the most frequent class: what a model that ignores its input can reach."""
    return float(np.max(np.mean(np.concatenate([labels for _, labels in lea_keras.data.batches(data)]), axis=0)))
