"""One running edge for the tests that do not break it, a new one for those that do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.harness import Fleet, Surroundings, World, surroundings


@pytest.fixture(scope="session")
def around() -> Iterator[Surroundings]:
    """PostHog and both tracks."""
    with surroundings() as started:
        yield started


@pytest.fixture(scope="session")
def shared(around: Surroundings) -> Iterator[World]:
    """A running edge. Each test publishes a release of its own, which also ends earlier kills."""
    with around.world() as running:
        running.edge.start()
        yield running


@pytest.fixture
def stopped(around: Surroundings) -> Iterator[World]:
    """An edge that the test starts."""
    with around.world() as ready:
        yield ready


@pytest.fixture
def fresh(stopped: World) -> World:
    """A running edge that the test may break."""
    stopped.edge.start()
    return stopped


@pytest.fixture(scope="session")
def fleet(around: Surroundings) -> Iterator[Fleet]:
    """Three running edges. Each test publishes a release of its own."""
    with around.fleet() as edges:
        yield edges.start()


@pytest.fixture
def fresh_fleet(around: Surroundings) -> Iterator[Fleet]:
    """Three running edges that the test may break."""
    with around.fleet() as edges:
        yield edges.start()
