"""What a person orders by the modes of the root action, against releases that really run."""

from __future__ import annotations

import time

from tests.end_to_end.conftest import Shop, get
from tests.end_to_end.test_interruptions import LONG, canary_under_way
from tests.end_to_end.test_release import FAST


def go_back(shop: Shop, digest: str) -> None:
    back = shop.run("rollback", settings=LONG, reason="a test is over", target=digest)
    assert back.outputs["result"] == "promoted-previous"


def test_promote_now_ends_the_judging_of_a_canary_that_would_take_twenty_minutes(
    steady: Shop,
) -> None:
    running = canary_under_way(steady)
    began = time.monotonic()
    order = steady.run("release", settings=LONG, mode="promote-now", reason="the show begins")
    released = running.wait()
    assert time.monotonic() - began < 60
    assert released.outputs["result"] == order.outputs["result"] == "promoted"
    assert "ana promotes it now: the show begins" in released.log
    assert released.outputs["build"] == order.outputs["build"]
    go_back(steady, released.outputs["previous-build"])


def test_abort_ends_the_canary_under_way_and_is_green_itself(steady: Shop) -> None:
    running = canary_under_way(steady)
    order = steady.run("release", settings=LONG, mode="abort", reason="the show is on")
    assert order.exit_code == 0, order.log
    assert "ana ended the release of" in order.outputs["reason"]
    assert running.wait().outputs["result"] == "aborted"
    again = steady.run("release", settings=LONG, mode="abort", reason="the show is on")
    assert again.outputs["result"] == "unchanged"


def test_direct_is_live_at_once_even_while_a_canary_runs(steady: Shop) -> None:
    running = canary_under_way(steady)
    image, commit = steady.push_image("fix", {})
    order = steady.run(
        "release", settings=LONG, mode="direct", reason="orders", image=image, commit=commit
    )
    assert order.exit_code == 0, order.log
    assert order.outputs["result"] == "promoted"
    assert steady.state()["serving"][steady.world.service_id("bot")] == {commit}
    assert steady.state()["share"] == 0
    stopped = running.wait()
    assert stopped.outputs["result"] in ("aborted", "frozen")
    assert steady.state()["serving"][steady.world.service_id("bot")] == {commit}
    go_back(steady, order.outputs["previous-build"])


def test_an_order_names_one_service_and_a_reason(steady: Shop) -> None:
    unnamed = steady.run("release", settings=LONG, mode="abort", reason="why", service="")
    assert unnamed.exit_code == 2
    assert "one service" in unnamed.errors[0]
    silent = steady.run("release", settings=LONG, mode="abort")
    assert silent.exit_code == 2
    assert "`reason` is missing" in silent.errors[0]


def test_observing_promotes_a_bad_build_and_vouches_for_nothing(steady: Shop) -> None:
    image, commit = steady.push_image("bad", {"error_rate": 0.3})
    how = {"image": image, "commit": commit, "mode": "observe", "reason": "to see the judge"}
    job = steady.run("release", settings=FAST, **how)
    assert job.exit_code == 0, job.log
    assert "only observed, or it would have been stopped" in job.outputs["reason"]
    state = get(f"{steady.world.url('github')}/_sandbox/state")
    made = [d for d in state["deployments"] if d["environment"] == "production/bot"][-1]
    assert made["statuses"][-1]["description"].startswith("not-judged: ")
    go_back(steady, job.outputs["previous-build"])
