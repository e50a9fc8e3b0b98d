"""Production wants what staging passed: the same build, lately, and approved by somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.config import RequireStaging
from slipway.config.policy import Approvals, Policy
from slipway.errors import ArtifactRefused, NotFound, OutsideError
from slipway.gates import staged
from slipway.gates.artifact import ArtifactGate, Kind
from slipway.gates.verified import Proven
from slipway.ports import (
    Approval,
    Approved,
    Artifact,
    Branch,
    CheckRun,
    Comparison,
    Proof,
    Proofs,
    Shipped,
    Signature,
    Source,
)
from slipway.release.ledger import Ledger

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DIGEST, COMMIT = f"sha256:{'d' * 64}", "a" * 40
BUILD = Artifact(kind="image", reference=f"ghcr.io/acme/bot@{DIGEST}", commit=COMMIT)
WEEK = RequireStaging()


def entry(**more: Any) -> Shipped:
    usual: dict[str, Any] = {
        "id": 5,
        "build": DIGEST,
        "commit": "b" * 40,
        "task": "deploy",
        "state": "success",
        "actor": "ana",
        "created_at": NOW - timedelta(hours=3),
        "ended_at": NOW - timedelta(hours=2),
        "result": "deployed",
        "why": "deployed: staging runs it",
    }
    return Shipped(**{**usual, **more})


@dataclass
class Staging:
    word: Shipped | None

    def word_of(self, build: str) -> Shipped | None:
        assert build == DIGEST
        return self.word


@dataclass
class GitHub(Source):
    """Knows who approved."""

    said: Approved | OutsideError

    def signature(self, commit: str) -> Signature:
        raise NotImplementedError

    def branch(self, name: str) -> Branch:
        raise NotImplementedError

    def compare(self, base: str, head: str) -> Comparison:
        raise NotImplementedError

    def was_at(self, commit: str, head: str) -> bool:
        raise NotImplementedError

    def check_runs(self, commit: str) -> Sequence[CheckRun]:
        raise NotImplementedError

    def approved(self, commit: str, run_id: str) -> Approved:
        assert (commit, run_id) == (COMMIT, "77")
        if isinstance(self.said, OutsideError):
            raise self.said
        return self.said


def nobody() -> Source:
    raise AssertionError("GitHub is asked only for approvals")


def verify(
    word: Shipped | None,
    policy: RequireStaging = WEEK,
    *,
    said: Approved | OutsideError | None = None,
    build: Artifact = BUILD,
) -> Proven:
    return staged.verify(
        build,
        policy=policy,
        staging=Staging(word),
        source=nobody if said is None else lambda: GitHub(said),
        run_id="77",
        now=NOW,
    )


def refused(word: Shipped | None, policy: RequireStaging = WEEK, **more: Any) -> ArtifactRefused:
    with pytest.raises(ArtifactRefused) as caught:
        verify(word, policy, **more)
    assert caught.value.remedy
    return caught.value


# What staging says


def test_a_build_that_passed_lately_passes_whatever_commit_its_deployment_names() -> None:
    (fact,) = verify(entry()).facts
    assert fact.found == "2026-03-10 10:00 UTC (deployment 5)"
    assert (fact.policy, fact.word) == (("require-staging", "within"), "staging")


def test_a_build_that_staging_never_had_is_refused_and_the_way_is_named() -> None:
    error = refused(None)
    assert error.code == "staging.none"
    assert "deploy-staging" in error.remedy
    assert "same run" in error.remedy or "a run that does so first" in error.remedy


@pytest.mark.parametrize("result", ["failed", "rolled-back", "taken-back", "frozen-bad"])
def test_a_build_that_staging_found_bad_is_refused(result: str) -> None:
    error = refused(entry(state="failure", result=result, why=f"{result}: it\n::error::fell over"))
    assert error.code == "staging.bad"
    assert "fell over" in error.found
    assert "\n" not in error.found


def test_an_entry_that_says_nothing_good_is_no_pass() -> None:
    for word in (entry(state="in_progress"), entry(result=""), entry(result="observed")):
        assert refused(word).code == "staging.bad"


@given(seconds=st.integers(-1_000_000, 1_000_000), within=st.integers(60, 900_000))
def test_only_within_the_time_that_the_policy_gives(seconds: int, within: int) -> None:
    policy = RequireStaging.model_construct(within=float(within), approvals=None)
    word = entry(ended_at=NOW - timedelta(seconds=seconds))
    if -300 <= seconds <= within:
        assert verify(word, policy)
    else:
        assert refused(word, policy).code == "staging.too-old"


def test_its_age_counts_from_when_it_passed_else_from_its_start() -> None:
    old = NOW - timedelta(days=8)
    assert verify(entry(created_at=old))
    assert refused(entry(created_at=old, ended_at=None)).code == "staging.too-old"


def test_a_clock_that_is_wrong_is_called_that() -> None:
    error = refused(entry(ended_at=NOW + timedelta(minutes=6)))
    assert "clock" in error.found
    assert verify(entry(ended_at=NOW + timedelta(minutes=4)))


# Approvals


def wants(*logins: str, count: int = 1) -> RequireStaging:
    approvals = Approvals.model_construct(from_=logins, count=count)
    return RequireStaging.model_construct(within=3600.0 * 24, approvals=approvals)


def approved(*logins: str, authors: tuple[str, ...] = ("ana",), pull: int | None = 12) -> Approved:
    where = f"pull request {pull}"
    return Approved(
        pull_request=pull,
        authors=authors,
        approvals=tuple(Approval(login=one, where=where) for one in logins),
    )


def test_an_approval_of_somebody_who_is_named_is_enough() -> None:
    fact = verify(entry(), wants("Bob", "cid"), said=approved("bob", "dan")).facts[1]
    assert fact.found == "Bob (pull request 12)"
    assert (fact.policy, fact.word) == (("require-staging", "approvals"), "GitHub")


@pytest.mark.parametrize("authors", [("ana",), ("ANA",), ("dan", "Ana")])
def test_nobody_approves_what_they_wrote(authors: tuple[str, ...]) -> None:
    error = refused(entry(), wants("ana", "bob"), said=approved("aNa", authors=authors))
    assert error.code == "staging.approval"
    assert "that of aNa does not count" in error.found
    assert "1 more of bob" in error.remedy


def test_too_few_names_who_has_and_who_could() -> None:
    error = refused(entry(), wants("bob", "cid", "dan", count=2), said=approved("cid", "eve"))
    assert error.code == "staging.approval"
    assert "1 of 2 approvals are there (cid)" in error.found
    assert "that of eve does not count" in error.found
    assert "1 more of bob, dan" in error.remedy


def test_one_person_under_two_spellings_or_in_two_places_is_one() -> None:
    said = approved("bob", "BOB")
    assert refused(entry(), wants("bob", "cid", count=2), said=said).code == "staging.approval"
    assert refused(entry(), wants("bob", "Bob", count=2), said=said).code == "staging.approval"


def test_where_too_few_could_ever_approve_that_is_said() -> None:
    error = refused(entry(), wants("ana", "bob", count=2), said=approved("bob"))
    assert "name more of them" in error.remedy


def test_without_anybody_who_wrote_it_an_approval_may_be_the_authors_own() -> None:
    said = approved("bob", authors=(), pull=None)
    assert refused(entry(), wants("bob"), said=said).code == "staging.approval"


def test_without_a_commit_nobody_can_have_approved_it() -> None:
    error = refused(entry(), wants("bob"), build=replace(BUILD, commit=None))
    assert error.code == "staging.approval"
    assert "commit" in error.remedy


NAMES = st.sampled_from(["ana", "bob", "cid", "dan", "BOB", "Ana"])


@given(
    named=st.lists(NAMES, min_size=1, unique=True),
    given_by=st.lists(NAMES),
    authors=st.lists(NAMES, min_size=1),
    count=st.integers(1, 4),
)
def test_what_passes_has_enough_people_who_are_named_and_wrote_none_of_it(
    named: list[str], given_by: list[str], authors: list[str], count: int
) -> None:
    people = {one.lower() for one in named} & {one.lower() for one in given_by}
    enough = len(people - {one.lower() for one in authors}) >= count
    said = approved(*given_by, authors=tuple(authors))
    if enough:
        assert verify(entry(), wants(*named, count=count), said=said)
    else:
        error = refused(entry(), wants(*named, count=count), said=said)
        assert error.code == "staging.approval"


def test_a_github_that_is_silent_is_left_to_the_gate() -> None:
    with pytest.raises(NotFound):
        verify(entry(), wants("bob"), said=NotFound("no such commit", remedy="look"))


# In front of production


class Files(Proofs):
    def of(self, digest: str) -> Sequence[Proof]:
        return [Proof(name="a file", raw=b"{}")]


def gate(staging: Any, **more: Any) -> ArtifactGate:
    return ArtifactGate(
        policy=Policy(unsigned="a test"),
        images=(),
        commit=None,
        staging=staging,
        tell=lambda _verified: None,
        **more,
    )


def test_the_commit_that_a_signature_proves_is_the_one_that_must_be_approved() -> None:
    signed = Proven(kind="key", facts=(), commit=COMMIT)
    kind = Kind(name="keys", proofs=Files(), verify=lambda _proof, _artifact: signed)
    asked: list[Artifact] = []

    def ask(artifact: Artifact) -> Proven:
        asked.append(artifact)
        return verify(entry(), wants("bob"), said=approved("bob"), build=artifact)

    policy = Policy.model_construct(unsigned=None, commit=None)
    found = replace(gate(ask), policy=policy, images=[lambda: kind]).require(
        replace(BUILD, commit=None)
    )
    assert asked == [BUILD]
    assert found.artifact.commit is None


def test_a_ledger_without_github_is_a_refusal_that_says_so() -> None:
    ledger = Ledger(lambda: None, "staging/bot")

    def ask(artifact: Artifact) -> Proven:
        return staged.verify(
            artifact, policy=WEEK, staging=ledger, source=nobody, run_id="", now=NOW
        )

    with pytest.raises(ArtifactRefused) as caught:
        gate(ask).require(BUILD)
    assert caught.value.code == "proof.source"
    assert "GITHUB_REPOSITORY" in caught.value.remedy


def test_a_github_that_is_silent_is_a_refusal_with_a_code() -> None:
    silent = OutsideError("GitHub: no answer", remedy="run again")

    def ask(artifact: Artifact) -> Proven:
        return verify(entry(), wants("bob"), said=silent, build=artifact)

    with pytest.raises(ArtifactRefused) as caught:
        gate(ask).require(BUILD)
    assert (caught.value.code, caught.value.remedy) == ("proof.source", "run again")
