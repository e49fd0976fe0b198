"""Makes the boards and alert rules in `schemas/grafana/` with Grafana's own types, judges them, and runs and draws them without Grafana.

`parts` and `words` are what the boards are made of, one module a board; `plugin` asks OpenSearch what the data source would ask and
names the answers as it does; `judge` knows what the data source refuses or, worse, takes without a word; `picture` draws a board.
"""
