"""Configurations of runs: every hyperparameter with all that is said of it in one field, checked, stored as JSON.

Nothing here imports Keras, so that a command line with a mistake in it is answered at once.
"""

import dataclasses
import importlib.util
import json
import math
import os
import pathlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple


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
# Names and sizes that the library has, too, which cannot be asked without Keras; tests compare them.
SMALLEST_SPRITES = 16
DATASETS = tuple(IMAGE_SIZES)
MODELS = ("classic", "cnn_lea", "pool_fc", "lea_fc", "lea_only", "decoder_free", "autoencoder")
AUTOENCODERS = ("standard", "k_sparse", "vae", "capacity_vae", "info_vae", "joint_vae")
CODE_MAPS = ("mean", "sample", "sample_in_training")
ENCODERS = ("fc", "conv")
DECODERS = ("fc", "conv", "sb", "tied")
SELECTIONS = ("value", "magnitude")
LOSSES = ("log_loss", "crossentropy")
LIKELIHOODS = ("gaussian", "bernoulli")
POOLS = ("max", "average", "min")
OPTIMIZATIONS = ("alternate", "joint", "independent")
PRECISIONS = ("none", "float16", "bfloat16")
CODES = ("learned", "pca", "random")
BACKENDS = ("tensorflow", "jax")
ALL = "all"


class _Kind(NamedTuple):
    """A kind of values: how a flag shows one, and the check that brings one, under a name, into its one form."""

    value: str
    check: Callable[[str, Any], Any]
    urls: bool = False


def _choice(*choices: str) -> _Kind:
    return _Kind("NAME", lambda name, value: checks.check_choice(name, value, choices))


def _int(minimum: int = 1) -> _Kind:
    return _Kind("N", lambda name, value: checks.check_positive_int(name, value, minimum))


def _number(minimum: float = 0.0, maximum: float = math.inf) -> _Kind:
    return _Kind("X", lambda name, value: checks.check_number(name, value, minimum, maximum))


def _optional(kind: _Kind) -> _Kind:
    return kind._replace(check=lambda name, value: None if value is None else kind.check(name, value))


def _bool(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise checks.fail(name, "True or False", value)
    return value


def _size(name: str, value: Any) -> int | tuple[int, int]:
    """An int, or a pair of two different ones: equal sizes have one form, whichever was typed."""
    rows, columns = checks.check_pair(name, value)
    return rows if rows == columns else (rows, columns)


def _filters(name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)):
        raise checks.fail(name, "a pair of positive integers, one per convolution", value)
    return checks.check_pair(name, value)


def _layer_sizes(name: str, value: Any) -> tuple[int, ...]:
    """One size per layer, of none at all: ()."""
    if not isinstance(value, (tuple, list)):
        raise checks.fail(name, "a tuple of positive integers, one per layer", value)
    return tuple(checks.check_positive_int(name, size) for size in value)


