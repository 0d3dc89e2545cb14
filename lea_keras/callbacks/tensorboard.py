"""LEAs on a fixed batch, epoch by epoch, for TensorBoard: pictures, histograms, capacity, KL."""

import io
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from lea_keras import plots
from lea_keras.autoencoders import CapacityControlledAutoencoder, JointAutoencoder, VariationalAutoencoder
from lea_keras.callbacks.events import EventFile
from lea_keras.checks import check_path, check_positive_int
from lea_keras.data.batch import first_batch
from lea_keras.inspection import Inspection, inspect
from lea_keras.losses import window_mean
from lea_keras.utils import write_atomically
from lea_keras.windows import extract_windows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIDENCE_FILE = "confidence.npz"


class _OnFixedBatch(keras.callbacks.Callback):
    """Writes something about a fixed batch every few epochs, and after the last one.

    Args:
        images: one batch of the model's inputs, a few images, as ``lea_keras.inspect`` takes them.
        log_dir: TensorBoard's folder.
        every: so many epochs lie between.
        folder: below ``log_dir``. A folder of its own: TensorBoard reads one event file after the other.
    """

    model: keras.Model  # set by Keras before any of its calls

    def __init__(self, images: Any, log_dir: str | os.PathLike[str], every: int, folder: str) -> None:
        super().__init__()
        self.images = first_batch(images)
        self.log_dir = pathlib.Path(check_path("log_dir", log_dir)) / folder
        self.every = check_positive_int("every", every)
        self.events = EventFile(self.log_dir)
        self._epoch = self._written = -1

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.events = EventFile(self.log_dir)
        self._epoch = self._written = -1

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._epoch < 0:
            self.begin(epoch)
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            self._write(epoch)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._written != self._epoch:  # whatever ended training, a stop before its time included
            self._write(self._epoch)

    def begin(self, finished: int) -> None:
        """Is called before the first epoch of a training that goes on after so many finished ones."""

    def shows(self) -> bool:
        """Whether there is anything to write about the model."""
        return bool(plots.lea_layers(self.model))

    def write(self, views: list[Inspection], epoch: int) -> None:
        """Adds an epoch to ``events``; the first one is step 0, also after a resume, as in Keras' own callback."""
        raise NotImplementedError

    def _write(self, epoch: int) -> None:
        self._written = epoch
        if self.shows():
            self.write(inspect(self.model, self.images), epoch)
            self.events.flush()


class LEAPictures(_OnFixedBatch):
    """Writes what LEAs make of a fixed batch to TensorBoard, every few epochs and after the last one.

    Per LEA, as images: code maps, reconstructions, confidence maps over the epochs so far and, of the variational
    types, a latent traversal (all as in ``lea_keras.plots``); as histograms: the values of inputs, codes and
    reconstructed windows. Of LEAs without a trained decoder (loss weight 0) only inputs and codes are written, and
    nothing of a model without LEAs. The step is the epoch, from 0 as in Keras' ``TensorBoard`` callback.

    The confidence of earlier epochs is kept beside the event files, in ``pictures/confidence.npz``, so that a resumed
    training (``fit(…, initial_epoch=…)``) with the same images goes on with it; training from epoch 0 begins anew.

    Put it behind ``StopOnNaN``: what is not finite has no histogram.

    Args:
        images: one batch of the model's inputs, as ``lea_keras.inspect`` takes it; a few images, all of which are
            drawn. Of a data set, the batch that comes first now is.
        log_dir: TensorBoard's folder, the same as of Keras' ``TensorBoard`` callback; the subfolder "pictures" is used.
        every: epochs from one writing to the next.

    Raises:
        ValueError: for an argument outside what is said above.
    """

    def __init__(self, images: Any, log_dir: str | os.PathLike[str], every: int = 1) -> None:
        super().__init__(images, log_dir, every, "pictures")
        self._views: list[Inspection] = []
        self._confidence: dict[int, list[np.ndarray]] = {}

    def confidence_maps(self) -> "Figure":
        """The confidence maps of all epochs written, as ``lea_keras.plots.confidence_maps`` draws them.

        Raises:
            ValueError: if nothing was written yet, or no LEA has a trained decoder.
        """
        if not self._views:
            raise ValueError("There are no confidence maps yet: no epoch was written about a model with LEAs")
        return plots.confidence_maps(self._by_epoch(range(len(self._views))), max_images=len(self._views[0].inputs))

    def begin(self, finished: int) -> None:
        self._views = []
        self._confidence = {epoch: maps for epoch, maps in self._read_confidence().items() if epoch <= finished}

    def write(self, views: list[Inspection], epoch: int) -> None:
        self._views = views
        self._keep_confidence(epoch + 1)
        for i, (name, view) in enumerate(zip(plots.names(views), views, strict=True)):
            count = len(view.inputs)
            figures = {"code_maps": plots.code_maps(view, max_images=count)}
            self.events.histogram(f"{name}/values/inputs", view.inputs, epoch)
            self.events.histogram(f"{name}/values/codes", view.code_maps, epoch)
            if view.layer.loss_weight:
                figures["reconstructions"] = plots.reconstructions(view, max_images=count)
                figures["confidence"] = plots.confidence_maps(self._by_epoch([i]), max_images=count)
                figures |= _traversal(view, name)
                self.events.histogram(f"{name}/values/reconstructions", view.windows, epoch)
            for kind, figure in figures.items():
                self.events.image(f"{name}/{kind}", plots.pixels(figure), epoch)

    def _by_epoch(self, indices: Iterable[int]) -> dict[int, list[Inspection]]:
        """Some of the last inspections, with the confidence of every epoch."""
        return {
            epoch: [self._views[i]._replace(confidence_images=maps[i]) for i in indices]
            for epoch, maps in self._confidence.items()
        }

    def _keep_confidence(self, epoch: int) -> None:
        """Adds an epoch, the first being 1, and stores all; those of other images or LEAs are given up."""
        maps = [view.confidence_images for view in self._views]
        shapes = [own.shape for own in maps]
        former = {e: found for e, found in self._confidence.items() if [own.shape for own in found] == shapes}
        self._confidence = former | {epoch: maps}
        arrays: dict[str, Any] = {
            f"{e}_{i}": own for e, found in self._confidence.items() for i, own in enumerate(found)
        }
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        self.log_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(self.log_dir / CONFIDENCE_FILE, file.getvalue())

    def _read_confidence(self) -> dict[int, list[np.ndarray]]:
        """What an earlier training stored; nothing where it cannot be read, since pictures are no reason to stop."""
        found: dict[int, list[np.ndarray]] = {}
        try:
            contents = (self.log_dir / CONFIDENCE_FILE).read_bytes()
            with np.load(io.BytesIO(contents)) as stored:
                for key in sorted(stored.files, key=lambda key: int(key.partition("_")[2])):
                    found.setdefault(int(key.partition("_")[0]), []).append(stored[key])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            return {}
        return found


