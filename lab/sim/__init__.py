"""The simulator: both engines in memory, on one clock, with everything around them in the hands of whoever plays.

A *world* is a gateway engine, the store, *hosts* with their client engines, and the network between them; time passes only when it is
told to. A *twin* stands in for what an engine is handed in: entropy, KEM, store. A *way* brings a world into one state of a machine, a
*playbook* tells what happens in a world from its beginning on. A *device* has its keys and does by hand what no client engine would do.

What worlds record is judged as in production (`recorded`). Tests, explorer, replay, fuzzing and benchmarks play in the same worlds.
"""
