"""One running edge for the tests that do not break it, a new one for those that do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.harness import World, world


@pytest.fixture(scope="session")
def shared() -> Iterator[World]:
    """A running edge. Each test publishes a release of its own, which also ends earlier kills."""
    with world() as running:
        running.edge.start()
        yield running


@pytest.fixture
def fresh() -> Iterator[World]:
    """An edge that the test may break."""
    with world() as running:
        running.edge.start()
        yield running
