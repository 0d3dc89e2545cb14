"""Measures and draws what trained runs are worth, from their folders; ``python evaluate.py --help`` lists the flags."""

import contextlib
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from experiments import backends, certify_command, cli, disentanglement_flags, epochs, latent_command, runs
from experiments.config import DATASETS, RunConfig, checks
from experiments.evaluate_flags import (
    ATTACK_SAMPLES,
    ATTACK_SEMANTICS,
    COMPARISON,
    DATASETS_FOLDER,
    GROUPS,
    IMAGES,
    OUTPUT,
    PROBE_PRESETS,
    ROBUSTNESS,
    WITH_FACTORS,
    help_text,
)
from experiments.results import Results
from experiments.runs import RunError
from experiments.startup import quiet_import


def run(argv: Sequence[str]) -> str:
    """Does what the command line says and returns the table of results.

    Raises:
        RunError: one line, for everything that a user can get wrong.
    """
    given = cli.parse(argv, GROUPS)
    if sum(name in given for name in ("run_dir", "compare", "datasets")) != 1:
        raise RunError("One of --run_dir, --compare and --datasets must be given; --help says more")
    plan = _attack if "attacks" in given else _disentanglement if given.get("disentanglement") else _evaluation
    plan = _certify if "certify" in given else plan
    plan = _comparison if "compare" in given else _datasets if "datasets" in given else plan
    try:
        work = plan(given)
    except ValueError as error:
        raise RunError(str(error)) from None
    except OSError as error:
        raise _unusable(error) from None
    try:
        return work()
    except OSError as error:
        raise _unusable(error) from error
    except KeyboardInterrupt:
        goes_on = "attacks" in given or "certify" in given
        again = f"Continue with: {cli.command('evaluate.py', *argv[1:])}" if goes_on else ""
        raise KeyboardInterrupt(again) from None


def _unusable(error: OSError) -> RunError:
    path = f"{error.filename}: " if error.filename else ""
    return RunError(f"The folder of a run or of results cannot be used: {path}{error.strerror or error}")


def _evaluation(given: dict[str, Any]) -> Callable[[], str]:
    """Checks everything that can be checked before Keras is imported, of all runs; returns what is to be done."""
    if needless := [name for name in given if name.startswith("disentanglement_")]:
        raise RunError(f"Add --disentanglement to --{needless[0]}, which is of no use without it")
    latent_command.refuse_elsewhere(given)
    needless = [name for name in given if name in ("baseline", "standardise") or name.startswith("attack_")]
    if needless:
        raise RunError(f"Add --attacks to --{needless[0]}, which is of no use without it")
    images = checks.check_positive_int("images", given.get("images", IMAGES))
    relative = checks.check_choice("confidence_of", given.get("confidence_of", "split"), ("split", "images"))
    epoch = epochs.check(given.get("epoch", epochs.LAST))
    splits = given["splits"].split(",") if "splits" in given else None
    folders = _folders("run_dir", given["run_dir"])
    if "output_dir" in given and len(folders) > 1:
        raise checks.fail("output_dir", f"left out with several runs, here {len(folders)}", given["output_dir"])
    tasks = []
    for folder, config in _configs(folders, given):
        for split in splits or ():
            if split == "validation" and not config.validation:
                raise checks.fail("splits", f"train or test for {folder}, a run without a validation part", split)
            checks.check_choice("splits", split, config.splits)
        output = pathlib.Path(given.get("output_dir", folder / OUTPUT))
        tasks.append((folder, config, Results(output, [folder])))
    probes = _probe_settings(given)
    if probes and any(config.dataset not in WITH_FACTORS for _, config, _ in tasks):
        found = next(config.dataset for _, config, _ in tasks if config.dataset not in WITH_FACTORS)
        raise checks.fail("probes", f"left out for runs on other data than {' and '.join(WITH_FACTORS)}", found)
    backends.use(given.get("backend", tasks[0][1].backend))
    return lambda: _evaluate(tasks, splits, (images, relative == "split", bool(given.get("explorer"))), probes, epoch)


