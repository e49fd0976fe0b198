"""What a cluster needs for the events, as code: put, compared, taken away, kept in bounds; and whether it has what the log has.

Piece: one document that the cluster keeps for us (a template, a pipeline, a role ...). Drift: a difference between a piece, or an index
that was made by it, and what this version would put. Month: an index of evidence.
"""
