"""Studies by name, in the order of the thesis, and then those that it does not have.

Nothing here imports Keras.
"""

import importlib
import pkgutil

from experiments.studies.base import Study


def _collected() -> dict[str, Study]:
    """The ``STUDY`` of every module here that has one."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in _modules()]
    studies = [module.STUDY for module in modules]
    return {study.name: study for study in sorted(studies, key=_place)}


def _modules() -> list[pkgutil.ModuleInfo]:
    prefixes = ("fig_", "table_", "beyond_")
    return [found for found in pkgutil.iter_modules(__path__) if found.name.startswith(prefixes)]


def _place(study: Study) -> tuple:
    """Figures and tables of a chapter together, figures first; what has no number last."""
    number = study.name.lstrip("T").split(".")
    if not number[0].isdigit():
        return (99, 0, 0, study.name)
    return int(number[0]), study.name.startswith("T"), int(number[1]) if len(number) > 1 else 0, study.name


#: By name: "3.3", …, "T3.1", …, and words.
STUDIES: dict[str, Study] = _collected()
