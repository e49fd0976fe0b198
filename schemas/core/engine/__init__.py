"""The engines: the few calls that cross the core's border, and nothing else.

Calls take bursts, return lists of outputs that are executed in order, and depend on their arguments alone: same inputs, clock
readings, entropy and encapsulations give the same bytes.
"""
