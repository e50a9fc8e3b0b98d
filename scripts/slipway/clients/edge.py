"""The edge agent's API, reached through the edge's own address."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Final

from slipway.clients.fields import Fields
from slipway.clients.http import Http, Key
from slipway.clients.replies import clean
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.errors import Aborted, NotEverywhere, OutsideError, Refused, Unreachable
from slipway.ports import (
    Counts,
    Edge,
    EdgeCounts,
    EdgeState,
    Habits,
    Holder,
    Promotion,
    Sellers,
    TrackCounts,
)

PREFIX: Final = "/.slipway"
MAX_REFRESH: Final = 30.0
"""Seconds: the longest the agent lets one refresh take."""
MAX_REASON: Final = 200
"""Characters of the reason for a kill: it is shown, and must never be why a kill is refused."""
PATIENCE: Final = Patience(attempts=2, connect_timeout=3.0, read_timeout=5.0)
"""Shorter than for others: a lease that cannot be renewed has to be noticed in time."""


class EdgeClient(Edge):
    """One edge. Errors: see :class:`slipway.clients.http.Http`."""

    def __init__(
        self,
        token: str,
        *,
        url: str,
        setting: str = "edge-token",
        patience: Patience | None = None,
        notice: Notice = silent,
        sleep: Sleep = time.sleep,
    ) -> None:
        key = Key(
            value=token,
            setting=setting,
            renew="The token is the one the edge was started with.",
        )
        self._http = Http(
            "The edge",
            url.rstrip("/") + PREFIX,
            key,
            patience=patience or PATIENCE,
            notice=notice,
            sleep=sleep,
        )

    def state(self) -> EdgeState:
        """Read what the edge does now."""
        return parse_state(self._http.get("/state").object())

    def counts(self) -> EdgeCounts:
        """Read the counters."""
        fields = self._http.get("/counts").object()
        parts = fields.items("instances") if fields.raw.get("instances") else []
        return replace(
            _tracks(fields),
            missing=_missing(fields),
            instances=tuple(_tracks(part) for part in parts),
        )

    def habits(self, share: float) -> Habits | None:
        """Return how the sellers whom ``share`` percent means differ from the others."""
        reply = self._http.get(
            "/habits", params={"share": f"{share:g}"}, accept=frozenset({400, 404})
        )
        if reply.status != 200:
            return None  # not a share it counts for, or an edge from before there was such a thing
        fields = reply.object()
        return Habits(
            inside=_habits(fields.child("inside")),
            outside=_habits(fields.child("outside")),
            seconds=fields.number("seconds", low=0),
        )

    def sellers(self, share: float) -> Sellers:
        """Count the sellers of the last days, and those whom ``share`` percent would mean."""
        fields = self._http.get("/sellers", params={"share": f"{share:g}"}).object()
        return Sellers(
            known=fields.integer("sellers"),
            cohort=fields.integer("cohort"),
            seconds=fields.number("seconds", low=0),
        )

    def renew(self, release: str, holder: Holder, ttl: float) -> EdgeState:
        """Take or renew the lease for ``ttl`` seconds.

        Raises :class:`Refused`, naming the other release, if another holder has it, and
        :class:`Aborted` where the edge cannot follow the flag.
        """
        body = {"release": release, "holder": _holder(holder), "ttl": ttl}
        reply = self._http.post("/lease", body, accept=frozenset({409}))
        if reply.status == 409:
            unsafe = reply.object().text_or_none("unsafe")
            if unsafe:
                raise Aborted(
                    f"{reply.where}: the edge cannot follow the release flag: {unsafe}",
                    remedy="Somebody gave the flag what the edge does not reproduce. Take it out "
                    "in PostHog, then release again.",
                )
            other = parse_state(reply.object())
            raise Refused(
                f"{reply.where}: release {other.lease_release or 'of another run'} holds the edge "
                f"for another {other.lease_remaining:.0f} s",
                remedy="Wait until that release ends, or abort it; then run again.",
            )
        return parse_state(reply.object())

    def give_back(self, release: str, holder: Holder) -> None:
        """End the lease. Idempotent."""
        parse_state(
            self._http.post("/release", {"release": release, "holder": _holder(holder)}).object()
        )

    def refresh(self, version: int, timeout: float) -> EdgeState:
        """Have the edge read the flag until it has applied ``version``.

        Raises :class:`Unreachable` if it has not within ``timeout`` seconds (30 at most).
        """
        seconds = min(MAX_REFRESH, timeout)
        reply = self._http.post(
            "/refresh",
            {"version": version, "timeout": seconds},
            accept=frozenset({504}),
            read_timeout=seconds + 5.0,
        )
        if reply.status == 504:
            raise Unreachable(
                f"{reply.where}: the edge has not seen flag version {version} within "
                f"{seconds:g} s ({reply.said})",
                remedy="PostHog may be slow to publish flags, or the edge cannot reach it: look "
                "at the edge's state and PostHog's status page.",
            )
        return parse_state(reply.object())

    def promote(self, release: str, by: str, reason: str) -> EdgeState:
        """Leave an order to promote. Raises :class:`Refused` where that release is not under way.

        The agent takes 200 printable characters: the rest of a reason is in the run's log.
        """
        body = {
            "release": release,
            "by": _printable(by),
            "reason": _printable(reason),
        }
        reply = self._http.post("/promote", body, accept=frozenset({409}))
        if reply.status == 409:
            raise Refused(
                f"{reply.where}: {reply.said}",
                remedy="The release has ended, or its runner has died: look at its run.",
            )
        return parse_state(reply.object())

    def kill(self, release: str | None, reason: str) -> EdgeState:
        """Share 0 at once, latched against this release. Raises unless the edge confirms it.

        A share above 0 is right where another release has taken the lease since.
        """
        body = {"release": release, "reason": reason[:MAX_REASON]}
        reply = self._http.post("/kill", body)
        state = parse_state(reply.object())
        if state.share and (release is None or state.lease_release in (None, release)):
            raise OutsideError(
                f"{reply.where}: after the kill the share is still {state.share:g} %",
                remedy="Turn the release flag off in PostHog, and restart the edge if the share "
                "stays.",
            )
        if state.missing:
            raise NotEverywhere(
                f"{reply.where}: the kill holds, but {', '.join(state.missing)} did not confirm it",
                remedy="The edge goes on telling them. Turn the release flag off in PostHog too.",
                state=state,
            )
        return state


def parse_state(fields: Fields) -> EdgeState:
    """Read the agent's state. Raises :class:`OutsideError` when a field is not as documented."""
    lease = fields.child_or_none("lease")
    return EdgeState(
        share=fields.number("share", low=0, high=100),
        flag=fields.text_or_none("flag"),
        flag_version=fields.integer_or_none("flag_version"),
        phase=fields.text_or_none("phase"),
        release=fields.text_or_none("release"),
        candidate=fields.text_or_none("candidate"),
        lease_release=None if lease is None else lease.text("release"),
        lease_holder=None if lease is None else _read_holder(lease.child("holder")),
        lease_remaining=0.0 if lease is None else lease.number("remaining", low=0),
        killed=fields.text_or_none("killed"),
        killed_reason=fields.text_or_none("killed_reason"),
        why=fields.text("why"),
        promotion=_promotion(fields.child_or_none("promote")),
        missing=_missing(fields),
    )


