"""GitHub's attestations of a digest, as its API gives them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.ports import Proof, Proofs


class Attestations(Proofs):
    """The attestations of one repository (``GET /repos/{owner}/{repo}/attestations/{digest}``)."""

    def __init__(
        self,
        token: str,
        *,
        repository: str,
        base_url: str,
        patience: Patience | None = None,
        notice: Notice = silent,
        sleep: Sleep = time.sleep,
    ) -> None:
        raise NotImplementedError

    def of(self, digest: str) -> Sequence[Proof]:
        """Return at most one more than are looked at."""
        raise NotImplementedError