def _categories(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or not value:
        raise checks.fail(name, "a tuple of integers of at least 2, one per variable", value)
    return tuple(checks.check_positive_int(name, size, minimum=2) for size in value)


def _coder_filters(name: str, value: Any) -> tuple[int, ...]:
    sizes = _layer_sizes(name, value)
    if not sizes:
        raise checks.fail(name, "a positive integer per convolution, at least one", value)
    return sizes


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


def _capacity_epochs(name: str, value: Any) -> int | str:
    return value if value == ALL else checks.check_positive_int(name, value, 0)


_BOOL = _Kind("", _bool)
_FRACTION = _Kind("X", checks.check_fraction)
_SHARE = _Kind("X", checks.check_share)
_ABOVE_ZERO = _Kind("X", checks.check_above_zero)
_SIZE = _Kind("N or N,N", _size)
_FILTERS = _Kind("N,N", _filters)
_UNITS = _Kind("N,N,… or linear", _layer_sizes)
_CATEGORIES = _Kind("N,N,…", _categories)
_CODER_FILTERS = _Kind("N,N,…", _coder_filters)
_FOLDER = _Kind("FOLDER", _folder, urls=True)
_SEED = _Kind("N", lambda name, value: checks.check_seed(value, name))
_CHUNK_WINDOWS = _Kind("N or auto", _chunk_windows)
_CAPACITY_EPOCHS = _Kind("N or all", _capacity_epochs)


def _hyperparameter(group: str, default: Any, kind: _Kind, text: str, none: str = "") -> Any:
    """A field of ``RunConfig``, with what its flag needs in ``metadata``.

    Args:
        group: the heading of its flag in the help.
        default: the thesis'.
        kind: of its values.
        text: of its flag in the help.
        none: what the help says for a None.
    """
    return dataclasses.field(default=default, metadata={"group": group, "text": text, "none": none, **kind._asdict()})


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """All that defines a run: data, model and training; the fields, with their texts, are the flags of ``train.py``.

    The defaults here are the thesis' (sections 3.3 and A.1); ``CONFIGS`` holds one configuration per reference model.
    Fields that a model has no use for (a pool has no code length) are kept, so that models can be compared under the
    same flags. Sizes are an int or (rows, columns), in pixels.
    """

    dataset: str = _hyperparameter(
        "Data",
        "sprites",
        _choice(*DATASETS),
        f"{', '.join(DATASETS)}; sprites is generated, the others come from TFDS",
    )
    data_dir: str | None = _hyperparameter(
        "Data", None, _optional(_FOLDER), "where TFDS keeps its data sets", "TFDS' own folder"
    )
    download: bool = _hyperparameter("Data", False, _BOOL, "download the data set if it is missing")
    # Taken after a seeded shuffle.
    limit: int | None = _hyperparameter("Data", None, _optional(_int()), "use N training samples only", "all")
    validation: float = _hyperparameter(
        "Data",
        0.0,
        _FRACTION,
        "set this fraction of the training samples aside, 0.1 for a tenth, and validate on them after each epoch; "
        "0: validate on the test data, which then are no measure of what was chosen by them",
    )
    labelled: float = _hyperparameter(
        "Data",
        1.0,
        _SHARE,
        "give the labels of this fraction of the training samples alone, 0.01 for a hundredth; LEAs learn from all",
    )
    test_limit: int | None = _hyperparameter("Data", None, _optional(_int()), "use N test samples only", "all")
    image_size: int | None = _hyperparameter(
        "Data",
        None,
        _optional(_int()),
        "rows and columns of the images; sprites are drawn so, others resized",
        "theirs",
    )
    # (4.8): "one fixed seed" for all preprocessing.
    data_seed: int = _hyperparameter(
        "Data", 0, _SEED, "of the data's order, and of the choice of samples and of the validation part"
    )
    batch_size: int | None = _hyperparameter(
        "Data", None, _optional(_int()), "samples per step", "mnist 256, fashion_mnist and cifar10 128, sprites 64"
    )
    model: str = _hyperparameter("Model", "lea_fc", _choice(*MODELS), ", ".join(MODELS))
    filters: tuple[int, int] = _hyperparameter(
        "Model", (32, 64), _FILTERS, "filters of the two convolutions of classic and cnn_lea"
    )
    window_size: int | tuple[int, int] | None = _hyperparameter(
        "Model", 4, _optional(_SIZE), "rows, columns of LEA or pool windows", "the whole image"
    )
    strides: int | tuple[int, int] | None = _hyperparameter(
        "Model", None, _optional(_SIZE), "pixels from window to window", "the window size"
    )
    pool: str = _hyperparameter("Model", "max", _choice(*POOLS), f"classic, pool_fc: {', '.join(POOLS)}")
    autoencoder: str = _hyperparameter("Autoencoder", "vae", _choice(*AUTOENCODERS), ", ".join(AUTOENCODERS))
    encoder: str = _hyperparameter("Autoencoder", "fc", _choice(*ENCODERS), ", ".join(ENCODERS))
    decoder: str = _hyperparameter(
        "Autoencoder",
        "fc",
        _choice(*DECODERS),
        "fc, conv, sb (spatial broadcast), tied (to encoder fc: its kernels transposed)",
    )
    code_length: int = _hyperparameter("Autoencoder", 10, _int(), "code variables per window")
    kernels: int = _hyperparameter("Autoencoder", 32, _int(), "filters of conv and sb")
    kernel_size: int = _hyperparameter("Autoencoder", 4, _int(), "kernel size of conv and sb")
    # Of the encoder; the decoder has them in reverse.
    units: tuple[int, ...] | None = _hyperparameter(
        "Autoencoder",
        None,
        _optional(_UNITS),
        "units of the hidden dense layers of fc and conv, the encoder's first one first; linear: no hidden layer",
        "the thesis' one",
    )
    coder_filters: tuple[int, ...] | None = _hyperparameter(
        "Autoencoder",
        None,
        _optional(_CODER_FILTERS),
        "filters of the convolutions of conv, the encoder's first one first",
        "--kernels of each",
    )
    likelihood: str = _hyperparameter(
        "Autoencoder",
        "gaussian",
        _choice(*LIKELIHOODS),
        "gaussian: trained on squared errors; bernoulli: on the cross-entropy of probabilities",
    )
    k: int = _hyperparameter("Autoencoder", 5, _int(), "k_sparse: values kept while training")
    a: float = _hyperparameter("Autoencoder", 1.3, _number(1.0), "k_sparse: factor on k while testing, at least 1")
    k_start: int | None = _hyperparameter(
        "Autoencoder", None, _optional(_int()), "k_sparse: values kept at first, from which they fall to k", "k"
    )
    k_epochs: int = _hyperparameter("Autoencoder", 0, _int(0), "k_sparse: epochs over which they fall")
    k_select: str = _hyperparameter(
        "Autoencoder", "value", _choice(*SELECTIONS), "k_sparse: whether the largest are kept by value or by magnitude"
    )
    code_maps: str = _hyperparameter(
        "Autoencoder",
        "mean",
        _choice(*CODE_MAPS),
        f"vae, capacity_vae, info_vae, joint_vae: what is handed on, {', '.join(CODE_MAPS)}",
    )
    beta: float = _hyperparameter("Autoencoder", 0.5, _number(), "vae: weight of the KL divergence")
    warmup_epochs: int = _hyperparameter("Autoencoder", 0, _int(0), "vae: epochs over which beta rises from 0")
    gamma: float = _hyperparameter(
        "Autoencoder", 10.0, _number(), "capacity_vae, joint_vae: weight of the capacity penalty"
    )
    # In nats as Eq. 2.24 counts them; with 0 epochs it is there from the start.
    capacity: float = _hyperparameter("Autoencoder", 25.0, _number(), "capacity_vae, joint_vae: capacity at the end")
    capacity_epochs: int = _hyperparameter(
        "Autoencoder",
        25,
        _CAPACITY_EPOCHS,
        "capacity_vae, joint_vae: epochs over which it rises from 0; all: the whole training",
    )
    alpha: float = _hyperparameter(
        "Autoencoder", 0.0, _number(-math.inf, 1.0), "info_vae: the KL divergence has the weight (1 - alpha) / 2"
    )
    lambda_: float = _hyperparameter(
        "Autoencoder", 1000.0, _number(-math.inf), "info_vae: MMD has the weight alpha + lambda - 1"
    )
    bandwidth: float | None = _hyperparameter(
        "Autoencoder", None, _optional(_ABOVE_ZERO), "info_vae: of the kernel of MMD", "the code length"
    )
    categories: tuple[int, ...] | None = _hyperparameter(
        "Autoencoder",
        None,
        _optional(_CATEGORIES),
        "joint_vae: classes of the categorical variable at the end of the code, or of several",
        "one that has half of it",
    )
    temperature: float = _hyperparameter(
        "Autoencoder", 0.1, _ABOVE_ZERO, "joint_vae: of the categorical variables while training"
    )
    # In the units of ``capacity``; of a variable of K classes no more than 2·log K is reached.
    discrete_capacity: float = _hyperparameter(
        "Autoencoder", 10.0, _number(), "joint_vae: capacity of the categorical variables at the end"
    )
    codes: str = _hyperparameter(
        "Training",
        "learned",
        _choice(*CODES),
        "lea_fc: learned; or, to compare with, frozen from the start, pca, the leading components of the windows of "
        "the training images (with --units=linear), or random, as the autoencoder is initialised",
    )
    optimization: str = _hyperparameter("Training", "alternate", _choice(*OPTIMIZATIONS), ", ".join(OPTIMIZATIONS))
    # Of the main task; log_loss is Eq. 2.21.
    loss: str = _hyperparameter(
        "Training",
        "log_loss",
        _choice(*LOSSES),
        "log_loss, the mean binary cross-entropy of all classes, or crossentropy, the categorical one",
    )
    # λ of Eq. 5.3.
    lea_weight: float = _hyperparameter("Training", 1.0, _number(), "weight of the LEAs' losses")
    epochs: int = _hyperparameter("Training", 4, _int(), "passes over the training data")
    steps_per_epoch: int | None = _hyperparameter(
        "Training",
        None,
        _optional(_int()),
        "let an epoch have N steps, however often that repeats the training data",
        "one pass",
    )
    validate_every: int = _hyperparameter("Training", 1, _int(), "validate after every Nth epoch, and the last one")
    learning_rate: float = _hyperparameter("Training", 1e-4, _ABOVE_ZERO, "of Adam")
    # TensorFlow 1's; Keras' own is 1e-7.
    adam_epsilon: float = _hyperparameter("Training", 1e-8, _ABOVE_ZERO, "of Adam, against division by zero")
    seed: int = _hyperparameter("Training", 0, _SEED, "of weights and noise")
    # "auto": as many as fit the cache.
    chunk_windows: int | str | None = _hyperparameter(
        "Training", None, _optional(_CHUNK_WINDOWS), "windows that a LEA works on at once, for less memory", "all"
    )
    jit_compile: bool | None = _hyperparameter(
        "Training", None, _optional(_BOOL), "compile with XLA; --nojit_compile: never", "Keras decides"
    )
    mixed_precision: str = _hyperparameter("Training", "none", _choice(*PRECISIONS), ", ".join(PRECISIONS))
    backend: str = _hyperparameter(
        "Training",
        "tensorflow",
        _choice(*BACKENDS),
        f"{' or '.join(BACKENDS)}, on which Keras runs; without the flag, what the environment variable KERAS_BACKEND "
        "names if it is set, and on resuming that of the run",
    )

    def __post_init__(self) -> None:
        """Checks every field and brings it into its one form.

        Raises:
            ValueError: one line that names the field, what is allowed, and what came.
        """
        for field in dataclasses.fields(self):
            checked = field.metadata["check"](field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, checked)
        if self.capacity_epochs == ALL:
            object.__setattr__(self, "capacity_epochs", self.epochs)
        if self.dataset == "sprites" and self.image_size is not None and self.image_size < SMALLEST_SPRITES:
            raise checks.fail("image_size", f"at least {SMALLEST_SPRITES} for sprites", self.image_size)
        if self.window_size is None and self.model != "autoencoder":
            raise checks.fail("window_size", "given; the whole image is for the model autoencoder alone", None)
        rows, columns = self.image_shape
        if any(window > side for window, side in zip(self.window_shape, (rows, columns), strict=True)):
            allowed = f"at most the {rows}x{columns} pixels of {self.dataset}"
            raise checks.fail("window_size", allowed, self.window_size)
        if self.autoencoder == "k_sparse" and self.k > self.code_length:
            raise checks.fail("k", f"at most the code length, {self.code_length}", self.k)
        if self.decoder == "tied" and (self.encoder != "fc" or "vae" in self.autoencoder):
            allowed = "tied with encoder fc alone, and not for VAEs, whose code does not come from one kernel"
            raise checks.fail("decoder", allowed, self.decoder)
        for name in ("units", "coder_filters"):
            if self.decoder == "sb" and getattr(self, name) is not None:
                raise checks.fail(name, "left out with decoder sb, whose layers are fixed", getattr(self, name))
        if self.coder_filters is not None and "conv" not in (self.encoder, self.decoder):
            raise checks.fail("coder_filters", "left out without encoder or decoder conv", self.coder_filters)
        if self.likelihood != "gaussian" and self.model == "cnn_lea":
            allowed = "gaussian for cnn_lea, whose LEAs are given more than probabilities"
            raise checks.fail("likelihood", allowed, self.likelihood)
        if self.k_start is not None and not self.k <= self.k_start <= self.code_length:
            raise checks.fail("k_start", f"from k, {self.k}, to the code length, {self.code_length}", self.k_start)
        if (self.k_start is None) != (not self.k_epochs):
            raise checks.fail("k_epochs", "above 0 with k_start, and left out without it", self.k_epochs)
        if self.autoencoder == "info_vae" and self.lambda_ < 1.0 - self.alpha:
            raise checks.fail("lambda_", f"at least 1 - alpha, {1.0 - self.alpha:g}", self.lambda_)
        if self.autoencoder == "info_vae" and isinstance(self.chunk_windows, int):
            allowed = "auto or left out with info_vae, whose objective is not a mean over windows"
            raise checks.fail("chunk_windows", allowed, self.chunk_windows)
        if self.autoencoder == "joint_vae" and sum(self.categories or ()) >= self.code_length:
            allowed = f"below the code length, {self.code_length}, in total"
            raise checks.fail("categories", allowed, self.categories)
        if self.model == "autoencoder" and self.lea_weight == 0:
            raise checks.fail("lea_weight", "above 0 for autoencoder, which has no other objective", self.lea_weight)
        if self.codes != "learned" and self.model != "lea_fc":
            raise checks.fail("codes", f"'learned' for {self.model}", self.codes, "Only lea_fc has others.")
        linear = (self.autoencoder, self.encoder, self.decoder, self.units, self.likelihood)
        if self.codes == "pca" and linear != ("standard", "fc", "fc", (), "gaussian"):
            allowed = "pca with --autoencoder=standard, fc coders, --units=linear and a gaussian likelihood alone"
            raise checks.fail("codes", allowed, self.codes)
        if self.labelled != 1 and self.main_loss is None:
            raise checks.fail("labelled", "1 for autoencoder, which takes no labels", self.labelled)
        if self.model == "decoder_free" and self.lea_weight != 0:
            raise checks.fail("lea_weight", "0 for decoder_free", self.lea_weight, "With a weight it is lea_only.")

    @property
    def image_shape(self) -> tuple[int, int]:
        """(rows, columns) of the images."""
        return IMAGE_SIZES[self.dataset] if self.image_size is None else (self.image_size, self.image_size)

    @property
    def window_shape(self) -> tuple[int, int]:
        """(rows, columns) of the windows."""
        return self.image_shape if self.window_size is None else _pair(self.window_size)

    @property
    def main_loss(self) -> str | None:
        """The main task's loss by its name in files and tables; None where there is no main task."""
        return None if self.model == "autoencoder" else self.loss

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
        values = _ADDED_LATER | ({"data_seed": values["seed"]} if "seed" in values else {}) | values
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"The run configuration lacks the fields: {', '.join(missing)}")
        return cls(**values)

    def replace(self, **values: Any) -> "RunConfig":
        """A checked copy with some fields changed."""
        return dataclasses.replace(self, **values)


