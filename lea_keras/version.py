"""The package's version, kept apart so that setup.py reads it without importing Keras."""

__version__ = "0.1.0"

PACKAGE = "lea_keras"  # the name under which Keras saves our classes
