"""Configurations against the models that were made from them."""

import dataclasses
import pathlib
import zipfile

import pytest
from backends import needs_tensorflow

from experiments import agreement, networks
from experiments.config import CONFIGS, RunConfig
from models import thesis

pytestmark = needs_tensorflow
PATH = pathlib.Path("run/config.json")


@pytest.fixture(scope="module", autouse=True)
def few_hidden_units():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thesis, "HIDDEN_UNITS", 4)
        yield


def stored(folder, config):
    """A model of a configuration, in a file."""
    with networks.precision(config):
        model = networks.build(config, (28, 28, 1), 10, steps_per_epoch=3)
        networks.compile_model(model, config)
    model.save(folder / f"{config.model}.keras")
    return folder / f"{config.model}.keras"


SMALL = {"dataset": "mnist", "code_length": 3, "k": 2, "encoder": "conv", "decoder": "sb", "kernels": 2}
VARIANTS = [
    *({"model": name} for name in CONFIGS),
    *({"autoencoder": name} for name in ("standard", "k_sparse", "vae", "capacity_vae", "info_vae")),
    {"autoencoder": "joint_vae", "code_length": 8},
    {"autoencoder": "joint_vae", "code_length": 8, "categories": (2, 3), "temperature": 0.5},
    {"decoder": "conv", "units": (5, 4), "coder_filters": (2, 3)},
    {"decoder": "conv", "units": (5, 5), "coder_filters": (2,), "model": "cnn_lea"},
    {"encoder": "fc", "decoder": "fc", "units": (), "likelihood": "bernoulli"},
    {"encoder": "fc", "decoder": "tied", "autoencoder": "k_sparse", "k_select": "magnitude"},
    {"window_size": (4, 6), "strides": 2, "chunk_windows": 64, "lea_weight": 0.3, "optimization": "joint"},
    {"model": "pool_fc", "pool": "average"},
    {"model": "classic", "pool": "min"},
    {"mixed_precision": "float16", "learning_rate": 0.0123, "filters": (3, 4), "model": "cnn_lea"},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_model_agrees_with_what_it_was_made_from(variant, tmp_path):
    base = CONFIGS[variant.get("model", "lea_fc")]
    config = base.replace(**SMALL | variant)
    path = stored(tmp_path, config)
    agreement.check(path, config, PATH)
    agreement.check(path, config.replace(seed=5, epochs=9, limit=7, data_dir="/x", backend="jax"), PATH)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    configs = {
        "lea_fc": CONFIGS["lea_fc"].replace(dataset="mnist", autoencoder="capacity_vae"),
        "cnn_lea": CONFIGS["cnn_lea"].replace(dataset="mnist", filters=(3, 4), autoencoder="k_sparse", units=()),
        "pool_fc": CONFIGS["pool_fc"].replace(dataset="mnist"),
        "joint": CONFIGS["lea_only"].replace(dataset="mnist", autoencoder="joint_vae", code_length=6, categories=(2,)),
    }
    return {name: (config, stored(folder, config)) for name, config in configs.items()}


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ("lea_fc", {"window_size": 4}, "window_size is 4, and 8 in the model; strides is 4, and 8"),
        ("lea_fc", {"window_size": (8, 4), "strides": 8}, "window_size is 8,4, and 8 in the model"),
        ("lea_fc", {"strides": 4}, "strides is 4, and 8 in the model"),
        ("lea_fc", {"code_length": 9}, "code_length is 9, and 10 in the model"),
        ("lea_fc", {"autoencoder": "vae"}, "autoencoder is vae, and capacity_vae in the model"),
        (
            "lea_fc",
            {"encoder": "conv", "decoder": "sb"},
            "encoder is conv, and fc in the model; decoder is s",
        ),
        ("lea_fc", {"kernels": 9, "kernel_size": 3}, "kernels is 9, and 32 in the model; kernel_size is 3"),
        ("lea_fc", {"units": (12, 12)}, "units is 12,12, and None in the model"),
        ("lea_fc", {"likelihood": "bernoulli"}, "likelihood is bernoulli, and gaussian in the model"),
        ("cnn_lea", {"units": None}, "units is None, and linear in the model"),
        (
            "cnn_lea",
            {"encoder": "conv", "coder_filters": (7, 7)},
            "coder_filters is 7,7, and None in the model",
        ),
        ("joint", {"categories": (2, 3)}, "categories is 2,3, and 2 in the model"),
        ("lea_fc", {"gamma": 9.0, "capacity": 9.0}, "gamma is 9, and 10 in the model; capacity is 9"),
        ("lea_fc", {"optimization": "joint"}, "optimization is joint, and alternate in the model"),
        ("lea_fc", {"lea_weight": 0.5}, "lea_weight is 0.5, and 1 in the model"),
        ("lea_fc", {"learning_rate": 0.002}, "learning_rate is 0.002, and 0.001 in the model"),
        ("lea_fc", {"loss": "crossentropy"}, "loss is crossentropy, and log_loss in the model"),
        ("lea_fc", {"adam_epsilon": 1e-7}, "adam_epsilon is 1e-07, and 1e-08 in the model"),
        ("lea_fc", {"mixed_precision": "float16"}, "mixed_precision is float16, and none in the model"),
        ("lea_fc", {"chunk_windows": 9}, "chunk_windows is 9, and None in the model"),
        ("lea_fc", {"model": "lea_only"}, "model is lea_only, and lea_fc in the model"),
        ("cnn_lea", {"k": 4, "a": 2.0}, "k is 4, and 5 in the model; a is 2, and 1.3 in the model"),
        ("pool_fc", {"pool": "min"}, "pool is min, and max in the model"),
        ("cnn_lea", {"filters": (3, 5)}, "filters is 3,5, and 3,4 in the model"),
        (
            "pool_fc",
            {"window_size": 7},
            "window_size is 7, and 8 in the model; strides is 7, and 8 in the model",
        ),
    ],
    ids=str,
)
def test_every_disagreement_is_named_with_both_values(model, change, message, models):
    config, path = models[model]
    with pytest.raises(ValueError) as error:
        agreement.check(path, config.replace(**change), PATH)
    assert str(error.value).startswith(f"The configuration {PATH} is not that of the model {path}: ")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_hyperparameter_is_compared():
    of_the_training = {"dataset", "data_dir", "download", "limit", "batch_size", "epochs", "seed", "backend"}
    of_the_training |= {"jit_compile", "capacity_epochs", "warmup_epochs", "validation", "validate_every", "test_limit"}
    of_the_training |= {"k_epochs", "data_seed", "image_size", "steps_per_epoch", "labelled", "codes"}
    names = {field.name for field in dataclasses.fields(RunConfig)}
    assert set(agreement._wanted(RunConfig())) == names - of_the_training


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"config": {"name": "lea_fc", "layers": [3]}}', "[" * 100_000])
def test_a_damaged_description_of_a_model(text, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", text)
    with pytest.raises(ValueError, match="the configuration in it is damaged"):
        agreement.check_run(tmp_path, RunConfig())


def test_runs_without_a_readable_model_are_left_alone(tmp_path):
    agreement.check_run(tmp_path, RunConfig())
    (tmp_path / "model.keras").write_text("mine")
    agreement.check_run(tmp_path, RunConfig())
