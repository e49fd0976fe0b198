"""Proofs on the shipped code: `python -m lab.proofs`, or `make proofs` for the long form that writes docs/evidence.

A *suite* has a name and gives *rows*; a row is proved, or it is not. What a solver did not finish in its time is not proved. A *path* is
one way through a function; a *condition* is what must hold on each path; an *obligation* is what the reading of a path itself relies on.
"""