def _configs(folders: Sequence[pathlib.Path], given: dict[str, Any]) -> list[tuple[pathlib.Path, RunConfig]]:
    """The runs with their configurations, perhaps with the data elsewhere."""
    elsewhere = {"download": False} | {name: given[name] for name in ("data_dir", "download") if name in given}
    return [(folder, runs.load_config(folder).replace(**elsewhere)) for folder in folders]


def _probe_settings(given: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of ``probing.Settings``, or None where nothing is to be probed."""
    settings = {name.removeprefix("probe_"): value for name, value in given.items() if name.startswith("probe_")}
    if settings and not given.get("probes"):
        raise RunError("Add --probes to the flags that begin with --probe_, which are of no use without it")
    preset = checks.check_choice("probe_preset", settings.pop("preset", "thrifty"), PROBE_PRESETS)
    for name in ("limit", "epochs", "features", "batch_size"):
        if name in settings and settings[name] != "all":
            checks.check_positive_int(f"probe_{name}", settings[name])
    if "held_out" in settings:
        checks.check_fraction("probe_held_out", settings["held_out"])
    if "learning_rate" in settings:
        checks.check_number("probe_learning_rate", settings["learning_rate"])
    if settings.get("features") == "all":
        settings["features"] = None
    return PROBE_PRESETS[preset] | settings if given.get("probes") else None


def _evaluate(
    tasks: list[tuple[pathlib.Path, RunConfig, Results]],
    splits: list[str] | None,
    pictured: tuple[int, bool, bool],
    probes: dict[str, Any] | None,
    epoch: epochs.Choice,
) -> str:
    evaluation = quiet_import("experiments.evaluation")  # only now, since importing Keras takes seconds
    if epoch != epochs.LAST:
        _check_epochs(evaluation, tasks, epoch)
    for i, (folder, config, results) in enumerate(tasks):
        print(f"Run folder: {folder}" + (f" ({i + 1} of {len(tasks)})" if len(tasks) > 1 else ""), flush=True)
        settings = evaluation.probing.Settings(**probes) if probes else None
        with contextlib.closing(results):
            shown = evaluation.Pictured(*pictured)
            text = evaluation.evaluate(folder, config, splits or config.splits, shown, results, settings, epoch)
        text += f"\nResults: {results.folder}"
        if i + 1 < len(tasks):
            print(text, flush=True)
    return text


def _check_epochs(evaluation: Any, tasks: list[tuple[pathlib.Path, RunConfig, Results]], epoch: epochs.Choice) -> None:
    """Before the first run is measured, sees that all of them have the epoch."""
    for folder, config, _ in tasks:
        try:
            evaluation.choose_epoch(folder, config, epoch)
        except ValueError as error:
            raise RunError(str(error)) from None


def _attack(given: dict[str, Any]) -> Callable[[], str]:
    """Checks what can be checked before Keras is imported; returns what is to be done."""
    if given["attacks"] == latent_command.NAME:
        return _latent_attack(given)
    latent_command.refuse_elsewhere(given)
    known = {flag.name for flag in GROUPS["Attacks"]} | {"run_dir", "backend", "data_dir", "download", "output_dir"}
    for name in given:
        if name not in known:
            raise checks.fail(name, "left out with --attacks, which measures nothing else", given[name])
    samples = checks.check_positive_int("attack_samples", given.get("attack_samples", ATTACK_SAMPLES))
    seed = checks.check_seed(given.get("attack_seed", 0), "attack_seed")
    standardise = checks.check_choice("standardise", given.get("standardise", "spread"), ("spread", "relative"))
    if "standardise" in given and "baseline" not in given:
        raise checks.fail("standardise", "left out without --baseline", standardise)
    colours = given.get("attack_colours", "logarithmic")
    checks.check_choice("attack_colours", colours, ("logarithmic", "linear"))
    semantics = checks.check_choice(
        "attack_semantics", given.get("attack_semantics", ATTACK_SEMANTICS[0]), ATTACK_SEMANTICS
    )
    members, results = _classifiers(given)
    settings = {"attacks": given["attacks"], "baseline": given.get("baseline"), "samples": samples, "seed": seed}
    settings |= {"semantics": semantics, "standardise": standardise, "colours": colours}
    backends.use(given.get("backend", members[0][1].backend))

    def attack() -> str:
        attacking = quiet_import("experiments.attacking")
        return attacking.attack(members, attacking.Settings(**settings), results)

    return _stored(attack, results)


def _certify(given: dict[str, Any]) -> Callable[[], str]:
    """Checks what can be checked before Keras is imported; returns what is to be done."""
    settings = certify_command.settings_of(given)
    members, results = _classifiers(given)
    backends.use(given.get("backend", members[0][1].backend))

    def certify() -> str:
        certifying = quiet_import("experiments.certifying")
        return certifying.certify(members, certifying.Settings(**settings), results)

    return _stored(certify, results)


def _classifiers(given: dict[str, Any]) -> tuple[list[tuple[pathlib.Path, RunConfig]], Results]:
    """The runs to attack or certify, which are of classifiers on one data set, and where results of them go."""
    named, folders = _split("run_dir", given["run_dir"]), _folders("run_dir", given["run_dir"])
    members = _of_one_dataset(_configs(folders, given), given, "attacked")
    for folder, config in members:
        if config.main_loss is None:
            raise checks.fail("run_dir", "runs of classifiers, as others have no classes to mistake", str(folder))
    return members, _results(given, folders, named, ROBUSTNESS)


def _of_one_dataset(
    members: list[tuple[pathlib.Path, RunConfig]], given: dict[str, Any], done: str
) -> list[tuple[pathlib.Path, RunConfig]]:
    """The runs, if all are of one data set."""
    datasets = sorted({config.dataset for _, config in members})
    if len(datasets) > 1:
        allowed = f"runs on one data set where they are {done}, and not {' and '.join(datasets)}"
        raise checks.fail("run_dir", allowed, given["run_dir"])
    return members


def _disentanglement(given: dict[str, Any]) -> Callable[[], str]:
    """Checks what can be checked before Keras is imported; returns what is to be done."""
    settings = disentanglement_flags.check(given)
    named, folders = _split("run_dir", given["run_dir"]), _folders("run_dir", given["run_dir"])
    members = _of_one_dataset(_configs(folders, given), given, "measured so")
    results = _results(given, folders, named, disentanglement_flags.NAME)
    backends.use(given.get("backend", members[0][1].backend))
    return _stored(lambda: quiet_import("experiments.disentangling").measure(members, settings, results), results)


def _latent_attack(given: dict[str, Any]) -> Callable[[], str]:
    """Checks what can be checked before Keras is imported; returns what is to be done."""
    settings = latent_command.settings(given, ATTACK_SAMPLES)
    named, folders = _split("run_dir", given["run_dir"]), _folders("run_dir", given["run_dir"])
    judges = _configs(_folders("judge", given["judge"]), given)
    members = _configs(folders, given)
    latent_command.check_members(members, judges, given)
    members = [member for member in members if member[0].resolve() != judges[0][0].resolve()]
    if not members:
        raise checks.fail("run_dir", "at least one run beside the judge", given["run_dir"])
    results = _results(given, [folder for folder, _ in members], named, ROBUSTNESS)
    backends.use(given.get("backend", members[0][1].backend))
    return _stored(
        lambda: quiet_import("experiments.latent_attacks").attack(members, judges[0], settings, results), results
    )


def _results(
    given: dict[str, Any], folders: Sequence[pathlib.Path], named: Sequence[pathlib.Path], name: str
) -> Results:
    """Where results go that are of one run or of several together: what was named, or the run's own folder, or one of
    a name beside them."""
    alone = len(folders) == 1
    own = folders[0] / OUTPUT if alone else _beside(named, name)
    return Results(pathlib.Path(given.get("output_dir", own)), folders if alone else named)


def _stored(measure: Callable[[], str], results: Results) -> Callable[[], str]:
    """What measures and stores, tells the table that it makes and where results are, and lets go of their folder."""

    def work() -> str:
        with contextlib.closing(results):
            text = measure()
        return f"{text}\nResults: {results.folder}"

    return work


def _beside(named: Sequence[pathlib.Path], name: str) -> pathlib.Path:
    """Where results of several runs go: into the folder of the runs if one was named, else beside the first run."""
    inside = len(named) == 1 and not runs.exists(named[0])
    return named[0] / name if inside else pathlib.Path(os.path.normpath(named[0] / ".." / name))


def _comparison(given: dict[str, Any]) -> Callable[[], str]:
    """Checks what can be checked before Keras is imported; returns what is to be done."""
    for name in given:
        if name not in ("compare", "epoch", "output_dir", "probes"):
            raise checks.fail(name, "left out with --compare, which measures nothing anew", given[name])
    epoch = epochs.check(given.get("epoch", epochs.LAST))
    if given.get("probes") and epoch != epochs.LAST:
        raise checks.fail("epoch", "left out with --compare and --probes, which are of the last one", epoch)
    named, folders = _split("compare", given["compare"]), _folders("compare", given["compare"])
    output = pathlib.Path(given.get("output_dir", _beside(named, COMPARISON)))
    results = Results(output, named)
    backends.use_any()

    def work() -> str:
        with contextlib.closing(results):
            if given.get("probes"):
                text = quiet_import("experiments.probe_comparison").compare(folders, results)
            else:
                text = quiet_import("experiments.comparison").compare(folders, results, epoch)
        return f"{text}\nResults: {output}"

    return work


def _datasets(given: dict[str, Any]) -> Callable[[], str]:
    """Checks what can be checked before TensorFlow is imported; returns what is to be done."""
    for name in given:
        if name not in ("datasets", "data_dir", "images", "output_dir"):
            raise checks.fail(name, "left out with --datasets, which shows no runs", given[name])
    images = checks.check_positive_int("images", given.get("images", IMAGES))
    names = cli.chosen_names("datasets", given["datasets"], DATASETS)
    output = pathlib.Path(given.get("output_dir", DATASETS_FOLDER))
    results = Results(output, [output])
    backends.use_any()

    def work() -> str:
        with contextlib.closing(results):
            text = quiet_import("experiments.datasets").describe(names, given.get("data_dir"), images, results)
        return f"{text}\nResults: {output}"

    return work


def _split(name: str, text: str) -> list[pathlib.Path]:
    """The folders that a flag names; a comma may also be part of the name of a single one."""
    parts = [text] if os.path.isdir(os.path.expanduser(text)) else text.split(",")
    if not all(parts):
        raise checks.fail(name, "one or more folders with commas between them", text)
    return [pathlib.Path(checks.check_path(name, part)) for part in parts]


def _folders(name: str, text: str) -> list[pathlib.Path]:
    """All runs in the folders that a flag names, each once."""
    found: dict[pathlib.Path, pathlib.Path] = {}
    for folder in _split(name, text):
        inside = runs.find_runs(folder)
        if not inside:
            allowed = f"folders of runs, with a {runs.CONFIG_FILE}, or of such folders"
            raise checks.fail(name, allowed, str(folder))
        for path in inside:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def main(argv: Sequence[str]) -> int:
    """Runs the command line and returns the exit status; whatever a user can get wrong is one line on stderr."""
    return cli.main(argv, "evaluate.py", run, help_text)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
