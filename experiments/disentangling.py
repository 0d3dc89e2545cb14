"""Disentanglement of the codes of runs: all scores of every LEA, tables, heat maps, and UDR over seeds."""

import itertools
import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

import lea_keras.data
from experiments import evaluation, failures, hyperparameters, networks, tables
from experiments.config import RunConfig
from experiments.disentanglement_flags import SAMPLES, Settings
from experiments.results import Results
from experiments.runs import RunError
from lea_keras import disentanglement, plots, probes
from lea_keras.data import parts, sources, splits
from lea_keras.layers.scope import forward_pass

FILES = ("disentanglement.json", "disentanglement.csv", "disentanglement_matrix.png")
MAPS_FILE, WINDOWS_FILE = "disentanglement_maps.png", "disentanglement_windows.png"
PARTS = ("parts", "parts_colour")
WHOLE, POOLED, FLATTENED, WINDOWS = "whole", "pooled", "flattened", "windows"
#: Code maps of more values an image are not flattened: scores of single codes would take minutes **(chosen)**.
LARGEST_CODE = 1000
#: Of flattened code maps, fewer draws than elsewhere **(chosen)**.
_FEWER = {
    "factor_vae": {"votes": 2000, "test_votes": 1000},
    "beta_vae": {"points": 2000, "test_points": 1000},
}
_BATCH = 64
_LEAST_WINDOWS = 200  # of which scores say anything
_PICTURED = 12  # panels
#: Of the table: headings, and which field of which score is below them.
COLUMNS = {
    "MIG": ("mig", "score"),
    "DCI D": ("dci", "disentanglement"),
    "DCI C": ("dci", "completeness"),
    "DCI I": ("dci", "informativeness"),
    "SAP": ("sap", "score"),
    "FactorVAE": ("factor_vae", "score"),
    "β-VAE": ("beta_vae", "score"),
    "modular": ("modularity", "score"),
    "explicit": ("explicitness", "score"),
    "IRS": ("irs", "score"),
    "TC": ("total_correlation", "score"),
    "WC": ("wasserstein_correlation", "relative"),
}

Grid = tuple[Any, Any, str]  # window size, strides and padding
Member = tuple[pathlib.Path, RunConfig]


class Measured(NamedTuple):
    """Scores of one LEA of one run.

    Attributes:
        run: its name.
        lea: its name.
        reading: which codes: "whole", "pooled" or "flattened"; or "windows", each a sample of its own, with what it
            shows of a part for factors.
        codes: how many.
        scores: by name.
        maps: by name, of "pooled" alone: ``PositionScores``.
    """

    run: str
    lea: str
    reading: str
    codes: int
    scores: dict[str, Any]
    maps: dict[str, disentanglement.PositionScores]


def measure(members: Sequence[Member], settings: Settings, results: Results) -> str:
    """Measures the codes of runs after their last epochs, stores what is found and returns it as a table.

    Args:
        members: folders of the runs with their configurations.
        settings: what is measured, on how many images.
        results: where everything goes.

    Raises:
        RunError: one line, if a run is damaged, has no LEA, or has too few images for a score.
        OSError: if the results cannot be written.
    """
    names = dict(zip([folder for folder, _ in members], _names([folder for folder, _ in members]), strict=True))
    measured: list[Measured] = []
    alike: list[dict[str, Any]] = []
    factor_names: list[str] = []
    used = 0
    try:
        results.reserve([*FILES, MAPS_FILE, WINDOWS_FILE])
        for group in _groups(members):
            images, factors = load(group[0][1], settings)
            factor_names, used = list(factors), len(images)
            windows: dict[str, list[np.ndarray]] = {}
            for folder, config in group:
                print(f"Run folder: {folder}", flush=True)
                of_run, grids = _code_maps_of_run(folder, config, images)
                for lea, maps in of_run.items():
                    measured += _of_lea(names[folder], lea, maps, factors, settings)
                    if lea in grids:
                        measured += _of_windows(names[folder], lea, maps, grids[lea], config, settings)
                    windows.setdefault(lea, []).append(maps.reshape(-1, maps.shape[-1]))
            if len(group) > 1:
                alike += [_alike(lea, codes, [names[folder] for folder, _ in group]) for lea, codes in windows.items()]
    except ValueError as error:
        few = "" if not used or used >= SAMPLES else f" ({used} images are measured: --disentanglement_samples)"
        raise RunError(f"{error}{few}") from error
    about = settings._asdict() | {"samples": used, "factors": factor_names, "factors_of_windows": parts.WINDOW_LABELS}
    results.write_json(FILES[0], about | {"runs": [_described(one) for one in measured], "udr": alike})
    results.write_csv(FILES[1], [row for one in measured for row in _rows(one)] + [_row_of(one) for one in alike])
    _draw(measured, factor_names, results)
    return "\n".join([table(measured), *map(_line, alike), *_notes([config for _, config in members])])


