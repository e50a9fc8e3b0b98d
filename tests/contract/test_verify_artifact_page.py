"""docs/verify-artifact.md names every code, and shows policies that work as they stand."""

from __future__ import annotations

import hashlib
import re
import textwrap

import pytest
import yaml

from slipway import config
from slipway.gates import roots, trusted_keys
from slipway.gates.codes import Code
from tests.contract.markdown import ROOT, tables

PAGE = ROOT / "docs/verify-artifact.md"
TEXT = PAGE.read_text(encoding="utf-8")
POLICIES = re.findall(r"(?ms)^```yaml\n(policy:\n.*?)^```$", TEXT)
SERVICES = "version: 1\nservices:\n  bot:\n    stable: {service: srv-a}\n"


def test_the_page_has_every_code_in_the_order_in_which_they_are_looked_at() -> None:
    rows = tables(PAGE)["Codes", ""]

    assert [row[0] for row in rows] == [f"`{code}`" for code in Code]
    assert all(meaning and remedy for _, meaning, remedy in rows)


@pytest.mark.parametrize("shown", POLICIES, ids=range(len(POLICIES)))
def test_every_policy_that_is_shown_is_accepted(shown: str) -> None:
    assert config.parse(SERVICES + shown).policy is not None


def test_there_is_a_policy_to_copy_for_each_kind_of_proof() -> None:
    shown = [config.parse(SERVICES + text).policy for text in POLICIES]
    attested = [policy.attestation.instance for policy in shown if policy and policy.attestation]

    assert {"public-good", "github"} <= set(attested)
    assert any(policy and policy.key for policy in shown)
    assert any(policy and policy.commit for policy in shown)
    assert any(policy and policy.unsigned for policy in shown)


def test_the_defaults_that_the_page_names_are_in_force() -> None:
    policy = config.parse(SERVICES + "policy: {unsigned: because}").policy
    assert policy
    assert policy.require_staging

    assert policy.require_staging.within == 7 * 86_400
    assert "On by default, with seven days." in TEXT


def test_the_steps_that_are_shown_give_the_action_what_it_takes() -> None:
    action = yaml.safe_load((ROOT / "actions/verify-artifact/action.yml").read_text("utf-8"))
    shown = next(
        text for text in re.findall(r"(?ms)^```yaml\n(.*?)^```$", TEXT) if "steps:" in text
    )
    step = yaml.safe_load(shown)["steps"][-1]

    assert step["uses"] == "slipway-deploy/slipway/actions/verify-artifact@v0"
    assert set(step["with"]) <= set(action["inputs"])


def test_every_line_of_slipway_that_is_shown_names_inputs_that_there_are() -> None:
    lines = re.findall(r"scripts/run ([\w-]+) ((?:.|\\\n)*?)\n(?!  )", TEXT)

    assert lines
    for verb, rest in lines:
        action = yaml.safe_load((ROOT / f"actions/{verb}/action.yml").read_text("utf-8"))
        assert set(re.findall(r"--([\w-]+)", rest)) <= set(action["inputs"])


def test_the_trust_file_that_is_shown_is_of_the_kind_that_is_read() -> None:
    (shown,) = [
        textwrap.dedent(text)
        for text in re.findall(r"(?ms)^   ```yaml\n(.*?)^   ```$", TEXT)
        if "keys:" in text
    ]

    assert trusted_keys.parse(shown, name="the page").keys


def test_the_trusted_roots_that_are_named_are_there_and_pinned() -> None:
    named = re.findall(r"\(\.\./(scripts/slipway/trust/[\w.-]+)\)", TEXT)

    assert {ROOT / path for path in named} == {pin.path for pin in roots.SHIPPED.values()}
    for pin in roots.SHIPPED.values():
        assert hashlib.sha256(pin.path.read_bytes()).hexdigest() == pin.sha256
    days_of = re.search(r"as they were on (\S+) and on ([\d-]+)", TEXT)
    assert days_of
    assert list(days_of.groups()) == [
        roots.SHIPPED["public-good"].as_of,
        roots.SHIPPED["github"].as_of,
    ]
    for days, instance in re.findall(r"at (\d+) for `([\w-]+)`", TEXT):
        assert roots.OLD[instance].days == int(days)


def test_the_workflow_that_publishes_a_version_is_the_one_that_the_verifying_line_names() -> None:
    (identity,) = re.findall(
        r"--cert-identity https://github.com/slipway-deploy/slipway/(\S+)@", TEXT
    )
    publish = ROOT / identity

    assert "actions/attest@" in publish.read_text(encoding="utf-8")
