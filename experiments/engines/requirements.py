"""Data sets and libraries that units need, looked for before anything is trained."""

from collections.abc import Sequence

from experiments import extras
from experiments.config import checks
from experiments.engines.units import Unit
from experiments.runs import RunError
from lea_keras import data

_WITH_SKLEARN = ("disentanglement", "part_codes")  # measures that need it
_DATASETS = ("dataset", "source", "target")  # options of measures that name one


def datasets(unit: Unit) -> list[str]:
    """The data sets that a unit reads: that of its run, or those that its measures name."""
    named = [options.get(key) for options in unit.measures.values() for key in _DATASETS]
    return list(dict.fromkeys(name for name in [unit.config.dataset if unit.trained else None, *named] if name))


def check(todo: Sequence[Unit]) -> None:
    """Refuses units of which one would fail, after hours perhaps, for what is not here.

    Raises:
        ValueError: one line, for a library that is not installed.
        RunError: one line, for a data set that is neither there nor to be downloaded.
    """
    for name in dict.fromkeys(name for unit in todo for name in unit.measures):
        if name in _WITH_SKLEARN:
            extras.check_installed(f"What is measured of runs ({name})", *extras.SKLEARN)
    wanted = {
        (name, unit.config.data_dir): unit for unit in todo for name in datasets(unit) if not unit.config.download
    }
    for (name, data_dir), unit in wanted.items():
        try:
            data.file_size(name, data_dir)
        except FileNotFoundError:
            hint = "Pass --download to download it."
            allowed = f"a folder of TensorFlow Datasets that holds {name!r}, as {unit.folder} needs"
            raise RunError(str(checks.fail("data_dir", allowed, data_dir, hint))) from None
        except (ValueError, ImportError) as error:
            raise RunError(str(error)) from None
