"""A program of a user with all of the public API, which pyright checks and nobody runs."""

# pyright: basic
# Nothing that is switched off for the package (pyproject.toml) is for its users.

import pathlib
from typing import Any

import keras
import numpy as np
from keras import layers, ops

import lea_keras
import models
from lea_keras import callbacks, plots, probes, robustness, windows
from lea_keras.data import sprites
from lea_keras.plots import probe_plot, robustness_plot

# Data sets

train_data = lea_keras.data.load("sprites", "train", batch_size=32, limit=16000)
test_data = lea_keras.data.load("sprites", "test", batch_size=64, limit=1000, validation=0.1, shuffle=False, seed=3)
folder_data = lea_keras.data.load("mnist", data_dir=pathlib.Path("data"), download=True, first_epoch=2)
images, labels = lea_keras.data.take(test_data, 4)
details = lea_keras.data.info("fashion_mnist")
shape: tuple[int, int, int] = details.image_shape
for batch_images, batch_labels in lea_keras.data.batches(train_data):
    print(batch_images.shape, batch_labels.shape, batch_images.mean())
lea_keras.data.check_images(images)
pairs: lea_keras.data.ClassPairs = lea_keras.data.class_pairs((images, labels), (images, labels), "mean", batch_size=2)
picked: np.ndarray = lea_keras.data.selection("test")
last: np.ndarray = lea_keras.data.to_channels_last(images, "channels_first")
print(lea_keras.data.NAMES, lea_keras.data.SELECTION_SEED, lea_keras.data.DatasetInfo, lea_keras.data.Dataset)
drawn: np.ndarray = sprites.draw(sprites.labels_from_indices(range(100)))
places: np.ndarray = sprites.indices_from_labels([[0, 1, 2, 3, 4]])
examples: dict[str, np.ndarray] = lea_keras.sprites.examples(np.arange(10))
print(sprites.FACTORS["shape"], sprites.GRID_SIZE)

# The layer, its autoencoders and coders

standard = lea_keras.StandardAutoencoder(code_length=8, encoder="conv", decoder="sb", kernels=16, kernel_size=3)
sparse = lea_keras.KSparseAutoencoder(10, k=5, a=1.3, decoder="conv", conv_strides=2)
variational = lea_keras.VariationalAutoencoder(code_length=4, beta=0.5, warmup_steps=100, seed=1, dtype="float32")
capacity = lea_keras.CapacityControlledAutoencoder(
    code_length=10, gamma=10, capacity=25.0, capacity_steps=5000, encoder="conv", decoder="sb", kernels=32
)
tied = lea_keras.KSparseAutoencoder(100, k=10, select="magnitude", units=(), decoder="tied", mae=True)
info = lea_keras.InfoAutoencoder(code_length=4, alpha=0.0, lambda_=1000, bandwidth=None, seed=1)
joint = lea_keras.JointAutoencoder(code_length=20, categories=(10, 5), temperature=0.1, discrete_capacity=10.0)
coupled = lea_keras.optimizers.CoupledAdam(1e-4, l2=0.5)
layer = lea_keras.LocallyEmbeddedAutoencoder(
    window_size=4, autoencoder=capacity, strides=2, padding="same", loss_weight=1, chunk_windows="auto", name="lea"
)
oblong = lea_keras.LocallyEmbeddedAutoencoder((4, 2), "k_sparse", (2, 1), "valid", data_format="channels_last")
chunked = lea_keras.layers.LocallyEmbeddedAutoencoder(
    8, strides=None, loss_weight=0.0, chunk_windows=64, dtype="float16"
)
restored = lea_keras.LocallyEmbeddedAutoencoder.from_config(layer.get_config())
copied = lea_keras.LocallyEmbeddedAutoencoder(4, lea_keras.autoencoders.get("vae", code_length=3))
again = lea_keras.LocallyEmbeddedAutoencoder(4, layer.get_config()["autoencoder"])
length: int = layer.code_length
pair: tuple[int, int] = layer.window_size
deep = lea_keras.StandardAutoencoder(
    3, encoder="conv", decoder="conv", units=(256,), filters=(32, 64), likelihood="bernoulli"
)
wide = lea_keras.coders.FullyConnectedEncoder(units=(128, 64, 12))
whole: lea_keras.LEAModel = lea_keras.image_autoencoder("vae", (28, 28, 1), units=())
print(capacity.current_capacity, variational.step, sparse.inference_k, layer.loss_weight, layer.strides)
codes = variational.encode(images)
decoded = variational.decode(codes)
sampled = variational.sample(16, seed=1)
found_codes: np.ndarray = lea_keras.optimize_codes(variational, images, 500, optimizer="sgd", tolerance=1e-3)
print(ops.mean(decoded), variational.encoder.name, lea_keras.autoencoders.AUTOENCODERS["vae"])
fully_connected = lea_keras.coders.FullyConnectedEncoder(activation="linear", name="encoder")
convolutional = lea_keras.coders.ConvolutionalEncoder(kernels=8, kernel_size=3, conv_strides=2)
decoders = [
    lea_keras.coders.FullyConnectedDecoder(),
    lea_keras.coders.ConvolutionalDecoder(8),
    lea_keras.coders.SpatialBroadcastDecoder(kernels=8, activation=keras.activations.elu),
]
coded = lea_keras.StandardAutoencoder(encoder=fully_connected, decoder=decoders[0])


