"""The webhook and health of what is live, and of a candidate: commands as the actions run them."""

from __future__ import annotations

from typing import Any

from sandbox.demo.world import APP_SECRET, VERIFY_TOKEN
from tests.end_to_end.conftest import Shop
from tests.end_to_end.test_release import FAST

PROBED: dict[str, Any] = {**FAST, "services.bot.webhook": {"every": "1s"}}
KEYS = {"meta_app_secret": APP_SECRET, "meta_verify_token": VERIFY_TOKEN}


def test_what_is_live_is_looked_at_probe_by_probe(shop: Shop) -> None:
    live = next(iter(shop.state()["serving"][shop.world.service_id("canary")]))

    good = shop.run("check-webhook", settings=PROBED, **KEYS)
    assert (good.exit_code, good.outputs["result"]) == (0, "unchanged"), good.log
    assert good.summary.count("HTTP") >= 7
    assert APP_SECRET not in good.log + good.summary

    other = {**KEYS, "meta_app_secret": "not-what-the-bot-has"}
    bad = shop.run("check-webhook", settings=PROBED, track="stable", **other)
    assert (bad.exit_code, bad.outputs["result"]) == (1, "failed")
    assert "3 times in a row" in bad.outputs["reason"]
    assert "not-what-the-bot-has" not in bad.log + bad.summary

    health = shop.run("check-health", settings=FAST, track="canary", expect=live)
    assert (health.exit_code, health.outputs["result"]) == (0, "unchanged"), health.log
    assert shop.run("check-health", settings=FAST, expect="e" * 40).outputs["result"] == "failed"


def test_a_build_that_believes_what_nobody_signed_goes_back_before_anybody_is_on_it(
    shop: Shop,
) -> None:
    before = shop.state()
    image, commit = shop.push_image("bad", {"takes_unsigned": True})

    job = shop.run("canary-prod", settings=PROBED, image=image, commit=commit, **KEYS)

    assert (job.exit_code, job.outputs["result"]) == (1, "rolled-back"), job.log
    assert "delivery that is not signed" in job.outputs["reason"]
    assert "of the sellers are on the candidate" not in job.log
    now = shop.state()
    assert (now["share"], now["serving"]) == (0, before["serving"])
