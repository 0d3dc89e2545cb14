"""The reference models of the thesis (section 4.7), as builders from a frozen configuration.

``models.configs`` imports no Keras; everything else here does, so import it where it is needed.
"""
