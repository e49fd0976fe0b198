"""A real OpenSearch for tests, one node a run.

The conftest.py beside the tests imports `opensearch_node` and `pytest_runtest_setup` from here and names them in `__all__`; a module
that uses the node says `pytestmark = NEEDS_NODE`. However many do, one node is started, and only when a test asks for it.

The node is shared: a test uses a data stream and a template of its own name, and leaves the node running and unpaused. A test
that needs other settings, or a node that stays down, starts its own: `with Node(fetch()) as node`.
"""

import sys
from contextlib import ExitStack

import pytest

from lab.opensearch_fetch import FetchError, WrongCopyError, fetch
from lab.opensearch_node import Node
from tests.support import MISSING, requires

# The first test that asks waits for the start, in a fresh checkout for the download too.
NEEDS_NODE = [requires("opensearch"), pytest.mark.timeout(900)]

_NODE = pytest.StashKey[Node]()


@pytest.fixture(scope="session")
def opensearch_node(pytestconfig: pytest.Config) -> Node:
    """The run's node, up and answering; it ends with the run."""
    node = pytestconfig.stash.get(_NODE, None)
    if node is None:
        try:
            home = fetch()
        except WrongCopyError:
            raise
        except FetchError as error:
            pytest.skip(f"{MISSING}opensearch: {error}")
        stack = ExitStack()
        node = stack.enter_context(Node(home))
        pytestconfig.add_cleanup(stack.close)
        pytestconfig.stash[_NODE] = node
    return node


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the run's node again where it is down before a test that uses it, and show what it said last: one death is one failure."""
    node = item.config.stash.get(_NODE, None)
    if node is not None and "opensearch_node" in getattr(item, "fixturenames", ()) and not node.running:
        sys.stderr.write(f"the run's OpenSearch node is down, and is started again; it said at last:\n{node.console()[-2_000:]}\n")
        node.start()
