"""A whole release, as the root action runs it."""

from __future__ import annotations

from typing import Any

from tests.end_to_end.conftest import Shop, get

FAST: dict[str, Any] = {
    "services.bot.strategy": {
        "steps": [{"share": 5, "for": "5s"}],
        "bake": {"share": 95, "for": "3s"},
        "judge": {"every": "500ms"},
        "deploy-deadline": "30s",
    }
}


def test_a_release_goes_through_staging_to_everybody_and_can_be_taken_back(shop: Shop) -> None:
    stable, staging = shop.world.service_id("bot"), shop.world.service_id("staging")
    before = shop.state()
    image, commit = shop.push_image("good", {})
    number = shop.world.open_pull_request(commit, "A good change")

    job = shop.run("release", settings=FAST, image=image, commit=commit)

    assert job.exit_code == 0, job.log
    assert job.outputs["result"] == "promoted"
    assert job.outputs["build"] == image.partition("@")[2]
    now = shop.state()
    assert now["share"] == 0
    assert now["serving"][stable] == now["serving"][staging] == {commit}
    assert now["instances"] == before["instances"], "the canary service is scaled back"
    assert "staging runs the new build" in job.summary
    assert "everybody is on the new build" in job.summary
    page = shop.pull_request(number)
    assert "everybody is on the new build" in page
    assert page.count("<article") == 1, "one comment, with a section for each environment"
    assert page.index("Production · bot") < page.index("Staging · bot")

    again = shop.run("canary-prod", settings=FAST, image=image, commit=commit)
    assert again.outputs["result"] == "unchanged"

    back = shop.run("rollback", settings=FAST, reason="a test", commit=commit)
    assert back.outputs["result"] == "promoted-previous"
    assert back.outputs["previous-build"] == job.outputs["build"]
    assert shop.state()["serving"][stable] == before["serving"][stable]
    newest = get(f"{shop.world.url('github')}/_sandbox/state")["deployments"][-1]
    assert (newest["task"], newest["state"]) == ("rollback", "success")
    assert newest["payload"]["build"] == back.outputs["build"], "not `previous`"


def test_a_smoke_probe_that_is_answered_otherwise_is_a_failed_staging(shop: Shop) -> None:
    image, commit = shop.push_image("good", {})
    number = shop.world.open_pull_request(commit, "A change")
    smoke = [{"path": "/healthz", "contains": commit}, {"path": "/no-such-page"}]

    job = shop.run(
        "deploy-staging", settings={"services.bot.staging.smoke": smoke}, image=image, commit=commit
    )

    assert job.exit_code == 1, job.log
    assert job.outputs["result"] == "failed"
    (error,) = job.errors
    assert "1 of 2 smoke probes failed" in error
    assert "GET /no-such-page: expected HTTP 200, found HTTP 404" in error
    page = shop.pull_request(number)
    assert "staging does not run the new build as it should" in page
    assert "Open staging</a>" in page
