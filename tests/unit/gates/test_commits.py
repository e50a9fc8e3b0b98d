"""A commit passes if it is signed, on the protected branch, and checked by whom the policy says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.config import SignedCommit
from slipway.config.policy import GITHUB_ACTIONS, RequiredCheck
from slipway.errors import ArtifactRefused, OutsideError
from slipway.gates import commits
from slipway.gates.verified import Proven
from slipway.ports import Approved, Artifact, Branch, CheckRun, Comparison, Signature, Source

COMMIT, HEAD = "a" * 40, "b" * 40
BUILD = Artifact(kind="commit", reference=COMMIT, commit=COMMIT)
POLICY = SignedCommit(checks=(RequiredCheck(name="test"), RequiredCheck(name="e2e", app=77)))


def passed(name: str = "test", app: int | None = GITHUB_ACTIONS) -> CheckRun:
    return CheckRun(name=name, app=app, status="completed", conclusion="success")


@dataclass
class GitHub(Source):
    """Says what a test gives it."""

    signed: Signature = field(
        default_factory=lambda: Signature(verified=True, reason="valid", committer="web-flow")
    )
    on: Branch = field(default_factory=lambda: Branch(head=HEAD, protected=True))
    status: str = "ahead"
    runs: Sequence[CheckRun] = (passed(), passed("e2e", 77), passed("other", 5))
    compared: list[tuple[str, str]] = field(default_factory=list)
    was_at_it: bool = True
    silent: bool = False

    def signature(self, commit: str) -> Signature:
        if self.silent:
            raise OutsideError("GitHub: no answer", remedy="run again")
        assert commit == COMMIT
        return self.signed

    def branch(self, name: str) -> Branch:
        assert name == "main"
        return self.on

    def compare(self, base: str, head: str) -> Comparison:
        self.compared.append((base, head))
        return Comparison(status=self.status, files=None, commits=())

    def was_at(self, commit: str, head: str) -> bool:
        assert (commit, head) == (COMMIT, HEAD)
        return self.was_at_it

    def check_runs(self, commit: str) -> Sequence[CheckRun]:
        assert commit == COMMIT
        return self.runs

    def approved(self, commit: str, run_id: str) -> Approved:
        raise AssertionError("nobody is asked to approve here")


def verify(source: Source, policy: SignedCommit = POLICY, build: Artifact = BUILD) -> Proven:
    return commits.verify(build, policy=policy, source=source)


def refused(
    source: Source, policy: SignedCommit = POLICY, build: Artifact = BUILD
) -> ArtifactRefused:
    with pytest.raises(ArtifactRefused) as caught:
        verify(source, policy, build)
    assert caught.value.remedy
    return caught.value


def test_a_commit_that_is_all_of_it_passes_and_every_fact_names_its_line() -> None:
    github = GitHub()
    proven = verify(github, SignedCommit(checks=POLICY.checks, committers=("Web-Flow",)))
    assert (proven.kind, proven.signer, proven.commit) == ("commit", "web-flow", COMMIT)
    assert [(fact.what, fact.found, fact.policy) for fact in proven.facts] == [
        ("source commit", COMMIT, ("commit",)),
        ("signature", "valid", ("commit",)),
        ("committer", "web-flow", ("commit", "committers")),
        ("on the protected branch", "main", ("commit", "branch")),
        ("check test", "success, from app 15368", ("commit", "checks")),
        ("check e2e", "success, from app 77", ("commit", "checks")),
    ]
    assert {fact.word for fact in proven.facts} == {"GitHub"}
    assert github.compared == [(COMMIT, HEAD)]


def test_another_commit_than_the_build_names_is_refused() -> None:
    other = Artifact(kind="commit", reference=COMMIT, commit="c" * 40)
    assert refused(GitHub(), build=other).code == "identity.commit"


# The signature

REASONS = [
    "expired_key",
    "not_signing_key",
    "gpgverify_error",
    "gpgverify_unavailable",
    "unsigned",
    "no_user",
    "valid",
    "unknown_signature_type",
    "unverified_email",
    "bad_email",
    "unknown_key",
    "malformed_signature",
    "invalid",
]


@given(verified=st.booleans(), reason=st.sampled_from(REASONS) | st.text(min_size=1))
def test_only_verified_and_valid_is_signed(verified: bool, reason: str) -> None:
    github = GitHub(signed=Signature(verified=verified, reason=reason, committer="ana"))
    if verified and reason == "valid":
        assert verify(github).signer == "ana"
    elif reason.startswith("gpgverify_") and reason in REASONS:
        assert refused(github).code == "commit.unverifiable"
    else:
        assert refused(github).code == "commit.unsigned"


@pytest.mark.parametrize("committer", ["web-flow", "WEB-FLOW"])
def test_a_committer_who_is_named_may_sign(committer: str) -> None:
    policy = SignedCommit(checks=POLICY.checks, committers=("web-flow",))
    github = GitHub(signed=Signature(verified=True, reason="valid", committer=committer))
    assert verify(github, policy).signer == committer


@pytest.mark.parametrize("committer", ["mallory", "web-flow2", "", None])
def test_nobody_else_may(committer: str | None) -> None:
    policy = SignedCommit(checks=POLICY.checks, committers=("web-flow",))
    github = GitHub(signed=Signature(verified=True, reason="valid", committer=committer))
    assert refused(github, policy).code == "commit.committer"


# The branch


def test_the_newest_commit_of_the_branch_is_on_it() -> None:
    github = GitHub(on=Branch(head=COMMIT, protected=True), status="unused")
    assert verify(github)
    assert github.compared == []


@pytest.mark.parametrize("status", ["behind", "diverged", "", "new"])
def test_a_commit_that_is_not_on_the_branch_is_refused(status: str) -> None:
    assert refused(GitHub(status=status)).code == "commit.branch"


def test_a_commit_inside_of_what_was_merged_is_refused() -> None:
    # Its pull request was reviewed as a whole: a later commit of it may have taken it back.
    error = refused(GitHub(was_at_it=False))
    assert error.code == "commit.branch"
    assert "never at" in error.found


def test_a_branch_that_nothing_protects_is_refused() -> None:
    error = refused(GitHub(on=Branch(head=COMMIT, protected=False)))
    assert error.code == "commit.branch"
    assert "not protected" in error.found
    assert "ruleset" in error.remedy


# Checks


@pytest.mark.parametrize(
    ("status", "conclusion"),
    [
        ("in_progress", None),
        ("queued", None),
        ("waiting", "success"),
        ("completed", None),
        *(
            ("completed", word)
            for word in [
                "failure",
                "neutral",
                "skipped",
                "cancelled",
                "timed_out",
                "action_required",
                "stale",
                "startup_failure",
            ]
        ),
    ],
)
def test_nothing_but_completed_with_success_is_success(status: str, conclusion: str | None) -> None:
    bad = replace(passed(), status=status, conclusion=conclusion)
    error = refused(GitHub(runs=(bad, passed("e2e", 77))))
    assert error.code == f"commit.check-{'failed' if status == 'completed' else 'running'}"
    assert "'test'" in error.found


def test_a_check_that_has_not_run_is_missing() -> None:
    for runs in ((), (passed(),), (passed("Test"), passed("e2e", 77))):
        assert refused(GitHub(runs=runs)).code == "commit.check-missing"


@pytest.mark.parametrize("app", [GITHUB_ACTIONS, 1, None])
def test_a_check_of_that_name_from_another_app_is_none(app: int | None) -> None:
    error = refused(GitHub(runs=(passed(), passed("e2e", app))))
    assert error.code == "commit.check-app"
    assert str(app or "unknown") in error.found


def test_another_app_with_the_same_name_takes_nothing_from_the_right_one() -> None:
    bad = CheckRun(name="test", app=9, status="completed", conclusion="failure")
    assert verify(GitHub(runs=(bad, passed(), passed("e2e", 77))))


def test_two_workflows_with_a_check_of_the_name_must_both_succeed() -> None:
    bad = replace(passed(), conclusion="failure")
    for pair in ((bad, passed()), (passed(), bad)):
        assert refused(GitHub(runs=(*pair, passed("e2e", 77)))).code == "commit.check-failed"


def test_a_check_that_has_failed_anywhere_has_failed_though_another_runs() -> None:
    bad, runs = replace(passed(), conclusion="failure"), replace(passed(), status="in_progress")
    for pair in ((bad, runs), (runs, bad)):
        assert refused(GitHub(runs=(*pair, passed("e2e", 77)))).code == "commit.check-failed"


RUNS = st.lists(
    st.builds(
        CheckRun,
        name=st.sampled_from(["test", "e2e", "x"]),
        app=st.sampled_from([GITHUB_ACTIONS, 77, None]),
        status=st.sampled_from(["completed", "in_progress"]),
        conclusion=st.sampled_from(["success", "failure", "skipped", None]),
    )
)


@given(RUNS)
def test_whatever_passes_has_every_check_done_by_its_app_and_nowhere_not(
    runs: list[CheckRun],
) -> None:
    try:
        verify(GitHub(runs=runs))
    except ArtifactRefused:
        good = False
    else:
        good = True
    wanted = {
        name: [r for r in runs if r.name == name and r.app == app]
        for name, app in (("test", GITHUB_ACTIONS), ("e2e", 77))
    }
    done = ("completed", "success")
    assert good == all(
        found and all((r.status, r.conclusion) == done for r in found) for found in wanted.values()
    )


def test_what_github_does_not_answer_is_left_to_the_gate() -> None:
    with pytest.raises(OutsideError):
        verify(GitHub(silent=True))


def test_text_from_github_stays_on_one_line() -> None:
    evil = Signature(verified=False, reason="bad\n::error::x" + "y" * 500, committer=None)
    error = refused(GitHub(signed=evil))
    assert "\n" not in error.found
    assert len(error.found) < 200
