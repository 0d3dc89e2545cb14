"""What is timed, against what: ``python -m benchmarks`` from the repository root. README.md says how to read it."""
