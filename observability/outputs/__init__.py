"""Where events go besides OpenSearch: HTTP, syslog over TLS, OTLP; with the shipper's cursor, breaker and quarantine.

Words. *Output*: sends some events once and says what became of them; it raises nothing and repeats nothing that it need not. *Courier*:
brings a batch out, however often its output fails meanwhile. None of these destinations recognises what it has already: delivery is at
least once, and whoever reads there counts events once by `jvp.event_hash`.
"""
