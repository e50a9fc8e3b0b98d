"""The flags, who changed them, and the cache that the SDKs are served from."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sandbox.posthog.filters import InvalidFilters, normalised

_NO_VERSION = -1
_WRITABLE = (
    "key",
    "name",
    "active",
    "deleted",
    "filters",
    "tags",
    "ensure_experience_continuity",
    "evaluation_runtime",
)
_BOOLEANS = ("active", "deleted")


class Rejected(ValueError):
    """A field is not acceptable: 400."""

    def __init__(self, detail: str, *, attr: str, code: str = "invalid_input") -> None:
        super().__init__(detail)
        self.attr = attr
        self.code = code


class Conflict(ValueError):
    """Somebody else changed what this write wants to change: 409."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who owns a personal key."""

    id: int
    email: str
    writes: bool = True
    """False: the key lacks the scope ``feature_flag:write``."""
    queries: bool = True
    """False: the key lacks the scope ``query:read``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag as stored. Values are never changed in place."""

    id: int
    created_by: User
    last_modified_by: User
    created_at: str
    updated_at: str
    version: int | None = 1
    """``None``: made before flags had versions, and not written since."""
    key: str
    name: str = ""
    active: bool = True
    deleted: bool = False
    filters: dict[str, Any] = field(default_factory=lambda: {"groups": []})
    tags: list[str] = field(default_factory=list)
    ensure_experience_continuity: bool = False
    evaluation_runtime: str = "all"


