"""Configurations and reference models: checks, JSON, layers, shapes, parameter counts and one step of training."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import lea_keras
import models
from experiments import config as names
from experiments import networks
from experiments.config import CONFIGS, IMAGE_SIZES, MODELS, RunConfig

STEPS = 7


def build(name, image_shape=(28, 28, 1), classes=10, **changes):
    config = CONFIGS[name].replace(dataset="mnist", **changes)
    return networks.build(config, image_shape, classes, STEPS), config


def dense(inputs, outputs):
    return (inputs + 1) * outputs


def fc_standard(values, code_length):
    """Parameters of an fc standard autoencoder on windows of so many values (thesis section 3.3.1)."""
    hidden = 2 * values
    encoder = dense(values, hidden) + dense(hidden, code_length)
    return encoder + dense(code_length, hidden) + dense(hidden, values)


def fc_vae(values, code_length):
    """The same of a VAE, which has two heads."""
    return fc_standard(values, code_length) + dense(2 * values, code_length)


def test_every_model_has_a_configuration_and_a_builder():
    assert set(CONFIGS) == set(MODELS) == set(networks.BUILDERS)
    assert all(config.model == name for name, config in CONFIGS.items())


def test_names_are_those_of_the_registries():
    from lea_keras import autoencoders, data
    from lea_keras.autoencoders import coders, likelihoods
    from lea_keras.training import schedule

    registries = {
        names.DATASETS: data.NAMES,
        names.AUTOENCODERS: autoencoders.AUTOENCODERS,
        names.CODE_MAPS: autoencoders.CODE_MAPS,
        names.ENCODERS: coders.ENCODERS,
        names.DECODERS: coders.DECODERS,
        names.LIKELIHOODS: likelihoods.LIKELIHOODS,
        names.OPTIMIZATIONS: schedule.OPTIMIZATIONS,
        names.POOLS: models.thesis.POOLS,
    }
    for told, registered in registries.items():
        assert sorted(told) == sorted(registered)


def test_image_sizes_are_those_of_the_data():
    from lea_keras import data

    assert set(IMAGE_SIZES) == set(data.NAMES)
    for name, size in IMAGE_SIZES.items():
        assert data.info(name).image_shape[:2] == size


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_json_round_trip(config):
    config = config.replace(window_size=(4, 6), strides=(2, 3), limit=10, jit_compile=False, data_dir="~/data")
    assert RunConfig.from_json(config.to_json()) == config
    assert set(json.loads(config.to_json())) == {field.name for field in dataclasses.fields(RunConfig)}


def test_a_configuration_has_one_form():
    config = RunConfig(window_size=[4, 4], strides=(2, 3), learning_rate=np.float32(0.5), filters=[8, 16])
    assert (config.window_size, config.strides, config.learning_rate, config.filters) == (4, (2, 3), 0.5, (8, 16))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = 3
    whole = RunConfig(capacity_epochs="all", epochs=7)  # of a run that is trained for longer, it stays what it was
    assert whole.capacity_epochs == whole.replace(epochs=9).capacity_epochs == 7


def test_the_window_of_an_autoencoder_alone_is_the_image():
    config = CONFIGS["autoencoder"].replace(dataset="cifar10")
    assert (config.image_shape, config.window_shape) == ((32, 32), (32, 32))
    assert config.replace(image_size=16).window_shape == (16, 16)
    assert config.replace(window_size=4).window_shape == (4, 4)
    with pytest.raises(ValueError, match="`window_size` must be at most the 16x16 pixels of cifar10"):
        config.replace(image_size=16, window_size=17)
    model, _ = build("autoencoder", (12, 10, 2), window_size=None, code_length=3)
    assert model.output_shape == (None, 1, 1, 3) and model.lea_layers[0].window_size == (12, 10)
    assert not [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]  # no head


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object. Received: list"),
        (json.dumps({"epoch": 1}), "Argument `field` must be one of .* Did you mean 'epochs'"),
        ("{}", "lacks the fields: dataset, data_dir"),
    ],
)
def test_damaged_json_is_named(text, message):
    with pytest.raises(ValueError, match=message) as error:
        RunConfig.from_json(text)
    assert "\n" not in str(error.value)


BAD_FIELDS = [
    ("dataset", "sprite", "Did you mean 'sprites'"),
    ("data_dir", "", "path of a folder"),
    ("data_dir", 3, "path of a folder"),
    ("download", 1, "True or False"),
    ("limit", 0, "integer of at least 1"),
    ("test_limit", 0, "integer of at least 1"),
    ("image_size", 15, "at least 16 for sprites"),
    ("data_seed", -1, "integer from 0 to"),
    ("batch_size", -1, "integer of at least 1"),
    ("model", "lea_cf", "Did you mean 'lea_fc'"),
    ("filters", 32, "a pair of positive integers"),
    ("filters", (32, 0), "a pair"),
    ("filters", (32, 64, 128), "a pair"),
    ("window_size", 0, "a positive integer or a pair"),
    ("window_size", None, "given; the whole image is for the model autoencoder alone"),
    ("window_size", (4, 65), "at most the 64x64 pixels of sprites"),
    ("strides", -2, "a positive integer or a pair"),
    ("strides", (1, 2, 3), "a positive integer or a pair"),
    ("pool", "mean", "one of"),
    ("autoencoder", "k-sparse", "Did you mean 'k_sparse'"),
    ("encoder", "sb", "one of"),
    ("decoder", "cnv", "Did you mean 'conv'"),
    ("code_length", 0, "integer of at least 1"),
    ("kernels", 1.5, "integer of at least 1"),
    ("kernel_size", 0, "integer of at least 1"),
    ("units", 3, "a tuple of positive integers, one per layer"),
    ("units", (3, 0), "integer of at least 1"),
    ("coder_filters", (), "at least one"),
    ("coder_filters", (3,), "left out without encoder or decoder conv"),
    ("likelihood", "bernouli", "Did you mean 'bernoulli'"),
    ("k", 0, "integer of at least 1"),
    ("k_start", 4, "from k, 5, to the code length, 10"),
    ("k_epochs", 3, "above 0 with k_start, and left out without it"),
    ("k_select", "size", "one of"),
    ("a", 0.9, "number of at least 1"),
    ("alpha", 1.1, "number of at most 1"),
    ("lambda_", float("nan"), "a finite number"),
    ("bandwidth", 0, "number above 0"),
    ("categories", (1,), "at least 2"),
    ("temperature", 0, "number above 0"),
    ("discrete_capacity", -1, "number of at least 0"),
    ("beta", -0.1, "number of at least 0"),
    ("gamma", float("nan"), "number of at least 0"),
    ("capacity", float("inf"), "number of at least 0"),
    ("warmup_epochs", -1, "integer of at least 0"),
    ("capacity_epochs", -1, "integer of at least 0"),
    ("loss", "logloss", "Did you mean 'log_loss'"),
    ("optimization", "alternative", "Did you mean 'alternate'"),
    ("lea_weight", -1, "number of at least 0"),
    ("epochs", 0, "integer of at least 1"),
    ("steps_per_epoch", 0, "integer of at least 1"),
    ("validate_every", 0, "integer of at least 1"),
    ("adam_epsilon", 0, "number above 0"),
    ("validation", 1, "number of at least 0 and below 1"),
    ("labelled", 0, "above 0 and at most 1"),
    ("labelled", 1.5, "above 0 and at most 1"),
    ("codes", "pcs", "Did you mean 'pca'"),
    ("learning_rate", 0, "number above 0"),
    ("learning_rate", "fast", "number above 0"),
    ("seed", -1, "integer from 0 to"),
    ("seed", 2**32, "integer from 0 to"),
    ("chunk_windows", 0, "integer of at least 1"),
    ("code_maps", "z", "one of"),
    ("jit_compile", "auto", "True or False"),
    ("mixed_precision", "float8", "Did you mean"),
    ("backend", "torch", "one of"),
]


def test_runs_of_earlier_versions_are_read():
    values = json.loads(RunConfig(chunk_windows=3, backend="jax", validation=0.1).to_json())
    for name in ("chunk_windows", "backend", "validation", "code_maps", "loss", "adam_epsilon", "data_seed", "pool"):
        del values[name]
    for name in ("labelled", "codes", "image_size", "steps_per_epoch", "test_limit", "validate_every", "warmup_epochs"):
        del values[name]
    for name in ("units", "coder_filters", "likelihood", "k_select", "alpha", "lambda_", "bandwidth"):
        del values[name]
    for name in ("categories", "temperature", "discrete_capacity"):
        del values[name]
    before = {"loss": "crossentropy", "adam_epsilon": 1e-7, "code_maps": "sample_in_training"}
    assert RunConfig.from_json(json.dumps(values)) == RunConfig(**before)
    assert RunConfig.from_json(json.dumps(values | {"seed": 7})) == RunConfig(seed=7, data_seed=7, **before)


@pytest.mark.parametrize(("name", "value", "allowed"), BAD_FIELDS, ids=lambda value: repr(value)[:20])
def test_bad_field_gets_one_line_that_names_it(name, value, allowed):
    with pytest.raises(ValueError, match=allowed) as error:
        RunConfig(**{name: value})
    message = str(error.value)
    assert message.startswith(f"Argument `{name}` must be ") and f"Received: {name}=" in message
    assert "\n" not in message


def test_every_field_is_checked():
    assert {name for name, *_ in BAD_FIELDS} == {field.name for field in dataclasses.fields(RunConfig)}


def test_types_refuse_what_is_of_others():
    info = RunConfig(autoencoder="info_vae")
    with pytest.raises(ValueError, match="`lambda_` must be at least 1 - alpha, 1.5. Received: lambda_=1.0"):
        info.replace(alpha=-0.5, lambda_=1.0)
    with pytest.raises(ValueError, match="`chunk_windows` must be auto or left out with info_vae, whose objective"):
        info.replace(chunk_windows=64)
    assert info.replace(chunk_windows="auto", alpha=1.0, lambda_=0.5).lambda_ == 0.5
    for fields in ({"autoencoder": "vae"}, {"autoencoder": "standard", "encoder": "conv"}):
        with pytest.raises(ValueError, match="`decoder` must be tied with encoder fc alone, and not for VAEs"):
            RunConfig(decoder="tied", **fields)
    config = CONFIGS["autoencoder"].replace(
        dataset="mnist", autoencoder="k_sparse", code_length=1000, k=25, a=3.0, units=(), decoder="tied"
    )
    model = networks.build(config.replace(k_select="magnitude"), (28, 28, 1), 10, STEPS)
    assert model.count_params() == 785_784 and model.lea_layers[0].autoencoder.select == "magnitude"


def test_depth_is_of_coders_that_have_it():
    with pytest.raises(ValueError, match="`units` must be left out with decoder sb, whose layers are fixed"):
        RunConfig(units=(3,), decoder="sb")
    with pytest.raises(ValueError, match="`coder_filters` must be left out with decoder sb"):
        RunConfig(coder_filters=(3,), encoder="conv", decoder="sb")
    with pytest.raises(ValueError, match="`likelihood` must be gaussian for cnn_lea"):
        CONFIGS["cnn_lea"].replace(likelihood="bernoulli")
    model, _ = build("lea_fc", (12, 10, 2), units=(6, 4), coder_filters=(2, 3), encoder="conv", decoder="conv")
    assert model.lea_layers[0].autoencoder.encoder.filters == (2, 3)
    config = RunConfig(units=[6, 4], coder_filters=[2, 3], encoder="conv")
    assert config.units == (6, 4) and RunConfig.from_json(config.to_json()) == config


def test_fields_that_contradict_each_other():
    with pytest.raises(ValueError, match="`k` must be at most the code length, 3. Received: k=5"):
        RunConfig(autoencoder="k_sparse", code_length=3)
    assert RunConfig(autoencoder="vae", code_length=3).k == 5  # k is of no account there
    with pytest.raises(ValueError, match="`lea_weight` must be 0 for decoder_free"):
        CONFIGS["decoder_free"].replace(lea_weight=1)


# Name, layer types after the input, output shape of the last layer before the dense ones, parameters.
CASES = {
    "classic": (
        ["Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D"],
        (None, 7, 7, 64),
        dense(5 * 5 * 1, 32) + dense(3 * 3 * 32, 64),
    ),
    "cnn_lea": (
        ["Conv2D", "LocallyEmbeddedAutoencoder", "Conv2D", "LocallyEmbeddedAutoencoder"],
        (None, 7, 7, 10),
        dense(5 * 5 * 1, 32) + fc_vae(4 * 4 * 32, 10) + dense(3 * 3 * 10, 64) + fc_vae(4 * 4 * 64, 10),
    ),
    "pool_fc": (["MaxPooling2D"], (None, 4, 4, 1), 0),
    "lea_fc": (["LocallyEmbeddedAutoencoder"], (None, 4, 4, 10), fc_standard(8 * 8, 10)),
    "lea_only": (["LocallyEmbeddedAutoencoder"], (None, 7, 7, 10), fc_vae(8 * 8, 10)),
    "decoder_free": (["LocallyEmbeddedAutoencoder"], (None, 7, 7, 10), fc_vae(8 * 8, 10)),
}


@pytest.mark.parametrize("name", CASES)
def test_layers_shapes_and_parameters(name):
    types, shape, parameters = CASES[name]
    model, config = build(name)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", *types, "Flatten", "Dense", "Dense"]
    assert model.layers[len(types)].output.shape == shape
    assert model.output.shape == (None, 10)
    assert model.count_params() == parameters + dense(int(np.prod(shape[1:])), 1024) + dense(1024, 10)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert all(layer.activation is keras.activations.relu and layer.padding == "same" for layer in convolutions)
    hidden, logits = model.layers[-2:]
    assert hidden.activation is keras.activations.relu and logits.activation is keras.activations.linear
    leas = [layer for layer in model.layers if isinstance(layer, lea_keras.LocallyEmbeddedAutoencoder)]
    assert [layer.name for layer in leas] == (["lea_1", "lea_2"] if name == "cnn_lea" else ["lea"] * len(leas))
    assert isinstance(model, lea_keras.LEAModel) == bool(leas)
    if leas:
        assert model.optimization == ("alternate" if name in ("cnn_lea", "lea_fc") else "joint")
        assert all(layer.padding == "same" and layer.loss_weight == config.lea_weight for layer in leas)


@pytest.mark.parametrize("name", ["classic", "pool_fc"])
def test_pools(name):
    """Names and shapes are those of the thesis' pools, and so checkpoints with either name load."""
    built = {pool: build(name, pool=pool)[0] for pool in names.POOLS}
    assert len({tuple(layer.name for layer in model.layers) for model in built.values()}) == 1
    assert len({model.count_params() for model in built.values()}) == 1
    images = np.random.default_rng(0).uniform(size=(2, 28, 28, 1)).astype("float32")
    outputs = {}
    for pool, model in built.items():
        model.set_weights(built["max"].get_weights())
        pools = [layer for layer in model.layers if layer.name.startswith("pool")]
        assert pools and all(type(layer) is models.thesis.POOLS[pool] for layer in pools)
        outputs[pool] = np.asarray(model(images))
    assert not np.allclose(outputs["max"], outputs["average"]) and not np.allclose(outputs["max"], outputs["min"])
    with pytest.raises(ValueError, match="`pool` must be one of .* Did you mean 'average'"):
        models.pool_fc((28, 28, 1), 10, pool="averag")


