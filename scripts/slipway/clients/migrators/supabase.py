"""Supabase's Management API, asked for one thing: when the newest backup was made.

``GET /v1/projects/{ref}/database/backups``, of
https://supabase.com/docs/reference/api/v1-list-all-backups
It answers with ``backups`` (each ``status`` and ``inserted_at``), ``pitr_enabled``, and
``physical_backup_data.latest_physical_backup_date_unix``, the newest moment to go back to.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import requests

from slipway.errors import NotFound, OutsideError, Unauthorized, Unreachable

API: Final = "https://api.supabase.com"
TIMEOUT: Final = (3.0, 10.0)
"""Seconds to connect, and to answer."""


def newest_backup(project: str, token: str, base_url: str = API) -> datetime | None:
    """Return when the newest finished backup of the project was made; ``None``: there is none.

    Raises :class:`OutsideError` where it does not answer as documented.
    """
    try:
        answer = requests.get(
            f"{base_url}/v1/projects/{project}/database/backups",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise Unreachable(
            f"Supabase does not say when the last backup was made: {type(error).__name__}",
            remedy="See status.supabase.com, or pass `backup-at`.",
        ) from None
    if answer.status_code in (401, 403):
        raise Unauthorized(
            "Supabase did not accept `supabase-token`",
            remedy="Make a new access token, of a member of the project's organization.",
        )
    if answer.status_code == 404:
        raise NotFound(
            f"Supabase knows no project {project}", remedy="Mend `backup.supabase` in slipway.yml."
        )
    try:
        body = answer.json() if answer.status_code == 200 else None
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise OutsideError(
            f"Supabase answered {answer.status_code}, and not with backups",
            remedy="Pass `backup-at`, or ask again later.",
        )
    return _newest(body)


def _newest(body: Mapping[str, Any]) -> datetime | None:
    moments: list[datetime] = []
    backups = body.get("backups")
    for backup in backups if isinstance(backups, list) else ():
        if isinstance(backup, dict) and backup.get("status") == "COMPLETED":
            moments += _moment(backup.get("inserted_at"))
    physical = body.get("physical_backup_data")
    physical = physical if isinstance(physical, dict) else {}
    latest = physical.get("latest_physical_backup_date_unix")
    if body.get("pitr_enabled") is True and type(latest) is int and 0 < latest < 2**33:
        moments.append(datetime.fromtimestamp(latest, UTC))
    return max(moments, default=None)


def _moment(text: object) -> list[datetime]:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return []
    return [at if at.tzinfo else at.replace(tzinfo=UTC)]
