"""After a rollback that really happened: the next build is held until a person unlocks."""

from __future__ import annotations

from tests.end_to_end.conftest import Shop, get
from tests.end_to_end.test_interruptions import LONG
from tests.end_to_end.test_release import FAST


def test_after_a_rollback_what_descends_is_held_until_a_person_unlocks(steady: Shop) -> None:
    before = steady.state()
    image, bad = steady.push_image("bad", {"error_rate": 0.6})
    job = steady.run("canary-prod", settings=LONG, image=image, commit=bad)
    assert job.outputs["result"] == "rolled-back", job.log
    assert f"`Fixes-Release: {bad}`" in job.errors[0], "who mends it knows before the next merge"

    wanted, commit = steady.push_image("next", {}, leaves=bad)
    held = steady.run("canary-prod", settings=FAST, image=wanted, commit=commit)
    assert (held.exit_code, held.outputs["result"]) == (1, "refused"), held.log
    assert "bot is locked" in held.outputs["reason"]
    assert image.partition("@")[2][:19] in held.outputs["reason"]
    assert "scripts/run unlock --service bot --bad-build" in held.errors[0]
    assert steady.state() == before, "and nothing was touched"

    digest = image.partition("@")[2]
    unlocked = steady.run("unlock", reason="it was the provider", bad_build=digest)
    assert unlocked.exit_code == 0, unlocked.log
    newest = get(f"{steady.world.url('github')}/_sandbox/state")["deployments"][-1]
    assert (newest["task"], newest["state"]) == ("unlock", "inactive")

    released = steady.run("canary-prod", settings=FAST, image=wanted, commit=commit)
    assert released.outputs["result"] == "promoted", released.log

    dry = steady.run("rollback", settings=LONG, reason="to see", dry_run="true")
    assert (dry.exit_code, dry.outputs["result"]) == (0, "unchanged"), dry.log
    assert "would go back to" in dry.outputs["reason"]
    assert "the ledger: it passed" in dry.outputs["reason"]
    assert steady.state()["serving"][steady.world.service_id("bot")] == {commit}

    back = steady.run("rollback", settings=LONG, reason="a test is over")
    assert back.outputs["result"] == "promoted-previous", back.log
