"""The attacks of foolbox 1.8, the version behind the thesis, as they were: one family a file.

``asked`` has the rule that they share, ``registry`` their names and what each does otherwise than ours.
"""