class CapacityReadout(_OnFixedBatch):
    """Writes after every epoch what the codes of variational LEAs may hold and do hold, as TensorBoard scalars.

    ``<lea>/capacity`` is C of a capacity-controlled LEA (Eq. 2.27) for the next optimisation step, for the JointVAE
    with ``<lea>/discrete_capacity`` beside it, ``<lea>/kl/code_01``
    and so on the KL of each code variable (one summand of Eq. 2.24) over all windows of a fixed batch: near 0, a
    variable encodes nothing. The step is the epoch, from 0 as in Keras' ``TensorBoard`` callback.

    Args:
        images: one batch of the model's inputs, as ``lea_keras.inspect`` takes it.
        log_dir: TensorBoard's folder, the same as of Keras' ``TensorBoard`` callback; the subfolder "capacity" is used.

    Raises:
        ValueError: for images that are no batch, or a ``log_dir`` that is no path.
    """

    def __init__(self, images: Any, log_dir: str | os.PathLike[str]) -> None:
        super().__init__(images, log_dir, 1, "capacity")

    def shows(self) -> bool:
        return any(isinstance(lea.autoencoder, VariationalAutoencoder) for lea in plots.lea_layers(self.model))

    def write(self, views: list[Inspection], epoch: int) -> None:
        for name, view in zip(plots.names(views), views, strict=True):
            autoencoder = view.layer.autoencoder
            if isinstance(autoencoder, CapacityControlledAutoencoder):
                self.events.scalar(f"{name}/capacity", float(autoencoder.current_capacity), epoch)
            if isinstance(autoencoder, JointAutoencoder):
                capacity = float(autoencoder.current_discrete_capacity)
                self.events.scalar(f"{name}/discrete_capacity", capacity, epoch)
            if isinstance(autoencoder, VariationalAutoencoder):
                for i, kl in enumerate(_kl_per_code(view)):
                    self.events.scalar(f"{name}/kl/code_{i + 1:02}", kl, epoch)


def _traversal(view: Inspection, name: str) -> dict[str, "Figure"]:
    """The latent traversal of a variational LEA, grey values as in its inputs."""
    if not isinstance(view.layer.autoencoder, VariationalAutoencoder):
        return {}
    low, high = float(view.inputs.min()), float(view.inputs.max())
    value_range = (low, high) if low < high else None
    return {"traversal": plots.latent_traversal(view.layer.autoencoder, value_range=value_range, name=name)}


def _kl_per_code(view: Inspection) -> np.ndarray:
    """KL of each code variable, [code_length], its mean over all windows of a batch."""
    layer = view.layer
    windows = extract_windows(view.inputs, layer.window_size, layer.strides, layer.padding, "channels_last")
    features = layer.autoencoder.features(ops.reshape(windows, (-1, *windows.shape[3:])))
    _, _, divergences = layer.autoencoder.statistics(features)
    return np.asarray(ops.convert_to_numpy(window_mean(divergences)))
