"""The pictures of a run and of a comparison, as files."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras

import lea_keras
from experiments import tables
from experiments.config import RunConfig, checks
from experiments.results import Results
from lea_keras import plots

CURVES = "curves.png"
EXPLORER = "explorer.html"
EXPLORED = 64  # test images over which an explorer's codes are ordered and ranged; it shows the first of them (chosen)
OF_LEAS = ("code_maps.png", "histograms.png")
OF_DECODERS = ("reconstructions.png", "windows.png", "confidence.png")
# How curves call the split that a run validates on; where it is the test data, they say so.
_HELD_OUT = {"validation": "validation", "test": "test set"}

Rows = Sequence[Mapping[str, float]]  # of metrics.csv


def names(model: keras.Model) -> list[str]:
    """The files that ``of_run`` writes."""
    leas = plots.lea_layers(model)
    decoders = [lea for lea in leas if lea.loss_weight]
    found = [CURVES, *(OF_LEAS if leas else ()), *(OF_DECODERS if decoders else ())]
    return found + [_traversal(lea) for lea in decoders if _is_variational(lea)]


def of_run(
    model: keras.Model,
    images: Any,
    rows: Rows,
    results: Results,
    config: RunConfig,
    largest: Mapping[str, float] | None = None,
) -> None:
    """Draws the metrics of a run, what its LEAs make of a few images, and what the codes of a VAE stand for.

    Args:
        model: of the run.
        images: a few.
        rows: of its ``metrics.csv``.
        results: where the pictures go.
        config: of the run.
        largest: by LEA, the error of the worst window of the whole split, to which confidence is then relative.
    """
    curves = plots.metric_curves([_curves(rows, config)], held_out=_HELD_OUT[config.validates_on])
    results.write_picture(CURVES, curves)
    views = lea_keras.inspect(model, images, largest=largest)
    shown = {"max_images": len(images)}
    if views:
        results.write_picture("code_maps.png", plots.code_maps(views, **shown))
        results.write_picture("histograms.png", plots.histograms(views))
    if plots.with_decoder(views):
        results.write_picture("reconstructions.png", plots.reconstructions(views, **shown))
        results.write_picture("windows.png", plots.windows(views))
        results.write_picture("confidence.png", plots.confidence_maps(views, **shown))
    drawn = set()
    for view in plots.with_decoder(views):
        if _is_variational(view.layer) and view.layer.name not in drawn:
            drawn.add(view.layer.name)
            limits = (float(view.inputs.min()), float(view.inputs.max()))
            limits = limits if limits[0] < limits[1] else None
            figure = plots.latent_traversal(view.layer.autoencoder, value_range=limits, name=view.layer.name)
            results.write_picture(_traversal(view.layer), figure)


def check_explorer(model: keras.Model) -> None:
    """Sees that there are codes to move.

    Raises:
        ValueError: one line, for a model without a LEA that has a trained decoder.
    """
    if not any(lea.loss_weight for lea in plots.lea_layers(model)):
        raise checks.fail("explorer", "left out for a run whose model has no LEA with a trained decoder", True)


def explorer(model: keras.Model, images: Any, results: Results) -> None:
    """Writes the page on which codes are moved."""
    results.write_text(EXPLORER, lea_keras.explore(model, images).html)


class Curves(NamedTuple):
    """Runs that differ in their seeds alone: the configuration of one, and the rows of each."""

    config: RunConfig
    runs: Sequence[Rows]


def of_comparison(groups: Mapping[str, Curves], results: Results) -> None:
    """Draws the metrics of groups of runs."""
    curves = {name: [_curves(rows, group.config) for rows in group.runs] for name, group in groups.items()}
    lasts = [tables.of_row(group.runs[0][-1], group.config)["train"] for group in groups.values()]
    names = [_title(name) for name in tables.in_order(name for measures in lasts for name in measures)]
    held_out = {name: _HELD_OUT[group.config.validates_on] for name, group in groups.items()}
    if len(groups) == 1:
        figure = plots.metric_curves(*curves.values(), names, held_out=next(iter(held_out.values())))
    else:
        figure = plots.metric_curves(curves, names, held_out=held_out)
    results.write_picture(CURVES, figure)


def _curves(rows: Rows, config: RunConfig) -> list[dict[str, float]]:
    """Rows with the measures of tables, under the names of curves: the same for models with and without LEAs."""
    curves = []
    for row in rows:
        values = tables.of_row(row, config)
        training, held_out = values["train"], values[config.validates_on]
        curves.append({"epoch": row["epoch"]} | {_title(name): training[name] for name in tables.in_order(training)})
        curves[-1] |= {f"val_{_title(name)}": value for name, value in held_out.items()}
    return curves


def _title(name: str) -> str:
    """The main task's measures are called as in tables; curves make titles of the LEAs' themselves."""
    return tables.MAIN.get(name, name)


def _is_variational(lea: lea_keras.LocallyEmbeddedAutoencoder) -> bool:
    return isinstance(lea.autoencoder, lea_keras.VariationalAutoencoder)


def _traversal(lea: lea_keras.LocallyEmbeddedAutoencoder) -> str:
    return f"latent_traversal_{re.sub(r'[^A-Za-z0-9_.-]', '_', lea.name)}.png"
