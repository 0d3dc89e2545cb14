"""The explorer: a page on which the codes of windows are moved, and what the decoder makes of them is seen."""

from lea_keras.explorer.explorer import Explorer, explore

__all__ = ["Explorer", "explore"]
