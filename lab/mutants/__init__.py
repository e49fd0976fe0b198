"""Mutation testing of the core: mutmut changes it in small ways, one at a time, and a test has to notice each.

Words: a *mutant* is one change; it is *killed* by a test that fails, or *survives*. A *plan* is a part of the core and the tests that
have to kill its mutants; survivors are tried again with all tests of the core. What survives that is explained in `survivors.toml`, or is
a change of a text that people read: a claim, or what an error says.
"""
