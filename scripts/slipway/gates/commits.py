"""What Render builds from Git: the commit is signed, on the protected branch, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from slipway.config import SignedCommit
from slipway.config.policy import RequiredCheck
from slipway.errors import ArtifactRefused
from slipway.gates.codes import Code
from slipway.gates.identity import check_commit
from slipway.gates.verified import Met, Proven
from slipway.ports import Artifact, CheckRun, Signature, Source
from slipway.text import one_line, short

PASSING: Final = frozenset({"gpgverify_error", "gpgverify_unavailable"})
"""Reasons with which GitHub says that it could not look just now."""
_ON_IT: Final = frozenset({"ahead", "identical"})
"""How the branch stands to a commit that it has."""


def verify(artifact: Artifact, *, policy: SignedCommit, source: Source) -> Proven:
    """Ask GitHub about the commit. Raises :class:`ArtifactRefused` (``commit.…``)."""
    commit = artifact.identity
    same = check_commit(commit, artifact.commit, ("commit",), "GitHub")
    signature = source.signature(commit)
    facts = [same, *_signed(commit, signature, policy), _on_branch(commit, policy.branch, source)]
    runs = source.check_runs(commit)
    facts += [_succeeded(check, runs) for check in policy.checks]
    return Proven(
        kind="commit", facts=tuple(facts), signer=_text(signature.committer or ""), commit=commit
    )


def _signed(commit: str, signature: Signature, policy: SignedCommit) -> Sequence[Met]:
    if signature.reason in PASSING:
        raise ArtifactRefused(
            Code.COMMIT_UNVERIFIABLE,
            f"GitHub could not look at the signature of {short(commit)} ({signature.reason})",
            remedy="Release again in a few minutes; see githubstatus.com.",
        )
    if not signature.verified or signature.reason != "valid":
        raise ArtifactRefused(
            Code.COMMIT_UNSIGNED,
            f"GitHub does not call the signature of {short(commit)} valid: "
            f"{_text(signature.reason)}",
            remedy="Merge with GitHub's merge button (merge commit or squash; `Rebase and merge` "
            "makes unsigned commits), or sign with a key that is known to GitHub.",
        )
    facts = [Met(what="signature", found="valid", policy=("commit",), word="GitHub")]
    if policy.committers:
        facts.append(_committer(signature.committer, policy.committers))
    return facts


def _committer(login: str | None, accepted: Sequence[str]) -> Met:
    if login is None or login.lower() not in {one.lower() for one in accepted}:
        raise ArtifactRefused(
            Code.COMMIT_COMMITTER,
            f"it is signed by {_text(login) if login else 'no account that GitHub knows'}, and "
            f"the policy accepts {', '.join(accepted)}",
        )
    return Met(what="committer", found=_text(login), policy=("commit", "committers"), word="GitHub")


def _on_branch(commit: str, name: str, source: Source) -> Met:
    branch = source.branch(name)
    if not branch.protected:
        raise ArtifactRefused(
            Code.COMMIT_BRANCH,
            f"the branch {name} is not protected: whoever may write can push to it what nobody "
            "has looked at",
            remedy=f"Protect {name} at GitHub: with branch protection, or a ruleset that wants a "
            "pull request or status checks.",
        )
    # By its newest commit: a tag of the same name would be compared in the branch's place.
    status = "identical" if branch.head == commit else source.compare(commit, branch.head).status
    if status not in _ON_IT:
        raise ArtifactRefused(
            Code.COMMIT_BRANCH,
            f"{short(commit)} is not on {name} (the branch is {_text(status)})",
            remedy=f"Merge it into {name}, and release what was merged.",
        )
    if branch.head != commit and not source.was_at(commit, branch.head):
        raise ArtifactRefused(
            Code.COMMIT_BRANCH,
            f"{name} has {short(commit)}, and was never at it: it is inside of what was merged, "
            "and that was looked at as a whole",
            remedy="Release what the merge made.",
        )
    return Met(
        what="on the protected branch", found=name, policy=("commit", "branch"), word="GitHub"
    )


def _succeeded(check: RequiredCheck, runs: Sequence[CheckRun]) -> Met:
    """Return that the check succeeded: everywhere, where several suites have one of its name.

    The newest alone would do for a name that two workflows share, whichever of them it is.
    """
    named = [run for run in runs if run.name == check.name]
    if not named:
        raise ArtifactRefused(
            Code.COMMIT_CHECK_MISSING,
            f"the check {check.name!r} has not run on it",
            remedy="Let it run on the commit that is released (a workflow with `on: push` for the "
            "branch does), or mend its name in `policy.commit.checks`.",
        )
    expected = [run for run in named if run.app == check.app]
    if not expected:
        apps = ", ".join(sorted({str(run.app or "unknown") for run in named}))
        raise ArtifactRefused(
            Code.COMMIT_CHECK_APP,
            f"the check {check.name!r} comes from app {apps}, and the policy asks for {check.app}",
            remedy="Whoever may write checks can use a name. If this app is the right one, name "
            "its id as `app` in `policy.commit.checks`.",
        )
    # What has failed first: waiting for the others would not mend it.
    for run in sorted(expected, key=lambda run: run.status != "completed"):
        if run.status != "completed":
            raise ArtifactRefused(
                Code.COMMIT_CHECK_RUNNING,
                f"the check {check.name!r} is {_text(run.status)}, and must be success",
                remedy="Wait until it has ended, then release again. A release that `needs` it, in "
                "the same workflow, begins when it has.",
            )
        if run.conclusion != "success":
            raise ArtifactRefused(
                Code.COMMIT_CHECK_FAILED,
                f"the check {check.name!r} is {_text(run.conclusion or 'without a conclusion')}, "
                "and must be success",
                remedy="Run its failed job again, then release again. A new run of the workflow "
                "leaves the old result standing.",
            )
    return Met(
        what=f"check {check.name}",
        found=f"success, from app {check.app}",
        policy=("commit", "checks"),
        word="GitHub",
    )


def _text(value: str) -> str:
    return one_line(value, 60)