def load(config: RunConfig, settings: Settings) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Test images of a run, and their factors by name: none where the data set has no known ones.

    Raises:
        RunError: one line, if the data is not there.
    """
    details = lea_keras.data.info(config.dataset)
    size = min(settings.samples, config.test_limit or details.test_size)
    if config.dataset not in sources.FACTORS:
        data = evaluation.load_splits(config.replace(test_limit=size), ["test"])["test"]
        return lea_keras.data.take(data, size)[0], {}
    options = {"name": config.dataset, "image_size": config.image_size, "data_dir": config.data_dir}
    try:
        images, labels = probes.sprites_data("test", size, config.data_seed, **options)
    except (OSError, ImportError) as error:
        raise RunError(str(error)) from error
    return images, {name: coarser(column, settings.values) for name, column in labels.items()}


def coarser(labels: np.ndarray, values: int | None) -> np.ndarray:
    """Labels [n] with neighbouring values put together to at most ``values``, each of as many as possible alike."""
    size = int(labels.max()) + 1
    return labels if values is None or size <= values else labels * values // size


def code_maps(model: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """What the LEAs of a model hand on of images [n, …]: by name, code maps [n, rows, columns, code_length].

    A layer that is used more than once has "lea", "lea#2", …
    """
    maps: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(images), _BATCH):
        batch = ops.convert_to_tensor(images[start : start + _BATCH], "float32")
        with forward_pass("inspect") as current:
            model(batch, training=False)
        uses: dict[str, int] = {}
        for report in current.reports:
            name = report.layer.name
            uses[name] = uses.get(name, 0) + 1
            name += f"#{uses[name]}" if uses[name] > 1 else ""
            codes = ops.cast(report.windows.as_maps(report.codes), "float32")
            maps.setdefault(name, []).append(np.asarray(ops.convert_to_numpy(codes)))
    return {name: np.concatenate(found) for name, found in maps.items()}


def _grids(model: keras.Model, images: np.ndarray) -> dict[str, Grid]:
    """By name, how those LEAs cut their windows that are given the images themselves, whose windows are known."""
    image = images[:1].astype("float32")
    with forward_pass("inspect") as current:
        model(ops.convert_to_tensor(image), training=False)
    return {
        report.layer.name: (report.layer.window_size, report.layer.strides, report.layer.padding)
        for report in current.reports
        if np.array_equal(ops.convert_to_numpy(ops.cast(report.windows.images, "float32")), image)
    }


def _code_maps_of_run(
    folder: pathlib.Path, config: RunConfig, images: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, Grid]]:
    with networks.precision(config):
        _, number = evaluation.choose_epoch(folder, config, "last")
        model = evaluation.load_model(folder, config, number)
        with failures.in_one_line():
            maps = code_maps(model, images)
            grids = _grids(model, images) if config.dataset in PARTS else {}
    if not maps:
        raise RunError(f"The run {folder} has no codes: its model {config.model} has no LEA")
    return maps, grids


def _groups(members: Sequence[Member]) -> list[list[Member]]:
    """Runs together that differ in their seeds alone."""
    groups: dict[RunConfig, list[Member]] = {}
    for member in members:
        groups.setdefault(hyperparameters.of_run(member[1]), []).append(member)
    return list(groups.values())


def _names(folders: Sequence[pathlib.Path]) -> list[str]:
    """The shortest ends of paths that tell them apart."""
    parts = [folder.resolve().parts[1:] for folder in folders]
    for length in itertools.count(1):
        names = ["/".join(path[-length:]) for path in parts]
        if len(set(names)) == len(names) or length > max(map(len, parts)):
            return names
    raise AssertionError


def _of_lea(run: str, lea: str, maps: np.ndarray, factors: dict[str, np.ndarray], settings: Settings) -> list[Measured]:
    labels = np.stack(list(factors.values()), axis=1) if factors else np.zeros((len(maps), 0), int)
    wanted = disentanglement.SCORES if factors else tuple(disentanglement.UNSUPERVISED)
    wanted = sorted(wanted, key=lambda name: name != "factor_vae")  # at first what refuses too few images
    single = maps.shape[1:3] == (1, 1)
    readings = {WHOLE: maps[:, 0, 0]} if single else {POOLED: disentanglement.pooled(maps)}
    if not single and math.prod(maps.shape[1:]) <= LARGEST_CODE:
        readings[FLATTENED] = disentanglement.flattened(maps)
    found = []
    for reading, codes in readings.items():
        print(f"{lea}: scores of {codes.shape[1]} {reading} codes", flush=True)
        fast = {"bootstrap": 0, "options": _FEWER} if reading == FLATTENED else {}  # of hundreds of codes
        of_maps = {}
        if reading == POOLED and factors:
            every = disentanglement.SUPERVISED
            of_maps = {name: disentanglement.at_positions(every[name], maps, labels) for name in settings.maps}
        scores = disentanglement.measure(codes, labels, wanted, **fast)
        found.append(Measured(run, lea, reading, codes.shape[1], scores, of_maps))
    return found


def _of_windows(
    run: str, lea: str, maps: np.ndarray, grid: Grid, config: RunConfig, settings: Settings
) -> list[Measured]:
    """Scores of the codes of windows that see a part, against what each of them shows; none of too few windows."""
    chosen = splits.choose("test", parts.TEST_SIZE, len(maps), 0.0, config.data_seed)
    labels = parts.labels_from_indices(parts.indices("test")[chosen])
    rows = lea_keras.data.info(config.dataset, image_size=config.image_size).image_shape[0]
    own = parts.labels_of_windows(parts.factors_of_windows(labels, *grid, rows), grid[0])
    places = np.argwhere(own["shape"] >= 0)
    if len(places) < _LEAST_WINDOWS:
        return []
    some = np.sort(np.random.RandomState(0).permutation(len(places))[: settings.samples])
    place = tuple(places[some].T)  # image, row, column
    codes, factors = maps[place], np.stack([own[name][place] for name in parts.WINDOW_LABELS], axis=1)
    print(f"{lea}: scores of {codes.shape[1]} codes of {len(codes)} windows that see a part", flush=True)
    return [Measured(run, lea, WINDOWS, codes.shape[1], disentanglement.measure(codes, factors), {})]


def _alike(lea: str, codes: Sequence[np.ndarray], runs: Sequence[str]) -> dict[str, Any]:
    found = disentanglement.udr(codes)
    return {"lea": lea, "runs": list(runs)} | plain(found)


def _line(alike: dict[str, Any]) -> str:
    each = ", ".join(f"{run} {score:.3f}" for run, score in zip(alike["runs"], alike["of_models"], strict=True))
    return f"UDR of {alike['lea']}: {alike['score']:.3f}, the median of {len(alike['runs'])} runs ({each})"


def _notes(configs: Sequence[RunConfig]) -> Iterator[str]:
    return iter(dict.fromkeys(text for config in configs if (text := literature(config))))


def literature(config: RunConfig) -> str:
    """What the weight of a run's KL is called where KL has a ½ inside; nothing without a KL."""
    if config.model in ("classic", "pool_fc"):
        return ""
    if config.autoencoder == "vae":
        return f"beta={config.beta:g} is β = {2 * config.beta:g} of the literature, whose KL has a ½ inside"
    if config.autoencoder == "capacity_vae":
        here = f"gamma={config.gamma:g}, capacity={config.capacity:g}"
        return f"{here} are γ = {2 * config.gamma:g}, C = {config.capacity / 2:g} nats of the literature"
    return ""


