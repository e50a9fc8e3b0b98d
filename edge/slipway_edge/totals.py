"""What all instances together have counted and seen, and who is missing from that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .agent import Agent
from .fleet import add_counts
from .hours import Habits
from .sellers import Seen


async def fleet_counts(agent: Agent) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fleet's counters, and who is missing from them."""
    heard = await agent.exchange("counts")
    parts: list[Mapping[str, Any]] = [await agent.counts()]
    strange = []
    for address, word in heard.each():
        try:
            if word.counts is None:
                raise ValueError
            add_counts([parts[0], word.counts])
            parts.append(word.counts)
        except ValueError:
            strange.append(address)  # an edge of another version
    return add_counts(parts), (*heard.missing, *strange)


async def fleet_sellers(agent: Agent) -> tuple[Seen, tuple[str, ...]]:
    """Return the sellers that the fleet has seen lately, and who is missing from that."""
    heard = await agent.exchange("sellers")
    total = await agent.sellers()
    for _, word in heard.each():
        told = Seen(buckets=frozenset(word.buckets or ()), seconds=word.seconds)
        total = total.joined(told)
    return total, heard.missing


async def fleet_habits(agent: Agent) -> tuple[Habits, tuple[str, ...]]:
    """Return what sellers met in the last day, wherever, and who is missing from that."""
    heard = await agent.exchange("habits")
    total, strange = await agent.diary.read(), []
    for address, word in heard.each():
        if word.habits is None:
            strange.append(address)  # an edge of another version
        else:
            total = total.joined(word.habits)
    return total, (*heard.missing, *strange)
