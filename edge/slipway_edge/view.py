"""The state of an edge, as the HTTP API shows it."""

from __future__ import annotations

from typing import Any

from .agent import Agent, Done
from .flag import Flag, Refused
from .state import Decision, Lease, Promotion


def describe(agent: Agent, seen: Decision | Done | None = None) -> dict[str, Any]:
    """Return the state; ``seen`` is what HAProxy was last seen to hold.

    Who is missing is said of the call itself, where it was told to the peers.
    """
    decision = seen.decision if isinstance(seen, Done) else seen
    missing = seen.missing if isinstance(seen, Done) else agent.peers.missing
    now, memory = agent.clock(), agent.memory
    shown = decision or agent.decide()
    definition = memory.definition
    record = definition.record if isinstance(definition, Flag) else None
    stamp = definition.stamp if definition is not None else None
    lease, poll = memory.living_lease(now), agent.fleet_poll()
    return {
        "share": shown.share,
        "flag": agent.flag_key,
        "flag_version": stamp.version if stamp is not None else None,
        "unsafe": definition.reason if isinstance(definition, Refused) else None,
        "phase": record.phase if record is not None else None,
        "release": record.release if record is not None else None,
        "candidate": record.candidate if record is not None else None,
        "lease": _lease(lease, now),
        "promote": _order(memory.promotion, lease),
        "killed": memory.killed.release if memory.killed is not None else None,
        "killed_reason": memory.killed.reason if memory.killed is not None else None,
        "why": shown.why,
        "posthog": {
            "ok": poll.answered is not None and poll.error is None,
            "age": None if poll.answered is None else round(poll.answered, 3),
            "error": poll.error,
        },
        "paged": list(agent.paged),
        "instance": agent.instance,
        "missing": list(missing),
    }


def _lease(lease: Lease | None, now: float) -> dict[str, Any] | None:
    if lease is None:
        return None
    return {
        "release": lease.release,
        "holder": {"run_id": lease.holder.run_id, "attempt": lease.holder.attempt},
        "remaining": round(lease.expires - now, 3),
    }


def _order(order: Promotion | None, lease: Lease | None) -> dict[str, Any] | None:
    if order is None or lease is None or order.release != lease.release:
        return None
    return {"by": order.by, "reason": order.reason}
