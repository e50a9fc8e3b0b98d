"""A pre-deploy command that migrates, beside migrations of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from slipway.config import Migrations
from slipway.errors import Refused
from slipway.release import predeploy
from slipway.release.journal import Journal
from slipway.release.predeploy import migrates
from tests.unit.builds import CANARY, STABLE
from tests.unit.test_canary import SHORT
from tests.unit.test_canary import release as canary
from tests.unit.world import World, settings

MIGRATING = [
    "npx dbmate migrate",
    "dbmate --wait up",
    "python -m alembic upgrade head",
    "npx prisma migrate deploy",
    "bundle exec rails db:migrate",
    "bin/rails db:prepare",
    "python manage.py migrate --noinput",
    "flyway -url=x migrate",
    "liquibase update",
    "npx knex migrate:latest",
    "npx sequelize-cli db:migrate",
    "npm run typeorm migration:run",
    "npx drizzle-kit push",
    "supabase db push",
    "supabase migration up",
    "yoyo apply",
    "atlas migrate apply",
    "goose up",
    "migrate -path db -database $DATABASE_URL up",
    "npm run migrate",
    "./scripts/run-migrations.sh",
    "yarn migration",
    "DATABASE_URL=postgres://u:hunter2@h/d dbmate up",
]
OTHERS = [
    "",
    "npm run build",
    "python warm.py",
    "echo emigrated",
    "node dist/seed.js",
    "atlas --version",
]


@pytest.mark.parametrize("command", MIGRATING)
def test_a_command_that_migrates_is_seen(command: str) -> None:
    assert migrates(command)


@pytest.mark.parametrize("command", OTHERS)
def test_another_command_is_not(command: str) -> None:
    assert migrates(command) is None


def refusal(commands: Sequence[str], migrations: Migrations | None) -> tuple[list[str], str]:
    world = World()
    said: list[str] = []
    journal = Journal(world.clock, lambda entry: said.append(entry.text))
    chosen = settings().model_copy(update={"migrations": migrations})
    service = world.ports().platform.service(STABLE)
    for command in commands:
        try:
            predeploy.require(replace(service, pre_deploy_command=command), chosen, journal)
        except Refused as error:
            return said, error.found
    return said, ""


def test_two_that_migrate_are_refused_and_the_command_is_not_shown() -> None:
    said, refused = refusal([MIGRATING[-1]], Migrations(tool="dbmate"))

    assert "dbmate" in refused
    assert "hunter2" not in refused
    assert said == []


def test_one_that_migrates_alone_is_told_of_and_the_command_is_not_shown() -> None:
    said, refused = refusal([MIGRATING[-1]], None)

    assert refused == ""
    assert len(said) == 1
    assert "hunter2" not in said[0]


def test_one_that_does_not_migrate_is_nothing() -> None:
    assert refusal(OTHERS, Migrations(tool="dbmate")) == ([], "")


@pytest.mark.parametrize("service", [STABLE, CANARY])
def test_a_canary_is_refused_for_it_on_either_service(service: str) -> None:
    world = World()
    world.services[service].pre_deploy_command = "alembic upgrade head"

    with pytest.raises(Refused, match=r"looks like it migrates \(Alembic\)"):
        canary(world, world.build("v2"), **SHORT, migrations=Migrations(tool="alembic"))

    assert not [call for call in world.calls if "start" in call or "write" in call]
