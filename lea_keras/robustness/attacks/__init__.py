"""Attacks, one family a file: ``base`` is common to all, ``search`` finds the smallest strength that succeeds, and
``registry`` has their names."""
