"""Where the time of a step goes: ``python -m benchmarks.profile``, for the notes beside a goal that was missed."""

import argparse
import collections
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

STEPS = 5
LONGEST = 15


def main(arguments: list[str] | None = None) -> None:
    """Prints which operations of the alternate step of ``cnn_lea`` take longest, by type and one by one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--size", type=int, default=64, help="pixels of an image's side")
    parser.add_argument("--batch", type=int, default=8, help="images")
    parser.add_argument("--xla", action="store_true", help="compiled by XLA")
    parser.add_argument("--chunk_windows", choices=("auto",), help="in chunks")
    options = parser.parse_args(arguments)
    from benchmarks import backend, cases

    case = cases.Case(options.size, options.batch)
    step = cases.step(cases.cnn(case, chunk_windows=options.chunk_windows, xla=options.xla), case)
    for _ in range(2):
        step()

    def steps() -> None:
        for _ in range(STEPS):
            step()

    times = {name: seconds / STEPS for name, seconds in backend.operations(steps).items()}
    print(f"Alternate step of cnn_lea, {case}{', XLA' * options.xla}, chunk_windows={options.chunk_windows}")
    print(f"\nBy type, of {1e3 * sum(times.values()):.1f} ms that all operations take together:\n")
    print(_lines(by_type(times)))
    print("One by one:\n")
    print(_lines(times))


def by_type(times: dict[str, float]) -> dict[str, float]:
    """Times of operations named "name:type" or "type.number", by type."""
    found: collections.Counter[str] = collections.Counter()
    for name, seconds in times.items():
        found[name.rpartition(":")[2] if ":" in name else name.rstrip("0123456789").rstrip(".")] += seconds
    return found


def _lines(times: dict[str, float]) -> str:
    longest = sorted(times.items(), key=lambda item: -item[1])[:LONGEST]
    total = sum(times.values())
    return "".join(f"{1e3 * seconds:8.2f} ms {seconds / total:6.1%}  {name}\n" for name, seconds in longest)


if __name__ == "__main__":
    main()