def table(measured: Sequence[Measured]) -> str:
    """A line for each reading of each LEA, a column for each score."""
    lines = [["", *COLUMNS, "dead"]]
    for one in measured:
        cells = [_number(one.scores.get(score), field) for score, field in COLUMNS.values()]
        dead = one.scores["total_correlation"].dead_codes
        lines.append([f"{one.run} {one.lea} {one.reading}", *cells, f"{dead} of {one.codes}"])
    widths = [max(len(line[i]) for line in lines) + 2 for i in range(len(lines[0]))]
    return "\n".join(tables.aligned(lines, widths))


def _number(result: Any, field: str) -> str:
    return "" if result is None else f"{getattr(result, field):.3f}"


def _described(one: Measured) -> dict[str, Any]:
    about = {"run": one.run, "lea": one.lea, "reading": one.reading, "codes": one.codes}
    maps = {name: plain(found._replace(results=[])) for name, found in one.maps.items()}
    return about | {"scores": {name: plain(score) for name, score in one.scores.items()}, "maps": maps}


def _rows(one: Measured) -> Iterator[dict[str, Any]]:
    about = {"run": one.run, "lea": one.lea, "reading": one.reading}
    for score, field in dict.fromkeys([*COLUMNS.values(), ("wasserstein_correlation", "score")]):
        if score in one.scores:
            found = one.scores[score]
            between = found.interval if field == "score" else getattr(found, f"{field}_interval", None)
            low, high = between or (None, None)
            value = plain(getattr(found, field))
            yield about | {"score": score, "field": field, "value": value, "low": low, "high": high}
    for score, found in one.maps.items():
        for (row, column), value in np.ndenumerate(found.matrix):
            place = {"reading": "position", "row": row + 1, "column": column + 1}
            yield about | place | {"score": score, "field": "score", "value": plain(value)}


