"""The workflows that build, sign and verify hand on to each other what each of them needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.markdown import ROOT

WORKFLOWS = ROOT / ".github/workflows"
EXAMPLES = ROOT / "examples/livestreamsell/.github/workflows"
BUILDS = ("build.yml", "build-signed-by-key.yml")
GATED = ("canary-prod", "rolling-ui")
READ_BY_THE_GATE = {"contents", "attestations", "checks", "actions", "pull-requests"}
"""Permissions for what is asked of GitHub: proofs, commits, check runs, approvals."""


def load(text: str) -> dict[str, Any]:
    loaded: Any = yaml.safe_load(text)
    return {"on" if key is True else str(key): value for key, value in loaded.items()}


def read(path: Path) -> dict[str, Any]:
    return load(path.read_text(encoding="utf-8"))


def by_key() -> dict[str, Any]:
    """Return release.yml as its comments say that it is with a key."""
    text = (EXAMPLES / "release.yml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^ +(id-token|attestations): write.*\n", "", text)
    text = re.sub(r"(?m)^ +uses: \$/.github/workflows/build.yml\n", "", text)
    return load(re.sub(r"(?m)^( +)# ((?:  )?[\w-]+: ?(?:\$.*)?)$", r"\1\2", text))


def steps(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", ())


@pytest.mark.parametrize("name", BUILDS)
def test_an_image_leaves_a_build_by_the_digest_that_the_push_told(name: str) -> None:
    workflow = read(EXAMPLES / name)
    job = workflow["jobs"]["bot"]

    assert workflow["on"]["workflow_call"]["outputs"]["bot"]["value"] == (
        "${{ jobs.bot.outputs.image }}"
    )
    assert job["outputs"]["image"].endswith("@${{ steps.push.outputs.digest }}")
    assert any(step.get("id") == "push" for step in job["steps"])


def test_what_is_attested_is_the_digest_that_was_pushed_under_the_name_it_has() -> None:
    job = read(EXAMPLES / "build.yml")["jobs"]["bot"]
    (attest,) = [s for s in job["steps"] if s.get("uses", "").startswith("actions/attest@")]
    push = next(s for s in job["steps"] if s.get("id") == "push")

    assert attest["with"]["subject-digest"] == "${{ steps.push.outputs.digest }}"
    assert push["with"]["tags"] == attest["with"]["subject-name"] + ":${{ github.sha }}"
    assert job["outputs"]["image"] == (
        attest["with"]["subject-name"] + "@" + attest["with"]["subject-digest"]
    )
    assert job["permissions"] == {
        "contents": "read",
        "packages": "write",
        "id-token": "write",
        "attestations": "write",
    }


def test_the_key_is_in_a_job_of_its_own_with_an_environment_and_without_any_code() -> None:
    jobs = read(EXAMPLES / "build-signed-by-key.yml")["jobs"]
    text = yaml.safe_dump(jobs["bot"])
    used = [step["uses"].partition("@")[0] for step in jobs["sign"]["steps"] if "uses" in step]

    assert "secrets." not in text
    assert jobs["sign"]["environment"] == {"name": "signing", "deployment": False}
    assert jobs["sign"]["permissions"] == {}
    assert used == ["slipway-deploy/slipway/actions/sign-artifact", "actions/upload-artifact"]


def test_release_yml_built_by_key_hands_on_what_was_signed() -> None:
    workflow, build = by_key(), read(EXAMPLES / "build-signed-by-key.yml")["on"]["workflow_call"]
    job, production = workflow["jobs"]["build"], workflow["jobs"]["production-bot"]

    assert job["uses"] == "$/.github/workflows/build-signed-by-key.yml"
    assert set(job["secrets"]) == set(build["secrets"])
    assert set(job["permissions"]) == {"contents", "packages"}
    assert production["with"]["proof-artifact"] == "${{ needs.build.outputs.proof-artifact }}"
    assert "proof-artifact" in build["outputs"]


@pytest.mark.parametrize("verb", GATED)
def test_what_releases_to_production_gets_the_artifact_into_the_directory_that_it_names(
    verb: str,
) -> None:
    workflow = read(WORKFLOWS / f"{verb}.yml")
    listed = list(steps(workflow))
    (get,) = [s for s in listed if s.get("uses", "").startswith("actions/download-artifact@")]
    release = next(s for s in listed if s.get("id") == verb)

    assert get["if"] == "${{ inputs.proof-artifact != '' }}"
    assert get["with"] == {"name": "${{ inputs.proof-artifact }}", "path": "slipway-proof"}
    assert release["with"]["proof"] == "${{ inputs.proof-artifact && 'slipway-proof' }}"
    assert listed.index(get) < listed.index(release)


@pytest.mark.parametrize("verb", GATED)
def test_what_releases_to_production_may_read_what_the_gate_asks_and_write_no_more(
    verb: str,
) -> None:
    permissions = read(WORKFLOWS / f"{verb}.yml")["jobs"][verb]["permissions"]

    assert set(permissions) >= READ_BY_THE_GATE
    assert {name for name, level in permissions.items() if level == "write"} == {
        "deployments",
        "pull-requests",
    }


def test_the_root_action_in_a_job_of_its_own_may_read_what_the_gate_asks() -> None:
    jobs = read(EXAMPLES / "release-together.yml")["jobs"]

    assert set(jobs["release"]["permissions"]) >= READ_BY_THE_GATE


@pytest.mark.parametrize("name", BUILDS)
def test_who_takes_a_build_workflow_is_told_for_which_plan_it_is(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8").partition("name:")[0]

    assert "private" in text
    assert {*BUILDS} - {name} <= set(re.findall(r"build[\w-]*\.yml", text))
