"""What users see while instances come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.sandbox.render_support import (
    BOT,
    Crowd,
    Sandbox,
    commit,
    eventually,
    image,
    running,
)


@pytest.mark.parametrize("rollout", ["one-by-one", "all-at-once"])
def test_no_request_is_lost_while_a_service_is_redeployed_and_rolled_back(
    tmp_path: Path, rollout: str
) -> None:
    with running(tmp_path, rollout=rollout, bot={"num_instances": 2}) as sandbox:
        target = sandbox.deploys()[0]["id"]
        counts: set[int] = set()
        with Crowd(sandbox.services[BOT]) as crowd:
            deploy = sandbox.deploy(2)

            def live() -> bool:
                counts.add(len([each for each in sandbox.instances() if each["state"] != "ending"]))
                return sandbox.status(deploy) == "live"

            eventually(live)
            if rollout == "one-by-one":
                back = sandbox.post(f"/services/{BOT}/rollback", deployId=target).json()["id"]
                sandbox.until(back, "live")
            eventually(lambda: len(sandbox.instances()) == 2)
        assert crowd.failures == []
        assert {commit(1), commit(2)} <= set(crowd.builds)
        assert len(crowd.builds) > 100
        # One at a time there is one more than wanted at most; all at once there are twice as many.
        assert max(counts) == (3 if rollout == "one-by-one" else 4)
        serving = commit(1) if rollout == "one-by-one" else commit(2)
        assert sandbox.serving() == [serving] * 2


def test_how_instances_are_replaced_can_be_changed_between_two_deploys(tmp_path: Path) -> None:
    with running(tmp_path, bot={"num_instances": 2}) as sandbox:
        url = f"{sandbox.url}/_sandbox/rollout"
        asked = {"service": BOT, "rollout": "all-at-once"}
        assert httpx.post(url, json={**asked, "rollout": "sometimes"}).status_code == 400
        assert httpx.post(url, json={**asked, "service": "srv-none"}).status_code == 404
        assert httpx.post(url, json=asked).status_code == 204
        counts: set[int] = set()
        deploy = sandbox.deploy(2)

        def live() -> bool:
            counts.add(len([each for each in sandbox.instances() if each["state"] != "ending"]))
            return sandbox.status(deploy) == "live"

        eventually(live)
        assert max(counts) == 4


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One bot with one instance."""
    with running(tmp_path_factory.mktemp("render")) as it:
        yield it


def test_no_request_is_lost_while_a_service_is_scaled_up_and_down(sandbox: Sandbox) -> None:
    with Crowd(sandbox.services[BOT], users=2) as crowd:
        assert sandbox.post(f"/services/{BOT}/scale", numInstances=3).status_code == 202
        eventually(lambda: len(sandbox.serving()) == 3)
        assert sandbox.get(f"/services/{BOT}")["serviceDetails"]["numInstances"] == 3
        sandbox.post(f"/services/{BOT}/scale", numInstances=1)
        eventually(lambda: len(sandbox.instances()) == 1)
        changed = sandbox.events("instance_count_changed")
        assert changed[0] == {"fromInstances": 3, "toInstances": 1}
        assert changed[1] == {"fromInstances": 1, "toInstances": 3}
    assert crowd.failures == []
    assert len(crowd.builds) > 50


def test_an_instance_that_dies_is_replaced_and_meanwhile_its_service_answers_502(
    sandbox: Sandbox,
) -> None:
    (instance,) = sandbox.instances()
    with Crowd(sandbox.services[BOT], users=1) as crowd:
        sandbox.client.post(f"/_sandbox/instances/{instance['id']}/kill")
        eventually(lambda: sandbox.serving() and sandbox.instances()[0]["id"] != instance["id"])
        eventually(lambda: sandbox.visit().status_code == 200)
    assert set(crowd.failures) == {"HTTP 502"}
    failed = sandbox.events("server_failed")[0]
    assert failed["instanceID"] == instance["id"]
    assert failed["reason"]["nonZeroExit"] == -9


def test_an_instance_that_turns_unhealthy_is_taken_out_of_routing_then_restarted(
    sandbox: Sandbox,
) -> None:
    sandbox.client.post("/_sandbox/images", json=image(4, unhealthy_after=0.5))
    sandbox.until(sandbox.deploy(4), "live")
    first = next(each["id"] for each in sandbox.instances() if each["build"] == commit(4))

    def states() -> dict[str, str]:
        return {each["id"]: each["state"] for each in sandbox.instances()}

    eventually(lambda: states() == {first: "unhealthy"})
    assert sandbox.visit().status_code == 502
    failed = sandbox.events("server_failed")[0]
    assert failed["instanceID"] == first
    assert failed["reason"] == {"evicted": False, "unhealthy": "HTTP 503 at /healthz"}
    eventually(lambda: first not in states())
    assert sandbox.events("server_restarted")[0] == {"triggeredByUser": None}
    eventually(lambda: sandbox.visit().status_code == 200)
