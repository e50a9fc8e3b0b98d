"""Releases in the world in memory, and the account that their judge writes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from slipway.judge.replay import Account, replay
from slipway.judge.writing import end_line, text_of
from slipway.ports import Requests
from slipway.release import canary, checking, rolling
from slipway.release.outcome import Outcome
from slipway.release.preflight import Plan
from tests.unit.builds import CANARY, STABLE
from tests.unit.world import World, settings

QUICK: Mapping[str, Any] = {
    "steps": [{"share": 5, "for": "2m"}],
    "bake": {"share": 95, "for": "2m"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A release that is over."""

    outcome: Outcome
    lines: Sequence[str]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def account(self) -> Account:
        (account,) = replay(self.text)
        return account

    def changed(self, number: int, change: Callable[[dict[str, Any]], object]) -> str:
        """Return the text with ``change`` made to one line, counted from 1."""
        line = json.loads(self.lines[number - 1])
        change(line)
        lines = [*self.lines]
        lines[number - 1] = text_of(line)
        return "".join(f"{line}\n" for line in lines)

    def first_look(self) -> int:
        return next(n for n, line in enumerate(self.lines, 1) if '"kind":"look"' in line)


def canaried(
    world: World | None = None, *, observe: bool = False, ended: bool = True, **behaviour: Any
) -> Written:
    """Release ``v2`` through a canary of twice two minutes."""
    world = world or World()
    artifact = world.build("v2", **behaviour)
    lines: list[str] = []
    ports = replace(world.ports(), observe=observe, log=lambda line: lines.append(text_of(line)))
    plan = Plan(
        release="77.1-v2",
        settings=settings(strategy=QUICK),
        stable=STABLE,
        canary=CANARY,
        artifact=artifact,
    )
    traffic = world.traffic(ports, plan.release, artifact.identity)
    outcome = canary.run(plan, ports, traffic)
    would = [{"at": e.at.isoformat(), "text": e.text} for e in ports.journal.would_have]
    end = end_line(
        at=world.clock.now().isoformat(),
        result=outcome.result,
        reason=outcome.reason,
        would_have=would,
    )
    return Written(outcome=outcome, lines=[*lines, text_of(end)] if ended else lines)


def counting(errors: float, since: float = 0.0) -> World:
    """Return a world in which Render counts ``errors`` (0 to 1) of ``v2``, or from a second on."""
    world = World(git=True)

    def counted(service: str, begin: datetime, until: datetime) -> Requests:
        total = 100.0 * (until - begin).total_seconds()
        worse = world.running(STABLE) == "v2" or 0 < since <= world.clock.t
        return Requests(total=total, errors=total * (errors if worse else 0.001))

    world.metrics = counted
    return world


def checked(errors: float) -> Written:
    """Look for two minutes at what is live, of which Render soon counts ``errors`` (0 to 1)."""
    world = counting(errors, since=1)
    lines: list[str] = []
    ports = replace(world.ports(), log=lambda line: lines.append(text_of(line)))
    of = settings(canary=None, edge=None)
    plan = checking.Plan(settings=of, stable=STABLE, canary=None, seconds=120)
    return Written(outcome=checking.run(plan, ports, None), lines=lines)


def rolled(errors: float) -> Written:
    """Release ``v2`` with a rolling release; Render counts ``errors`` (0 to 1) of its answers."""
    world = counting(errors)
    artifact = world.build("v2")
    lines: list[str] = []
    ports = replace(world.ports(), log=lambda line: lines.append(text_of(line)))
    of = settings(canary=None, edge=None, strategy={"rolling": {"probe-every": "1s"}})
    plan = rolling.Plan(release="77.1-v2", settings=of, stable=STABLE, artifact=artifact)
    return Written(outcome=rolling.run(plan, ports), lines=lines)
