"""What pytest loads first: which files are for which backend, and the start of every process that runs tests."""

from backends import BACKEND, ON_JAX


def pytest_configure(config):
    """Starts the backend where tests are run. Of several processes the first only hands them out: it is 6 s quicker."""
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        config.pluginmanager.import_plugin("start_of_tests")


def pytest_ignore_collect(collection_path):
    if BACKEND == "jax" and collection_path.suffix == ".py" and collection_path.name.startswith("test_"):
        return collection_path.name not in ON_JAX
    return None