def joined(sizes: tuple[int, ...]) -> str:
    """Sizes as a flag has them, those of no layers as what such a coder is."""
    return ",".join(map(str, sizes)) or "linear"


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


# Fields that runs of earlier versions lack, with what those runs did; their ``seed`` was also that of the data.
_ADDED_LATER = {
    "chunk_windows": None,
    "backend": "tensorflow",
    "validation": 0.0,
    "code_maps": "sample_in_training",
    "loss": "crossentropy",
    "adam_epsilon": 1e-7,
    "image_size": None,
    "steps_per_epoch": None,
    "test_limit": None,
    "labelled": 1.0,
    "codes": "learned",
    "validate_every": 1,
    "warmup_epochs": 0,
    "k_start": None,
    "k_epochs": 0,
    "k_select": "value",
    "alpha": 0.0,
    "lambda_": 1000.0,
    "bandwidth": None,
    "categories": None,
    "temperature": 0.1,
    "discrete_capacity": 10.0,
    "units": None,
    "coder_filters": None,
    "likelihood": "gaussian",
    "pool": "max",
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
    # Sections 3.3.3 and 5.1: one window, and no other objective, to which the optimisations would make a difference.
    "autoencoder": RunConfig(model="autoencoder", window_size=None, optimization="joint"),
}
