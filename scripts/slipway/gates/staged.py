"""Whether the same build has passed staging, lately, with the approvals the policy names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from slipway.config import RequireStaging
from slipway.gates.verified import Proven
from slipway.ports import Artifact, Shipped, Source


class Passed(Protocol):
    """What the ledger of staging says."""

    def word_of(self, build: str) -> Shipped | None:
        """Return the newest entry that says anything of ``build``."""
        ...


def verify(
    artifact: Artifact,
    *,
    policy: RequireStaging,
    staging: Passed,
    source: Callable[[], Source],
    run_id: str,
    now: datetime,
) -> Proven:
    """Look for the build in the history of staging. Raises :class:`ArtifactRefused`."""
    raise NotImplementedError
