"""Whatever dies, whenever: everybody ends on a build that passed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from sandbox.demo.world import post
from tests.end_to_end.conftest import Running, Shop, secrets_of

LONG: dict[str, Any] = {
    "services.bot.strategy": {
        "steps": [{"share": 5, "for": "10m"}],
        "bake": {"share": 95, "for": "10m"},
        "judge": {"every": "500ms"},
        "deploy-deadline": "30s",
    },
    "services.bot.edge.lease": "10s",
}
GRACE = 7.5
"""Seconds from SIGINT to SIGTERM when GitHub cancels a job."""


def canary_under_way(shop: Shop) -> Running:
    image, commit = shop.push_image("good", {})
    running = shop.start("canary-prod", settings=LONG, image=image, commit=commit)
    running.wait_for("of the sellers are on the candidate")
    assert shop.state()["share"] == 5
    return running


def test_a_cancelled_step_takes_the_share_back_and_pages_within_the_runners_grace(
    steady: Shop,
) -> None:
    image, commit = steady.push_image("good", {})
    told = len(steady.world.pages()["pages"])
    step = steady.step("canary-prod", settings=LONG, image=image, commit=commit)
    try:
        wait_until(lambda: steady.state()["share"] == 5, 60, lambda: f"{steady.edge()}\n{step.log}")
        ended = step.cancel(lambda: steady.state()["share"] == 0)
    finally:
        step.kill()
    assert (ended.by, ended.exit_code) == ("SIGINT", 4), step.log
    assert ended.seen is not None
    assert ended.seen < GRACE
    assert step.outputs()["result"] == "aborted"
    assert not any(secret in step.log for secret in secrets_of(steady.world))
    (page,) = steady.world.pages()["pages"][told:]
    assert "stopped before it was judged" in page["text"]
    assert steady.world.pages()["refused"] == []


def test_a_receiver_of_pages_that_hangs_keeps_no_cancelled_job_beyond_its_grace(
    steady: Shop,
) -> None:
    hang = {"status": 500, "path_prefix": "/services/", "delay": 60}
    fault = f"{steady.world.url('pages')}/_sandbox/fault"
    post(fault, hang)
    try:
        running = canary_under_way(steady)
        running.process.send_signal(signal.SIGINT)
        job = running.wait(GRACE)
    finally:
        post(fault, {"clear": True})
    assert job.outputs["result"] == "aborted"
    assert "::warning title=Nobody was paged::it is not known: no answer in 2 s" in job.log
    assert steady.state()["share"] == 0


def test_a_job_that_is_terminated_takes_the_share_back(steady: Shop) -> None:
    running = canary_under_way(steady)
    running.process.send_signal(signal.SIGTERM)
    job = running.wait(GRACE)
    assert job.exit_code == 4
    assert job.outputs["result"] == "aborted"
    assert steady.state()["share"] == 0


def wait_until(
    condition: Callable[[], bool], seconds: float, seen: Callable[[], object] = str
) -> None:
    """Wait. ``seen``: what there is to be seen where it was in vain."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, seen()
        time.sleep(0.1)


def test_a_runner_that_dies_leaves_a_canary_that_ends_by_itself(steady: Shop) -> None:
    running = canary_under_way(steady)
    running.process.kill()
    running.process.wait(5)
    until = time.monotonic() + 12
    while steady.state()["share"] != 0:
        assert time.monotonic() < until, "the lease is 10 s"
        time.sleep(0.2)


def test_a_release_after_a_dead_one_takes_over(steady: Shop) -> None:
    running = canary_under_way(steady)
    running.process.kill()
    running.process.wait(5)
    image, commit = steady.push_image("bad", {"error_rate": 0.6})
    job = steady.run("canary-prod", settings=LONG, image=image, commit=commit)
    assert job.outputs["result"] == "rolled-back"
    assert "waiting to see whether it is alive" in job.log
    assert "died in canary: it is ended" in job.log


def test_promote_previous_build_ends_a_release_and_the_release_says_so(steady: Shop) -> None:
    stable = steady.world.service_id("bot")
    before = steady.state()["serving"][stable]
    running = canary_under_way(steady)
    pressed = steady.run("rollback", settings=LONG, reason="a test")
    assert pressed.outputs["result"] == "promoted-previous"
    assert "ended the release of" in pressed.outputs["reason"]
    assert float(pressed.outputs["seconds-to-zero"]) < 2
    stopped = running.wait()
    assert stopped.outputs["result"] == "aborted"
    assert "Somebody or something stopped this release" in stopped.errors[0]
    assert steady.state()["serving"][stable] == before, "stable never left the build before"


def test_pressed_again_it_goes_no_further_back(steady: Shop) -> None:
    stable = steady.world.service_id("bot")
    before = steady.state()["serving"][stable]
    image, commit = steady.push_image("good", {})
    how = {"image": image, "commit": commit, "mode": "direct", "reason": "a test"}
    assert steady.run("release", settings=LONG, **how).outputs["result"] == "promoted"
    first = steady.run("rollback", settings=LONG, reason="a test")
    assert first.outputs["result"] == "promoted-previous"
    assert steady.state()["serving"][stable] == before
    again = steady.run("rollback", settings=LONG, reason="a test")
    assert again.outputs["result"] == "unchanged"
    assert again.exit_code == 0


def test_the_button_needs_only_the_keys_of_what_it_can_still_touch(steady: Shop) -> None:
    running = canary_under_way(steady)
    pressed = steady.run(
        "rollback",
        settings=LONG,
        reason="a test",
        posthog_api_key="",
        github=False,
        commit=steady.world.repository.commit("later", {}),
    )
    assert pressed.outputs["result"] == "promoted-previous"
    assert "not confirmed at PostHog: no posthog-api-key was given" in pressed.outputs["reason"]
    assert "::notice title=Not written on GitHub" in pressed.log
    assert running.wait().outputs["result"] == "aborted"
