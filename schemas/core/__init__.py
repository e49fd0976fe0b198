"""The trusted part of Jumping VPN: pure protocol and session logic, no I/O, no clock, no randomness of its own.

Words used throughout:

* *session*: what two ends share from handshake to termination; it outlives every transport.
* *path*: (carrier, connection serial, local endpoint, remote endpoint); a session is *bound* to at most one.
* *epoch*: one pair of traffic keys. Each jump and each rekey makes a new one.
* *attempt*: one numbered try to reattach, with its own link of the key chain and its own locator.
* *candidate*: an epoch whose path and keys are proven by the client's first message but not yet committed.
* *fact*: one typed record of something that happened; what it says is defined in `schemas/registry.toml`.
"""
