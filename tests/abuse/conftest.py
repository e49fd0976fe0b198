"""Every world of an abuse case has to be sound when the case is over, whatever was done to it; and the run's OpenSearch nodes."""

from tests.core.checks import sound_worlds
from tests.opensearch_fixture import opensearch_node
from tests.opensearch_secured import secured_node

__all__ = ["opensearch_node", "secured_node", "sound_worlds"]
