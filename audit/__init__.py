"""What is recorded, in which bytes, and how anyone checks it. The contract is docs/spec/audit.md; its clauses are named A-n.

Words used throughout:

* *record*: a fact of the core with the wall time, the process start and, for evidence, its place in the outbox; a fixed number of bytes.
* *event*: what a record becomes in the log: a closed JSON object, valid against the schema of its type.
* *evidence*: events whose records are stored with the change itself and are kept until the log has them durably.
* *telemetry*: every other record of the core; it never makes anyone wait, and what is lost is counted.
* *integrity*: events that the writer makes about the log itself.
* *line*: an event with its hash, in canonical form; *segment*: a file of lines; *log*: a directory of segments.
* *head*: chain, number and hash of an event; `head.json` keeps one that is durable.
"""
