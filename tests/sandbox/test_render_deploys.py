"""What becomes of a deploy: statuses, queueing, failure, rollback."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.render_support import (
    BOT,
    DASHBOARD,
    Sandbox,
    commit,
    eventually,
    free_port,
    image,
    reference,
    running,
)


def _git(repo: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com"]
    command = ["git", "-C", str(repo), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commit(repo: Path, build: str | None, message: str) -> str:
    file = repo / "dashboard" / "build.json"
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    if build is not None:
        file.write_text(build)
    _git(repo, "add", "-A")
    _git(repo, "commit", "-q", "-m", message)
    return _git(repo, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def module_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A bot from images (two good, one that never is healthy), a dashboard from git."""
    directory = tmp_path_factory.mktemp("render")
    repository = directory / "repository"
    repository.mkdir()
    _git(repository, "init", "-q", "-b", "main")
    dashboard = {
        "id": DASHBOARD,
        "name": "dashboard",
        "runtime": "python",
        "repo": str(repository),
        "rootDir": "dashboard",
        "port": free_port(),
        "app": "dashboard",
        "history": [_commit(repository, '{"version": "v1"}', "First")],
    }
    history = {"history": [reference(2), reference(1)]}
    with running(directory, timings={"start_deadline": 2.5}, bot=history, more=[dashboard]) as it:
        yield it


@pytest.fixture
def repository(module_sandbox: Sandbox) -> Path:
    """Where the dashboard comes from."""
    return module_sandbox.directory / "repository"


@pytest.fixture
def sandbox(module_sandbox: Sandbox) -> Sandbox:
    """The module's sandbox with image 1 live, whatever the test before has left."""
    module_sandbox.client.delete("/_sandbox/fault")
    if module_sandbox.serving() != [commit(1)]:
        module_sandbox.until(module_sandbox.deploy(1), "live")
    return module_sandbox


def test_the_history_is_there_from_the_start_and_only_the_last_one_runs(
    module_sandbox: Sandbox,
) -> None:
    oldest, next_oldest = module_sandbox.deploys()[:-3:-1]
    assert (next_oldest["trigger"], oldest["status"]) == ("api", "deactivated")
    assert oldest["createdAt"] < next_oldest["createdAt"]
    assert oldest["image"]["ref"] == reference(2)
    assert module_sandbox.serving() == [commit(1)]


def test_an_image_deploy_becomes_live_and_the_one_before_is_deactivated(sandbox: Sandbox) -> None:
    before = sandbox.deploys()[0]
    deploy = sandbox.deploy(2)
    seen = sandbox.until(deploy, "live")
    assert seen[-2:] == ["update_in_progress", "live"]
    assert sandbox.status(before["id"]) == "deactivated"
    body = sandbox.get(f"/services/{BOT}/deploys/{deploy}")
    assert body["commit"] is None
    assert body["image"] == {"ref": reference(2), "sha": "sha256:" + "2" * 64}
    assert body["trigger"] == "api"
    assert body["finishedAt"] is not None
    assert sandbox.visit().headers["x-build"] == commit(2)
    assert sandbox.events("deploy_ended")[0]["deployStatus"] == "succeeded"


def test_an_unhealthy_build_fails_its_deploy_and_the_old_one_goes_on_serving(
    sandbox: Sandbox,
) -> None:
    deploy = sandbox.deploy(3)
    seen: list[int] = []
    while sandbox.status(deploy) != "update_failed":
        seen.append(sandbox.visit(path="/api/x").status_code)
    assert set(seen) == {200}
    assert sandbox.visit().headers["x-build"] == commit(1)
    ended = sandbox.events("deploy_ended")[0]
    assert ended["deployStatus"] == "failed"
    assert ended["reason"]["failure"]["unhealthy"] == "HTTP 503 at /healthz"
    eventually(lambda: [each["build"] for each in sandbox.instances()] == [commit(1)])


def test_a_build_that_ends_at_once_fails_its_deploy_before_the_deadline(sandbox: Sandbox) -> None:
    sandbox.client.post("/_sandbox/images", json=image(4, unhealthy=True, crash_after=0.1))
    deploy = sandbox.deploy(4)
    sandbox.until(deploy, "update_failed")
    failure = sandbox.events("deploy_ended")[0]["reason"]["failure"]
    assert (failure["nonZeroExit"], failure["earlyExit"]) == (1, True)


