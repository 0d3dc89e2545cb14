"""Order of imports between rooms, laziness of heavy ones, and the public names."""

import ast
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

import lea_keras

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "lea_keras"

# A room imports only rooms of the levels before its own. A new file or folder gets its place here.
LEVELS = [
    {"version", "environment", "moved", "hooks"},
    {"checks", "locks"},
    {"constraints", "optimizers", "utils", "saving", "windows"},
    {"losses", "data"},
    {"metrics"},
    {"autoencoders"},
    {"layers"},
    {"training"},
    {"disentanglement", "inspection", "export", "pca", "probes", "whole_image"},
    {"robustness"},
    {"plots"},
    {"callbacks", "explorer"},
    {"__init__"},
]
LEVEL = {name: i for i, names in enumerate(LEVELS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN = {"models", "experiments", "train", "tests", "benchmarks"}
LAZY = {"matplotlib", "tensorflow_datasets", "foolbox", "sklearn", "tensorboard"}
# TensorFlow's own calls live in differentiation, in the training step and in the data pipeline.
WITHOUT_TENSORFLOW = (
    "checks",
    "windows/grid",
    "windows/blocks",
    "windows/extraction",
    "losses",
    "metrics",
    "autoencoders/base",
    "autoencoders/coders",
    "autoencoders/decoder",
    "autoencoders/tied",
    "autoencoders/likelihoods",
    "autoencoders/stacks",
    "autoencoders/types",
    "autoencoders/info",
    "layers/strips",
    "layers/chunking",
    "layers/scope",
    "layers/lea",
    "training/schedule",
    "training/trainer",
    "export",
    "whole_image",
)


def module_of(path):
    """The top-level module of a file in the package: lea_keras/a.py and lea_keras/a/b.py are "a"."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(source, package=("lea_keras",)):
    """Full names of all that a file imports, wherever in it; of ``from a import b`` both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = list(package[: len(package) - node.level + 1]) if node.level else []
            base = ".".join(parts + ([node.module] if node.module else []))
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def modules_of_the_package(source, package=("lea_keras",)):
    """Which top-level modules of lea_keras a file imports."""
    names = {name.split(".")[1] for name in imported(source, package) if name.startswith("lea_keras.")}
    return names & LEVEL.keys()


def upwards(module, source, package=("lea_keras",)):
    """What a module imports from its own level or above."""
    return {name for name in modules_of_the_package(source, package) - {module} if LEVEL[name] >= LEVEL[module]}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import lea_keras.layer", {"lea_keras.layer"}),
        ("from lea_keras import layer as x", {"lea_keras", "lea_keras.layer"}),
        ("from lea_keras.layer import A", {"lea_keras.layer", "lea_keras.layer.A"}),
        ("from . import layer", {"lea_keras", "lea_keras.layer"}),
        ("def f():\n    from .layer import A", {"lea_keras.layer", "lea_keras.layer.A"}),
        ("import models.thesis, os", {"models.thesis", "os"}),
    ],
)
def test_imports_are_found_in_every_form(source, names):
    assert imported(source) == names


def test_an_import_upwards_would_be_found():
    assert upwards("windows", "from lea_keras import checks, layers") == {"layers"}
    assert upwards("autoencoders", "def f():\n    import lea_keras.training.model") == {"training"}
    assert upwards("layers", "from lea_keras.autoencoders.coders import PACKAGE") == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    module = module_of(path)
    assert module in LEVEL, f"lea_keras.{module} has no place in LEVELS of this test"
    package = ("lea_keras", *path.relative_to(PACKAGE).parts[:-1])
    assert not upwards(module, path.read_text(encoding="utf-8"), package)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_package_imports_no_reference_model_and_no_script(path):
    assert not {name.split(".")[0] for name in imported(path.read_text(encoding="utf-8"))} & FORBIDDEN