@keras.saving.register_keras_serializable("mine")
class Encoder(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flat, self.dropout = layers.Flatten(), layers.Dropout(0.2)
        self.hidden = layers.Dense(64, activation="relu")

    def call(self, windows, training=False):  # [n, rows, columns, channels] → [n, features]
        return self.hidden(self.dropout(self.flat(windows), training=training))


@keras.saving.register_keras_serializable("mine")
class Contractive(lea_keras.Autoencoder):
    """Penalises how much codes change with their windows: the squared Frobenius norm of their slopes."""

    measure_names = ("rl", "rln", "slope")
    averaged = ("rl", "slope")

    def extra_measures(self, windows, features, codes):
        active = ops.cast(features > 0, features.dtype)
        slopes = ops.einsum("ij,nj,jk->nik", self.encoder.hidden.kernel, active, self.code.kernel)
        return {"slope": ops.sum(ops.square(slopes), axis=(1, 2))}

    def loss(self, means, step):
        return means["rl"] + 0.1 * means["slope"], {}


@keras.saving.register_keras_serializable("mine")
class Denoising(lea_keras.Autoencoder):
    """Reconstructs windows from noisy ones; the codes that it hands on are those of the windows as they are."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(0)

    def draw_noise(self, count, training):
        shape = (count, *self.windows_shape[1:])
        return keras.random.normal(shape, stddev=0.1, seed=self.seed_generator) if training else None

    def corrupt(self, windows, noise):
        return windows + ops.cast(noise, windows.dtype)


class Annotated(lea_keras.VariationalAutoencoder):
    """The same kind of subclass with types."""

    def __init__(self, code_length: int = 10, scale: float = 2.0, **kwargs: Any) -> None:
        super().__init__(code_length=code_length, **kwargs)
        self.scale = scale

    def penalty(self, kl: Any, step: Any) -> tuple[Any, dict[str, Any]]:
        return self.scale * kl, {"kl": kl}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}


own = lea_keras.LocallyEmbeddedAutoencoder(4, lea_keras.VariationalAutoencoder(code_length=4, encoder=Encoder()))
own = lea_keras.LocallyEmbeddedAutoencoder(4, Contractive(code_length=10))
own = lea_keras.LocallyEmbeddedAutoencoder(4, Denoising(code_length=10))
own = lea_keras.LocallyEmbeddedAutoencoder(4, Annotated(scale=1.0))

# Training

inputs = keras.Input((64, 64, 1))
code_maps = lea_keras.LocallyEmbeddedAutoencoder(window_size=8, name="lea")(inputs)
hidden = layers.Dense(512, activation="relu")(layers.Flatten()(code_maps))
model = lea_keras.LEAModel(inputs, layers.Dense(3)(hidden), optimization="alternate")
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    lea_optimizer=keras.optimizers.Adam(1e-4),
    loss=keras.losses.CategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
    jit_compile=False,
)
best = keras.callbacks.ModelCheckpoint("best.keras", monitor="val_main_loss", mode="min", save_best_only=True)
shown = [
    callbacks.RunCheckpoint("runs/mine"),
    callbacks.TimeLeft(every=10),
    callbacks.StopOnNaN(),
    callbacks.LearningRates(),
    callbacks.LEAPictures(images, "logs", every=2),
    callbacks.CapacityReadout(test_data, pathlib.Path("logs")),
]
history = model.fit(train_data, validation_data=test_data, epochs=4, shuffle=False, callbacks=[best, *shown])
history = model.fit(images, labels, batch_size=2, verbose=2, initial_epoch=1)
results = model.evaluate(test_data, verbose=0, return_dict=True)
print(results, model.predict(images, verbose=0), model.metrics, model.optimizer.learning_rate)
model.save("model.keras")
model.save(pathlib.Path("model.keras"), overwrite=True)
model.save_weights("model.weights.h5")
model.load_weights("model.weights.h5")
for lea, variables in zip(model.lea_layers, model.lea_variables, strict=True):
    print(lea.name, lea.autoencoder.code_length, [variable.name for variable in variables])
print([variable.path for variable in model.main_variables], model.lea_optimizers[0].learning_rate, model.optimization)
alone = lea_keras.training.LEAModel(inputs, code_maps, name="alone")
alone.compile("adam")
sequential = keras.Sequential([keras.Input((28, 28, 1)), layer, layers.Flatten(), layers.Dense(10)])
by_layers = lea_keras.LEAModel(sequential.inputs, sequential.outputs)


class Subclassed(lea_keras.LEAModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lea = lea_keras.LocallyEmbeddedAutoencoder(4, "vae")
        self.head = layers.Dense(10)

    def call(self, images, training=False):
        return self.head(layers.Flatten()(self.lea(images, training=training)))


subclassed = Subclassed(optimization="joint", name="mine")
subclassed.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), lea_optimizer="adam")

try:
    model.fit(train_data, callbacks=[callbacks.StopOnNaN()])
except callbacks.NaNLossError as error:
    print(error)
rows: list[dict[str, float]] = callbacks.read_metrics("runs/mine")
epoch, path = callbacks.last_checkpoint("runs/mine")
damage: str | None = callbacks.checkpoint_damage(callbacks.checkpoint_path("runs/mine", 3))
callbacks.publish_model("runs/mine")
callbacks.write_atomically(pathlib.Path("notes.txt"), "text")
print(callbacks.clock(12.5), callbacks.CHECKPOINT_FOLDER, callbacks.METRICS_FILE, callbacks.MODEL_FILE)

# Reference networks

networks: list[keras.Model] = [
    models.classic((64, 64, 1), classes=3),
    models.pool_fc((64, 64, 1), 3, window_size=(8, 4)),
    models.cnn_lea((64, 64, 1), classes=3, autoencoder="vae", window_size=4, code_length=10),
    models.lea_fc((64, 64, 1), 3, autoencoder=standard, strides=None, chunk_windows="auto"),
    models.lea_only((64, 64, 1), 3, loss_weight=0.1),
    models.decoder_free((64, 64, 1), 3),
]
print(models.cnn_lea((64, 64, 1), 3).lea_layers)

# Windows, losses and metrics

cut = windows.extract_windows(images, 4, strides=2, padding="same")
merged = lea_keras.windows.merge_windows(cut, (64, 64), 2, "same", data_format="channels_last")
cut = windows.extract_windows(ops.ones((1, 8, 8, 1)), (4, 2))
print(ops.max(merged), cut.shape)
rl = lea_keras.metrics.reconstruction_loss(cut, cut)
rln = lea_keras.metrics.normalized_reconstruction_loss
confidence = lea_keras.metrics.reconstruction_confidence(cut, cut, largest=1.0)
errors = lea_keras.losses.window_errors(cut, cut)
metric = lea_keras.metrics.ReconstructionLoss()
metric.update_state(cut, cut)
print(metric.result(), rl + errors)

# Looking

view = lea_keras.inspect(model, images)[0]
views = lea_keras.inspection.inspect(model, test_data, bins=20, largest={"lea": 0.5})
print(view.code_maps.shape, view.confidence.min(), view.histograms.edges, view.layer.name, view.unclipped.max())
page: lea_keras.explorer.Explorer = lea_keras.explore(model, images, ranges={0: (-3, 3), 4: (-1.1, 0.7)}, steps=7)
written: pathlib.Path = page.save("explorer.html")
print(page.html, page.notes["lea"])
lea_keras.explore(model, test_data, {"lea": {0: (-1.0, 1.0)}}, max_images=4, max_bytes=500_000, live=True)
plots.code_maps(model, images).savefig("code_maps.png")
plots.code_maps(view, colours="grey", max_codes=4, max_images=2).savefig(pathlib.Path("code_maps.png"))
lea_keras.plots.reconstructions(views).savefig("reconstructions.png")
plots.windows(model, test_data, max_windows=8)
plots.confidence_maps(view)
plots.confidence_maps({1: view, 2: views})
plots.confidence_maps({1: view, "last": view}, max_epochs=2)
plots.histograms(views)
plots.latent_traversal(model.lea_layers[0].autoencoder, codes_range=2, steps=5, value_range=(0, 1))
plots.latent_traversal(variational, (-1.0, 1.0), name="vae", around=images[0])
plots.latent_manifold(variational, 10, value_range=(0, 1))
plots.samples(variational, count=25, seed=2)
plots.codes({"first": found_codes[:, :2], "last": found_codes[:, -2:]}, labels, names=["square", "ellipse", "heart"])
plots.filters(lea_keras.StandardAutoencoder(8, units=()), max_filters=4)
plots.factor_activations(lea_keras.image_autoencoder("vae", (64, 64, 1)), images, {"x": np.arange(4)}, max_codes=3)
plots.metric_curves(history, ["accuracy"])
plots.metric_curves([rows, rows], held_out="validation")
plots.metric_curves({"ours": history, "theirs": [history, history]})
plots.metric_curves({"ours": rows, "theirs": [rows]}, ("loss",), held_out={"ours": "test", "theirs": "validation"})
pixels: np.ndarray = plots.pixels(plots.code_maps(view))
print(plots.metric_label("lea_rl"), plots.names(views), plots.lea_layers(model), plots.with_decoder(views))

# Probes and robustness

train = probes.sprites_data("train", limit=1000)
probed = probes.measure(model, train, probes.sprites_data("test"), factors=["shape", "x"], layers=["lea"], epochs=2)
probed = lea_keras.probes.measure(model, (images, {"shape": labels}), (images, {"shape": [0, 1, 2, 0]}))
print(probed[0].accuracy - probed[0].chance, probes.to_rows(probed), probes.FACTORS, probes.INPUT, probes.PASSING)
values: dict[str, np.ndarray] = probes.activations(model, images, ["lea"], max_features=100)
print(probes.chance_level(labels), probes.Probe)
probe_plot.equivariance(probed, title="Probes", note="of two layers").savefig("probes.png")

result = robustness.evaluate(model, images, labels, attacks=["gradient_sign", "deep_fool"], seed=0)
result = lea_keras.robustness.evaluate(model, images, labels, "all", output_dir="attacks", bounds=(0, 1), verbose=0)
result = robustness.evaluate(
    model,
    images,
    labels,
    {
        "adef": robustness.ADefAttack(),
        "search": robustness.LocalSearchAttack(seed=1),
        "pixel": robustness.SinglePixelAttack(seed=1),
        "saliency": robustness.SaliencyMapAttack(),
        "slsqp": robustness.SLSQPAttack(seed=1),
        "named": robustness.get("spatial"),
        "made": robustness.ATTACKS["salt_and_pepper"](seed=1),
    },
)
old = robustness.evaluate(model, images, labels, "slsqp", semantics="foolbox18")
print(old.semantics, old.summary()[0].semantics, robustness.ATTACKS_1_8["slsqp"](seed=1, max_iter=3))
for attack in result.summary():
    print(attack.attack, attack.success_rate, attack.mean_distance)
robustness_plot.heatmap({"linear": result.summary()}).savefig("attacks.png")
robustness_plot.heatmap({"linear": result.summary(), "other": []}, baseline="linear", title="Attacks")
records: list[robustness.Record] = result.records
summaries: list[robustness.Summary] = result.summary()
print(robustness.to_rows(records), robustness.to_rows(summaries), result.images["adef"], robustness.SmallestEpsilon)
bound: float = robustness.perturbation_bound(keras.Sequential([layers.Dense(3)]), epsilon=0.1)
constrained = layers.Dense(8, kernel_constraint=lea_keras.constraints.L1Ball(2.0))
smallest = lea_keras.layers.MinPooling2D(2, padding="same")
victim = robustness.Victim(model, (64, 64, 1))
print(victim.logits(images).shape, isinstance(result, robustness.Robustness))

# Export

encoder: keras.Model = lea_keras.export_encoder(model)
encoder.save("encoder.keras")
print(lea_keras.__version__.split("."))