def test_a_deploy_cancelled_half_way_brings_every_instance_back_to_the_old_build(
    tmp_path: Path,
) -> None:
    with running(tmp_path, bot={"num_instances": 2}) as sandbox:
        deploy = sandbox.deploy(2)
        eventually(lambda: commit(2) in sandbox.serving())
        cancelled = sandbox.post(f"/services/{BOT}/deploys/{deploy}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "canceled")
        eventually(lambda: sandbox.serving() == [commit(1)] * 2)
        assert sandbox.deploys()[1]["status"] == "live"
        again = sandbox.post(f"/services/{BOT}/deploys/{deploy}/cancel")
        assert again.status_code == 400


def test_an_image_nobody_pushed_fails_the_deploy_and_says_so(sandbox: Sandbox) -> None:
    sandbox.until(sandbox.deploy(9), "update_failed")
    assert sandbox.events("image_pull_failed")[0]["imageURL"] == reference(9)
    assert sandbox.visit().headers["x-build"] == commit(1)


@pytest.mark.parametrize(
    "asked",
    [
        {"imageUrl": reference(2).replace("livestreamsell", "somebody")},
        {"imageUrl": "not an image"},
        {"commitId": "1" * 40},
        {"deployMode": "deploy_only", "imageUrl": reference(2)},
        {"clearCache": "yes"},
    ],
)
def test_a_deploy_that_does_not_fit_the_service_is_refused(
    sandbox: Sandbox, asked: dict[str, Any]
) -> None:
    before = sandbox.deploys()
    assert sandbox.post(f"/services/{BOT}/deploys", **asked).status_code == 400
    assert sandbox.deploys() == before


def test_a_deploy_under_way_makes_the_next_wait_and_skips_those_between(sandbox: Sandbox) -> None:
    first = sandbox.deploy(2)
    for _ in range(2):
        answer = sandbox.post(f"/services/{BOT}/deploys", imageUrl=reference(1))
        assert (answer.status_code, answer.content) == (202, b"")
    third, second = sandbox.deploys()[:2]
    assert (second["status"], third["status"]) == ("canceled", "queued")
    listed = sandbox.get(f"/services/{BOT}/deploys", status="queued", limit=1)
    assert [each["deploy"]["id"] for each in listed] == [third["id"]]
    sandbox.until(third["id"], "live")
    assert sandbox.status(first) == "deactivated"


def test_under_override_the_newest_deploy_cancels_the_one_under_way(tmp_path: Path) -> None:
    with running(tmp_path, overlap_policy="override") as sandbox:
        first, second = sandbox.deploy(3), sandbox.deploy(2)
        assert sandbox.status(first) == "canceled"
        sandbox.until(second, "live")
        eventually(lambda: [each["build"] for each in sandbox.instances()] == [commit(2)])


def test_a_rollback_is_a_new_deploy_with_the_targets_build_environment_and_count(
    sandbox: Sandbox,
) -> None:
    variable = f"/v1/services/{BOT}/env-vars/AI_SECONDS"
    sandbox.client.put(variable, json={"value": "1"})
    sandbox.until(target := sandbox.deploy(1), "live")
    sandbox.client.put(variable, json={"value": "2"})
    sandbox.until(sandbox.deploy(2), "live")
    assert sandbox.post(f"/services/{BOT}/scale", numInstances=2).status_code == 202
    eventually(lambda: sandbox.serving() == [commit(2)] * 2)

    answer = sandbox.post(f"/services/{BOT}/rollback", deployId=target)
    body = answer.json()
    assert answer.status_code == 201
    assert body["id"] != target
    assert (body["trigger"], body["image"]["ref"]) == ("rollback", reference(1))
    sandbox.until(body["id"], "live")
    eventually(lambda: len(sandbox.instances()) == 1)
    assert sandbox.serving() == [commit(1)]
    pid = sandbox.instances()[0]["pid"]
    assert b"AI_SECONDS=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    started = sandbox.events("deploy_started")[0]["trigger"]
    assert (started["rollback"], started["rollbackTargetDeployId"]) == (True, target)
    # The configuration itself was not rolled back: the next deploy has two instances again.
    assert sandbox.get(f"/services/{BOT}")["serviceDetails"]["numInstances"] == 2
    sandbox.post(f"/services/{BOT}/scale", numInstances=1)


def test_a_rollback_to_what_never_was_live_is_refused(sandbox: Sandbox) -> None:
    sandbox.until(failed := sandbox.deploy(9), "update_failed")
    assert sandbox.post(f"/services/{BOT}/rollback", deployId=failed).status_code == 400
    unknown = "dep-00000000000000000000"
    assert sandbox.post(f"/services/{BOT}/rollback", deployId=unknown).status_code == 404
    assert sandbox.post(f"/services/{BOT}/rollback").status_code == 400


def test_a_suspended_service_serves_nothing_and_takes_no_deploy_until_resumed(
    sandbox: Sandbox,
) -> None:
    assert sandbox.post(f"/services/{BOT}/suspend").status_code == 202
    eventually(lambda: sandbox.visit().status_code == 502)
    assert sandbox.get(f"/services/{BOT}")["suspended"] == "suspended"
    refused = sandbox.post(f"/services/{BOT}/deploys", imageUrl=reference(2))
    assert refused.status_code == 409
    assert sandbox.post(f"/services/{BOT}/resume").status_code == 202
    eventually(lambda: sandbox.visit().status_code == 200)
    assert sandbox.deploys()[0]["trigger"] == "service_resumed"


def test_a_status_nobody_knows_can_be_shown(sandbox: Sandbox) -> None:
    sandbox.fault(kind="status", value="warming_up")
    first = sandbox.deploy(2)
    assert sandbox.status(first) == "warming_up"
    eventually(lambda: sandbox.serving() == [commit(2)])
    assert sandbox.status(first) == "warming_up"


def test_a_git_deploy_is_built_from_the_commit_and_kept_for_a_rollback(
    sandbox: Sandbox, repository: Path
) -> None:
    path = f"/services/{DASHBOARD}"
    old = sandbox.deploys(DASHBOARD)[0]
    second = _commit(repository, '{"version": "v2"}', "Second")
    body = sandbox.post(f"{path}/deploys", commitId=second).json()
    assert (body["commit"]["id"], body["commit"]["message"]) == (second, "Second")
    assert "image" not in body
    seen = sandbox.until(body["id"], "live", DASHBOARD)
    assert [each for each in seen if each != "created"] == [
        "build_in_progress",
        "update_in_progress",
        "live",
    ]
    page = sandbox.visit(DASHBOARD)
    assert (page.headers["x-build"], second in page.text) == (second, True)

    back = sandbox.post(f"{path}/rollback", deployId=old["id"]).json()["id"]
    assert "build_in_progress" not in sandbox.until(back, "live", DASHBOARD)
    answer = sandbox.visit(DASHBOARD)
    assert answer.headers["x-build"] == old["commit"]["id"]


def test_a_commit_without_a_build_or_that_is_not_there_fails_to_build(
    sandbox: Sandbox, repository: Path
) -> None:
    for wrong in (_commit(repository, None, "No build"), "0" * 40):
        deploy = sandbox.post(f"/services/{DASHBOARD}/deploys", commitId=wrong).json()["id"]
        sandbox.until(deploy, "build_failed", DASHBOARD)


def test_a_push_is_deployed_only_where_auto_deploy_is_on(
    sandbox: Sandbox, repository: Path
) -> None:
    pushed = _commit(repository, '{"version": "v3"}', "Third")
    before = sandbox.deploys(DASHBOARD)
    push = {"service": DASHBOARD}
    assert sandbox.client.post("/_sandbox/push", json=push).status_code == 204
    assert sandbox.deploys(DASHBOARD) == before
    sandbox.client.patch(f"/v1/services/{DASHBOARD}", json={"autoDeploy": "yes"})
    deploy = sandbox.client.post("/_sandbox/push", json=push).json()["id"]
    sandbox.until(deploy, "live", DASHBOARD)
    assert sandbox.deploys(DASHBOARD)[0]["trigger"] == "new_commit"
    assert pushed in sandbox.serving(DASHBOARD)
