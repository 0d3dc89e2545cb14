"""ADef of foolbox 1.8: whole linearised steps up to the first success."""

import numpy as np

from lea_keras.checks import check_number, check_positive_int, fail
from lea_keras.robustness.attacks.adef import deform, linearised_field
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack
from lea_keras.robustness.attacks.foolbox18.asked import Asked
from lea_keras.robustness.attacks.gradients import ArrayModel, likeliest_others


class ADef18(BatchAttack):
    """ADef (Alaifari, Alberti & Gauksson 2018) as in v1.8.0, ``ADefAttack``.

    Deformation and linearisation are those of our ``ADefAttack``. But a step goes to the linearised boundary and no
    further, however long that way is; of the candidate classes that wins whose field is smallest *together with those
    of the steps before*, where ours compares the steps; and the first success is the result, which ours shrinks. Where
    steps come closer and closer to a boundary, rounding decides whether they cross it or end in a tie, as in 1.8: on a
    CNN on Fashion-MNIST it has as many failures, of other samples.

    1.8 failed on a model of fewer classes than ``subsample``; here there are then as many candidates as there are
    other classes **(chosen)**. It also failed where all derivatives of an image vanish; here the sample stays as it is.

    Args:
        max_iter: steps at most.
        smooth: standard deviation of the Gaussian that smooths the field, in pixels; 0 does not smooth.
        subsample: how many of the image's likeliest classes are considered, the label among them.
        max_images: how many images go through the model at once.

    Raises:
        ValueError: for an argument out of range; when run, for images without four axes or of less than 2 rows or
            columns, or a targeted criterion.
    """

    def __init__(
        self, *, max_iter: int = 100, smooth: float = 1.0, subsample: int = 10, max_images: int = MAX_IMAGES
    ) -> None:
        self.max_iter = check_positive_int("max_iter", max_iter)
        self.smooth = check_number("smooth", smooth)
        self.subsample = check_positive_int("subsample", subsample, minimum=2)
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        asked, model = Asked(batch, results), ArrayModel(batch.model, batch.x, batch.channel_axis())
        if min(model.array(batch.x).shape[1:3]) < 2:
            raise fail("inputs", "images of at least 2 rows and 2 columns", f"an array of shape {batch.x.shape}")
        for part in batch.parts(len(indices := batch.running())):
            self._step(batch, model, asked, indices[part])
        asked.settle()

    def _step(self, batch: Batch, model: ArrayModel, asked: Asked, left: np.ndarray) -> None:
        """Goes all the steps of samples [m]."""
        images, labels = model.array(batch.x[left]), batch.classes(left)  # [m, rows, columns, channels]
        fields, deformed = np.zeros((*images.shape[:3], 2)), images
        candidates = likeliest_others(model.logits(images), labels, self.subsample - 1)
        for _ in range(self.max_iter):
            fields, has_step = self._add_step(model, deformed, fields, labels, candidates)
            tensor = model.tensor(deform(images, fields)).clip(*batch.bounds)
            going = has_step & ~asked.ask(left, tensor.numpy())
            left, labels, candidates = left[going], labels[going], candidates[going]
            images, fields, deformed = images[going], fields[going], model.array(tensor)[going]
            if not len(left):
                break

    def _add_step(
        self, model: ArrayModel, images: np.ndarray, fields: np.ndarray, labels: np.ndarray, candidates: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The smallest sums over all candidates of field and step, [m, rows, columns, 2], and whether there is one."""
        best, smallest = fields.copy(), np.full(len(images), np.inf)
        derivatives = np.stack(tuple(np.gradient(images, axis=(1, 2))), axis=-1)  # [m, rows, columns, channels, 2]
        for classes in candidates.T:
            differences, gradients = model.differences(images, classes, labels)
            alpha = np.sum(derivatives * gradients[..., None], axis=3)  # [m, rows, columns, 2]
            steps = linearised_field(differences, alpha, self.smooth)
            sizes = np.linalg.norm((fields + steps).reshape(len(images), -1), axis=1)
            smaller = np.any(alpha, axis=(1, 2, 3)) & (sizes < smallest)  # never where something is no number
            best[smaller], smallest[smaller] = (fields + steps)[smaller], sizes[smaller]
        return best, np.isfinite(smallest)
