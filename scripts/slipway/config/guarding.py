"""What is looked at beside metrics: Meta's webhook, the data, and the migrations of a release."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from slipway.config.base import Model, Seconds, UrlPath, duration


def _inside(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/") or any(c.isspace() for c in value):
        raise ValueError(f"{value!r} is not a path inside the repository, from its root")
    return value


Directory = Annotated[str, AfterValidator(_inside), Field(min_length=1, max_length=200)]
"""A path from the root of the repository, inside it."""
Age = Annotated[float, BeforeValidator(duration), Field(gt=0, le=31 * 86_400)]
"""Seconds, a month at most."""
Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
"""A name of Postgres as it is written without quotes."""


class Webhook(Model):
    """Meta's webhook, probed as Meta would ask it: a handshake, and deliveries it must refuse."""

    path: UrlPath = "/webhooks/meta"
    object: Literal["page", "instagram", "user", "whatsapp_business_account"] = "page"
    """What the deliveries of the probe say they are about."""
    within: Annotated[Seconds, Field(le=20)] = 5.0
    """A signed delivery must be answered 200 in this time; Meta gives up after some more."""
    failures: int = Field(default=3, ge=1)
    """This many handshakes or signed deliveries in a row that fail mean that the build is bad. One
    delivery that it should have refused and took means it at once."""
    every: Seconds = 20.0
    """Between two sets of probes."""


class Data(Model):
    """Checks on the database: each a file with one SELECT, whose rows are what is wrong."""

    checks: Directory = "checks"
    """The directory of the files, ``*.sql``."""
    schemas: Annotated[tuple[Identifier, ...], Field(min_length=1)] = ("public",)
    """Where names without a schema are looked for, in this order."""
    timeout: Annotated[Seconds, Field(le=300)] = 5.0
    """Of one check, where its file says nothing else."""
    every: Seconds = 30.0
    """Between two runs of all checks."""


class Backup(Model):
    """How old what could be restored may be, where a migration is to be reverted."""

    within: Age = 93_600.0
    """26 h: a daily backup, and the time it takes."""
    supabase: str | None = Field(default=None, pattern=r"^[a-z]{20}$")
    """The project's reference at Supabase, whose API is asked then. Without it the input
    `backup-at` says when the last backup was made."""


class Migrations(Model):
    """The migrations of a service: expanded before it is deployed, reverted only where it must."""

    tool: Literal["dbmate", "alembic", "sql"]
    """``sql``: pairs of files, `<version>_<name>.up.sql` and `.down.sql`."""
    directory: Directory = "db/migrations"
    """Of Alembic: where its `alembic.ini` is."""
    table: Identifier | None = None
    """Where the tool keeps which are applied; by default where the tool does."""
    timeout: Annotated[Seconds, Field(le=3600)] = 600.0
    """Of all migrations of a release, and of reverting one."""
    revert: Literal["auto", "never"] = "auto"
    """What happens where data were found inconsistent. ``never``: it is left to a person."""
    lossy: Literal["refuse", "archive"] = "refuse"
    """Where reverting would take away what has been written since: ``refuse`` leaves it to a
    person, ``archive`` copies it into a table of the schema `deploy` first."""
    round_trip: bool = True
    """Whether only what `check-migrations` has seen go there and back is reverted by itself."""
    backup: Backup = Backup()
