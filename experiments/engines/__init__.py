"""Engines: how many runs are computed, on this machine or on a cluster."""

ENGINES = ("local", "slurm")
