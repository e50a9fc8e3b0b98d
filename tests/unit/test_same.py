"""Everything that one release brought, and what it comes to that it goes back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from slipway.background import at_once
from slipway.errors import DeployFailed, Refused, Unreachable
from slipway.ports import Shipped
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.release.same import Live, refused, same_release
from slipway.release.together import gone_back
from tests.unit.builds import START, commit_of, digest
from tests.unit.forge import FakeForge


def live(name: str | None, *, run: str = "", commit: str = "one", task: str = "deploy") -> Live:
    """Return a service that runs this build, released by a run from a commit."""
    forge = FakeForge()
    if name is not None:
        forge.history = [
            Shipped(
                id=1,
                build=digest(name),
                commit=commit_of(commit),
                task=task,
                state="success",
                result="promoted",
                actor="ana",
                created_at=START,
                run=run,
            )
        ]
    return Live(
        build=lambda: digest(name) if name else None, ledger=Ledger(lambda: forge, "production/x")
    )


def test_what_the_same_run_released_goes_back_together_whatever_its_commit() -> None:
    services = {
        "api": live("a", run="77"),
        "bot": live("b", run="77", commit="two"),
        "web": live("c", run="76"),
    }
    assert same_release(["bot"], services, at_once) == {"api", "bot"}


def test_where_an_entry_names_no_run_the_commit_decides() -> None:
    services = {
        "api": live("a", run="77"),
        "bot": live("b"),
        "web": live("c", commit="two"),
        "idle": live(None),
    }
    assert same_release(["bot"], services, at_once) == {"api", "bot"}


def test_several_that_are_named_go_back_with_what_came_with_each() -> None:
    services = {"api": live("a", run="77"), "bot": live("b", run="76"), "web": live("c", run="76")}
    assert same_release(["api", "web"], services, at_once) == {"api", "bot", "web"}


@pytest.mark.parametrize("unknown", [live(None), live("b", task="adopt")])
def test_where_nobody_knows_by_which_release_it_went_live_it_is_refused(unknown: Live) -> None:
    with pytest.raises(Refused, match="no deployment says by which release"):
        same_release(["bot"], {"bot": unknown, "api": live("a")}, at_once)


def test_the_refusal_has_a_line_for_each_service_the_named_one_first() -> None:
    told = refused(Unreachable("GitHub: no", remedy="Wait."), ["bot"], ["api", "bot", "web"])
    lines = [f"--service {name} --target" for name in ("bot", "web", "api")]
    assert [told.remedy.index(line) for line in lines] == sorted(
        told.remedy.index(line) for line in lines
    )
    assert "GitHub: no" in told.found


# What it comes to


def end(result: Result, **more: object) -> Outcome:
    return Outcome(result=result, reason=f"it is {result}", **more)  # type: ignore[arg-type]


def test_all_that_went_back_are_told_as_one() -> None:
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    outcome = gone_back(
        [
            ("web", end(Result.PROMOTED_PREVIOUS, seconds_to_old_code=9.0, started_at=noon)),
            ("bot", end(Result.UNCHANGED, seconds_to_zero=0.2)),
        ]
    )
    assert (outcome.result, outcome.exit_code) == (Result.PROMOTED_PREVIOUS, 0)
    assert outcome.reason == "web: it is promoted-previous; bot: it is unchanged"
    assert (outcome.seconds_to_old_code, outcome.seconds_to_zero) == (9.0, 0.2)
    assert outcome.started_at == noon


def test_where_only_some_went_back_a_human_is_needed() -> None:
    failure = Refused("there is no previous build", remedy="Name one.")
    outcome = gone_back(
        [
            ("web", end(Result.PROMOTED_PREVIOUS)),
            ("bot", end(Result.REFUSED, remedy="Name one.", failure=failure)),
        ]
    )
    assert (outcome.result, outcome.exit_code) == (Result.FROZEN, Result.FROZEN.exit_code)
    assert outcome.remedy == "Name one."


def test_where_none_was_touched_it_is_refused() -> None:
    failure = Refused("there is no previous build", remedy="Name one.")
    outcome = gone_back(
        [("web", end(Result.UNCHANGED)), ("bot", end(Result.REFUSED, failure=failure))]
    )
    assert (outcome.result, outcome.exit_code) == (Result.REFUSED, 1)


def test_one_that_is_not_finished_makes_it_frozen() -> None:
    failure = DeployFailed("it did not become live", remedy="Press.")
    outcome = gone_back([("web", end(Result.FROZEN, failure=failure))])
    assert outcome.result is Result.FROZEN
    assert outcome.exit_code == Result.FROZEN.exit_code