def test_thesis_windows():
    windows = {name: (config.window_size, config.strides, config.lea_weight) for name, config in CONFIGS.items()}
    assert windows == {
        "classic": (2, None, 1.0),
        "cnn_lea": (4, 2, 1.0),
        "pool_fc": (8, None, 1.0),
        "lea_fc": (8, None, 1.0),
        "lea_only": (8, 4, 1.0),
        "decoder_free": (8, 4, 0.0),
        "autoencoder": (None, None, 1.0),
    }


@pytest.mark.parametrize("autoencoder", ["standard", "k_sparse", "vae", "capacity_vae", "info_vae", "joint_vae"])
def test_every_hyperparameter_reaches_the_layer(autoencoder):
    changes = {
        "window_size": (4, 6), "strides": (2, 3), "code_length": 6, "encoder": "conv", "decoder": "sb", "kernels": 3,
        "kernel_size": 2, "k": 4, "a": 1.5, "beta": 2.0, "warmup_epochs": 3, "gamma": 3.0, "capacity": 4.0,
        "capacity_epochs": 5, "optimization": "independent", "lea_weight": 0.25, "chunk_windows": 64,
        "code_maps": "sample", "alpha": 0.5, "lambda_": 7.0, "bandwidth": 3.0, "categories": (3, 2),
        "temperature": 0.5, "discrete_capacity": 2.0,
    }  # fmt: skip
    if autoencoder == "info_vae":
        changes["chunk_windows"] = "auto"
    model, _ = build("lea_fc", autoencoder=autoencoder, **changes)
    layer = model.lea_layers[0]
    config = layer.autoencoder.get_config()
    expected = {"code_length": 6, "encoder": "conv", "decoder": "sb", "kernels": 3, "kernel_size": 2}
    expected |= {
        "standard": {},
        "k_sparse": {"k": 4, "a": 1.5},
        "vae": {"beta": 2.0, "warmup_steps": 3 * STEPS, "code_maps": "sample"},
        "capacity_vae": {"code_maps": "sample", "gamma": 3.0, "capacity": 4.0, "capacity_steps": 5 * STEPS},
        "info_vae": {"code_maps": "sample", "alpha": 0.5, "lambda_": 7.0, "bandwidth": 3.0},
        "joint_vae": {
            "code_maps": "sample",
            "gamma": 3.0,
            "capacity": 4.0,
            "capacity_steps": 5 * STEPS,
            "categories": (3, 2),
            "temperature": 0.5,
            "discrete_capacity": 2.0,
        },
    }[autoencoder]
    assert {name: config[name] for name in expected} == expected
    assert (layer.window_size, layer.strides, layer.loss_weight) == ((4, 6), (2, 3), 0.25)
    assert layer.chunk_windows == changes["chunk_windows"]
    assert model.optimization == "independent"


