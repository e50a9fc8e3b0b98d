"""The policy in slipway.yml: exact, with every problem told at once and with its line."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from slipway import config
from slipway.config import Policy
from slipway.errors import UsageError

ATTESTED: dict[str, Any] = {
    "repository": "acme/shop",
    "repository-id": 1001,
    "owner-id": 77,
    "workflow": ".github/workflows/build.yml",
}
SERVICES = {"bot": {"stable": {"service": "srv-1"}}}


def parse(policy: Any, **more: Any) -> config.Config:
    return config.parse(
        yaml.safe_dump({"version": 1, "services": SERVICES, "policy": policy} | more)
    )


def problem(policy: Any) -> str:
    with pytest.raises(UsageError) as caught:
        parse(policy)
    return caught.value.found


def test_every_problem_of_a_policy_is_told_with_its_line() -> None:
    text = """\
version: 1
services:
  bot:
    stable: {service: srv-1}
policy:
  attestation:
    repository: acme
    repository-id: "1001"
    owner-id: 77
    workflow: build.yml
    max-age: 30
    isuer: https://token.actions.githubusercontent.com
  require-staging:
    approvals:
      from: [ana]
      count: 2
"""
    with pytest.raises(UsageError) as caught:
        config.parse(text)
    for line in (7, 8, 10, 11, 12, 14):
        assert f"line {line}: " in caught.value.found
    assert "did you mean issuer?" in caught.value.found
    assert "2 must approve, and `from` names 1" in caught.value.found
    assert caught.value.line == 7


@pytest.mark.parametrize("lacks", sorted(ATTESTED))
def test_an_attestation_says_whose_by_name_and_by_number(lacks: str) -> None:
    assert "is missing" in problem(
        {"attestation": {key: ATTESTED[key] for key in ATTESTED if key != lacks}}
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("repository", "acme/shop\n"),
        ("repository", "acme/shop/more"),
        ("repository", "acme/*"),
        ("ref", "main"),
        ("ref", "refs/heads/*"),
        ("ref", "refs/heads/main\n"),
        ("ref", "refs/pull/7/merge"),
        ("signer-ref", "v3"),
        ("signer-ref", "a" * 39),
        ("workflow", ".github/workflows/../build.yml"),
        ("workflow", ".github/workflows/*.yml"),
        ("workflow", "acme/ci/.github/workflows/build.yml@refs/heads/main"),
        ("triggers", []),
        ("triggers", ["push", "push"]),
        ("runner", "any"),
        ("build-types", []),
        ("max-age", "400d"),
        ("repository-id", 0),
        ("repository-id", "1001"),
        ("owner-id", True),
        ("instance", "mine"),
        ("trusted-root", {"file": "../root.json", "sha256": "0" * 64, "as-of": "2026-11-24"}),
        ("trusted-root", {"file": "root.json", "sha256": "0" * 63, "as-of": "2026-11-24"}),
        ("trusted-root", {"file": "root.json", "sha256": "0" * 64}),
    ],
)
def test_what_could_mean_more_than_one_is_no_policy(key: str, value: Any) -> None:
    assert f"policy.attestation.{key}" in problem({"attestation": ATTESTED | {key: value}})


def test_with_a_key_nothing_but_provenance_says_from_which_commit() -> None:
    spdx = {"repository": "acme/shop", "predicate": "https://spdx.dev/Document"}
    assert "says from which commit" in problem({"key": spdx})


@pytest.mark.parametrize("policy", [{}, {"require-staging": False}])
def test_nothing_is_given_up_by_leaving_it_out(policy: Any) -> None:
    assert "or `unsigned` with the reason why not" in problem(policy)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("policy.require-staging", "unsigned: a test\n  require-staging:"),
        (
            "policy.require-staging.approvals",
            "unsigned: a test\n  require-staging:\n    approvals:",
        ),
        ("policy.attestation", "attestation:\n  key: {repository: acme/shop}"),
        ("policy.key", "key:\n  unsigned: a test"),
        ("policy.commit", "commit:\n  unsigned: a test"),
        ("policy.unsigned", "unsigned:\n  key: {repository: acme/shop}"),
        ("policy.unsigned", "unsigned: ' '"),
        ("policy.unsigned", "unsigned: ''"),
    ],
)
def test_a_key_with_nothing_behind_it_gives_up_nothing(place: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        config.parse(f"version: 1\nservices: {{bot: {{}}}}\npolicy:\n  {text}\n")
    assert f": {place}: " in caught.value.found


@pytest.mark.parametrize(
    "text",
    ["policy:\nservices:\n  bot: {}\n", "policy: {unsigned: x}\nservices:\n  bot:\n    policy:\n"],
)
def test_a_policy_with_nothing_behind_it_is_not_one_that_was_left_out(text: str) -> None:
    with pytest.raises(UsageError, match="policy: nothing is behind it"):
        config.parse(f"version: 1\n{text}")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("ref", "main", "refs/heads/main for a branch"),
        ("workflow", "build.yml", ".github/workflows/build.yml"),
        ("repository", "https://github.com/acme/shop", "owner/name"),
        ("signer-ref", "v3", "refs/tags/v3, or a commit"),
        ("repository-id", "1001", "a whole number, without quotes"),
    ],
)
def test_what_to_write_is_said_in_words(key: str, value: Any, told: str) -> None:
    assert told in problem({"attestation": ATTESTED | {key: value}})


def test_who_approves_is_one_account_named_once() -> None:
    def staged(*names: str) -> dict[str, Any]:
        return {"unsigned": "x", "require-staging": {"approvals": {"from": list(names)}}}

    assert "without @ (a team is none)" in problem(staged("@ana"))
    assert "one is given twice" in problem(staged("ana", "Ana"))


def test_a_protected_branch_is_named_without_what_git_puts_before_it() -> None:
    checks = [{"name": "tests"}]
    told = problem({"commit": {"branch": "refs/heads/main", "checks": checks}})
    assert "policy.commit.branch: write the name alone: main" in told


def test_a_wrong_check_is_one_problem_and_not_a_list_without_checks_as_well() -> None:
    assert "has 1 problem:" in problem({"commit": {"checks": [{"name": "tests", "app": "15368"}]}})


def test_a_key_that_stands_too_far_out_is_not_taken_for_misspelt() -> None:
    assert "policy.repository: there is no such key here; look how far in" in problem(ATTESTED)


def test_a_signature_is_not_asked_for_and_given_up_at_once() -> None:
    assert "gives up what" in problem({"attestation": ATTESTED, "unsigned": "later"})


@pytest.mark.parametrize("said", [True, {}])
def test_staging_is_asked_for_unless_it_is_given_up(said: Any) -> None:
    asked = Policy.model_validate({"unsigned": "a test"}).require_staging
    assert (
        asked
        == Policy.model_validate({"unsigned": "a test", "require-staging": said}).require_staging
    )
    assert asked is not None
    assert asked.within == 7 * 86_400
    given_up = {"unsigned": "a test", "require-staging": False}
    assert Policy.model_validate(given_up).require_staging is None


@pytest.mark.parametrize(
    ("policy", "key"),
    [
        ({"attestation": ATTESTED, "require-staging": None}, "require-staging"),
        ({"attestation": ATTESTED, "require-staging": {"approvals": None}}, "approvals"),
        ({"attestation": ATTESTED, "key": None}, "key"),
        ({"attestation": None, "unsigned": "a test"}, "attestation"),
        ({"commit": None, "unsigned": "a test"}, "commit"),
        ({"attestation": ATTESTED, "unsigned": None}, "unsigned"),
        ({"attestation": ATTESTED | {"trusted-root": None}}, "trusted-root"),
        ({"attestation": ATTESTED | {"signer-ref": None}}, "signer-ref"),
    ],
)
def test_a_key_without_a_value_gives_nothing_up(policy: Any, key: str) -> None:
    # Where all lines below a key are comments, YAML reads the key as null.
    found = problem(policy)
    assert f"{key}: " in found
    assert "problem:" in found


def test_a_service_may_have_a_policy_of_its_own_and_has_nothing_of_the_common_one() -> None:
    own = {"commit": {"checks": [{"name": "tests"}]}}
    services = SERVICES | {"ui": {"stable": {"service": "srv-2"}, "policy": own}}
    parsed = parse({"attestation": ATTESTED}, services=services)
    common, place = parsed.policy_of("bot")
    assert (common, place) == (parsed.policy, ("policy",))
    policy, place = parsed.policy_of("ui")
    assert policy is not None
    assert (policy.attestation, place) == (None, ("services", "ui", "policy"))


def test_the_signer_is_the_workflow_at_its_ref_wherever_it_is() -> None:
    def signer(**more: Any) -> str:
        told = config.Attestation.model_validate(ATTESTED | more)
        return told.signer.removeprefix("https://github.com/")

    assert signer() == "acme/shop/.github/workflows/build.yml@refs/heads/main"
    elsewhere = {"workflow": "acme/ci/.github/workflows/sign.yml", "signer-ref": "a" * 40}
    assert signer(**elsewhere) == f"acme/ci/.github/workflows/sign.yml@{'a' * 40}"
