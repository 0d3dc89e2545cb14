"""Packages that not everybody has installed, looked for before the work that needs them."""

import importlib.util

#: scikit-learn as ``check_installed`` takes it.
SKLEARN = ("sklearn", "scikit-learn", "metrics")


def is_installed(module: str) -> bool:
    """Says whether a package can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def check_installed(what: str, module: str, package: str, extra: str) -> None:
    """Refuses work whose package is missing.

    Args:
        what: what needs it, as the user knows it.
        module: the name by which the package is imported.
        package: the name by which it is installed.
        extra: the extra of this package with which it comes.

    Raises:
        ValueError: one line with the commands that install it.
    """
    if not is_installed(module):
        raise ValueError(f"{what} needs {package}: pip install -e '.[{extra}]', or pip install {package}")
