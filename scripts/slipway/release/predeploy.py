"""A pre-deploy command at Render that migrates: two would race for the database.

Render runs it before every deploy of a build, outside the lock, with no record of what it applied;
whether its own rollback runs it again is nowhere documented.
"""

from __future__ import annotations

import re
from typing import Final

from slipway.config import Service as Settings
from slipway.errors import Refused
from slipway.ports import Service
from slipway.release.journal import Journal

_TOOLS: Final = {
    "dbmate": r"dbmate",
    "Alembic": r"alembic",
    "Prisma": r"prisma\s+(migrate|db\s+push)",
    "Rails": r"(rails|rake)\s+.*\bdb:(migrate|prepare|setup|schema:load)",
    "Django": r"manage\.py\s+migrate|django-admin\s+migrate",
    "Flyway": r"flyway",
    "Liquibase": r"liquibase",
    "Knex": r"knex",
    "Sequelize": r"sequelize(-cli)?",
    "TypeORM": r"typeorm",
    "Drizzle": r"drizzle(-kit)?",
    "Supabase": r"supabase\s+(db\s+(push|reset)|migration)",
    "yoyo": r"yoyo",
    "Atlas": r"atlas\s+(migrate|schema)",
    "goose": r"goose",
    "golang-migrate": r"migrate\s+.*-(path|source|database)",
    "Sqitch": r"sqitch",
    "Flask-Migrate": r"flask\s+db\s+upgrade",
    "Artisan": r"artisan\s+migrate",
    "Ecto": r"ecto\.migrate|\bRelease\.migrate",
    "a script called migrate": r"[\w./:-]*migrat(e|es|ion|ions)\b",
}
"""How the tools are called, and what their commands look like."""
_PATTERNS: Final = {
    name: re.compile(rf"(?<![A-Za-z0-9_]){pattern}", re.IGNORECASE)
    for name, pattern in _TOOLS.items()
}


def migrates(command: str) -> str | None:
    """Return which tool a command migrates with, as far as can be seen; ``None``: with none."""
    return next((name for name, pattern in _PATTERNS.items() if pattern.search(command)), None)


def require(service: Service, settings: Settings, journal: Journal) -> None:
    """Refuse a pre-deploy command that migrates where Slipway does; elsewhere tell of it.

    Its words are never shown: a password may stand among them. Raises ``Refused``.
    """
    tool = migrates(service.pre_deploy_command or "")
    if tool is None:
        return
    if settings.migrations is None:
        journal.trouble(
            f"the pre-deploy command of {service.name} looks like it migrates ({tool}): what it "
            "applies is not reverted by Slipway, whatever happens. `migrations` in slipway.yml "
            "applies them instead"
        )
        return
    raise Refused(
        f"the pre-deploy command of {service.name} ({service.id}) looks like it migrates ({tool}), "
        "and slipway.yml has `migrations`: both would migrate, one without the other's lock",
        remedy="Empty it at Render (Settings, Pre-Deploy Command), or leave its migrating out. Or "
        "take `migrations` out of slipway.yml: then nothing is reverted.",
    )
