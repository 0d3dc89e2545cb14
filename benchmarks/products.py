"""The floor under an alternate LEA step: the seven matrix products that an fc encoder and decoder cannot avoid."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks import backend


class Product(NamedTuple):
    """A matrix product of two of: windows x [n, N], hidden h [n, 2N], kernels w [N, 2N] and v [2N, N].

    Attributes:
        of: what it is in the step.
        left: name of the first factor.
        right: name of the second.
        transpose_left: whether the first is transposed.
        transpose_right: whether the second is.
    """

    of: str
    left: str
    right: str
    transpose_left: bool = False
    transpose_right: bool = False


SEVEN = (
    Product("encoder forward, phase 1", "x", "w"),
    Product("encoder, gradient of its input", "h", "w", transpose_right=True),
    Product("encoder forward, phase 2", "x", "w"),
    Product("encoder, gradient of its weights", "x", "h", transpose_left=True),
    Product("decoder forward", "h", "v"),
    Product("decoder, gradient of what is hidden", "x", "v", transpose_right=True),
    Product("decoder, gradient of its weights", "h", "x", transpose_left=True),
)

# On images themselves, the windows stay the same: they are encoded once, and no gradient goes back to them.
AT_THE_FRONT = tuple(product for i, product in enumerate(SEVEN) if i not in (1, 2))


def shapes(windows: int, values: int) -> dict[str, tuple[int, int]]:
    """Shapes of the factors."""
    hidden = 2 * values
    return {"x": (windows, values), "h": (windows, hidden), "w": (values, hidden), "v": (hidden, values)}


def multiply_adds(windows: int, values: int) -> int:
    """Of the seven products together."""
    total = 0
    for product in SEVEN:
        left, right = (shapes(windows, values)[name] for name in (product.left, product.right))
        rows, inner = reversed(left) if product.transpose_left else left
        columns = right[0] if product.transpose_right else right[1]
        total += rows * inner * columns
    return total


def floor(leas: Sequence[tuple[int, int]], xla: bool = False) -> Callable[[], None]:
    """A function that computes the seven products of each LEA, one after the other, and waits for the last.

    Args:
        leas: windows and values in a window, of each LEA.
        xla: each product compiled by XLA, which has matrix products of its own on the CPU, and not as the framework
            computes it at once.
    """
    launch = launching(leas, xla)
    return lambda: backend.wait(launch())


def launching(
    leas: Sequence[tuple[int, int]],
    xla: bool = False,
    products: Sequence[Product] = SEVEN,
    random: Callable[[tuple[int, int]], Any] = backend.random,
) -> Callable[[], Any]:
    """A function that asks for the products of each LEA, one after the other, and returns the last.

    Args:
        leas: as in ``floor``.
        xla: as in ``floor``.
        products: some of the seven.
        random: makes a factor of a given shape.
    """
    calls: list[tuple[Callable[..., Any], Any, Any]] = []
    for windows, values in leas:
        factors = {name: random(shape) for name, shape in shapes(windows, values).items()}
        for product in products:

            def compute(a: Any, b: Any, product: Product = product) -> Any:
                return backend.product(a, b, product.transpose_left, product.transpose_right)

            function = backend.compiled(compute, xla=True) if xla else compute
            calls.append((function, factors[product.left], factors[product.right]))

    def run() -> Any:
        for function, a, b in calls:
            output = function(a, b)
        return output

    return run
