"""How the parts of each class of the data set `parts` lie, in units of the distance between neighbours."""

import numpy as np

# Points (along, across), by number of parts; the key is at the first that is given for a class, in `_KEYS`.
_Points = list[tuple[float, float]]


def _row(count: int) -> _Points:
    return [(float(i), 0.0) for i in range(count)]


def _corner(count: int) -> _Points:
    """The corner, then the longer arm outwards, then the other."""
    longer = count // 2
    return [(float(i), 0.0) for i in range(longer + 1)] + [(0.0, float(i)) for i in range(1, count - longer)]


def _star(count: int) -> _Points:
    """The centre, then its arms: two or three at 120°, four at 90°."""
    turn = 2.0 * np.pi / max(3, count - 1)
    return [(0.0, 0.0)] + [(np.cos(i * turn), np.sin(i * turn)) for i in range(count - 1)]


def _circle(count: int) -> _Points:
    radius, turn = 0.5 / np.sin(np.pi / count), 2.0 * np.pi / count
    return [(radius * np.cos(i * turn), radius * np.sin(i * turn)) for i in range(count)]


# Of each class, in the order of `CLASSES`: the points, and the place of the key among them by number of parts.
_LAYOUTS = (
    (_row, {3: 0, 4: 0, 5: 0}),
    (_row, {3: 1, 4: 1, 5: 2}),
    (_corner, {3: 1, 4: 2, 5: 2}),  # the end of the longer arm
    (_corner, {3: 0, 4: 0, 5: 0}),
    (_star, {3: 1, 4: 1, 5: 1}),
    (_star, {3: 0, 4: 0, 5: 0}),
    (_circle, {3: 0, 4: 0, 5: 0}),
)


def _slots() -> np.ndarray:
    """[7 classes, 3 numbers of parts, 5 parts, 2]: where each part is, around the middle of all; 0 for none."""
    slots = np.zeros((len(_LAYOUTS), 3, 5, 2))
    for row, (layout, keys) in enumerate(_LAYOUTS):
        for column, (count, key) in enumerate(keys.items()):
            points = layout(count)
            points.insert(0, points.pop(key))
            slots[row, column, :count] = np.array(points) - np.mean(points, axis=0)
    return np.round(slots, 12) + 0.0  # since libraries differ in the last digit


SLOTS = _slots()
SLOTS.setflags(write=False)
