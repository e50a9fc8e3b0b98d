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
    assert f"{key}: it has no value" in found
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