@pytest.mark.parametrize("name", MODELS)
def test_one_training_step(name):
    keras.utils.set_random_seed(0)
    model, config = build(name, (12, 12, 1), 3, window_size=2, filters=(2, 3), code_length=2, learning_rate=1e-3)
    networks.compile_model(model, config)
    model.run_eagerly = True  # one step takes less than to trace it
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(6, 12, 12, 1)).astype("float32")
    labels = np.eye(3, dtype="float32")[rng.integers(0, 3, 6)]
    before = [np.array(variable) for variable in model.trainable_variables]
    logs = model.train_on_batch(images, labels, return_dict=True)
    assert {"loss", "accuracy" if config.main_loss else "lea_rl"} <= set(logs) and all(
        np.isfinite(value) for value in logs.values()
    )
    moved = [not np.array_equal(old, new) for old, new in zip(before, model.trainable_variables, strict=True)]
    assert np.mean(moved) > 0.7  # all but what a dead ReLU holds back
    logits = model.predict(images, verbose=0)
    assert config.main_loss is None or logits.shape == (6, 3) and not np.allclose(logits.sum(axis=1), 1.0)  # no softmax


@pytest.mark.parametrize("mixed_precision", ["float16", "bfloat16"])
def test_mixed_precision_ends_in_float32_and_leaves_the_policy_alone(mixed_precision):
    config = CONFIGS["lea_fc"].replace(dataset="mnist", mixed_precision=mixed_precision)
    with networks.precision(config):
        model = networks.build(config, (28, 28, 1), 10, STEPS)
        networks.compile_model(model, config)
    assert keras.mixed_precision.dtype_policy().name == "float32"
    assert model.layers[1].compute_dtype == mixed_precision
    assert model.output.dtype == "float32"