def _row_of(alike: dict[str, Any]) -> dict[str, Any]:
    return {"run": " ".join(alike["runs"]), "lea": alike["lea"], "score": "udr", "field": "score"} | {
        "value": alike["score"]
    }


def plain(value: Any) -> Any:
    """For JSON: named tuples as dictionaries, arrays as lists, what is not finite as None."""
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _draw(measured: Sequence[Measured], factors: Sequence[str], results: Results) -> None:
    for file, names, readings in (
        (FILES[2], factors, (WHOLE, POOLED)),
        (WINDOWS_FILE, parts.WINDOW_LABELS, (WINDOWS,)),
    ):
        matrices = {
            f"{one.run}\n{one.lea} {one.reading}": _of_all(one.scores["mig"], len(names))
            for one in measured
            if "mig" in one.scores and one.reading in readings
        }
        if matrices:
            few = dict(itertools.islice(matrices.items(), _PICTURED))
            results.write_picture(file, plots.score_matrix(few, names))
    maps = {f"{one.run}\n{one.lea} {name}": found.matrix for one in measured for name, found in one.maps.items()}
    if maps:
        few = dict(itertools.islice(maps.items(), _PICTURED))
        results.write_picture(MAPS_FILE, plots.score_maps(few))


def _of_all(found: disentanglement.MIG, count: int) -> np.ndarray:
    """Mutual information with all factors, [d, count]: nothing is known of those that are constant."""
    matrix = np.zeros((len(found.matrix), count))
    matrix[:, list(found.factors)] = found.matrix
    return matrix
