"""Training of models with LEAs: jointly, independently or alternately with the main task (thesis section 3.1.1)."""

from lea_keras.training.model import LEAModel

__all__ = ["LEAModel"]
