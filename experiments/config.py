"""Configurations of runs: every hyperparameter in one frozen dataclass, checked in one place, stored as JSON.

Nothing here imports Keras, so that a command line with a mistake in it is answered at once.
"""

import dataclasses
import importlib.util
import json
import os
import pathlib
from collections.abc import Callable
from types import ModuleType
from typing import Any


def load_alone(name: str) -> ModuleType:
    """A module of ``lea_keras`` alone: importing it by name would import ``lea_keras``, and with it Keras."""
    package = importlib.util.find_spec("lea_keras")
    if package is None or not package.submodule_search_locations:
        raise ImportError("models needs lea_keras: install it with `pip install -e .` or run from the repository")
    path = pathlib.Path(next(iter(package.submodule_search_locations))) / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"_lea_keras_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checks, locks = load_alone("checks"), load_alone("locks")

# (rows, columns) of the images of each data set.
IMAGE_SIZES: dict[str, tuple[int, int]] = {
    "sprites": (64, 64),
    "dsprites": (64, 64),
    "mnist": (28, 28),
    "fashion_mnist": (28, 28),
    "cifar10": (32, 32),
}
MODELS = ("classic", "cnn_lea", "pool_fc", "lea_fc", "lea_only", "decoder_free")
AUTOENCODERS = ("standard", "k_sparse", "vae", "capacity_vae")
ENCODERS = ("fc", "conv")
DECODERS = ("fc", "conv", "sb")
OPTIMIZATIONS = ("alternate", "joint", "independent")
PRECISIONS = ("none", "float16", "bfloat16")
BACKENDS = ("tensorflow", "jax")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """All that defines a run: data, model and training; the fields are the flags of ``train.py``.

    The defaults here are the thesis' (sections 3.3 and A.1); ``CONFIGS`` holds one configuration per reference model.
    Fields that a model has no use for (a pool has no code length) are kept, so that models can be compared under the
    same flags.

    Attributes:
        dataset: a key of ``IMAGE_SIZES``.
        data_dir: folder of the TFDS data sets; None: TFDS' own default.
        download: whether a missing data set may be downloaded.
        limit: number of training samples, taken after a seeded shuffle; None: all.
        validation: fraction of these samples, chosen by the seed, to validate on instead of the test data; 0: none.
        batch_size: samples per step; None: the data set's default (thesis section A.1).
        model: one of ``MODELS``.
        filters: filters of the two convolutions of ``classic`` and ``cnn_lea``.
        window_size: of LEA or pool, in pixels: int or (rows, columns).
        strides: pixels from window to window: int or (rows, columns); None: the window size.
        autoencoder: "standard", "k_sparse", "vae" or "capacity_vae".
        encoder: "fc" or "conv".
        decoder: "fc", "conv" or "sb".
        code_length: code variables per window.
        kernels: filters of convolutional encoders and decoders.
        kernel_size: their kernel size, in pixels.
        k: code values that a k-sparse autoencoder keeps.
        a: factor on k outside training, at least 1.
        beta: weight of the KL divergence in a VAE's loss.
        gamma: weight of the capacity penalty.
        capacity: final capacity C of a capacity-controlled VAE, in nats as Eq. 2.24 counts them.
        capacity_epochs: epochs over which C rises to ``capacity``; 0: it is there from the start.
        optimization: "alternate", "joint" or "independent".
        lea_weight: weight λ of each LEA's loss (Eq. 5.3).
        epochs: passes over the training data.
        learning_rate: Adam's.
        seed: of weights, noise, data order and the choice of samples.
        chunk_windows: windows that a LEA works on at once; "auto": as many as fit the cache; None: all.
        jit_compile: whether XLA compiles the training step; None: Keras decides.
        mixed_precision: "none", "float16" or "bfloat16".
        backend: what Keras runs on, "tensorflow" or "jax".
    """

    dataset: str = "sprites"
    data_dir: str | None = None
    download: bool = False
    limit: int | None = None
    validation: float = 0.0
    batch_size: int | None = None
    model: str = "lea_fc"
    filters: tuple[int, int] = (32, 64)
    window_size: int | tuple[int, int] = 4
    strides: int | tuple[int, int] | None = None
    autoencoder: str = "vae"
    encoder: str = "fc"
    decoder: str = "fc"
    code_length: int = 10
    kernels: int = 32
    kernel_size: int = 4
    k: int = 5
    a: float = 1.3
    beta: float = 0.5
    gamma: float = 10.0
    capacity: float = 25.0
    capacity_epochs: int = 25
    optimization: str = "alternate"
    lea_weight: float = 1.0
    epochs: int = 4
    learning_rate: float = 1e-4
    seed: int = 0
    chunk_windows: int | str | None = None
    jit_compile: bool | None = None
    mixed_precision: str = "none"
    backend: str = "tensorflow"

    def __post_init__(self) -> None:
        """Checks every field and brings it into its one form.

        Raises:
            ValueError: one line that names the field, what is allowed, and what came.
        """
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        image_size = IMAGE_SIZES[self.dataset]
        if any(window > side for window, side in zip(_pair(self.window_size), image_size, strict=True)):
            allowed = f"at most the {image_size[0]}x{image_size[1]} pixels of {self.dataset}"
            raise checks.fail("window_size", allowed, self.window_size)
        if self.autoencoder == "k_sparse" and self.k > self.code_length:
            raise checks.fail("k", f"at most the code length, {self.code_length}", self.k)
        if self.model == "decoder_free" and self.lea_weight != 0:
            raise checks.fail("lea_weight", "0 for decoder_free", self.lea_weight, "With a weight it is lea_only.")

    @property
    def validates_on(self) -> str:
        """The split that every epoch is followed by, whose metrics begin with "val_": "validation" or "test"."""
        return "validation" if self.validation else "test"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the run's data: "train", perhaps "validation", "test"."""
        return ("train", *(("validation",) if self.validation else ()), "test")

    def to_json(self) -> str:
        """The configuration as indented JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunConfig":
        """Reads what ``to_json`` wrote.

        Raises:
            ValueError: one line, if ``text`` is no JSON object or its fields are not exactly those of the class.
        """
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"The run configuration is not valid JSON: {error}") from None
        if not isinstance(values, dict):
            raise ValueError(f"The run configuration must be a JSON object. Received: {type(values).__name__}")
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            checks.check_choice("field", name, names)
        values = _ADDED_LATER | values
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"The run configuration lacks the fields: {', '.join(missing)}")
        return cls(**values)

    def replace(self, **values: Any) -> "RunConfig":
        """A checked copy with some fields changed."""
        return dataclasses.replace(self, **values)


def _choice(*choices: str) -> Callable[[str, Any], str]:
    return lambda name, value: checks.check_choice(name, value, choices)


def _int(minimum: int = 1) -> Callable[[str, Any], int]:
    return lambda name, value: checks.check_positive_int(name, value, minimum)


def _number(minimum: float = 0.0) -> Callable[[str, Any], float]:
    return lambda name, value: checks.check_number(name, value, minimum)


def _optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


def _bool(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise checks.fail(name, "True or False", value)
    return value


def _above_zero(name: str, value: Any) -> float:
    number = checks.check_number(name, value)
    if number == 0:
        raise checks.fail(name, "a finite number above 0", value)
    return number


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _size(name: str, value: Any) -> int | tuple[int, int]:
    """An int, or a pair of two different ones: equal sizes have one form, whichever was typed."""
    rows, columns = checks.check_pair(name, value)
    return rows if rows == columns else (rows, columns)


def _filters(name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)):
        raise checks.fail(name, "a pair of positive integers, one per convolution", value)
    return checks.check_pair(name, value)


def _folder(name: str, value: Any) -> str:
    """An absolute path, so that a stored run finds its data from any working directory; URLs stay as they are."""
    path = checks.check_path(name, value, urls=True)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise checks.fail(name, "a path in valid UTF-8, which TensorFlow Datasets needs", value) from None
    return path if "://" in path else os.path.abspath(path)


def _chunk_windows(name: str, value: Any) -> int | str:
    return value if value == "auto" else checks.check_positive_int(name, value)


# Fields that runs of earlier versions lack, with what those runs did.
_ADDED_LATER = {"chunk_windows": None, "backend": "tensorflow", "validation": 0.0}

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "dataset": _choice(*IMAGE_SIZES),
    "data_dir": _optional(_folder),
    "download": _bool,
    "limit": _optional(_int()),
    "validation": checks.check_fraction,
    "batch_size": _optional(_int()),
    "model": _choice(*MODELS),
    "filters": _filters,
    "window_size": _size,
    "strides": _optional(_size),
    "autoencoder": _choice(*AUTOENCODERS),
    "encoder": _choice(*ENCODERS),
    "decoder": _choice(*DECODERS),
    "code_length": _int(),
    "kernels": _int(),
    "kernel_size": _int(),
    "k": _int(),
    "a": _number(1.0),
    "beta": _number(),
    "gamma": _number(),
    "capacity": _number(),
    "capacity_epochs": _int(0),
    "optimization": _choice(*OPTIMIZATIONS),
    "lea_weight": _number(),
    "epochs": _int(),
    "learning_rate": _above_zero,
    "seed": lambda name, value: checks.check_seed(value, name),
    "chunk_windows": _optional(_chunk_windows),
    "jit_compile": _optional(_bool),
    "mixed_precision": _choice(*PRECISIONS),
    "backend": _choice(*BACKENDS),
}

# One per reference model (thesis sections 4.7 and A.1). Chosen here for ``lea_fc`` and ``pool_fc``, which the thesis
# trains for 100 epochs on every window size: windows of 8x8, and ten times its learning rate, with which the few epochs
# of a first run suffice. Noise-free codes (the thesis has both kinds) are learned from faster, too.
_FC = {"window_size": 8, "autoencoder": "standard", "learning_rate": 1e-3}
_LEA_ONLY = {
    "window_size": 8,
    "strides": 4,
    "autoencoder": "capacity_vae",
    "capacity_epochs": 25,  # Fig. 5.8
    "optimization": "joint",
}
CONFIGS: dict[str, RunConfig] = {
    "classic": RunConfig(model="classic", window_size=2),
    "cnn_lea": RunConfig(model="cnn_lea", window_size=4, strides=2),
    "pool_fc": RunConfig(model="pool_fc", **_FC),
    "lea_fc": RunConfig(model="lea_fc", **_FC),
    "lea_only": RunConfig(model="lea_only", **_LEA_ONLY),
    "decoder_free": RunConfig(model="decoder_free", **_LEA_ONLY, lea_weight=0.0),
}
