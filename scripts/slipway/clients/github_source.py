"""What GitHub says of a commit: its signature, its branch, its checks, and who approved it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.ports import Approved, CheckRun, Comparison, Signature, Source


class GitHubSource(Source):
    """One repository on GitHub."""

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

    def signature(self, commit: str) -> Signature:
        """See :class:`Source`."""
        raise NotImplementedError

    def is_protected(self, branch: str) -> bool:
        """See :class:`Source`."""
        raise NotImplementedError

    def compare(self, base: str, head: str) -> Comparison:
        """See :class:`Source`."""
        raise NotImplementedError

    def check_runs(self, commit: str) -> Sequence[CheckRun]:
        """See :class:`Source`."""
        raise NotImplementedError

    def approved(self, commit: str, run_id: str) -> Approved:
        """See :class:`Source`."""
        raise NotImplementedError
