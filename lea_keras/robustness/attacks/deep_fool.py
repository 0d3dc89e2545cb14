"""Deep Fool of foolbox, on the samples that still need it."""

import numpy as np
from foolbox.attacks import L2DeepFoolAttack

from lea_keras.checks import check_number, check_positive_int
from lea_keras.robustness.attacks.base import MAX_IMAGES, Batch, BatchAttack

_FIRST_STEPS = 10


class DeepFoolSearch(BatchAttack, L2DeepFoolAttack):
    """Deep Fool (Moosavi-Dezfooli, Fawzi & Frossard 2015, "DeepFool", Algorithm 2), as foolbox has it.

    Step by step the image moves to the nearest of the class boundaries, as they are if the model is linear. foolbox
    takes a batch through all steps until its last sample is adversarial. Here all go through the first ten, and only
    those that are not adversarial then through all, with the same result. Samples that stay as they are classified are
    returned as they came.

    Args:
        steps: how many there are at most; 100 in foolbox 1.8.
        candidates: how many of the likeliest classes are considered, at least 2.
        overshoot: how far beyond the boundary to go, relative to the way; 0.02 as in foolbox and the paper. 1.8 had
            0.05, too far for distances within 3 % of the smallest **(chosen)**.
        max_images: how many images go through at once.

    Raises:
        ValueError: for an argument outside what is said above.
    """

    def __init__(
        self, *, steps: int = 100, candidates: int = 10, overshoot: float = 0.02, max_images: int = MAX_IMAGES
    ) -> None:
        super().__init__(
            steps=check_positive_int("steps", steps),
            candidates=check_positive_int("candidates", candidates, minimum=2),
            overshoot=check_number("overshoot", overshoot),
        )
        self.max_images = check_positive_int("max_images", max_images)

    def search(self, batch: Batch, results: np.ndarray) -> None:
        left = batch.running()
        for steps in sorted({min(_FIRST_STEPS, self.steps), self.steps}):
            attack = L2DeepFoolAttack(steps=steps, candidates=self.candidates, overshoot=self.overshoot)
            done = np.zeros(len(left), bool)
            for part in batch.parts(len(left)):
                indices = left[part]
                images = attack.run(batch.model, batch.x[indices], batch.criterion(indices))
                done[part] = batch.is_adversarial(indices, images)
                results[indices[done[part]]] = images.numpy()[done[part]]
            left = left[~done]
