"""The InfoVAE: a variational autoencoder whose codes as a whole are to follow the prior.

S. Zhao, J. Song and S. Ermon, "InfoVAE: Balancing Learning and Inference in Variational Autoencoders", 2019, with the
maximum mean discrepancy as the divergence of all codes.
"""

import math
from typing import Any

import keras

from lea_keras import losses
from lea_keras.autoencoders.types import VariationalAutoencoder
from lea_keras.checks import check_above_zero, check_number, fail
from lea_keras.version import PACKAGE


@keras.saving.register_keras_serializable(PACKAGE)
class InfoAutoencoder(VariationalAutoencoder):
    """The InfoVAE: ``RL + ½(1 − α)·KL + (α + λ − 1)·MMD²``, MMD² of all codes of a batch from the standard Gaussian.

    KL, of Eq. 2.24, holds the code of *each* window to the prior and so keeps it from telling windows apart; MMD² holds
    their mixture to it. With α = 0 and λ = 1 it is the VAE of Eq. 2.25, with α = 1 there is no KL (MMD-VAE). RL stands
    for the source's −E log p(x|z): it is that of a Gaussian decoder of variance ½, but for a constant.

    MMD², "mmd" among the measures, is ``lea_keras.losses.maximum_mean_discrepancy``: of what the decoder sees, z in
    training and μ otherwise **(chosen)**; the law of μ alone is narrower, and its MMD² larger, where codes carry
    little. A batch is what one device has of it, and of a LEA all its windows. So the objective is no mean over
    windows, and a LEA with this type cannot work in chunks: ``chunk_windows`` is
    None, or "auto", which then is all windows.

    Args:
        code_length: variables of a code.
        alpha: α, at most 1, also below 0.
        lambda_: λ, at least 1 − α, so that MMD² never counts less than nothing **(chosen)**. The default is the
            source's.
        bandwidth: h of the kernel exp(−‖a − b‖²/h²), above 0. None: the code length **(chosen)**, as in the authors'
            code.
        code_maps: as in ``VariationalAutoencoder``.
        seed: int for the noise ε, or None.
        **kwargs: those of ``Autoencoder``.

    Raises:
        ValueError: for an argument outside what is said above, or as in ``Autoencoder``.
    """

    measure_names = ("rl", "rln", "kl", "mmd")

    def __init__(
        self,
        code_length: int = 10,
        alpha: float = 0.0,
        lambda_: float = 1000.0,
        bandwidth: float | None = None,
        code_maps: str = "mean",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("beta", "warmup_steps"):
            if name in kwargs:
                raise fail(name, "left out: the weight of KL is (1 - alpha) / 2", kwargs[name])
        self.alpha = check_number("alpha", alpha, minimum=-math.inf, maximum=1.0)
        self.lambda_ = check_number("lambda_", lambda_, minimum=1.0 - self.alpha)
        self.bandwidth = None if bandwidth is None else check_above_zero("bandwidth", bandwidth, "None")
        super().__init__(code_length, (1.0 - self.alpha) / 2, code_maps=code_maps, seed=seed, **kwargs)

    def batch_measures(self, codes: Any) -> dict[str, Any]:
        return {"mmd": losses.maximum_mean_discrepancy(codes, self.bandwidth)}

    def loss(self, means: dict[str, Any], step: Any) -> tuple[Any, dict[str, Any]]:
        loss, measures = super().loss(means, step)
        return loss + (self.alpha + self.lambda_ - 1.0) * means["mmd"], measures

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"alpha": self.alpha, "lambda_": self.lambda_, "bandwidth": self.bandwidth}
        for name in ("beta", "warmup_steps"):
            del config[name]
        return config
