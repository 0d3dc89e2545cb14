"""Runs: configured, trained, evaluated, attacked and compared, each in a folder of its own.

``experiments.config`` and what it takes to answer a command line with a mistake in it import no Keras.
"""
