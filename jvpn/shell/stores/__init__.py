"""Stores: which binding of a session counts (protocol section 6; clauses O-n in docs/spec/store.md).

`base` says what a store owes the driver; `sqlite` is the embedded store, `memory` its twin for tests and the simulator. Both keep one
contract, tests/jvpn/shell/test_stores.py. Words used here:

* *group*: operations that share one transaction; each is answered on its own.
* *evidence*: the facts of operations that changed something, durable in the same transaction.
* *outbox*: evidence that the audit writer has not yet acknowledged.
"""
