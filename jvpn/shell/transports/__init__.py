"""Carriers: each moves whole frames between two endpoints and knows nothing of sessions, keys or the other carriers.

`base` says what a carrier owes the driver; `udp` and `tcp` are real, `memory` is their twin for tests. A third party's carrier is one
more class with these methods (numbers 16 to 31); tests/jvpn/shell/transports/test_contract.py is the list of promises that it keeps.
"""