@pytest.mark.parametrize("module", WITHOUT_TENSORFLOW)
def test_code_that_layers_run_is_free_of_tensorflow(module):
    names = imported((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    assert not {name for name in names if name.startswith("tensorflow")}


WITHOUT_LAZY = """
import importlib, pkgutil, sys
for name in {lazy}:
    sys.modules[name] = None  # importing it now fails as if it were not installed
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    sys.exit(f"{{name}} can still be imported")
import lea_keras
for module in pkgutil.iter_modules(lea_keras.__path__):
    if module.name != "robustness":  # which is about foolbox
        importlib.import_module(f"lea_keras.{{module.name}}")
print("imported", *(name for name in sys.modules if name.split(".")[0] in {forbidden}))
"""


def test_importing_the_package_leaves_heavy_dependencies_alone():
    """In a process of its own where they are missing. (Keras itself imports matplotlib where it is installed.)"""
    script = WITHOUT_LAZY.format(lazy=sorted(LAZY), forbidden=sorted(FORBIDDEN))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["imported"]


def test_public_names():
    for name in lea_keras.__all__:
        assert hasattr(lea_keras, name)
    assert {
        "StandardAutoencoder",
        "KSparseAutoencoder",
        "VariationalAutoencoder",
        "CapacityControlledAutoencoder",
        "InfoAutoencoder",
        "JointAutoencoder",
        "LocallyEmbeddedAutoencoder",
        "LEAModel",
        "export_encoder",
        "windows",
        "metrics",
    } <= set(lea_keras.__all__)
    for function in ("extract_windows", "merge_windows"):
        assert callable(getattr(lea_keras.windows, function))
    for function in ("reconstruction_loss", "normalized_reconstruction_loss", "reconstruction_confidence"):
        assert callable(getattr(lea_keras.metrics, function))


def test_submodules_come_with_their_first_use_and_old_modules_are_the_new_ones():
    """In a process of its own: those that come with their first use, too, and whichever name is asked for first."""
    script = """
import importlib, sys, lea_keras
assert 'foolbox' not in sys.modules
print(len(lea_keras.robustness.ATTACKS))
for old, new in lea_keras.moved.MOVED.items():
    module = importlib.import_module(f"lea_keras.{old}")
    assert module is importlib.import_module(f"lea_keras.{new}") is sys.modules[f"lea_keras.{old}"], old
    assert module.__name__ == module.__spec__.name == f"lea_keras.{new}", old
    assert "." in old or getattr(lea_keras, old) is module, old
try:
    import lea_keras.layr
except ModuleNotFoundError as error:
    print(error)
"""
    environment = os.environ | {"MPLBACKEND": "of a notebook elsewhere"}  # with which Keras alone cannot be imported
    if importlib.util.find_spec("jax"):  # which is imported in half the time, and no name depends on the backend
        environment["KERAS_BACKEND"] = "jax"
        script = f"import sys; sys.modules['tensorflow'] = sys.modules['sklearn'] = None\n{script}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "13\nNo module named 'lea_keras.layr'\n", done.stderr
    assert {"plots", "robustness", "LEAModel"} <= set(dir(lea_keras))
    with pytest.raises(AttributeError, match="module 'lea_keras' has no attribute 'robust'"):
        lea_keras.robust  # noqa: B018


def test_every_folder_is_a_package():
    """Without its ``__init__.py`` a folder can be imported here and is missing where the package is installed."""
    assert {path.parent for path in FILES} == {path.parent for path in PACKAGE.rglob("__init__.py")}


def test_one_version():
    text = (PACKAGE / "version.py").read_text(encoding="utf-8")
    assert f'__version__ = "{lea_keras.__version__}"' in text


def test_requirements_of_jax_are_those_of_the_package():
    """All but TensorFlow with its data sets, and JAX, in the same versions."""
    lines = (ROOT / "requirements-jax.txt").read_text("utf-8").splitlines()
    found = {line for line in lines if not line.startswith("#")}
    text = (ROOT / "setup.py").read_text("utf-8")
    needed = set(re.findall(r'^        "([a-z_-]+[<>=].*?)",', text, re.M))
    of_tensorflow = {line for line in needed if line.startswith(("tensorflow", "importlib_resources"))}
    assert len(of_tensorflow) == 3
    assert found == needed - of_tensorflow | {"jax>=0.7"}
    assert '"jax": ["jax>=0.7"]' in text