def timestamp() -> str:
    """Return the current time as PostHog writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class Store:
    """A project's flags.

    ``lag`` is how many seconds after a change the definitions cache is rebuilt; ``clock`` returns
    monotonic seconds.
    """

    def __init__(
        self, project: int, *, lag: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.project = project
        self.lag = lag
        self.flags: dict[int, Flag] = {}
        self.activity: list[dict[str, Any]] = []
        self._clock = clock
        self._history: list[tuple[float, list[dict[str, Any]]]] = [(-math.inf, [])]
        self._rebuilds: list[float] = [-math.inf]
        self.skip_rebuilds = 0
        """How many of the next changes do not have the cache rebuilt: it shows them with the next
        change that does."""

    def create(self, body: Mapping[str, Any], user: User) -> Flag:
        """Create a flag. Raises :class:`Rejected`."""
        if not body.get("key"):
            raise Rejected("This field is required.", attr="key", code="required")
        values = self._validated(body, own_id=None)
        values.pop("deleted", None)
        now = timestamp()
        flag = Flag(
            id=max(self.flags, default=0) + 1,
            created_by=user,
            last_modified_by=user,
            created_at=now,
            updated_at=now,
            **values,
        )
        self._keep(flag, user, "created", [])
        return flag

    def update(self, flag: Flag, body: Mapping[str, Any], user: User) -> Flag:
        """Write the fields of ``body``. Raises :class:`Rejected`, :class:`Conflict`."""
        values = self._validated(body, own_id=flag.id)
        self._check_version(flag, values, body)
        changes = [
            {
                "type": "FeatureFlag",
                "action": "changed",
                "field": name,
                "before": getattr(flag, name),
                "after": value,
            }
            for name, value in values.items()
            if value != getattr(flag, name)
        ]
        changed = replace(
            flag,
            version=(flag.version or 0) + 1,
            last_modified_by=user,
            updated_at=timestamp(),
            **values,
        )
        activity = "deleted" if changed.deleted and not flag.deleted else "updated"
        self._keep(changed, user, activity, changes)
        return changed

    def age(self, flag: Flag) -> None:
        """Make ``flag`` one from before flags had versions."""
        self.flags[flag.id] = replace(flag, version=None)
        self._history.append((self._clock(), self._snapshot()))
        self._rebuilds.append(self._clock())

    def definitions(self) -> tuple[dict[str, Any], str]:
        """Return what ``/flags/definitions`` serves now, and its weak ETag."""
        built_at = max(due for due in self._rebuilds if due <= self._clock())
        flags = next(flags for at, flags in reversed(self._history) if at <= built_at)
        body = {"flags": flags, "group_type_mapping": {}, "cohorts": {}}
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        return body, f'W/"{digest[:16]}"'

    def _check_version(
        self, flag: Flag, values: Mapping[str, Any], body: Mapping[str, Any]
    ) -> None:
        """Compare-and-set as PostHog does it: per field, and only against ``original_flag``.

        A field conflicts when the caller changes it, somebody else has changed it since, and the
        two did not change it to the same value. Fields missing from ``original_flag`` are written
        unchecked; so is everything when the version is current or not sent. A flag without a
        version counts as version 0.
        """
        original = body.get("original_flag") or {}
        if body.get("version", _NO_VERSION) in (_NO_VERSION, flag.version or 0):
            return
        for name, value in values.items():
            if name not in original or value == original[name]:
                continue
            current = getattr(flag, name)
            if current not in (original[name], value):
                raise Conflict(
                    f"The feature flag was updated by {flag.last_modified_by.email} since you "
                    "started editing it. Please refresh and try again."
                )

    def _validated(self, body: Mapping[str, Any], *, own_id: int | None) -> dict[str, Any]:
        values = {name: copy.deepcopy(body[name]) for name in _WRITABLE if name in body}
        for name in _BOOLEANS:
            if name in values and not isinstance(values[name], bool):
                raise Rejected("Must be a valid boolean.", attr=name)
        if "filters" in values:
            try:
                values["filters"] = normalised(values["filters"])
            except InvalidFilters as error:
                raise Rejected(str(error), attr="filters") from error
        taken = {f.key for f in self.flags.values() if f.id != own_id and not f.deleted}
        if values.get("key") in taken:
            raise Rejected(
                "There is already a feature flag with this key.", attr="key", code="unique"
            )
        return values

    def _keep(self, flag: Flag, user: User, activity: str, changes: list[dict[str, Any]]) -> None:
        self.flags[flag.id] = flag
        now = self._clock()
        self._history.append((now, self._snapshot()))
        if self.skip_rebuilds > 0:
            self.skip_rebuilds -= 1
        else:
            self._rebuilds.append(now + self.lag)
        self._forget(now)
        self.activity.insert(
            0,
            {
                "id": str(uuid.uuid4()),
                "user": user_basic(user),
                "unread": False,
                "activity": activity,
                "scope": "FeatureFlag",
                "item_id": str(flag.id),
                "detail": {"name": flag.key, "changes": changes, "version": flag.version},
                "created_at": timestamp(),
            },
        )

    def _forget(self, now: float) -> None:
        """Drop history that no reader can see any more."""
        built_at = max(due for due in self._rebuilds if due <= now)
        self._rebuilds = [due for due in self._rebuilds if due >= built_at]
        served = max(i for i, (at, _) in enumerate(self._history) if at <= built_at)
        self._history = self._history[served:]

    def _snapshot(self) -> list[dict[str, Any]]:
        return [
            {
                "id": flag.id,
                "team_id": self.project,
                "name": flag.name,
                "key": flag.key,
                "filters": flag.filters,
                "deleted": False,
                "active": flag.active,
                "ensure_experience_continuity": flag.ensure_experience_continuity,
                "has_encrypted_payloads": False,
                "version": flag.version,
                "evaluation_runtime": flag.evaluation_runtime,
                "bucketing_identifier": "distinct_id",
            }
            for flag in self.flags.values()
            if not flag.deleted
        ]


def user_basic(user: User) -> dict[str, Any]:
    """Return a user as PostHog's ``UserBasic``."""
    return {
        "id": user.id,
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, user.email)),
        "distinct_id": user.email,
        "first_name": user.email.partition("@")[0],
        "last_name": "",
        "email": user.email,
        "is_email_verified": True,
        "hedgehog_config": None,
        "role_at_organization": "engineering",
    }
