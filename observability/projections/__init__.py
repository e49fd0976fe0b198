"""An event of the audit log in the words of others: OCSF, the Elastic Common Schema, OpenTelemetry.

Words. *Own event*: what was hashed, as it is in the log. *Projection*: a function of an own event and its hash, made after hashing, so that
no mistake in it can touch the evidence. Each projection says in the standard's fields what the standard has a word for, and holds the own
event beside, field by field, under `jvp` with `jvp.event_hash`; so nothing is lost, and `restored` finds the bytes that were hashed.
What is called what: `schemas/projections.toml`. Everything here is pure [A-80, A-81].
"""
