"""Metrics that a ``LEAModel`` reports beside those that it is compiled with: the main loss, and those of every LEA."""

from collections.abc import Sequence
from typing import Any

import keras

from lea_keras.autoencoders.base import Report
from lea_keras.layers.lea import LocallyEmbeddedAutoencoder
from lea_keras.losses import wide_dtype
from lea_keras.metrics import DeadCodes
from lea_keras.training.schedule import total


class Reports:
    """Means over batches, each weighted by its number of images; a batch of none counts nothing.

    ``main_loss`` and, per LEA with a loss weight, ``<name>_loss``, its measures and, where codes are sparse,
    ``<name>_dead_codes``, the number of code variables that were 0 in all batches. Of a LEA that is used several times
    in a pass ``<name>_loss`` is the *sum* over its uses, which is what it is trained on, and every other measure
    (``_rl``, ``_rln``, ``_kl``, …) their *mean*. ``<name>_loss`` is not weighted by λ.

    The object is no Keras object, so that a subclassed model may get one after it was built.

    Args:
        leas: the LEA layers of the model.
        has_main_loss: whether the model was compiled with a loss.
    """

    def __init__(self, leas: Sequence[LocallyEmbeddedAutoencoder], has_main_loss: bool) -> None:

        def mean(name: str) -> keras.metrics.Metric:
            return keras.metrics.Mean(name=name, dtype=wide_dtype(keras.config.floatx()))

        self._leas = [lea for lea in leas if lea.loss_weight]
        self._main_loss = mean("main_loss") if has_main_loss else None
        self._measures = [
            {name: mean(f"{lea.name}_{name}") for name in ("loss", *lea.autoencoder.measure_names)}
            for lea in self._leas
        ]

        self._dead_codes = {
            lea.name: DeadCodes(lea.code_length, name=f"{lea.name}_dead_codes")
            for lea in self._leas
            if lea.autoencoder.sparse
        }

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        of_leas = [metric for measures in self._measures for metric in measures.values()]
        return ([self._main_loss] if self._main_loss is not None else []) + of_leas + list(self._dead_codes.values())

    def update(self, main_loss: Any, reports: Sequence[Report], size: Any) -> None:
        """Takes a batch in.

        Args:
            main_loss: a scalar; not needed where the model has none.
            reports: of LEAs in the batch's pass.
            size: how many images the batch has.
        """
        if self._main_loss is not None:
            self._main_loss.update_state(main_loss, sample_weight=size)
        for lea, measures in zip(self._leas, self._measures, strict=True):
            of_lea = [report for report in reports if report.layer is lea]
            if not of_lea:
                continue  # the model has the layer and never calls it
            measures["loss"].update_state(total(report.loss for report in of_lea), sample_weight=size)
            for report in of_lea:
                if lea.autoencoder.sparse:
                    self._dead_codes[lea.name].update_state(report.codes)
                for name, value in report.measures.items():
                    measures[name].update_state(value, sample_weight=size)
