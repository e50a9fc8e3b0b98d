"""What the doctor says of the policy: whether anything can pass, and what is left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from slipway import config
from slipway.config import Policy
from slipway.config import Service as Settings
from slipway.doctor import keys, policy
from slipway.doctor.findings import Finding, Mark
from tests.unit.test_doctor import GIT, GOOD

KEY = {"repository": "acme/shop"}
ATTESTED = {
    "repository": "acme/shop",
    "repository-id": 1,
    "owner-id": 2,
    "workflow": ".github/workflows/build.yml",
}
CHECKED = {"checks": [{"name": "tests"}]}
STAGED = {"stable": {"service": "srv-1"}, "staging": {"service": "srv-2"}}
ALONE = {"stable": {"service": "srv-1"}}


def look(
    told: Mapping[str, Any] | None,
    settings: Mapping[str, Any] = STAGED,
    *,
    image: bool = True,
    there: bool = True,
) -> list[Finding]:
    asked = None if told is None else Policy.model_validate(told)
    return list(
        policy.check(
            asked,
            Settings.model_validate(settings),
            [GOOD if image else GIT],
            lambda _: there,
        )
    )


def marks(found: list[Finding]) -> list[Mark]:
    return [one.mark for one in found]


def test_without_a_policy_nothing_may_reach_production() -> None:
    (found,) = look(None)
    assert found.mark is Mark.WRONG
    assert "nothing may reach production" in found.text


@pytest.mark.parametrize(
    ("told", "image"),
    [({"attestation": ATTESTED}, True), ({"key": KEY}, True), ({"commit": CHECKED}, False)],
)
def test_a_policy_for_what_production_runs_is_fine(told: Mapping[str, Any], image: bool) -> None:
    assert marks(look(told, image=image)) == [Mark.FINE]


@pytest.mark.parametrize(
    ("told", "image", "lacks"),
    [
        ({"commit": CHECKED}, True, "neither `attestation` nor `key`"),
        ({"attestation": ATTESTED}, False, "no `commit`"),
    ],
)
def test_a_policy_that_says_nothing_of_what_production_runs_is_wrong(
    told: Mapping[str, Any], image: bool, lacks: str
) -> None:
    (found,) = look(told, image=image)
    assert found.mark is Mark.WRONG
    assert lacks in found.text


def test_a_trust_file_that_is_not_committed_is_wrong() -> None:
    found = look({"key": KEY}, there=False)
    assert ".slipway/trusted-keys.yml" in found[-1].text
    assert found[-1].mark is Mark.WRONG


def test_what_is_given_up_is_told() -> None:
    found = look({"unsigned": "we have just begun", "require-staging": False})
    assert marks(found) == [Mark.CARE, Mark.CARE]
    assert "we have just begun" in found[0].text


def test_staging_that_is_asked_for_and_not_there_is_wrong() -> None:
    found = look({"key": KEY}, ALONE)
    assert found[-1].mark is Mark.WRONG
    assert "the service has none" in found[-1].text


def test_the_jobs_are_granted_what_their_policy_reads_and_no_more() -> None:
    def granted(**told: Any) -> str:
        text = {"version": 1, "services": {"bot": STAGED}, "policy": told}
        return keys.permissions(config.Config.model_validate(text))

    plain = granted(key=KEY)
    assert not [name for name in ("attestations", "checks", "actions") if name in plain]
    assert "attestations: read" in granted(attestation=ATTESTED)
    assert "checks: read" in granted(commit=CHECKED)
    approvals = {"approvals": {"from": ["qa"]}}
    assert "actions: read" in granted(**{"key": KEY, "require-staging": approvals})
