"""Instances of Sigstore: keys are made once for all tests."""

from __future__ import annotations

import pytest

from tests.unit.gates.attesting import Instance, World


def _made(instance: Instance, factory: pytest.TempPathFactory) -> World:
    return World.make(instance, factory.mktemp(instance))


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The public instance: with logs."""
    return _made("public-good", tmp_path_factory)


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> World:
    """GitHub's own: no log, and a clock."""
    return _made("github", tmp_path_factory)


@pytest.fixture(params=["public", "private"])
def world(request: pytest.FixtureRequest) -> World:
    """Each of them."""
    made: World = request.getfixturevalue(request.param)
    return made
