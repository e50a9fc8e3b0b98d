"""What `make demo` plays at length, in short: something happens while a canary is under way."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.demo import aftermath, middle
from sandbox.demo.processes import kill_tree
from sandbox.demo.world import COLLEAGUE
from tests.end_to_end.conftest import Job, Shop
from tests.end_to_end.test_interruptions import LONG, canary_under_way
from tests.end_to_end.test_release import FAST

SHORT_LEASE = {**FAST, "services.bot.edge.lease": "10s"}
WELL_AFTER = 20.0
"""Seconds, for a lease of 10."""


def wait_until(come: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not come():
        assert time.monotonic() < until
        time.sleep(0.1)


def reconciled(shop: Shop) -> Job:
    """Wait until the lease has lapsed, and have what is left put in order."""
    wait_until(lambda: shop.state()["share"] == 0, WELL_AFTER)
    job = shop.run("reconcile", settings=SHORT_LEASE)
    assert job.exit_code == 0, job.log
    record, live = aftermath.release_record(shop.world), aftermath.live_deploy(shop.world)
    assert record["phase"] == "stable"
    assert record["stable"] == {"build": job.outputs["build"], "deploy_id": live["id"]}
    return job


def how_the_ledger_ended(shop: Shop) -> str:
    return str(aftermath.last_deployment(shop.world)["statuses"][-1]["description"])


def test_a_runner_that_dies_at_5_percent_is_put_in_order_on_the_build_before(
    steady: Shop,
) -> None:
    running = canary_under_way(steady)
    kill_tree(running.process.pid)
    running.process.wait(5)
    job = reconciled(steady)
    assert job.outputs["result"] == "aborted"
    assert "died in canary" in job.outputs["reason"]
    assert how_the_ledger_ended(steady).startswith("aborted: ")


def test_a_runner_that_dies_while_it_settles_is_finished_and_taken_back_by_the_button(
    steady: Shop,
) -> None:
    image, commit = steady.push_image("good", {})
    running = steady.start("canary-prod", settings=SHORT_LEASE, image=image, commit=commit)
    wait_until(lambda: middle.stable_gets_the_candidate(steady.world), 40)
    kill_tree(running.process.pid)
    running.process.wait(5)
    job = reconciled(steady)
    assert job.outputs["result"] == "promoted"
    assert job.outputs["build"] == image.partition("@")[2]
    assert steady.state()["serving"][steady.world.service_id("bot")] == {commit}
    assert how_the_ledger_ended(steady).startswith("promoted: ")
    back = steady.run("rollback", settings=LONG, reason="a test is over")
    assert back.outputs["result"] == "promoted-previous"


def test_a_share_that_is_raised_by_hand_reaches_nobody_and_ends_the_release(
    steady: Shop,
) -> None:
    image, commit = steady.push_image("good", {})
    running = steady.start("canary-prod", settings=FAST, image=image, commit=commit)
    running.wait_for("of the sellers are on the candidate")
    middle.half_by_hand(steady.world)
    most = 0.0
    while running.process.poll() is None:
        most = max(most, steady.state()["share"])
        time.sleep(0.2)
    job = running.wait()
    assert most == 5
    assert job.outputs["result"] == "aborted"
    assert COLLEAGUE.partition("@")[0] in job.outputs["reason"]


def test_an_edge_that_is_restarted_goes_on_with_the_canary(steady: Shop) -> None:
    running = canary_under_way(steady)
    steady.world.edges.restart()
    running.wait_for("the edge forgot the lease", 20)
    wait_until(lambda: steady.state()["share"] == 5, 20)
    order = steady.run("release", settings=LONG, mode="abort", reason="a test is over")
    assert order.exit_code == 0, order.log
    assert running.wait().outputs["result"] == "aborted"