def _missing(fields: Fields) -> tuple[str, ...]:
    return tuple(clean(str(each), limit=60) for each in fields.raw.get("missing") or ())


def _read_holder(fields: Fields) -> Holder:
    return Holder(run_id=fields.text("run_id"), attempt=fields.integer("attempt"))


def _promotion(fields: Fields | None) -> Promotion | None:
    if fields is None:
        return None
    return Promotion(by=fields.text("by"), reason=fields.text("reason"))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_REASON].strip() or "nobody"


def _tracks(fields: Fields) -> EdgeCounts:
    tracks = fields.child("tracks")
    return EdgeCounts(
        epoch=fields.text("epoch"),
        stable=_counts(tracks.child("stable")),
        canary=_counts(tracks.child("canary")),
    )


def _counts(fields: Fields) -> TrackCounts:
    told = {name: _count(fields, name) for name in ("requests", "errors", "root_errors")}
    latency = fields.raw.get("latency", [])
    if not isinstance(latency, list) or not all(type(n) is int and n >= 0 for n in latency):
        raise fields.bad("latency", "a list of whole numbers")
    return TrackCounts(**told, latency=tuple(latency))


def _habits(fields: Fields) -> Counts:
    return Counts(total=_count(fields, "requests"), bad=_count(fields, "root_errors"))


def _count(fields: Fields, name: str) -> int:
    number = fields.integer(name)
    if number < 0:
        raise fields.bad(name, "0 or more")
    return number


def _holder(holder: Holder) -> dict[str, Any]:
    return {"run_id": holder.run_id, "attempt": holder.attempt}
