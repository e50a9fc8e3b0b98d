"""Whether the same build has passed staging, lately, with the approvals the policy names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from slipway.config import RequireStaging
from slipway.config.policy import Approvals
from slipway.errors import ArtifactRefused
from slipway.gates.codes import Code
from slipway.gates.identity import SKEW
from slipway.gates.verified import Met, Proven
from slipway.ports import Approved, Artifact, Shipped, Source
from slipway.text import one_line, short

_STAGE = (
    "Bring this build to staging with deploy-staging, or release in a run that does so first. "
    "Without staging: `require-staging: false` in `policy` of slipway.yml."
)


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
    """Look for the build in the history of staging. Raises :class:`ArtifactRefused`.

    A build is what its digest or commit says. The commit that a deployment was made for is not
    compared: it is that of the run, which may bring an image of an earlier one.
    """
    facts = [_passed(artifact.identity, staging.word_of(artifact.identity), policy.within, now)]
    if policy.approvals is not None:
        facts.append(_approved(artifact, policy.approvals, source, run_id))
    return Proven(kind="staging", facts=tuple(facts))


def _passed(build: str, word: Shipped | None, within: float, now: datetime) -> Met:
    if word is None:
        raise ArtifactRefused(
            Code.STAGING_NONE,
            f"no deployment of staging says that {short(build)} passed",
            remedy=_STAGE,
        )
    if not word.passed:
        raise ArtifactRefused(
            Code.STAGING_BAD,
            f"the newest word of staging about {short(build)} is that it did not pass: "
            f"{one_line(word.why or word.state, 140)}",
            remedy="Release a build that is mended. If the fault was not the build's, run "
            "deploy-staging again for this one.",
        )
    at = word.ended_at or word.created_at
    stamp, age = f"{at:%Y-%m-%d %H:%M} UTC", now - at
    if at > now + SKEW:
        raise ArtifactRefused(
            Code.STAGING_OLD,
            f"it passed staging at {stamp}, which is still to come by this runner's clock",
            remedy="Set the runner's clock: how long ago it passed cannot be said.",
        )
    if age > timedelta(seconds=within):
        raise ArtifactRefused(
            Code.STAGING_OLD,
            f"it passed staging at {stamp}, {age.total_seconds() / 86_400:.1f} days ago, and the "
            f"policy allows {within / 86_400:g}",
            remedy=_STAGE,
        )
    return Met(
        what="passed staging",
        found=f"{stamp} (deployment {word.id})",
        policy=("require-staging", "within"),
        word="staging",
    )


def _approved(
    artifact: Artifact, wanted: Approvals, source: Callable[[], Source], run_id: str
) -> Met:
    if artifact.commit is None:
        raise ArtifactRefused(
            Code.STAGING_APPROVAL,
            f"which commit {short(artifact.identity)} was built from is not known, so nobody can "
            "be found to have approved it",
            remedy="Pass the input `commit`, or ask for an `attestation`, which names it.",
        )
    said = source().approved(artifact.commit, run_id)
    if not said.authors:
        raise ArtifactRefused(
            Code.STAGING_APPROVAL,
            f"GitHub knows nobody who wrote {short(artifact.commit)}, so an approval may be its "
            "author's own",
            remedy="Bring it by a pull request, from an account of GitHub's.",
        )
    # Logins are the same whatever their letters' case.
    authors = {one.lower() for one in said.authors}
    may = {one.lower(): one for one in wanted.from_ if one.lower() not in authors}
    where = {one.login.lower(): one.where for one in said.approvals if one.login.lower() in may}
    if len(where) < wanted.count:
        raise _too_few(said, wanted, may=list(may.values()), have=[may[one] for one in where])
    return Met(
        what="approved",
        found=", ".join(f"{may[one]} ({one_line(place, 80)})" for one, place in where.items()),
        policy=("require-staging", "approvals"),
        word="GitHub",
    )


def _too_few(
    said: Approved, wanted: Approvals, *, may: list[str], have: list[str]
) -> ArtifactRefused:
    others = sorted({one.login for one in said.approvals} - set(have))
    could = [one for one in may if one not in have]
    brought = f"pull request {said.pull_request}" if said.pull_request else "no pull request"
    found = f"{len(have)} of {wanted.count} approvals are there"
    found += f" ({', '.join(have)})" if have else ""
    found += f"; that of {one_line(', '.join(others), 120)} does not count" if others else ""
    found += f". It was brought by {brought}, written by {one_line(', '.join(said.authors), 120)}"
    if len(may) < wanted.count:
        remedy = (
            f"Too few of those in `approvals.from` have not written it themselves "
            f"({', '.join(may) or 'none'}): name more of them."
        )
    else:
        at = (
            "Review the pull request as it was merged, and release what its merge made"
            if said.pull_request
            else "Approve it"
        )
        remedy = (
            f"{wanted.count - len(have)} more of {', '.join(could)}. {at}, or approve an "
            "environment of this run; then release again."
        )
    return ArtifactRefused(Code.STAGING_APPROVAL, found, remedy=remedy)
