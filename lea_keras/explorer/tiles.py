"""What a page without a model can show: windows decoded beforehand, in 8 bits, as many as there is room for.

A tile is one decoded window as it is drawn: bytes [wh · ww · channels], 1 channel (grey) or 3. Of every window there is
its own tile, and of as many windows as fit one for each of their codes at each step, the other codes staying as they
are. Windows with the same code share these. What has to go when there are too many, in this order **(chosen)**: steps,
to five; variables that say least, while there is not room for one window an image; windows whose inputs are flattest.
"""

import base64
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lea_keras.autoencoders.base import Autoencoder
from lea_keras.checks import fail
from lea_keras.explorer.codes import Codes, code_ranges, codes_of, decode, rounded
from lea_keras.inspection import Inspection
from lea_keras.plots.views import Drawable
from lea_keras.windows import extract_windows
from lea_keras.windows.grid import grid

FEWEST_STEPS = 5
SAMPLE = 24  # windows by which the room that the others take is judged
FIXED_SHARE = 0.6  # of the room that images and their own tiles take at most, before images have to go


class Explored(NamedTuple):
    """One LEA, before its codes are moved.

    Attributes:
        view: its inspection, of all images.
        name: as the page calls it.
        codes: of all images.
        ranges: [code_length, 2], of the sliders.
    """

    view: Inspection
    name: str
    codes: Codes
    ranges: np.ndarray


class Pixels:
    """Values of a LEA's inputs, and of what has their channels, as bytes: black is 0, white 255."""

    def __init__(self, inputs: np.ndarray) -> None:
        self._drawable = Drawable(inputs)
        self.colours = self._drawable.picture(inputs[:1]).ndim == 4
        self.scale = (0.0, 1.0) if self.colours else self._drawable.scale
        self.channels = 3 if self.colours else 1
        averaged = inputs.shape[-1] if not self.colours and inputs.shape[-1] > 1 else 0
        self.note = f"mean of {averaged} channels" if averaged else ""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """uint8 [..., channels] of values [..., c]; those beyond the scale are drawn as its ends."""
        low, high = self.scale
        pictures = self._drawable.picture(values)
        pictures = pictures if self.colours else pictures[..., None]
        return np.rint(255 * np.clip((pictures.astype(np.float64) - low) / (high - low), 0, 1)).astype(np.uint8)


def explored(view: Inspection, name: str, ranges: Mapping[int, Any] | None) -> Explored:
    codes = codes_of(view)
    return Explored(view, name, codes, code_ranges(codes.maps, ranges))


def pack(rows: np.ndarray) -> str:
    """Bytes [n, size] as text: each row less the one before it (modulo 256), deflated, in base 64.

    Steps of a code differ little from each other, so that little is left of them. It is what PNG does to the rows of a
    picture, without that format's limits of size, and without a canvas from which a browser may return other bytes.
    """
    before = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    return base64.b64encode(zlib.compress((rows - before).tobytes(), 9)).decode("ascii")


