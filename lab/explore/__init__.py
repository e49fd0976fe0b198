"""Breadth-first search over what an adversary can do, on the running engines (`world`, `search`) and on each table alone (`model`).

A *part* is one engine in one state, a *world* its parts with every frame ever sent and what the store was asked, an *action* one thing that
the adversary does, a *budget* how often it may, a *claim* what must be true of every world or step, a *fault* something broken on purpose.
Both tables together, without engines: `lab.coupled`.
"""
