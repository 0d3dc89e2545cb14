"""The networks of the thesis that introduces LEAs: three pairs, each with and without its subject, and a LEA alone.

S. Penhouët, "Semi-supervised Learning with Locally Embedded Autoencoder", master's thesis, Tübingen 2019, section 4.7,
with sections 5.3 and 5.6 and appendix A.1:

- ``classic`` and ``cnn_lea``: conv 5×5 – pool – conv 3×3 – pool – fc – fc, with max-pools of 2×2 or with LEAs of 4×4,
  both with stride 2. Convolutions have stride one, ReLU and zero padding.
- ``pool_fc`` and ``lea_fc``: one max-pool or one LEA right on the image, then fc – fc; windows lie next to each other.
  The LEA is trained alternately, so that its code is learned from the reconstruction alone. The thesis trains many
  window sizes; 8×8 and noise-free codes are the defaults here **(chosen)**.
- ``lea_only`` and ``decoder_free``: one LEA with windows of 8×8 and stride 4, then fc – fc, trained jointly; with λ = 0
  in the second, whose decoder is neither run nor trained.
- ``autoencoder``: one LEA and no main task (sections 3.3.3, 5.1 and 5.2), the whole image being its only window unless
  another size is given.

Departures: the thesis does not say how many filters the convolutions have; they are 32 and 64 here **(chosen)**. The
last layer returns logits, the softmax being left to the loss: logits are numerically better there, and attacks on the
model need them. All LEAs and pools have zero padding (section A.1). ``pool="average"`` and ``"min"`` are there as
further baselines of what a LEA replaces, after the image operators of another thesis draft.
"""

from collections.abc import Sequence
from typing import Any

import keras

import lea_keras
from lea_keras.checks import check_choice

HIDDEN_UNITS = 1024

#: What a pool can take of a window, by name.
POOLS = {
    "max": keras.layers.MaxPooling2D,
    "average": keras.layers.AveragePooling2D,
    "min": lea_keras.layers.MinPooling2D,
}

Size = int | tuple[int, int]


def classic(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    window_size: Size = 2,
    strides: Size | None = None,
    filters: tuple[int, int] = (32, 64),
    pool: str = "max",
    name: str = "classic",
) -> keras.Model:
    """Builds the convolutional network with two pools.

    Args:
        image_shape: (rows, columns, channels).
        classes: number of outputs.
        window_size: of the pools, in pixels: int or (rows, columns).
        strides: pixels from window to window; None: the window size.
        filters: of the two convolutions.
        pool: what is taken of a window: "max", as in the thesis, "average" or "min".
        name: of the model.

    Returns:
        A model from images [b, rows, columns, channels] to logits [b, classes].

    Raises:
        ValueError: for another pool.
    """
    images = _image_input(image_shape)
    pools = [_pool(pool, window_size, strides, f"pool_{i}") for i in (1, 2)]
    return keras.Model(images, _classifier(_stack(images, pools, filters), classes), name=name)


def cnn_lea(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    autoencoder: Any = "vae",
    window_size: Size = 4,
    strides: Size | None = 2,
    filters: tuple[int, int] = (32, 64),
    loss_weight: float = 1.0,
    chunk_windows: int | str | None = None,
    optimization: str = "alternate",
    name: str = "cnn_lea",
    **arguments: Any,
) -> lea_keras.LEAModel:
    """Builds the convolutional network with two LEAs in place of the max-pools.

    Args:
        image_shape: (rows, columns, channels).
        classes: number of outputs.
        autoencoder: "standard", "k_sparse", "vae", "capacity_vae", "info_vae", "joint_vae", or an autoencoder, of
            which each LEA gets a new one.
        window_size: of the LEAs, in pixels: int or (rows, columns).
        strides: pixels from window to window; None: the window size.
        filters: of the two convolutions.
        loss_weight: λ of Eq. 5.3, at least 0.
        chunk_windows: windows that a LEA works on at once; "auto": as many as fit the cache; None: all.
        optimization: "joint", "independent" or "alternate".
        name: of the model.
        **arguments: of the autoencoder, where that is a name: ``code_length``, ``encoder``, ``beta``, …; its
            ``filters`` are called ``coder_filters``.

    Returns:
        A model from images [b, rows, columns, channels] to logits [b, classes].

    Raises:
        ValueError: for arguments of an autoencoder that has its own, or as the layer and ``LEAModel`` raise it.
    """
    images = _image_input(image_shape)
    options = {"strides": strides, "loss_weight": loss_weight, "chunk_windows": chunk_windows}
    leas = [_lea(window_size, autoencoder, arguments, name=f"lea_{i}", **options) for i in (1, 2)]
    logits = _classifier(_stack(images, leas, filters), classes)
    return lea_keras.LEAModel(images, logits, optimization=optimization, name=name)


def pool_fc(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    window_size: Size = 8,
    strides: Size | None = None,
    pool: str = "max",
    name: str = "pool_fc",
) -> keras.Model:
    """Builds the network with one pool right on the image; arguments, result and errors are those of ``classic``."""
    images = _image_input(image_shape)
    pooled = _pool(pool, window_size, strides, "pool")(images)
    return keras.Model(images, _classifier(pooled, classes), name=name)