def data_of(leas: Sequence[Explored], images: int, steps: int, room: int) -> list[dict[str, Any]]:
    """What the page is given of every LEA, in at most ``room`` bytes of JSON.

    Args:
        leas: at least one.
        images: how many to show, of those that were inspected; fewer if there is no room for all.
        steps: values of each code, at least 2; fewer if there is no room for all.
        room: in bytes.

    Raises:
        ValueError: if there is no room for a single image.
    """
    fixed = [_Fixed(lea, images) for lea in leas]
    while (size := sum(part.size for part in fixed)) > FIXED_SHARE * room and images > 1:
        images = max(1, min(images - 1, int(images * FIXED_SHARE * room / size)))
        fixed = [_Fixed(lea, images) for lea in leas]
    room -= sum(part.size for part in fixed)
    if room < 0:
        raise fail("max_bytes", "enough for one image with its windows", "too little", f"{-room} bytes are missing.")
    data = []
    for i, part in enumerate(fixed):
        moved, size = _moved(part, steps, room // (len(fixed) - i))
        data.append(part.data | moved)
        room -= size
    return data


class _Fixed:
    """What does not depend on how far codes are moved: inputs, windows as they are, and codes."""

    def __init__(self, lea: Explored, images: int) -> None:
        self.lea, layer = lea, lea.view.layer
        self.autoencoder: Autoencoder = layer.autoencoder
        self.pixels = Pixels(lea.view.inputs)
        inputs, maps = lea.view.inputs[:images], lea.codes.maps[:images]
        whole, self.offset, self.unit = rounded(maps)
        flat = whole.reshape(-1, layer.code_length)
        different, self.which = np.unique(flat, axis=0, return_inverse=True)
        self.which = self.which.reshape(-1)
        self.own_codes = (self.offset + different * self.unit).astype(np.float32)  # [different, code_length]
        tiles = self.pixels(decode(self.autoencoder, self.own_codes))
        tiles = tiles.reshape(len(different), -1)
        liveliness = np.zeros(len(different))
        np.maximum.at(liveliness, self.which, self._deviations(inputs))
        self.ranked = np.argsort(-liveliness, kind="stable")  # of the different codes, lively windows first
        height, width = inputs.shape[1:3]
        sides = zip((height, width), layer.window_size, layer.strides, strict=True)
        shown = self.pixels(inputs)
        self.data: dict[str, Any] = {
            "name": lea.name,
            "images": len(inputs),
            "ofImages": len(lea.view.inputs),
            "size": [height, width],
            "channels": self.pixels.channels,
            "windowSize": list(layer.window_size),
            "strides": list(layer.strides),
            "before": [int(grid(*side, layer.padding).before) for side in sides],
            "grid": list(maps.shape[1:3]),
            "black": _short(self.pixels.scale[0]),
            "white": _short(self.pixels.scale[1]),
            "drawn": self.pixels.note,
            "measure": lea.codes.measure,
            "codeLength": layer.code_length,
            "offset": self.offset.tolist(),
            "unit": self.unit.tolist(),
            "inputs": pack(shown.reshape(len(inputs) * height, -1)),
            "own": pack(tiles[self.which]),
            "codes": pack(flat.astype("<u2").view(np.uint8).reshape(len(flat), -1)),
        }
        self.windows = len(self.which)
        self.images = len(inputs)

    @property
    def size(self) -> int:
        """Bytes of JSON, with a number for every window."""
        numbers = self.windows * (2 + len(str(len(self.ranked))))
        return sum(len(str(value)) + len(key) + 6 for key, value in self.data.items()) + numbers

    def _deviations(self, inputs: np.ndarray) -> np.ndarray:
        """Standard deviation of every window [b · rows · columns] of the inputs, as drawn."""
        layer = self.lea.view.layer
        drawn = self.pixels(inputs).astype(np.float32)
        windows = extract_windows(drawn, layer.window_size, layer.strides, layer.padding, "channels_last")
        windows = np.asarray(windows)  # [b, rows, columns, wh, ww, channels]
        return windows.reshape(math.prod(windows.shape[:3]), -1).std(axis=1)


def _moved(part: _Fixed, most_steps: int, room: int) -> tuple[dict[str, Any], int]:
    """What the page is given of moved codes, and its bytes."""
    order, count = part.lea.codes.order, len(part.ranked)
    sample = part.ranked[np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(int))]
    all_steps = [most_steps, *(n for n in range(most_steps - 1, FEWEST_STEPS - 1, -1) if n % 2)]
    shown, steps = order, all_steps[-1]
    fits = 0
    for steps in all_steps:
        fits = _fitting(part, sample, shown, steps, room)
        if fits >= count:
            break
    while fits < min(part.images, count) and len(shown) > 1:
        shown = shown[: (len(shown) + 1) // 2]
        fits = _fitting(part, sample, shown, steps, room)
    chosen = part.ranked[: min(fits, count)]
    tiles = _tiles(part, chosen, shown, steps)  # [chosen, codes, steps, bytes]
    codes = _codes(part, shown, _values(part, shown, steps))
    while True:
        packed = pack(tiles.reshape(-1, tiles.shape[-1])) if len(tiles) else ""
        size = len(packed) + len(str(codes))
        if size <= room or not len(tiles):
            break
        tiles = tiles[: min(len(tiles) - 1, int(0.97 * len(tiles) * room / size))]
    place = np.full(count, -1)
    place[part.ranked[: len(tiles)]] = np.arange(len(tiles))
    sets = place[part.which].tolist()
    data = {"moved": packed, "sets": sets, "shownCodes": codes, "notes": _notes(part, sets, len(shown))}
    data["notes"] += [f"{steps} steps instead of {most_steps}, for lack of room."] if steps < most_steps else []
    return data, size


def _fitting(part: _Fixed, sample: np.ndarray, shown: Sequence[int], steps: int, room: int) -> int:
    """About how many windows' moved codes fit."""
    tiles = _tiles(part, sample, shown, steps)
    return int(room / (len(pack(tiles.reshape(-1, tiles.shape[-1]))) + 1) * len(sample))


def _tiles(part: _Fixed, chosen: np.ndarray, shown: Sequence[int], steps: int) -> np.ndarray:
    """Tiles [chosen, shown, steps, bytes] of chosen codes, one variable of which is moved."""
    values = _values(part, shown, steps)  # [shown, steps]
    own = part.own_codes[chosen]
    size = math.prod(part.lea.view.layer.window_size) * part.pixels.channels
    tiles = np.empty((len(chosen), len(shown), steps, size), np.uint8)
    for i, (code, of_code) in enumerate(zip(shown, values, strict=True)):
        codes = np.repeat(own[:, None], steps, axis=1)  # [chosen, steps, code_length]
        codes[..., code] = of_code
        if len(chosen):
            windows = decode(part.autoencoder, codes.reshape(-1, codes.shape[-1]))
            tiles[:, i] = part.pixels(windows).reshape(len(chosen), steps, size)
    return tiles


def _values(part: _Fixed, shown: Sequence[int], steps: int) -> np.ndarray:
    """[shown, steps], in as many digits as the page has of them."""
    values = np.linspace(*part.lea.ranges[list(shown)].T, num=steps, axis=1)
    return np.array([[_short(value) for value in of_code] for of_code in values])


def _codes(part: _Fixed, shown: Sequence[int], values: np.ndarray) -> list[dict[str, Any]]:
    flat = part.lea.codes.maps.reshape(-1, part.lea.codes.maps.shape[-1]).astype(np.float64)
    return [
        {
            "code": code,
            "measure": _short(part.lea.codes.measures[code]),
            "mean": _short(flat[:, code].mean()),
            "deviation": _short(flat[:, code].std()),
            "values": of_code.tolist(),
        }
        for code, of_code in zip(shown, values, strict=True)
    ]


def _notes(part: _Fixed, sets: list[int], shown: int) -> list[str]:
    """What the page leaves out, in sentences."""
    lea, length, movable = part.lea, part.lea.view.layer.code_length, sum(place >= 0 for place in sets)
    notes = []
    if part.images < len(lea.view.inputs):
        notes.append(f"The first {part.images} of {len(lea.view.inputs)} images; ranges and order are those of all.")
    if shown < length:
        notes.append(f"The {shown} of {length} codes with the largest {lea.codes.measure}.")
    if movable < len(sets):
        notes.append(
            f"Codes of {movable} of {len(sets)} windows can be moved; there was no room for the others, whose inputs "
            "are flattest."
        )
    return notes


def _short(value: float) -> float:
    """A number in six digits."""
    return float(f"{value:.6g}") + 0.0
