"""Importing what imports TensorFlow, without the notices that it writes while it starts."""

import importlib
import os
import sys
import tempfile
from types import ModuleType


def quiet_import(name: str) -> ModuleType:
    """Imports what imports TensorFlow; what goes to the standard error meanwhile is shown only if the import fails.

    ``TF_CPP_MIN_LOG_LEVEL`` alone is not enough: some notices come before TensorFlow looks at it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), 2)
        try:
            module = importlib.import_module(name)
            # TensorFlow looks for a GPU at first use, and says so at length where there is none.
            sys.modules["tensorflow"].config.list_physical_devices("GPU")
            return module
        except BaseException:
            notices.seek(0)
            os.write(original, notices.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
