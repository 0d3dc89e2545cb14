"""Import of matplotlib, and with it of Keras, whatever plotting backend the environment names."""

import contextlib
import os
import sys

VARIABLE = "MPLBACKEND"


def import_matplotlib() -> None:
    """Imports matplotlib, if it is installed, in an environment that names a backend for it.

    Keras imports matplotlib where it is installed, and matplotlib cannot be imported where the variable names a backend
    that is not, as one of a notebook in the environment of what the notebook starts. A backend that is there is set as
    matplotlib does it itself; for another, matplotlib is as without the variable, which stays as it is.
    """
    name = os.environ.get(VARIABLE)
    if not name or "matplotlib" in sys.modules:
        return
    del os.environ[VARIABLE]
    try:
        import matplotlib
    except ImportError:
        return
    finally:
        os.environ[VARIABLE] = name
    with contextlib.suppress(ValueError):  # of a backend that is not there: matplotlib then looks for one that is
        matplotlib.rcParams["backend"] = name
