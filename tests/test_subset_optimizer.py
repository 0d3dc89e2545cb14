"""The one optimizer of a ``LEAModel``: learning rates that follow, averages, variables that are frozen in between."""

import keras
import numpy as np
import pytest
from backends import BACKEND, few, once
from layer_checks import EAGERLY, OPTIMIZATIONS, compile_model, fit, make_data, make_model, steps, weights_by_path

from lea_keras.callbacks import LearningRates
from lea_keras.training.optimizer import SubsetOptimizer

SGD = keras.optimizers.SGD


def rates(model):
    optimizers = (model.optimizer, *model.lea_optimizers)
    return [float(keras.ops.convert_to_numpy(optimizer.learning_rate)) for optimizer in optimizers]


def small(optimization="alternate", **arguments):
    """A compiled model with one LEA whose rate is ten times the main one."""
    model = make_model(optimization, leas=1)
    arguments = {
        "optimizer": SGD(1e-3),
        "lea_optimizer": SGD(1e-2),
        "run_eagerly": EAGERLY,
        "metrics": None,
    } | arguments
    return compile_model(model, **arguments)


def moved(model, before):
    """The layers whose weights are not what they were."""
    after = weights_by_path(model)
    return {path.split("/")[0] for path in after if not np.array_equal(after[path], before[path])}


def set_by_callback(model):
    fit(model, samples=8, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 5e-4)])


def set_on_plateau(model):
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=1e9)
    fit(model, epochs=2, samples=8, callbacks=[plateau])  # the first epoch is always an improvement
    steps(model, samples=8)


def set_on_the_model(model):
    model.optimizer.learning_rate = 5e-4
    np.testing.assert_allclose(rates(model), [5e-4, 5e-3], rtol=1e-6)  # at once
    steps(model, samples=8)


def assign(model):
    model.optimizer.learning_rate.assign(5e-4)
    steps(model, samples=8)


def set_on_the_users_own_optimizer(model):
    model.optimizer.members.main.learning_rate = 5e-4
    steps(model, samples=8)


CHANGES = [set_by_callback, set_on_plateau, set_on_the_model, assign, set_on_the_users_own_optimizer]
# Callbacks change the rate that `assign` does, and on a plateau there was training before.
CHANGES = [*((change, False) for change in CHANGES), *((change, True) for change in CHANGES[2:])]


@pytest.mark.parametrize(("change", "trained"), few(CHANGES, [(assign, True)]))
def test_the_rates_of_leas_follow_the_main_one_and_keep_their_ratio_to_it(change, trained):
    model = small()
    assert rates(model) == pytest.approx([1e-3, 1e-2])
    if trained:
        steps(model, samples=8)
        assert rates(model) == [np.float32(1e-3), np.float32(1e-2)]  # what nobody changes stays to the last bit
    change(model)
    np.testing.assert_allclose(rates(model), [5e-4, 5e-3], rtol=1e-6)


def test_a_step_uses_the_rate_that_follows():
    """Gradient descent moves a LEA's weights ten times less far at a tenth of the main rate."""
    distances = []
    for rate in (1e-3, 1e-4):
        model = small()
        model.optimizer.learning_rate.assign(rate)
        before = model.lea_layers[0].get_weights()
        steps(model, samples=8)
        after = model.lea_layers[0].get_weights()
        distances.append(sum(np.sum(np.abs(new - old)) for new, old in zip(after, before, strict=True)))
    # The main variables moved first, and otherwise.
    np.testing.assert_allclose(distances[1], 0.1 * distances[0], rtol=0.01)


@once
def test_a_rate_that_a_lea_is_given_later_sticks_and_follows_from_there():
    model = small()
    steps(model, samples=8)
    model.lea_optimizers[0].learning_rate = 0.07
    steps(model, samples=8)
    np.testing.assert_allclose(rates(model), [1e-3, 0.07], rtol=1e-6)
    model.optimizer.learning_rate = 1e-4
    np.testing.assert_allclose(rates(model), [1e-4, 0.007], rtol=1e-6)
    model.optimizer.learning_rate = 0.0
    assert rates(model) == [0.0, 0.0]
    model.optimizer.learning_rate = 1e-3
    np.testing.assert_allclose(rates(model), [1e-3, 0.07], rtol=1e-6)


def test_schedules():
    def schedule():
        return keras.optimizers.schedules.PiecewiseConstantDecay([1], [1e-3, 1e-4])

    model = small(optimizer=SGD(schedule()))  # the LEA's rate is a number
    steps(model, samples=24)  # three of them
    np.testing.assert_allclose(rates(model), [1e-4, 1e-3], rtol=1e-6)
    if BACKEND == "tensorflow":
        model = small(optimizer=SGD(schedule()), lea_optimizer=None)  # a copy of the schedule
        steps(model, samples=24)
        np.testing.assert_allclose(rates(model), [1e-4, 1e-4], rtol=1e-6)
        model = small(lea_optimizer=SGD(schedule()))  # a schedule of its own is kept to
        model.optimizer.learning_rate = 1e-6
        steps(model, samples=24)
        np.testing.assert_allclose(rates(model), [1e-6, 1e-4], rtol=1e-6)
        model = small(optimizer=SGD(0.0))  # there is no ratio to 0
        steps(model, samples=8)
        np.testing.assert_allclose(rates(model), [0.0, 1e-2], rtol=1e-6)


