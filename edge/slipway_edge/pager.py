"""Paging somebody when a release has lost its runner: one POST that Slack takes, signed.

Body: Slack's ``text`` and ``blocks``. Signature: Standard Webhooks 1.0 (standardwebhooks.com). The
address is a secret: it is in no log and no error.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from .agent import Agent
from .flag import Flag
from .lapse import Lapse, Lapses
from .loops import TICK

log = logging.getLogger("slipway_edge")

TIMEOUT: Final = 5.0
"""Seconds for one attempt as a whole."""
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds between attempts: about a minute, and then it is given up."""
_LONGEST_PAUSE: Final = 60.0
"""Seconds: a longer ``Retry-After`` is shortened to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is told."""

    id: str
    title: str
    text: str
    action: str
    facts: tuple[str, ...]


class NotTaken(Exception):
    """Nobody took the page. The message holds no address. ``again``: seconds; ``None``: never."""

    def __init__(self, found: str, again: float | None) -> None:
        super().__init__(found)
        self.again = again


@dataclass(slots=True)
class Pager:
    """Sends pages to one address."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    now: Callable[[], float] = time.time
    """Unix seconds."""
    _client: httpx.AsyncClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # A proxy or a netrc file of the surroundings must not learn the address.
        self._client = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)

    async def send(self, page: Page) -> None:
        """Send it once. Raises :class:`NotTaken`."""
        content = json.dumps(message(page)).encode()
        headers = signed(page.id, int(self.now()), content, self.secret)
        try:
            async with asyncio.timeout(TIMEOUT):
                request = self._client.build_request(
                    "POST", self.url, content=content, headers=headers
                )
                answer = await self._client.send(request, stream=True)
                await answer.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as problem:
            raise NotTaken(f"no answer ({type(problem).__name__})", 0.0) from None
        status = answer.status_code
        if 200 <= status < 300:
            return
        asked = answer.headers.get("Retry-After", "")
        pause = float(asked) if asked.isascii() and asked.isdigit() else 0.0
        passing = status == httpx.codes.TOO_MANY_REQUESTS or status >= 500
        raise NotTaken(f"HTTP {status}", min(pause, _LONGEST_PAUSE) if passing else None)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def signed(name: str, at: int, content: bytes, secret: str) -> dict[str, str]:
    """Return the headers of one message. ``at``: Unix seconds. Without a secret: no signature."""
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(at),
    }
    if secret:
        digest = hmac.new(_key(secret), f"{name}.{at}.".encode() + content, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def _key(secret: str) -> bytes:
    text = secret.removeprefix("whsec_")
    try:
        # A secret that is no base64 is used as it is, which some receivers do.
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True) or text.encode()
    except (binascii.Error, ValueError):
        return text.encode()


def message(page: Page) -> dict[str, Any]:
    """Return Slack's body: ``text`` for a notification, ``blocks`` for the channel."""

    def block(text: str) -> dict[str, Any]:
        return {"type": "mrkdwn", "text": text, "verbatim": True}

    title, text, action = (_escaped(one) for one in (page.title, page.text, page.action))
    sections = (f"*{title}*", text, f"*What to do next.* {action}")
    context = [block(_escaped(fact)) for fact in page.facts]
    blocks: list[dict[str, Any]] = [{"type": "section", "text": block(one)} for one in sections]
    return {
        "text": f"{title}\n{text}\n{action}",
        "blocks": [*blocks, {"type": "context", "elements": context}],
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def describe(lapse: Lapse, agent: Agent) -> Page:
    """Return what somebody is told of a lapse."""
    definition, lease = agent.memory.definition, lapse.lease
    record = definition.record if isinstance(definition, Flag) else None
    phase = "no record of a release" if record is None else f"a record in phase {record.phase}"
    killed = agent.memory.killed
    why = f" It was killed here before: {killed.reason or killed.release}." if killed else ""
    return Page(
        id=lapse.id,
        title=f"🚨 {lease.release}: its runner is gone, the edge sends nobody to the canary",
        text=f"Run {lease.holder.run_id}, attempt {lease.holder.attempt}, has not renewed its "
        f"lease, and has not given it back. The flag {agent.flag_key} has {phase}.{why}",
        action="Render may not be in order yet: run the workflow Reconcile, or press Promote "
        "Previous Build.",
        facts=(
            f"Flag: {agent.flag_key}",
            f"Release: {lease.release}",
            f"Run: {lease.holder.run_id}",
            f"Told by edge: {agent.instance}",
        ),
    )


async def page_forever(agent: Agent, pager: Pager) -> None:
    """Watch the lease, and page where it lapses. What goes wrong here ends nothing else."""
    lapses = Lapses(agent.flag_key)
    async with asyncio.TaskGroup() as group:
        while True:
            memory, now = agent.memory, agent.clock()
            lapses.look(memory.lease, memory.definition, now)
            lapse = lapses.due(agent.instance, agent.members.values(), agent.paged, now)
            if lapse is not None:
                group.create_task(_page(agent, pager, lapse))
            await asyncio.sleep(TICK)


async def _page(agent: Agent, pager: Pager, lapse: Lapse) -> None:
    """Send until somebody takes it, or another edge says that somebody has."""
    page = describe(lapse, agent)
    for pause in (*PAUSES, None):
        if lapse.id in agent.paged:
            return
        try:
            await pager.send(page)
        except NotTaken as problem:
            log.error("nobody took the page about %s: %s", lapse.lease.release, problem)
            if pause is None or problem.again is None:
                return
            await asyncio.sleep(max(pause, problem.again))
        except Exception as problem:
            log.error(
                "the page about %s was not sent: %s", lapse.lease.release, type(problem).__name__
            )
            return
        else:
            log.warning("somebody was paged about %s", lapse.lease.release)
            agent.has_paged(lapse.id)
            await agent.exchange()
            return
