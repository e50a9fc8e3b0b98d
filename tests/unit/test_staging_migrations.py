"""deploy-staging migrates its own database before it deploys."""

from __future__ import annotations

import pytest

from slipway.errors import OutsideError, Refused
from slipway.release import staging
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import STAGING
from tests.unit.world import World, settings
from tests.unit.world_data import DATA, VERSION, MemoryData, migration


def deploy(data: MemoryData) -> Outcome:
    artifact = data.world.build("v2")
    chosen = settings(migrations=DATA["migrations"])
    plan = staging.Plan(release="1.1", settings=chosen, staging=STAGING, artifact=artifact)
    return staging.run(plan, data.ports())


def test_what_is_pending_is_applied_before_the_deploy() -> None:
    data = MemoryData(World(), migration())

    assert deploy(data).result is Result.DEPLOYED

    assert VERSION in data.versions
    calls = data.world.calls
    assert calls.index("data.apply") < calls.index(f"render.start {STAGING}")


def test_a_migration_that_fails_fails_staging_and_nothing_is_deployed() -> None:
    data = MemoryData(World(), migration())
    data.fails = OutsideError("division by zero", remedy="Mend it.")

    outcome = deploy(data)

    assert outcome.result is Result.FAILED
    assert "division by zero" in outcome.reason
    assert f"not applied: {VERSION}" in outcome.reason
    assert f"render.start {STAGING}" not in data.world.calls


def test_a_pre_deploy_command_that_migrates_too_is_refused() -> None:
    data = MemoryData(World(), migration())
    data.world.services[STAGING].pre_deploy_command = "npx dbmate up"

    with pytest.raises(Refused, match="dbmate"):
        deploy(data)

    assert VERSION not in data.versions