@once
def test_logs_name_every_rate_that_differs(tmp_path):
    model = small()
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = fit(model, epochs=2, samples=8, callbacks=[halve, LearningRates()])
    np.testing.assert_allclose(history["learning_rate"], [5e-4, 2.5e-4], rtol=1e-6)
    np.testing.assert_allclose(history["lea_1_learning_rate"], [5e-3, 2.5e-3], rtol=1e-6)
    assert "lea_1_learning_rate" not in fit(small(lea_optimizer=None), samples=8, callbacks=[LearningRates()])
    assert "learning_rate" in fit(small("joint"), samples=8, callbacks=[LearningRates()])


@once
def test_rates_are_named_where_they_differ():
    assert small().optimizer.learning_rates(["lea_1"]) == pytest.approx(
        {"learning_rate": 1e-3, "lea_1_learning_rate": 1e-2}
    )
    assert small(lea_optimizer=None).optimizer.learning_rates(["lea_1"]) == pytest.approx({"learning_rate": 1e-3})
    assert set(small("joint").optimizer.learning_rates(["lea_1"])) == {"learning_rate"}


def test_rates_go_on_after_loading(tmp_path):
    model = small()
    model.optimizer.learning_rate = 5e-4
    steps(model, samples=8)
    model.lea_optimizers[0].learning_rate = 0.02
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert rates(loaded) == rates(model)
    loaded.optimizer.learning_rate = 1e-3
    np.testing.assert_allclose(rates(loaded), [1e-3, 0.04], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:A layer's `trainable` state has changed")
@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
def test_what_is_frozen_after_compile_stays_as_it_is(optimization):
    model = compile_model(make_model(optimization), metrics=None, run_eagerly=EAGERLY)
    model.lea_layers[0].trainable = False
    model.get_layer("conv_2").trainable = False
    before = weights_by_path(model)
    steps(model, samples=8)
    assert len(moved(model, before)) == 3  # conv_1, the other LEA's autoencoder, dense
    assert all(np.array_equal(a, b) for a, b in zip(model.lea_layers[0].get_weights(), list_of(before, 0), strict=True))


def list_of(weights, index):
    """Weights of the LEA with this index among all that have autoencoders."""
    names = list(dict.fromkeys(path.split("/")[0] for path in weights if "autoencoder" in path))
    return [value for path, value in weights.items() if path.split("/")[0] == names[index]]


@pytest.mark.filterwarnings("ignore:A layer's `trainable` state has changed")
@once
def test_what_is_unfrozen_after_compile_trains():
    model = make_model("alternate", leas=1)
    model.lea_layers[0].trainable = False
    compile_model(model, metrics=None, run_eagerly=EAGERLY)
    model.lea_layers[0].trainable = True
    before = model.lea_layers[0].get_weights()
    steps(model, samples=8)
    assert all(not np.array_equal(a, b) for a, b in zip(model.lea_layers[0].get_weights(), before, strict=True))


@pytest.mark.parametrize("optimization", few(OPTIMIZATIONS, ["independent"]))
def test_averages_of_weights_are_those_of_each_variable(optimization):
    """After every step with momentum 0.5: average ← 0.5·average + 0.5·weight, begun with the weights of step 1."""
    weights = []

    class Recorder(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if BACKEND == "jax":
                self.model.jax_state_sync()
            weights.append([np.array(w.value) for w in self.model.trainable_variables])

    model = make_model(optimization, leas=1)
    compile_model(model, SGD(1e-2, use_ema=True, ema_momentum=0.5), metrics=None, run_eagerly=EAGERLY)
    fit(model, samples=24, callbacks=[Recorder()])
    expected = weights[0]
    for step in weights[1:]:
        expected = [0.5 * average + 0.5 * weight for average, weight in zip(expected, step, strict=True)]
    assert len(weights) == 3
    for variable, average in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable.value, average, atol=1e-6, err_msg=variable.path)
    assert any(not np.allclose(average, last, atol=1e-5) for average, last in zip(expected, weights[-1], strict=True))
    steps(model, samples=8)  # and on it goes


@pytest.mark.parametrize("optimization", few(OPTIMIZATIONS, ["alternate"]))
def test_averages_take_the_weights_place_while_keras_evaluates(optimization):
    images, labels = make_data(8)
    model = make_model(optimization, leas=1)
    compile_model(model, SGD(1e-2, use_ema=True, ema_momentum=0.5), metrics=None, run_eagerly=EAGERLY)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=False)
    history = fit(model, validation_data=(images, labels), callbacks=[swap])
    # At the end of fit the averages become the weights.
    after = model.test_on_batch(images, labels, return_dict=True)
    np.testing.assert_allclose(history["val_loss"][-1], after["loss"], rtol=1e-5)


@once
def test_a_model_compiled_anew_with_its_optimizer_and_steps_of_ones_own():
    model = small()
    main = model.optimizer.members.main
    compile_model(model, model.optimizer, run_eagerly=True)
    assert model.optimizer.members.main is main
    kernel = model.get_layer("conv_1").kernel
    before = np.array(kernel.value)
    model.optimizer.build(model.trainable_variables)
    ones = [keras.ops.ones_like(variable) for variable in model.trainable_variables]
    model.optimizer.apply(ones, model.trainable_variables)
    np.testing.assert_allclose(kernel.value, before - 1e-3, atol=1e-6)
    with pytest.raises(ValueError, match="`trainable_variables` must be variables that the optimizers were built on"):
        model.optimizer.apply(ones[:1], [keras.Variable(np.zeros(2, "float32"), name="stranger")])
    copy = SubsetOptimizer.from_config(model.optimizer.get_config())
    assert [type(optimizer) for optimizer in copy.members.all] == [SGD, SGD]
    assert model.optimizer.momentum == 0.0
    with pytest.raises(AttributeError):
        model.optimizer.no_such_thing  # noqa: B018
