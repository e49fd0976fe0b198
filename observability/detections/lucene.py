"""The second executor: a rule as a query string for OpenSearch, made by pySigma's backend.

That backend has no windows, so correlations are not made by it.
"""

from typing import Any, Final

from sigma.backends.opensearch.opensearch import OpensearchLuceneBackend

from observability.detections.load import Rule

BACKEND: Final = OpensearchLuceneBackend()


def query_string(rule: Rule) -> str:
    """Return the rule in the language of `query_string`."""
    (query,) = BACKEND.convert_rule(rule.sigma)
    return str(query)


def query(rule: Rule) -> dict[str, Any]:
    """Return the rule as a query."""
    return {"query_string": {"query": query_string(rule)}}
