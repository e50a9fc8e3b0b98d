"""What the suite takes from others is pinned, and its workflows may do no more than they need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.markdown import ROOT

WORKFLOWS = sorted(
    [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/*/.github/workflows/*.yml")]
)
LOCKS = sorted([*ROOT.glob("requirements/*.txt"), ROOT / "edge/requirements.txt"])
OF_A_RELEASE = {"deployments", "pull-requests"}
WRITES = {
    "build": {"packages", "id-token", "attestations"},
    "bot": {"packages", "id-token", "attestations"},
    "publish.yml build": {"id-token", "attestations"},
    "publish.yml release": {"contents"},
}
"""What a job may write, by its name, or by file and name. Any other: what a release tells of it."""

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: str(p.relative_to(ROOT)))


def read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


@each_workflow
def test_a_job_writes_only_what_it_is_listed_for(path: Path) -> None:
    for name, job in read(path)["jobs"].items():
        writes = {key for key, level in job.get("permissions", {}).items() if level == "write"}
        listed = WRITES.get(f"{path.name} {name}", WRITES.get(name, OF_A_RELEASE))
        assert writes <= listed, f"{path.name}: {name}"


@each_workflow
def test_no_job_takes_permissions_as_a_whole(path: Path) -> None:
    assert read(path)["permissions"] == {}, "a job that names none has none"
    for name, job in read(path)["jobs"].items():
        assert not isinstance(job.get("permissions"), str), f"{path.name}: {name}"


@each_workflow
def test_only_a_job_that_attests_may_sign_as_its_workflow(path: Path) -> None:
    for name, job in read(path)["jobs"].items():
        if "id-token" not in job.get("permissions", {}):
            continue
        used = [step.get("uses", "") for step in job.get("steps", [job])]
        assert any(
            one.startswith("actions/attest@") or one == "$/.github/workflows/build.yml"
            for one in used
        ), f"{path.name}: {name}"


@each_workflow
def test_an_action_of_others_is_pinned_to_one_commit_and_says_which_version_that_is(
    path: Path,
) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        found = re.match(r"\s*(?:- )?uses: (?!\$/|slipway-deploy/)(\S+)(.*)$", line)
        if found:
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", found[1]), line
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", found[2]), line


def test_one_version_of_an_action_is_used_everywhere() -> None:
    used: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, ref in re.findall(
            r"uses: ([\w.-]+/[\w./-]+)@(\w{40} # \S+)", path.read_text(encoding="utf-8")
        ):
            used.setdefault(name, set()).add(ref)

    assert {name: refs for name, refs in used.items() if len(refs) > 1} == {}


@pytest.mark.parametrize("path", LOCKS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_package_of_every_list_has_its_hashes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[\w.-]+(?:\[[\w,]+\])?==)", text)[1:]

    assert entries
    for entry in entries:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
    assert not re.search(r"(?m)^(-e|--extra-index-url|git\+|https?:)", text)


def test_every_list_that_is_written_by_hand_has_its_locked_one() -> None:
    written = {*ROOT.glob("requirements/*.in"), ROOT / "edge/requirements.in"}

    assert {path.with_suffix(".txt") for path in written} == set(LOCKS)


def test_newer_versions_are_asked_for_wherever_something_is_pinned() -> None:
    updates = read(ROOT / ".github/dependabot.yml")["updates"]
    looked_at: dict[str, set[str]] = {}
    for one in updates:
        places = one.get("directories", [one.get("directory")])
        looked_at.setdefault(one["package-ecosystem"], set()).update(places)
    assert looked_at["github-actions"] == {
        "/",
        *(f"/{path.parent.relative_to(ROOT)}" for path in WORKFLOWS if "examples" in path.parts),
    }
    assert looked_at["pip"] == {f"/{path.parent.relative_to(ROOT)}" for path in LOCKS}
    assert looked_at["docker"] == {
        f"/{path.parent.relative_to(ROOT)}" for path in ROOT.glob("*/Dockerfile")
    }
