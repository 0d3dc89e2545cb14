"""Certificates of runs beside what attacks find: ``evaluate.py --certify``."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

import lea_keras
import lea_keras.data
from experiments import attacking, certificates, cli, evaluation, failures, networks, series, tables
from experiments.arrays import Images
from experiments.config import RunConfig
from experiments.results import Results
from experiments.runs import RunError
from lea_keras import robustness
from lea_keras.plots import certificate_plot

JSON, CSV, MARKDOWN, PICTURE = "certificates.json", "certificates.csv", "certificates.md", "certificates{}.png"
FOLDER = "certificates"
_STEPS = 40
_PRECISION = 0.05  # of radii, more than is seen in a picture
_COLUMNS = {
    "error": "test error",
    "gradient_sign": "Gradient Sign",
    "projected_gradient_descent": "PGD",
    "bound": "bound",
    "median_radius": "median radius",
}


class Settings(NamedTuple):
    """What runs are certified with.

    Attributes:
        epsilon: the largest change of a value, of images in [0, 1].
        samples: how many test images, those that are attacked: see ``attacking.first_samples``.
        attacks: "all", or names with commas between them: whose smallest perturbations are drawn.
        seed: of the attacks.
    """

    epsilon: float
    samples: int = 100
    attacks: str = "gradient_sign,projected_gradient_descent"
    seed: int = 0


def certify(members: Sequence[tuple[pathlib.Path, RunConfig]], settings: Settings, results: Results) -> str:
    """Certifies runs, stores what that found, draws accuracy over ε and returns a table.

    Args:
        members: folder and configuration of every run, all of one data set.
        settings: what to do.
        results: where tables and pictures go.

    Raises:
        RunError: one line, if a run, the data or the settings are not what they must be.
        OSError: if results cannot be written.
    """
    try:
        names = cli.chosen_names("attacks", settings.attacks, robustness.ATTACKS)
        first = members[0][1].replace(test_limit=None)
        test = Images(*attacking.first_samples(evaluation.load_splits(first, ["test"])["test"], settings.samples))
        test = Images(test.images, np.argmax(test.labels, axis=1))
        # Before the first is attacked for hours.
        _each(members, lambda model, _: robustness.activation_bounds(model, test.images[:1], 0.0))
        pictures = [PICTURE.format(f"_{i}" if len(members) > 1 else "") for i in range(1, len(members) + 1)]
        results.reserve([JSON, CSV, MARKDOWN, *pictures])
    except ValueError as error:
        raise RunError(str(error)) from error
    rows, stored, figures = [], [], []

    def one(model: keras.Model, path: pathlib.Path) -> None:
        found = _certify_one(model, path, test, names, settings)
        stored.append({"path": str(path), **found})
        rows.append({"run": str(path), **{column: found[column] for column in _COLUMNS}})
        title = f"{path.resolve().name}, {first.dataset}: accuracy over the size of perturbations"
        pair = found["radii"], found["distances"]
        figures.append(certificate_plot.accuracy_over_epsilon(*pair, title, settings.epsilon, _COLUMNS))

    _each(members, one)
    about = {"lea_keras": lea_keras.__version__, "backend": keras.backend.backend(), "dataset": first.dataset}
    results.write_json(JSON, about | settings._asdict() | {"runs": stored})
    results.write_csv(CSV, rows)
    heads, lines = ["run", *_COLUMNS.values()], [[_cell(value) for value in row.values()] for row in rows]
    text = tables.markdown(heads, lines, texts=1)
    note = (
        f"At ε = {settings.epsilon:g} on {settings.samples} test images, mistakes without a perturbation included; the "
        "bound is what no perturbation exceeds. Gradient Sign and PGD go to ε and no further; curves of pictures are "
        "of the smallest perturbation that each of --attacks finds. The radius of a mistake is 0."
    )
    results.write_text(MARKDOWN, f"{text}\n{note}\n")
    for name, figure in zip(pictures, figures, strict=True):
        results.write_picture(name, figure)
    return f"{text}\n{note}"


def _each(members: Sequence[tuple[pathlib.Path, RunConfig]], work: Callable[[Any, pathlib.Path], Any]) -> None:
    """Loads every run's last model and does something with it."""
    for path, config in members:
        with networks.precision(config), series.nothing_kept():
            try:
                model = evaluation.load_model(path, config, len(evaluation.read_rows(path)))
                with failures.in_one_line():
                    work(model, path)
            except ValueError as error:
                raise RunError(f"The run {path} cannot be certified: {error}") from error


def _certify_one(
    model: keras.Model, path: pathlib.Path, test: Images, names: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Errors at ε, radii of all images, and the distance of each attack's nearest adversarial."""
    print(f"Run folder: {path}", flush=True)
    epochs = len(evaluation.read_rows(path))
    folder = f"epoch_{epochs}_samples_{settings.samples}_seed_{settings.seed}"
    if keras.backend.backend() != RunConfig.backend:
        folder += f"_{keras.backend.backend()}"
    output = path / evaluation.FOLDER / FOLDER / folder
    found = certificates.certified(model, test, settings.epsilon, _STEPS, output, verbose=1)
    radii = robustness.certified_radius(model, *test, precision=_PRECISION, output_dir=output)
    attacked = robustness.evaluate(model, *test, names, seed=settings.seed, keep_images=True, output_dir=output)
    distances = {name: _distances(attacked, name, test.images) for name in names}
    found |= {"radii": radii.tolist(), "median_radius": float(np.median(radii))}
    return found | {"distances": distances}


def _distances(attacked: robustness.Robustness, name: str, images: np.ndarray) -> list[float | None]:
    """L∞ of every image's adversarial; 0 of those that are misclassified as they are."""
    distances: list[float | None] = [0.0] * len(images)
    records = [record for record in attacked.records if record.attack == name]
    for record, adversarial in zip(records, attacked.images[name], strict=True):
        change = np.abs(adversarial.astype(np.float64) - images[record.sample])
        distances[record.sample] = float(np.max(change)) if record.found else None
    return distances


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.4f}"
