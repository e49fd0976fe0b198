"""Endurance: the real audit writer, shipper and node, killed again and again while everything between them fails, and an exact account.

A *record* is what a gateway feeds, an *event* what the log has of it. A *schedule* is one fault, by name, for some seconds. A *leg* is one
log with its writer, its shipper and its indices. What a killed writer had in hand is *in hand*: telemetry only, and exactly countable,
because a LOG_RESUMED stands there and the serials have a gap (A-41).
"""
