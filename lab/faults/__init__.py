"""Seeded faults: mistakes that somebody could make, each with the check that claims to notice it: `python -m lab.faults`, `make faults`.

A *fault* replaces texts of the sources, each of which stands there exactly once; where it does not, the fault is *stale*. A *check* is a
test, or a command of `seeded.toml`. A fault is *caught* when exactly that check passes on the sources as they are and fails on the harmed
ones by what it asserts. A check that breaks in another way, which every typing error would bring about, has *crashed* and caught nothing.
"""
