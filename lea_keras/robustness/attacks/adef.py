"""ADef: adversarial examples by small, smooth deformations of the image instead of changes of its values."""

from typing import Any

import eagerpy as ep
import foolbox
import numpy as np
from foolbox.attacks.base import get_channel_axis, verify_input_bounds
from scipy.ndimage import gaussian_filter

from lea_keras.checks import check_number, check_positive_int, fail
from lea_keras.robustness.attacks.base import ImageAttack, succeeds
from lea_keras.robustness.attacks.gradients import ArrayModel, find_margins, labels_of, likeliest_others
from lea_keras.robustness.attacks.search import bisect

_SMALLEST = 1e-6  # logit difference that counts at least
_ROUNDING = 1e-5  # of the largest logit: what is less may be gone when the image goes through in another batch


class ADefAttack(ImageAttack):
    """Deforms images until they are misclassified (Alaifari, Alberti, Gauksson 2018, arXiv 1804.07729).

    A field τ [rows, columns, 2] moves every pixel's position: the deformed image is x(s + τ(s)), read by bilinear
    interpolation of the *original*, at positions clipped to the image. Each step linearises f = logit of a candidate
    class − logit of the label at the image as it is deformed now. By the chain rule a small further field changes f by
    Σₛ α(s)·τ(s), where α(s) sums over channels the gradient of f with respect to the pixel times the image's spatial
    derivatives (central differences). With a Gaussian S, the smooth field

        τ = −f · S(S α) / ‖S α‖²

    brings the linearised f to zero exactly, because S is symmetric; it is the one whose unsmoothed source is smallest.
    So α is smoothed twice and the norm taken in between. Of all candidate classes the one with the smallest field wins,
    and the fields of all steps add up.

    Where paper and earlier implementations leave a choice:

    - The Gaussian reflects at the image's edge, which keeps S symmetric and lets the edge move, too **(chosen)**.
    - The smallest field is that of the smallest Euclidean norm **(chosen)**.
    - Every step goes ``overshoot`` further than to f = 0, where both classes are equally likely **(chosen)**.
    - A step that would move some pixel by more than ``max_step`` is shortened to it: derivatives of an image hold for
      about a pixel, and where they nearly vanish the solution is far outside the image **(chosen)**.
    - The model is misled where another logit is ahead by more than float32 rounding: steps often end that near to the
      boundary, and backends round differently for batches of another size **(chosen)**.
    - After success the whole field is shrunk by bisection to the smallest multiple that still misleads the model,
      since every attack here looks for its smallest perturbation **(chosen)**; ``shrink_steps=0`` leaves it.

    Per step and sample: one forward and one backward pass for each candidate class; then a forward pass for each of
    the ``shrink_steps``. Only untargeted. Nothing is drawn at random.

    Args:
        max_iter: steps at most.
        smooth: standard deviation of the Gaussian in pixels; 0 does not smooth.
        subsample: how many of the original image's likeliest classes are considered, the label among them: 10 leaves
            the candidates of rank 2 to 10.
        overshoot: share by which each step is longer than the linearised difference demands.
        max_step: longest shift of a pixel in one step, in pixels.
        shrink_steps: halvings of the interval in which the field's smallest successful multiple is sought.

    Raises:
        ValueError: for an argument out of range; when run, for images that are not [n, rows, columns, channels] (or
            channels first, if the foolbox model says so), or another criterion than misclassification.
    """

    def __init__(
        self,
        *,
        max_iter: int = 100,
        smooth: float = 1.0,
        subsample: int = 10,
        overshoot: float = 0.1,
        max_step: float = 1.0,
        shrink_steps: int = 10,
    ) -> None:
        self.max_iter = check_positive_int("max_iter", max_iter)
        self.smooth = check_number("smooth", smooth)
        self.subsample = check_positive_int("subsample", subsample, minimum=2)
        self.overshoot = check_number("overshoot", overshoot)
        self.max_step = check_number("max_step", max_step, minimum=1e-6)
        self.shrink_steps = check_positive_int("shrink_steps", shrink_steps, minimum=0)

    def adversarials(self, model: foolbox.models.Model, x: ep.Tensor, criterion: Any) -> ep.Tensor:
        """Returns deformed images, or the original where no deformation was found."""
        fields, success = self.deformations(model, x, criterion)
        arrays = ArrayModel(model, x, _channel_axis(model, x.ndim))
        images = arrays.array(x)
        deformed = np.where(success.reshape(-1, 1, 1, 1), deform(images, fields), images)
        return arrays.tensor(deformed).clip(*model.bounds)  # float32 may round past a bound

    def deformations(
        self, model: foolbox.models.Model, inputs: Any, criterion: foolbox.Misclassification | Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """The fields that ``run`` applies; ``deform(images, fields)`` gives its images.

        Args:
            model: a foolbox model.
            inputs: images, as for the attack.
            criterion: labels [n], or foolbox' misclassification of them.

        Returns:
            float64 [n, rows, columns, 2]: where each pixel's value is taken from, relative to it, in pixels (down,
            right); zero for samples misclassified from the start, and what the last step came to for those where no
            deformation was found. And bool [n]: whether the deformed image is misclassified.
        """
        x, _ = ep.astensor_(inputs)
        verify_input_bounds(x, model)
        labels = labels_of(criterion, "ADefAttack")
        arrays = ArrayModel(model, x, _channel_axis(model, x.ndim))
        images = arrays.array(x)  # [n, rows, columns, channels]
        if min(images.shape[1:3]) < 2:
            raise fail("inputs", "images of at least 2 rows and 2 columns", f"an array of shape {x.shape}")
        fields, success, leads = self._find(arrays, images, labels)
        return self._shrink(arrays, images, labels, fields, success, leads), success

    def _find(
        self, model: ArrayModel, images: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The sum of all steps' fields, [n, rows, columns, 2], whether it succeeded, [n], and the leads needed, [n]."""
        fields = np.zeros((*images.shape[:3], 2))
        logits = model.logits(images)
        success = succeeds(logits, labels)
        leads = np.maximum(_SMALLEST, max(_ROUNDING, model.rounding) * np.max(np.abs(logits), axis=1))
        candidates = likeliest_others(logits, labels, self.subsample - 1)
        running = np.flatnonzero(~success)
        for _ in range(self.max_iter):
            if not len(running):
                break
            deformed = deform(images[running], fields[running])
            steps, has_step = self._steps(model, deformed, labels[running], candidates[running], leads[running])
            running = running[has_step]  # where the derivatives of all classes vanish, there is nowhere to go
            fields[running] += steps[has_step]
            deformed = deform(images[running], fields[running])
            success[running] = find_margins(model.logits(deformed), labels[running]) > leads[running]
            running = running[~success[running]]
        return fields, success, leads

    def _steps(
        self, model: ArrayModel, images: np.ndarray, labels: np.ndarray, candidates: np.ndarray, leads: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The smallest field over all candidate classes, [n, rows, columns, 2], and whether there is one, [n]."""
        best, smallest = np.zeros((*images.shape[:3], 2)), np.full(len(images), np.inf)
        derivatives = np.stack(tuple(np.gradient(images, axis=(1, 2))), axis=-1)  # [n, rows, columns, channels, 2]
        for classes in candidates.T:
            differences, gradients = model.differences(images, classes, labels)
            alpha = np.sum(derivatives * gradients[..., None], axis=3)  # [n, rows, columns, 2]
            steps = linearised_field(np.minimum(differences, -2 * leads), alpha, self.smooth)
            sizes = np.linalg.norm(steps.reshape(len(steps), -1), axis=1)
            sizes[sizes == 0] = np.inf
            closer = sizes < smallest
            best[closer], smallest[closer] = steps[closer], sizes[closer]
        longest = np.max(np.linalg.norm(best, axis=-1), axis=(1, 2), initial=0) * (1 + self.overshoot)
        factors = (1 + self.overshoot) * np.minimum(1, self.max_step / np.maximum(longest, 1e-300))
        return best * factors.reshape(-1, 1, 1, 1), np.isfinite(smallest)

    def _shrink(
        self,
        model: ArrayModel,
        images: np.ndarray,
        labels: np.ndarray,
        fields: np.ndarray,
        success: np.ndarray,
        leads: np.ndarray,
    ) -> np.ndarray:
        """Successful fields times the smallest factor in [0, 1] at which bisection finds them successful, too."""

        def attempt(indices: np.ndarray, factors: np.ndarray) -> np.ndarray:
            deformed = deform(images[indices], fields[indices] * factors.reshape(-1, 1, 1, 1))
            return find_margins(model.logits(deformed), labels[indices]) > leads[indices]

        shrunk, indices = fields.copy(), np.flatnonzero(success & np.any(fields, axis=(1, 2, 3)))
        factors = bisect(attempt, indices, np.zeros(len(indices)), np.ones(len(indices)), self.shrink_steps)
        shrunk[indices] *= factors.reshape(-1, 1, 1, 1)
        return shrunk


def deform(images: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Images read at shifted positions: x(s + τ(s)), bilinear, positions clipped to the image.

    Args:
        images: [n, rows, columns, channels].
        fields: [n, rows, columns, 2] in pixels (down, right), relative to each pixel.

    Returns:
        float64 [n, rows, columns, channels]; no value lies outside the range of the image's own.
    """
    rows, columns = images.shape[1:3]
    down = np.clip(np.arange(rows)[:, None] + fields[..., 0], 0, rows - 1)  # [n, rows, columns]
    right = np.clip(np.arange(columns) + fields[..., 1], 0, columns - 1)
    top, left = np.floor(down).astype(int), np.floor(right).astype(int)
    bottom, far = np.minimum(top + 1, rows - 1), np.minimum(left + 1, columns - 1)
    index = np.arange(len(images))[:, None, None]
    y, x = (down - top)[..., None], (right - left)[..., None]
    upper = (1 - x) * images[index, top, left] + x * images[index, top, far]
    lower = (1 - x) * images[index, bottom, left] + x * images[index, bottom, far]
    return (1 - y) * upper + y * lower


def linearised_field(differences: np.ndarray, alpha: np.ndarray, smooth: float) -> np.ndarray:
    """The smooth field τ with Σ α·τ = −difference.

    Args:
        differences: [n].
        alpha: [n, rows, columns, 2], the derivative of the difference with respect to each shift.
        smooth: the Gaussian's standard deviation in pixels; 0 gives the shortest of all fields.

    Returns:
        [n, rows, columns, 2]; zero where α is zero.
    """
    once = _smoothed(alpha, smooth)
    squares = np.sum(once**2, axis=(1, 2, 3))
    factors = np.where(squares > 0, -differences / np.where(squares > 0, squares, 1), 0)
    return factors.reshape(-1, 1, 1, 1) * _smoothed(once, smooth)


def _smoothed(fields: np.ndarray, smooth: float) -> np.ndarray:
    return gaussian_filter(fields, (0, smooth, smooth, 0), mode="reflect") if smooth else fields


def _channel_axis(model: foolbox.models.Model, ndim: int) -> int:
    """Where channels are in images of the model; last if it does not say."""
    if ndim != 4:
        raise fail("inputs", "images, [n, rows, columns, channels]", f"an array of {ndim} axes")
    axis = get_channel_axis(model, ndim)
    return ndim - 1 if axis is None else axis
