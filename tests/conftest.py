"""The order in which tests run."""

from __future__ import annotations

import os

import pytest

from tests.dealing import dealt

LONG = "end_to_end"
"""These wait for seconds again and again, and each worker that has one has sellers in a world."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have each worker begin with its share of the long ones."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = dealt(
        items, workers, lambda item: item.path.stem if LONG in item.path.parts else None
    )