def lea_fc(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    autoencoder: Any = "standard",
    window_size: Size = 8,
    strides: Size | None = None,
    loss_weight: float = 1.0,
    chunk_windows: int | str | None = None,
    optimization: str = "alternate",
    name: str = "lea_fc",
    **arguments: Any,
) -> lea_keras.LEAModel:
    """Builds the network with one LEA right on the image; arguments, result and errors are those of ``cnn_lea``."""
    images = _image_input(image_shape)
    options = {"strides": strides, "loss_weight": loss_weight, "chunk_windows": chunk_windows}
    logits = _classifier(_lea(window_size, autoencoder, arguments, name="lea", **options)(images), classes)
    return lea_keras.LEAModel(images, logits, optimization=optimization, name=name)


def lea_only(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    autoencoder: Any = "capacity_vae",
    strides: Size | None = 4,
    optimization: str = "joint",
    name: str = "lea_only",
    **options: Any,
) -> lea_keras.LEAModel:
    """Builds ``lea_fc`` as section 5.6 has it: overlapping windows, and codes that both objectives shape."""
    fixed = {"autoencoder": autoencoder, "strides": strides, "optimization": optimization, "name": name}
    return lea_fc(image_shape, classes, **fixed, **options)


def decoder_free(
    image_shape: tuple[int, int, int],
    classes: int,
    *,
    loss_weight: float = 0.0,
    name: str = "decoder_free",
    **options: Any,
) -> lea_keras.LEAModel:
    """Builds ``lea_only`` with λ = 0.

    Raises:
        ValueError: for another weight, with which it would be ``lea_only``.
    """
    if loss_weight:
        raise ValueError(f"Argument `loss_weight` must be 0 for decoder_free. Received: loss_weight={loss_weight!r}")
    return lea_only(image_shape, classes, loss_weight=0.0, name=name, **options)


def autoencoder(
    image_shape: tuple[int, int, int],
    *,
    autoencoder: Any = "vae",
    window_size: Size | None = None,
    strides: Size | None = None,
    loss_weight: float = 1.0,
    chunk_windows: int | str | None = None,
    optimization: str = "joint",
    name: str = "autoencoder",
    **arguments: Any,
) -> lea_keras.LEAModel:
    """Builds one LEA without a network around it, to be compiled without a loss.

    Args:
        image_shape: (rows, columns, channels).
        autoencoder: as in ``cnn_lea``.
        window_size: in pixels: int or (rows, columns); None: the whole image.
        strides: as in ``cnn_lea``.
        loss_weight: as in ``cnn_lea``.
        chunk_windows: as in ``cnn_lea``.
        optimization: as in ``cnn_lea``; without a main task, all of them are the same.
        name: of the model.
        **arguments: as in ``cnn_lea``.

    Returns:
        A model from images [b, rows, columns, channels] to code maps [b, r, c, code_length].

    Raises:
        ValueError: as in ``cnn_lea``.
    """
    images = _image_input(image_shape)
    options = {"strides": strides, "loss_weight": loss_weight, "chunk_windows": chunk_windows}
    size = image_shape[:2] if window_size is None else window_size
    codes = _lea(size, autoencoder, arguments, name="lea", **options)(images)
    return lea_keras.LEAModel(images, codes, optimization=optimization, name=name)


def _image_input(image_shape: tuple[int, int, int]) -> Any:
    return keras.Input(image_shape, name="image")


def _pool(kind: str, window_size: Size, strides: Size | None, name: str) -> keras.Layer:
    pool = POOLS[check_choice("pool", kind, POOLS)]
    return pool(window_size, strides, padding="same", name=name)


def _lea(window_size: Size, autoencoder: Any, arguments: dict[str, Any], **options: Any) -> keras.Layer:
    if isinstance(autoencoder, str):
        arguments = {{"coder_filters": "filters"}.get(name, name): value for name, value in arguments.items()}
        autoencoder = lea_keras.autoencoders.get(autoencoder, **arguments)
    elif arguments:
        raise ValueError(
            f"Argument `{next(iter(arguments))}` must be left out where `autoencoder` is no name but has its own. "
            f"Received: autoencoder={type(autoencoder).__name__}"
        )
    elif isinstance(autoencoder, keras.Layer):
        autoencoder = type(autoencoder).from_config(autoencoder.get_config())  # LEAs share no weights
    return lea_keras.LocallyEmbeddedAutoencoder(window_size, autoencoder, padding="same", **options)


def _stack(images: Any, reducers: Sequence[keras.Layer], filters: tuple[int, int]) -> Any:
    features = images
    for i, (count, kernel_size, reduce) in enumerate(zip(filters, (5, 3), reducers, strict=True), start=1):
        convolution = keras.layers.Conv2D(count, kernel_size, padding="same", activation="relu", name=f"conv_{i}")
        features = reduce(convolution(features))
    return features


def _classifier(features: Any, classes: int) -> Any:
    """Dense 1024 → dense classes, as all networks end."""
    hidden = keras.layers.Flatten(name="flatten")(features)
    hidden = keras.layers.Dense(HIDDEN_UNITS, activation="relu", name="hidden")(hidden)
    # float32 whatever the policy: half precision is too coarse for a log loss.
    return keras.layers.Dense(classes, dtype="float32", name="logits")(hidden)
