"""What touches the machine: sockets, the TUN device, clocks, entropy, stores, and the loop that drives the core.

Words used throughout:

* *adapter*: one small class in front of one thing of the kernel, with a twin in memory that tests use instead.
* *burst*: the frames that one wakeup found from one source; adapters hand over bursts, never single packets.
* *watcher*: what an adapter tells which descriptors to watch; *poll* is the one place that waits.
* *counted*: dropped or refused without an answer and without an exception; the adapter's counters say how often.
"""
