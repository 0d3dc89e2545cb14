"""Timings of LEA steps, as ratios: ``python -m benchmarks`` from the repository root. README.md says how to read it."""
