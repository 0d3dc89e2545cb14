"""What is read off attacked autoencoders against loops and hand-worked cases, going on, and the claims on them."""

import json

import keras
import numpy as np
import pytest
from backends import once

import lea_keras
from experiments import joint
from experiments.arrays import Images
from experiments.claims import robust_vaes
from experiments.studies import beyond_joint
from experiments.studies.beyond_joint import MODELS, STUDY, name
from lea_keras import robustness
from lea_keras.robustness.success import PairRecord, Reconstructions

pytestmark = once


def test_purity_is_of_the_commonest_class_of_each_category():
    autoencoder = lea_keras.JointAutoencoder(5, categories=3, encoder="fc", decoder="fc")
    images = np.zeros((6, 1, 3, 1), "float32")
    images[np.arange(6), 0, [0, 0, 0, 1, 1, 2]] = 1.0
    autoencoder.build((None, 1, 3, 1))
    autoencoder.representation = lambda windows: np.concatenate([np.zeros((6, 2)), np.asarray(windows)[:, 0, :, 0]], 1)
    test = Images(images, np.array([4, 4, 2, 0, 0, 4]))
    assert joint.purity(autoencoder, test) == (2 + 2 + 1) / 6
    assert joint.purity(lea_keras.VariationalAutoencoder(3), test) is None


def test_nearest_against_a_loop():
    random = np.random.RandomState(0)
    images, known = random.rand(4, 3, 3, 1).astype("float32"), random.rand(7, 3, 3, 1).astype("float32")
    expected = [min(np.linalg.norm(image - other) for other in known) for image in images]
    np.testing.assert_allclose(joint.nearest(images, known), expected, rtol=1e-4)


def test_looks_are_of_those_that_fool_the_judge_alone():
    """Of a linear autoencoder that reconstructs everything, μ being the pixels."""
    model = lea_keras.image_autoencoder("vae", (1, 2, 1), code_length=2, units=())
    autoencoder = model.get_layer("lea").autoencoder
    for part in (autoencoder.mean, autoencoder.decoder):
        part.set_weights([np.eye(2), np.zeros(2)])
    test = Images(np.array([[0.0, 0.0], [1.0, 0.0]], "float32").reshape(2, 1, 2, 1), np.array([0, 1]))
    training = test.where([0])
    training = Images(training.images + np.array([0.1, 0.0], "float32").reshape(1, 1, 2, 1), training.labels)
    found = np.array([[0.5, 0.0], [0.2, 0.9]], "float32").reshape(2, 1, 2, 1)
    records = [PairRecord(0, 1, 0, 1, after, *[0.0] * 6) for after in (1, 0)]  # the second one fools nobody
    result = Reconstructions(2, 2, 2, 1.0, [1.0, 1.0], 0.0, records, found, "")
    looks = joint.looks(model, training, test, result)
    assert looks["natural"] == pytest.approx(0.4 / 0.1, rel=1e-4)  # 0.5 and 0.0 from 0.1
    assert looks["moved"] == pytest.approx(0.5, rel=1e-4)
    assert joint.looks(model, training, test, result._replace(records=records[1:])) == {"natural": None, "moved": None}


def test_what_is_trained_and_attacked_is_not_trained_and_attacked_again(tmp_path, monkeypatch):
    (first, *_) = STUDY.plan("smoke")
    options = {**first.measures["joint"], "varied_seeds": 1, "variants": dict(list(beyond_joint.VARIANTS.items())[:2])}
    fits, fit = [], keras.Model.fit
    monkeypatch.setattr(keras.Model, "fit", lambda model, *a, **k: fits.append(model.name) or fit(model, *a, **k))
    joint.measure(tmp_path, first.config, options)
    assert fits == ["judge", "image_autoencoder"]
    stored = json.loads((tmp_path / "evaluation" / "joint.json").read_text())
    assert stored["steps"] == 1 and "raw_free/target" in stored and "standardised/target" not in stored
    monkeypatch.setattr(robustness.reconstructions, "_attack_batch", None)
    joint.measure(tmp_path, first.config, json.loads(json.dumps(options)))  # as from a file
    assert len(fits) == 2
    again = json.loads((tmp_path / "evaluation" / "joint.json").read_text())
    assert again.keys() == stored.keys()
    assert again["raw/ignore_target/matrix"] == stored["raw/ignore_target/matrix"]


