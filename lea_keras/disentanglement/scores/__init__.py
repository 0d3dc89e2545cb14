"""Scores of disentanglement, one a file; ``lea_keras.disentanglement`` has them all."""
