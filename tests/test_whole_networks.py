"""Networks of documents in place of runs, and two points: what they store, and what is read off it."""

import json

import keras
import numpy as np
import pytest
from backends import once

import study
from experiments import two_points, whole_networks
from experiments.arrays import computed
from experiments.config import RunConfig
from experiments.engines import units, worker
from experiments.studies import STUDIES, base, beyond_info_vae, beyond_k_sparse, beyond_two_dimensions, networks
from experiments.studies.base import Scale

pytestmark = [once, pytest.mark.usefixtures("untraced")]
CONFIG = RunConfig(model="autoencoder", window_size=None, optimization="joint", seed=3)
OPTIONS = {
    **{"network": "slides_vae", "arguments": {"units": [6], "code_length": 3}, "dataset": "sprites", "image_size": 16},
    **{"limit": 40, "test_limit": 20, "optimizer": "sgd", "learning_rate": 1e-3, "epochs": 1, "batch_size": 20},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    whole_networks.train(folder, CONFIG, OPTIONS)
    return folder, keras.models.load_model(folder / "model.keras")


def test_a_network_is_trained_and_measured_as_keras_does(trained):
    folder, model = trained
    stored = json.loads((folder / "network.json").read_text())
    images, classes = whole_networks.load(CONFIG, OPTIONS, "test")
    assert images.shape == (20, 16, 16, 1) and classes.shape == (20,) and set(classes) <= {0, 1, 2}
    told = model.evaluate(images, verbose=0, return_dict=True)
    for name in ("rl", "nll", "kl"):
        np.testing.assert_allclose(stored["test"][name], told[f"lea_{name}"], rtol=1e-4)
    np.testing.assert_allclose(computed(model, images), model.predict(images, verbose=0), rtol=1e-4, atol=1e-5)
    assert stored["train"]["loss"] > 0


def test_parts_of_a_batch_count_by_their_size(trained, monkeypatch):
    _, model = trained
    images, _ = whole_networks.load(CONFIG, OPTIONS, "train")
    whole = whole_networks.measure(model, images)
    monkeypatch.setattr(whole_networks, "_SIZE", 17)  # 40 images: 14, 13 and 13
    assert whole_networks.measure(model, images)["rl"] == pytest.approx(whole["rl"], rel=1e-5)


def test_the_same_seed_gives_the_same_network(trained, tmp_path):
    _, model = trained
    whole_networks.train(tmp_path, CONFIG, OPTIONS)
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_units_without_a_run_are_done_once_and_anew_with_other_options(tmp_path):
    unit = units.Unit(tmp_path / "a" / "003", CONFIG, {"network": OPTIONS}, trained=False)
    assert units.from_json(units.to_json([unit])) == [unit._replace(measures=json.loads(json.dumps(unit.measures)))]
    worker.work(unit)
    assert units.read_outcome(unit) is not None and not (unit.folder / "config.json").exists()
    written = (unit.folder / "model.keras").stat().st_mtime_ns
    worker.work(unit)
    assert (unit.folder / "model.keras").stat().st_mtime_ns == written
    other = unit._replace(measures={"network": OPTIONS | {"epochs": 2}})
    assert units.read_outcome(other) is None


def test_plans_of_networks_are_printed(capsys, tmp_path):
    assert study.main(["study.py", "--study=beta", "--only_print", f"--run_dir={tmp_path}"]) == 0
    told = capsys.readouterr().out
    assert "6 runs" in told and "beta_vae" in told and "python train.py" not in told
    assert "limit 10000 (59972)" in STUDIES["beta"].differences("small")
    assert "width 400 (None)" not in STUDIES["beta"].differences("small")


def test_every_scale_has_the_networks_of_the_documents():
    assert [one.name for one in beyond_k_sparse.STUDY.plan("thesis")] == [f"slides/k_sparse_{k}" for k in (40, 25, 10)]
    (deep,) = beyond_two_dimensions.STUDY.plan("thesis")
    assert deep.measures["network"]["arguments"] == {"code_length": 2} and deep.seeds == 3
    for name in ("two_dimensions", "k_sparse", "latents", "beta", "info_vae"):
        assert STUDIES[name].document == networks.SLIDES
        assert base.units(STUDIES[name].plan("small"), base.pathlib.Path("nowhere"))
    few = beyond_info_vae.STUDY.plan("small")
    assert {one.measures["network"]["limit"] for one in few if "network" in one.measures} == {500}


def test_the_neighbour_in_the_plane():
    points, labels = np.array([[0.0, 0], [1, 0], [5, 5]]), np.array([0, 1, 2])
    near = np.array([[0.1, 0], [0.9, 0], [4, 4], [0.2, 0]])
    assert beyond_two_dimensions._neighbour(points, labels, near, np.array([0, 1, 2, 1])) == 0.75


def losses_of(model, mean, std, alpha, lambda_):
    """The loss of two points by hand, without noise in the codes."""
    model(np.array([0]))  # builds it
    model.posterior.set_weights([np.stack([mean, np.log(std)], axis=1).astype("float32")])
    model.alpha, model.lambda_ = alpha, lambda_
    indices, points = np.array([0, 1]), np.array([-1.0, 1.0], "float32")
    return float(model.compute_loss(indices, points, model(indices)))


def test_the_loss_of_two_points_has_the_half_of_kl():
    model = two_points.TwoPoints(0.0, 1.0, 0)
    mean, std = np.array([-2.0, 1.0]), np.array([1e-6, 1e-6])  # hardly any noise
    bound = losses_of(model, mean, std, 0.0, 1.0)
    kl = np.mean(0.5 * (mean**2 + std**2 - np.log(std**2) - 1))
    without = losses_of(model, mean, std, 1.0, 0.0)  # neither KL nor MMD²
    np.testing.assert_allclose(bound - without, kl, rtol=1e-3)
    assert abs(bound - without - 2 * kl) > 1  # Eq. 2.24 would be twice as much
    alike = np.array([3.0, 3.0])  # far from the prior: MMD² is 1 + 1/√5 − 2·exp(−9/3)/√3
    mmd = (losses_of(model, alike, std, 0.0, 101.0) - losses_of(model, alike, std, 0.0, 1.0)) / 100
    np.testing.assert_allclose(mmd, 1 + 5**-0.5 - 2 * 3**-0.5 * np.exp(-3), rtol=1e-3)


def test_two_points_are_stored(tmp_path):
    two_points.train(tmp_path, CONFIG, {"alpha": 0.0, "lambda_": 1.0, "steps": 4})
    stored = json.loads((tmp_path / "two_points.json").read_text())
    assert len(stored["mean"]) == len(stored["std"]) == 2 and min(stored["std"]) > 0


def test_differences_of_options_name_what_differs_alone():
    study_of = STUDIES["k_sparse"]
    assert Scale(1).options == {}
    told = study_of.differences("small")
    assert "limit 10000 (60000)" in told and "dataset" not in told and "epochs 15 (50)" in told
