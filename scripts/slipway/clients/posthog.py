"""PostHog's feature flags over its private API: where the release record is kept.

PostHog's compare-and-set (posthog/api/feature_flag.py, ``_get_conflicting_changes``) refuses a
write with 409 only if the version moved *and* a field that the write changes, against
``original_flag``, was changed by somebody else. Everything sent is then written. Hence: never
send what is not to change, send ``original_flag`` as read, and read back after.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from slipway.clients import records
from slipway.clients.fields import Fields
from slipway.clients.http import Http, Key
from slipway.clients.replies import Reply, clean
from slipway.clients.retries import BRISK, Notice, Patience, Sleep, silent
from slipway.errors import FlagConflict, NotFound, OutsideError, SlipwayError
from slipway.ports import Flag, FlagStore, Record

PAGE: Final = 100
MAX_PAGES: Final = 50
_APPROVAL_CODES: Final = frozenset(
    {"approval_required", "change_request_pending", "policy_conflict"}
)
"""What PostHog's approval gate answers instead of a change (posthog/approvals, 2026)."""
_REFUSED: Final = frozenset({400, 403, 409})


class PostHogFlags(FlagStore):
    """The flags of one project. Errors: see :class:`slipway.clients.http.Http`."""

    def __init__(
        self,
        personal_key: str,
        *,
        base_url: str,
        project: int | str,
        sellers: Sequence[str] = (),
        setting: str = "posthog-api-key",
        patience: Patience | None = None,
        notice: Notice = silent,
        sleep: Sleep = time.sleep,
    ) -> None:
        """``sellers``: ids of those who are on the canary track at any share above 0."""
        self._sellers = sellers
        key = Key(
            value=personal_key,
            setting=setting,
            renew="A new personal API key is made in PostHog under Settings, Personal API keys, "
            "with the scopes feature_flag:read, feature_flag:write and activity_log:read.",
        )
        self._http = Http("PostHog", base_url, key, patience=patience, notice=notice, sleep=sleep)
        self._brisk = Http("PostHog", base_url, key, patience=BRISK, sleep=sleep)
        self._flags = f"/api/projects/{quote(str(project), safe='@')}/feature_flags/"
        self._ids: dict[str, int] = {}

    def read(self, key: str) -> Flag | None:
        """Return the flag with exactly this key; ``None`` if there is none."""
        if key in self._ids:
            try:
                known = self._get(self._ids[key])
            except NotFound:
                known = None
            if known is not None and known.key == key:
                return known
        flag_id = self._find(key)
        if flag_id is None:
            self._ids.pop(key, None)
            return None
        self._ids[key] = flag_id
        return self._get(flag_id)

    def create(self, key: str) -> Flag:
        """Create the flag: inactive, at 0 %, without a record."""
        body = {
            "key": key,
            "name": "Written by Slipway: the release in progress. Do not edit during a release.",
            "active": False,
            "filters": {
                **records.filters_for_nobody(None),
                # PostHog refuses a new flag without a group.
                "groups": [{"properties": [], "rollout_percentage": 0}],
            },
        }
        reply = self._http.post(self._flags, body, accept=_REFUSED)
        if reply.status != 201:
            raise self._refusal(reply)
        flag = parse_flag(reply.object())
        if flag is None or flag.key != key or flag.active or flag.share:
            raise OutsideError(
                f"{reply.where}: the new flag {key} is not inactive at 0 %",
                remedy="Delete the flag in PostHog and run again.",
            )
        self._ids[key] = flag.id
        return flag

    def write(self, flag: Flag, record: Record, *, activate: bool = False) -> Flag:
        """Write share and record if the flag is still as read; return it as read back.

        ``active`` is sent only with ``activate`` and only if the flag was read inactive: a field
        that says what is there already is written without a check. Raises
        :class:`FlagConflict`, naming the editor where PostHog does.
        """
        original: dict[str, Any] = {"filters": dict(flag.filters), "active": flag.active}
        body: dict[str, Any] = {
            "filters": records.filters(record, self._sellers),
            "version": flag.version,
            "original_flag": original,
        }
        if activate and not flag.active:
            body["active"] = True
        reply = self._patch(flag, body)
        if reply.status == 409:
            raise self._conflict(flag, "the write was refused")
        back = self._get(flag.id)
        if back is None:
            raise self._conflict(flag, "the flag was deleted while it was written")
        if (back.record, back.share) != (record, float(record.share)):
            raise self._conflict(flag, f"it does not say what was written ({back.share:g} %)")
        if back.active is not (activate or flag.active):
            state = "active" if back.active else "inactive"
            raise self._conflict(flag, f"it is {state} now, which was not written")
        return back

    def kill(self, flag: Flag, record: Record | None = None) -> None:
        """Make the flag inactive and for nobody, whatever it says now, and see that it is so.

        Without ``version``, so that it always wins; with other filters than anybody has read, so
        that every write begun earlier conflicts.
        """
        body = {"active": False, "filters": records.filters_for_nobody(record)}
        reply = self._patch(flag, body)
        if reply.status == 409:
            raise self._refusal(reply)
        back = self._get(flag.id)
        if back is not None and (back.active or back.share):
            raise OutsideError(
                f"PostHog: after the kill {flag.key} is "
                f"{'active' if back.active else 'inactive'} at {back.share:g} %",
                remedy=f"Turn {flag.key} off in PostHog now, and find out who turned it on.",
            )

    def _get(self, flag_id: int) -> Flag | None:
        return parse_flag(self._http.get(f"{self._flags}{flag_id}/").object())

    def _find(self, key: str) -> int | None:
        """Return the id of the flag with exactly this key. The search matches parts of keys."""
        offset = 0
        for _ in range(MAX_PAGES):
            params: dict[str, str | int] = {"search": key, "limit": PAGE, "offset": offset}
            page = self._http.get(self._flags, params=params).object()
            found = page.items("results")
            for item in found:
                if item.raw.get("key") == key and item.raw.get("deleted") is not True:
                    return item.integer("id")
            # Only whether `next` is there matters: its address might be another host's.
            if page.text_or_none("next") is None or not found:
                return None
            offset += len(found)
        raise OutsideError(
            f"PostHog: more than {MAX_PAGES * PAGE} flags match {key!r}",
            remedy="Choose a flag key that is not part of so many others.",
        )

    def _patch(self, flag: Flag, body: dict[str, Any]) -> Reply:
        reply = self._http.patch(f"{self._flags}{flag.id}/", body, accept=_REFUSED)
        if reply.status == 200 or (reply.status == 409 and not _held_for_approval(reply)):
            return reply
        raise self._refusal(reply)

    def _refusal(self, reply: Reply) -> OutsideError:
        """Make the error for an answer that is not the change that was asked for."""
        if _held_for_approval(reply):
            return OutsideError(
                f"{reply.where}: PostHog wants somebody to approve this change ({reply.said})",
                remedy="Exempt the release flag from approvals in PostHog (Settings, Approvals), "
                "or let the owner of this key pass them: a rollback cannot wait for a person. "
                "If users are affected now, turn the flag off in PostHog by hand.",
            )
        if reply.status in _REFUSED:
            return self._http.refusal(reply)
        return OutsideError(
            f"{reply.where}: {reply.status} instead of the change, {reply.said}",
            remedy="Look at the flag in PostHog: whether it changed is not known.",
        )

    def _conflict(self, flag: Flag, reason: str) -> FlagConflict:
        editor = self.editor(flag)
        by = f" by {editor}" if editor else ""
        return FlagConflict(
            f"PostHog: {flag.key} was changed{by} since it was read (version {flag.version}): "
            f"{reason}",
            remedy="If that was on purpose, the release stops here. If not, set the flag back in "
            "PostHog and start the release again.",
        )

    def editor(self, flag: Flag) -> str | None:
        """Return who changed the flag last, and when, if PostHog says so at once."""
        try:
            page = self._brisk.get(f"{self._flags}{flag.id}/activity/", params={"limit": 1})
            latest = page.object().items("results")[0]
            user = latest.child("user")
            name = user.text_or_none("first_name") or user.text_or_none("email")
            at = latest.text_or_none("created_at")
        except (SlipwayError, IndexError):
            return None
        return clean(f"{name} at {at}" if at else str(name), limit=80) if name else None


def parse_flag(fields: Fields) -> Flag | None:
    """Read a flag; ``None`` if it is deleted. Raises :class:`OutsideError` when it is mistyped."""
    filters = fields.child("filters").raw
    if fields.raw.get("deleted") is True:
        return None
    return Flag(
        id=fields.integer("id"),
        key=fields.text("key"),
        version=fields.integer_or_none("version") or 0,  # null on old flags; PostHog takes it for 0
        active=fields.boolean("active"),
        filters=filters,
        share=records.share(filters),
        record=records.read(filters),
    )


def _held_for_approval(reply: Reply) -> bool:
    try:
        raw = reply.object().raw
    except OutsideError:
        return False
    return (
        "change_request_id" in raw
        or raw.get("code") in _APPROVAL_CODES
        or "approval policy" in reply.said
    )
