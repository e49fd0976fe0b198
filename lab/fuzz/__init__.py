"""Coverage-guided fuzzing of the parsers and of both engines.

A *target* takes any bytes and raises only when something is wrong; a *crash* is such an exception; the *corpus* is the inputs that reach
further than those before them. The committed one is in tests/fuzz/corpus, the working one under .cache/fuzz.
"""
