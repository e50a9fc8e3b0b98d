"""Several services as one release: in order, and back together."""

from __future__ import annotations

from slipway.errors import DeployFailed
from slipway.release.outcome import Outcome, Result
from slipway.release.together import Part, release


class Services:
    """Records what is released and taken back, in order."""

    def __init__(self, **ends: Result) -> None:
        self.ends = ends
        self.back_ends: dict[str, Result] = {}
        self.happened: list[str] = []

    def part(self, name: str, *, production: bool = True) -> Part:
        stage = "" if production else " on staging"

        def run() -> Outcome:
            self.happened.append(f"release {name}{stage}")
            result = self.ends[name if production else f"{name}_staging"]
            failure = (
                DeployFailed("it fell over", remedy="Mend it.")
                if result is Result.ROLLED_BACK
                else None
            )
            return Outcome(
                result=result, reason=f"{name} {result}", previous_build="old", failure=failure
            )

        def back(ended: Outcome, why: str) -> Outcome:
            self.happened.append(f"back {name} to {ended.previous_build}: {why}")
            result = self.back_ends.get(name, Result.PROMOTED_PREVIOUS)
            return Outcome(result=result, reason=f"{name} {result}", remedy="Press Rollback.")

        return Part(service=name, production=production, run=run, back=back)

    def release(self, *parts: Part, cancelled: bool = False) -> Outcome:
        return release(parts, cancelled=lambda: cancelled)


def test_all_are_released_in_order() -> None:
    services = Services(bot=Result.PROMOTED, dashboard=Result.PROMOTED)
    outcome = services.release(services.part("bot"), services.part("dashboard"))
    assert services.happened == ["release bot", "release dashboard"]
    assert outcome.result is Result.PROMOTED
    assert outcome.reason == "bot: bot promoted; dashboard: dashboard promoted"


def test_one_that_runs_its_build_already_does_not_make_it_a_release_of_nothing() -> None:
    services = Services(bot=Result.PROMOTED, dashboard=Result.UNCHANGED)
    outcome = services.release(services.part("bot"), services.part("dashboard"))
    assert outcome.result is Result.PROMOTED


def test_where_one_fails_those_before_it_go_back_the_last_one_first() -> None:
    services = Services(
        api=Result.PROMOTED, bot=Result.PROMOTED, dashboard=Result.ROLLED_BACK, more=Result.PROMOTED
    )
    outcome = services.release(*map(services.part, ("api", "bot", "dashboard", "more")))
    why = "released together with dashboard, which is rolled-back"
    assert services.happened == [
        "release api",
        "release bot",
        "release dashboard",
        f"back bot to old: {why}",
        f"back api to old: {why}",
    ]
    assert outcome.result is Result.ROLLED_BACK
    assert outcome.exit_code == 1
    assert outcome.reason == (
        "dashboard: dashboard rolled-back; bot: bot promoted-previous; api: api promoted-previous"
    )


def test_what_was_not_promoted_by_this_release_is_not_taken_back() -> None:
    services = Services(
        bot_staging=Result.DEPLOYED, bot=Result.UNCHANGED, dashboard=Result.ROLLED_BACK
    )
    services.release(
        services.part("bot", production=False), services.part("bot"), services.part("dashboard")
    )
    assert not [what for what in services.happened if what.startswith("back")]


def test_staging_that_fails_leaves_production_alone() -> None:
    services = Services(bot_staging=Result.FAILED, bot=Result.PROMOTED)
    outcome = services.release(services.part("bot", production=False), services.part("bot"))
    assert services.happened == ["release bot on staging"]
    assert outcome.result is Result.FAILED


def test_a_way_back_that_needs_a_human_is_never_a_mere_rollback() -> None:
    services = Services(bot=Result.PROMOTED, dashboard=Result.ROLLED_BACK)
    services.back_ends["bot"] = Result.FROZEN
    outcome = services.release(services.part("bot"), services.part("dashboard"))
    assert outcome.result is Result.FROZEN
    assert outcome.exit_code == Result.FROZEN.exit_code
    assert outcome.remedy == "Press Rollback."


def test_a_cancelled_job_begins_no_way_back_it_could_not_watch() -> None:
    services = Services(bot=Result.PROMOTED, dashboard=Result.ABORTED)
    outcome = services.release(services.part("bot"), services.part("dashboard"), cancelled=True)
    assert services.happened == ["release bot", "release dashboard"]
    assert outcome.result is Result.ABORTED
    assert "no time to take bot back" in outcome.reason
    assert "Promote Previous Build for bot" in (outcome.remedy or "")
