"""How a release ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from slipway.errors import SlipwayError


class Result(StrEnum):
    """The result of a release. Only ``ROLLED_BACK`` marks a build bad."""

    DEPLOYED = "deployed"
    """Staging runs the build."""
    PROMOTED = "promoted"
    """Everybody is on the candidate."""
    ROLLED_BACK = "rolled-back"
    """The candidate was judged bad; everybody is on the build before."""
    PROMOTED_PREVIOUS = "promoted-previous"
    """A person went back to an earlier build."""
    ADOPTED = "adopted"
    """A person vouches for what is live: it is the build to go back to."""
    UNCHANGED = "unchanged"
    """What was asked for is what is live."""
    FAILED = "failed"
    """Staging does not run the build as it should."""
    REFUSED = "refused"
    """A gate or a check of the inputs said no; nothing was changed."""
    ABORTED = "aborted"
    """A person, the runner or an outage stopped it. The build is not blamed."""
    HELD = "held"
    """It could not be judged, or what was bad was bad for both builds. Nobody is blamed."""
    FROZEN = "frozen"
    """What serves could not be confirmed, or data could not be mended: a human is needed."""

    @property
    def exit_code(self) -> int:
        """0 where the user got what they asked for; see :mod:`slipway.errors` for the others."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Result.DEPLOYED: 0,
    Result.PROMOTED: 0,
    Result.PROMOTED_PREVIOUS: 0,
    Result.ADOPTED: 0,
    Result.UNCHANGED: 0,
    Result.ROLLED_BACK: 1,
    Result.FAILED: 1,
    Result.REFUSED: 1,
    Result.ABORTED: 4,
    Result.HELD: 4,
    Result.FROZEN: 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a release: what the outputs, the summary and the exit code are made from."""

    result: Result
    reason: str
    """One sentence for a person, with the numbers that decided."""
    remedy: str | None = None
    """What to do next, where there is something to do."""
    release_id: str = ""
    deploy_id: str = ""
    """The deploy that brought what the production (or staging) service runs now."""
    build: str = ""
    """Digest or commit of what serves now."""
    previous_build: str = ""
    """Digest or commit of what served before."""
    share: float | None = None
    """Percent at the edge at the end; ``None``: no edge, or not confirmed."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    observed: str = ""
    """How instances were seen to be replaced; empty where nobody looked."""
    evidence_file: str = ""
    """Where the judge's account is; empty where nothing was judged."""
    seconds_to_zero: float | None = None
    """From the trip to share 0 confirmed at the edge."""
    seconds_to_old_code: float | None = None
    """From the trip until all that serves was known to be the old code; ``None``: nothing was gone
    back from, or that is not known."""
    judged: bool = True
    """Whether it says anything of the build that serves: not where a release was only observed and
    would have been stopped."""
    bad: bool = False
    """Whether the build was found bad, where the result does not say it: it is not known to have
    gone, or see ``data_left``."""
    rehearsed: bool = False
    """Whether it was a dry run: ``reason`` is what would happen, and nothing was changed."""
    data_left: bool = False
    """Whether the old code serves everybody again, and what the new one did to the data is left to
    a person."""
    mended: bool = False
    """Whether it was put in order what another run left: this run did what it was for."""
    failure: SlipwayError | None = None
    """The error that ended it, where there is one: gives the exit code and the title."""

    @property
    def exit_code(self) -> int:
        """The exit code of the job."""
        if self.mended:
            return 0
        return self.failure.exit_code if self.failure else self.result.exit_code
