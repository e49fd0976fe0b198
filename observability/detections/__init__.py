"""Detections: rules over audit events, what executes them, and what a SIEM is given of them (ADR 0025).

*Rule*: one condition on one event (`rules/`). *Correlation*: a condition on several events that rules match, within a time
(`correlations/`). Both are Sigma 2. *Building block*: a rule of level informational, which only correlations need. *Alert*: a rule or
correlation came true. *Finding*: a document about what the verifier found of a log (`findings.py`); rules match those too.

Three executors: `evaluate.py` (ours, offline, exact windows), `lucene.py` (query strings for a cluster), `percolate.py` (the same, judged
as events arrive). `monitors.py` makes what the alerting plugin of a cluster takes.
"""
