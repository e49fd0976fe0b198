"""Both shipped tables coupled over an abstract network, store and two gateway processes, and searched exhaustively within bounds.

The rows are read from `core.client.table` and `core.session.table`: a changed cell is a changed model. What is around the rows (who hears
what when) is written here by hand and in small: no keys, no bytes, no time. A *frame* is what it says, an *epoch* is a name, a clock that
runs may end at any moment, and the network keeps every frame for ever and delivers it as often as the adversary likes.

`words`: what is said and stored. `process` and `session`: a gateway. `device`: a client. `store`. `world`: what can happen. `claims`: what
must be true. `search`: breadth first, and honest runs. `faults`: what each claim is seen to catch.
"""
