"""Scope of a forward pass whose caller handles the objectives of its LEAs: what they compute and report."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lea_keras.autoencoders.base import Report
from lea_keras.checks import check_choice

# What LEAs do in a pass, by its mode.
MODES: dict[str, dict[str, bool]] = {
    "codes": {},
    "objectives": {"decode": True},
    "local": {"decode": True, "isolate": True},
    "inspect": {"decode": True, "inspect": True},
}

_threads = threading.local()  # under MirroredStrategy each replica traces in a thread of its own


class Scope:
    """What LEA layers do in one forward pass: whether they decode, what they report, and to what end.

    Args:
        decode: whether they compute their objectives; otherwise they only encode.
        isolate: whether a LEA's objective keeps its gradients to itself: none reaches what comes before its windows.
        inspect: whether LEAs with a loss weight of 0 compute an objective as well, and all of them whole
            reconstructions, also where windows would be gone through in chunks.
        blockwise: whether windows are cut block by block, as is faster where XLA compiles the pass.
        scales: by the ``id`` of a layer, what its loss is multiplied by where it takes gradients chunk by chunk; 1 if
            absent.
        before: the scope of an earlier pass of the same step. What it has kept is not encoded again, and the pass ends
            with the use of a LEA that was the last one with an objective in it.

    Attributes:
        reports: of every use of a LEA that computed its objective, in the order of the calls.
        kept: by the ``id`` of a layer given to ``keep``, its windows and features where it only encoded.
        count: how many uses of LEAs that have an objective there were.
    """

    def __init__(
        self,
        *,
        decode: bool = False,
        isolate: bool = False,
        inspect: bool = False,
        blockwise: bool = False,
        scales: Mapping[int, Any] | None = None,
        before: "Scope | None" = None,
    ) -> None:
        self.decode, self.isolate, self.inspect, self.blockwise = decode, isolate, inspect, blockwise
        self.scales = dict(scales or {})
        self.reports: list[Report] = []
        self.kept: dict[int, list[Report]] = {}
        self.count = 0
        self._encoded = {} if before is None else {key: list(reports) for key, reports in before.kept.items()}
        self._last = None if before is None else before.count

    def keep(self, layers: Sequence[Any]) -> None:
        """Has layers that only encode leave their windows and features in ``kept``, for a later pass to go on with."""
        self.kept |= {id(layer): [] for layer in layers}

    def encoded(self, layer: Any) -> Report | None:
        """Returns what the earlier pass kept of a layer's next use, or None."""
        reports = self._encoded.get(id(layer))
        return reports.pop(0) if reports else None

    def counted(self) -> None:
        """Notes a use of a LEA that has an objective; with the last one of the earlier pass, this one ends."""
        self.count += 1
        if self.count == self._last:
            raise _PassIsOver


class _PassIsOver(BaseException):
    """Ends a forward pass whose remaining layers are not needed. No ``Exception``: Keras rewrites those."""


@contextlib.contextmanager
def forward_pass(mode: str, **options: Any) -> Iterator[Scope]:
    """Inside, LEA layers report to the ``Scope`` yielded and register no loss with ``add_loss``.

    Args:
        mode: "codes": encode only. "objectives": compute the objectives too, with gradients flowing freely. "local":
            the same, isolated. "inspect": the objectives of all LEAs, those with a loss weight of 0 too.
        **options: further arguments of ``Scope``. With ``before``, the body ends where the pass is over.

    Raises:
        ValueError: for another mode.
    """
    outer = current()
    _threads.scope = Scope(**MODES[check_choice("mode", mode, MODES)], **options)
    try:
        yield _threads.scope
    except _PassIsOver:
        pass
    finally:
        _threads.scope = outer


def current() -> Scope | None:
    """Returns the scope around this call, or None."""
    return getattr(_threads, "scope", None)
