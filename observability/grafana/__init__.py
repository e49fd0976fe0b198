"""Boards and alert rules for Grafana: made by `lab.grafana`, shipped as JSON in `schemas/grafana/`, put into a server from here.

A *board* is a dashboard; a *target* is one query of a panel; the *data source* is Grafana's plugin for OpenSearch. No Grafana server
could be had to test against: what is checked, and by what, is in docs/adr/0024-boards.md.
"""

from typing import Final

from audit.vocabulary import SCHEMAS

GENERATED: Final = SCHEMAS / "grafana"
INDEX: Final = "jvpn-audit-*"  # evidence in an index a month, telemetry in a data stream
TIME_FIELD: Final = "@timestamp"
OPENSEARCH_TYPE: Final = "grafana-opensearch-datasource"
OPENSEARCH_UID: Final = "jvpn-opensearch"
OPENSEARCH_VERSION: Final = "3.8.0"
PROMETHEUS_TYPE: Final = "prometheus"
PROMETHEUS_UID: Final = "jvpn-prometheus"
FOLDER: Final = "Jumping VPN"
FOLDER_UID: Final = "jvpn"