def test_all_models_learn_as_long_and_only_one_decays():
    plan = {one.name: one for one in STUDY.plan("small")}
    options = {model: plan[name(model)].measures["joint"] for model in MODELS}
    names = ("epochs", "limit", "batch_size", "samples", "attack_steps")
    shared = [{key: of[key] for key in names} for of in options.values()]
    assert all(one == shared[0] for one in shared) and shared[0]["samples"] == 100
    assert [of["l2"] for of in options.values()] == [0.0, 0.0, 0.5, 0.0, 0.0]
    assert options["VAE"]["arguments"] == options["VAE-L2"]["arguments"]
    assert all(one.seeds == 3 for one in plan.values())


def values(**fooled):
    """Stored values of three runs, in which each model is fooled as often as said."""
    made = {}
    for model, share in fooled.items():
        made[name(model)] = {"rl": [40.0, 41.0, 42.0], "discrete_kl": [4.4, 4.5, 4.4], "purity": [0.8, 0.8, 0.9]}
        made[name(model)] |= {"natural": [2.0, 2.1, 2.2], "moved": [0.2, 0.3, 0.2]}
        for variant in beyond_joint.VARIANTS:
            runs = [share, share + 0.01, share + 0.02]
            runs = runs if variant == "raw" else [runs[0], None, None]
            made[name(model)] |= {f"{variant}/{kind}": runs for kind in ("ignore_target", "target")}
    return made


def test_claims():
    claims = {claim.number: claim for claim in robust_vaes.CLAIMS}
    assert list(claims) == [60, 61, 62, 63, 64, 65]
    order = {"JointVAE": 0.36, "VAE": 0.3, "VAE-L2": 0.26, "β-VAE": 0.2, "capacity VAE": 0.36}
    stored = values(**order)
    for other in ("VAE", "VAE-L2"):
        stored[name(other)] |= {"discrete_kl": [0.01, 0.02, 0.01], "purity": [0.12, 0.12, 0.12], "natural": [3.0, 3, 3]}
    outcomes = {number: [one.outcome for one in claim.statements(stored)] for number, claim in claims.items()}
    assert outcomes[60] == ["fails"] * 4
    assert outcomes[61] == ["holds"] * 2 + ["fails"] * 4
    assert outcomes[62] == ["holds"] * 6 + ["open"] * 6  # one seed of a variant decides nothing
    assert set(outcomes[63]) == set(outcomes[64]) == set(outcomes[65]) == {"holds"}
    reverse = claims[62].statements(values(**{model: 0.5 - share for model, share in order.items()}))
    assert [one.outcome for one in reverse[:6]] == ["fails"] * 6
    few = claims[61].statements(values(JointVAE=0.3, VAE=0.2))  # as at smoke scale
    assert len(few) == 2


def test_table_has_medians_and_the_interval_of_a_single_run():
    stored = {"values": values(JointVAE=0.366, VAE=0.297)}
    for of in stored["values"].values():
        of |= {"kl": [10.0, 10.2, 10.4], "accuracy": [0.95, 0.9, 0.9]}
        for variant in beyond_joint.VARIANTS:
            count = 3 if variant == "raw" else 1
            of[f"{variant}/ignore_target/interval"] = [[0.3, 0.4]] * count + [None] * (3 - count)
    heads, lines = beyond_joint.table(stored)
    assert len(heads) == len(lines[0]) and [line[0] for line in lines] == ["JointVAE", "VAE"]
    assert lines[0][1:5] == ["41.0", "5.10", "2.20", "90.0"]  # KL in nats
    assert lines[0][5:7] == ["37.6 (37.6)", "36.6 (36.6) [30.0, 40.0]"]
