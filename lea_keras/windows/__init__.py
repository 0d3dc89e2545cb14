"""Images ↔ windows: pure functions without state.

``grid`` says where windows lie, ``patches`` and ``blocks`` cut them out, ``extraction`` has what is public.
"""

from lea_keras.windows.blocks import fold
from lea_keras.windows.extraction import Windows, extract_windows, extremes, merge_windows, value_range
from lea_keras.windows.grid import DATA_FORMATS, PADDINGS, Grid, Size, check_window_fits, check_windowing, grid, sides

__all__ = [
    "DATA_FORMATS",
    "PADDINGS",
    "Grid",
    "Size",
    "Windows",
    "check_window_fits",
    "check_windowing",
    "extract_windows",
    "extremes",
    "fold",
    "grid",
    "merge_windows",
    "sides",
    "value_range",
]