def test_networks_are_functions_of_plain_arguments():
    """As a notebook calls them: without a run or a configuration."""
    model = models.cnn_lea(
        (16, 16, 1), classes=3, autoencoder="k_sparse", window_size=4, filters=(2, 3), code_length=5, k=2
    )
    assert isinstance(model, lea_keras.LEAModel) and model.optimization == "alternate" and model.name == "cnn_lea"
    assert [lea.autoencoder.k for lea in model.lea_layers] == [2, 2]
    assert [tuple(lea.output.shape) for lea in model.lea_layers] == [(None, 8, 8, 5), (None, 4, 4, 5)]
    assert model(np.zeros((2, 16, 16, 1))).shape == (2, 3)
    for name in MODELS:  # one default each, that of the thesis, here and on the command line
        config = CONFIGS[name].replace(dataset="mnist")
        outputs = {} if name == "autoencoder" else {"classes": 10}
        plain, built = getattr(models, name)((16, 16, 1), **outputs), networks.build(config, (16, 16, 1), 10, STEPS)
        assert [layer.name for layer in plain.layers] == [layer.name for layer in built.layers]
        assert plain.output_shape == built.output_shape and plain.count_params() == built.count_params()
        assert getattr(plain, "optimization", None) == getattr(built, "optimization", None)


def test_each_lea_of_a_network_has_an_autoencoder_of_its_own():
    given = lea_keras.VariationalAutoencoder(code_length=3, beta=0.25)
    first, second = models.cnn_lea((16, 16, 1), 3, autoencoder=given).lea_layers
    assert len({id(given), id(first.autoencoder), id(second.autoencoder)}) == 3
    assert first.autoencoder.beta == second.autoencoder.beta == 0.25
    with pytest.raises(
        ValueError, match="Argument `code_length` must be left out .* Received: autoencoder=Variational"
    ):
        models.lea_fc((16, 16, 1), 3, autoencoder=given, code_length=4)
    with pytest.raises(
        ValueError, match="Argument `loss_weight` must be 0 for decoder_free. Received: loss_weight=0.5"
    ):
        models.decoder_free((16, 16, 1), 3, loss_weight=0.5)
