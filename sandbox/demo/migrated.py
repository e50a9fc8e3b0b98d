"""Releases with a migration whose new code writes rows that belong to nothing.

Until it is reverted the old code runs on the larger schema; afterwards the database is as before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sandbox.demo import aftermath, verdicts
from sandbox.demo.aftermath import After
from sandbox.demo.middle import ask
from sandbox.demo.presses import Press
from sandbox.demo.stored import Stored

VERSION: Final = "20261201080000"
_UP: Final = """\
-- What buyers send back. New code fills it.
CREATE TABLE refunds (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id bigint NOT NULL,
  cents integer NOT NULL
);
ALTER TABLE orders ADD COLUMN refunded_at timestamptz;
"""
_DOWN: Final = """\
ALTER TABLE orders DROP COLUMN refunded_at;
DROP TABLE refunds;
"""
_CHECK: Final = """\
-- severity: critical
-- phase: post-release
-- description: Money is given back for an order, or for nothing.
-- migration: 20261201080000
SELECT refunds.id
FROM refunds
LEFT JOIN orders ON orders.id = refunds.order_id
WHERE orders.id IS NULL
"""
_CHECK_FILE: Final = "checks/refunds-are-of-orders.sql"
_FILE: Final = f"db/migrations/{VERSION}_refunds.sql"


def migrated_back(after: After) -> list[str]:
    """The migration is reverted, what was written is kept aside, and old rows are as before."""
    stored, wrong = _stored(after), []
    if VERSION in (row[0] for row in stored.ask("SELECT version FROM schema_migrations")):
        wrong.append(f"the migration {VERSION} is applied still")
    if stored.ask("SELECT to_regclass('public.refunds')") != [(None,)]:
        wrong.append("its table is there still")
    archives = stored.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'deploy'")
    kept = [str(name) for (name,) in archives if "refunds" in str(name)]
    after.say(f"kept aside: {', '.join(kept) or 'nothing'}")
    if not kept:
        wrong.append("what the new code had written was not kept")
    return wrong + _old_rows(after)


def stays_migrated(after: After) -> list[str]:
    """Nothing was reverted: the table is there with all that was written, and old rows are as they
    were, but for the column that the migration gave them."""
    stored, wrong = _stored(after), []
    if VERSION not in (row[0] for row in stored.ask("SELECT version FROM schema_migrations")):
        wrong.append(f"the migration {VERSION} is not applied any more")
    ((count,),) = stored.ask("SELECT count(*) FROM refunds")
    after.say(f"rows that wait for a person: {count}")
    return wrong if count else [*wrong, "the rows of the new code are gone"]


def code_is_back_everywhere(after: After) -> list[str]:
    """No instance anywhere answers as the build that was released."""
    released = str(after.world.pushed[-1])
    serving = {n: ask(f"{after.world.url(n)}/healthz")["build"] for n in ("bot", "canary")}
    after.say(f"builds that answer: {serving}")
    return [f"{name} answers as {released}" for name, is_ in serving.items() if is_ == released]


def _old_rows(after: After) -> list[str]:
    changed = _stored(after).changed()
    after.say("the rows from before are as they were" if not changed else f"changed: {changed}")
    return [f"rows of {name} from before are not as they were" for name in changed]


def _stored(after: After) -> Stored:
    assert after.world.stored is not None  # noqa: S101 - these presses have one
    return after.world.stored


DATA_INCONSISTENT = Press(
    name="a build whose refunds are of no order, with its migration",
    version="v2",
    behaviour={"refunds": True},
    files={
        _FILE: f"-- migrate:up\n{_UP}\n-- migrate:down\n{_DOWN}",
        _CHECK_FILE: _CHECK,
    },
    result="rolled-back",
    peak=5,
    step=20,
    stored=True,
    checks=(
        verdicts.reason_says("refunds-are-of-orders", VERSION, "the checks pass as before"),
        aftermath.nobody_failed,
        migrated_back,
        code_is_back_everywhere,
    ),
)
IRREVERSIBLE = replace(
    DATA_INCONSISTENT,
    name="the same, and its migration says that it cannot be reverted",
    files={
        _FILE: f"-- deploy: irreversible\n-- migrate:up\n{_UP}\n-- migrate:down\n{_DOWN}",
        _CHECK_FILE: _CHECK,
    },
    result="frozen",
    pages=("a human is needed",),
    checks=(
        verdicts.reason_says("refunds-are-of-orders", "irreversible"),
        aftermath.nobody_failed,
        stays_migrated,
        code_is_back_everywhere,
    ),
)
