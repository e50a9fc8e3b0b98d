"""Sellers at work: an open loop of requests through the edge, and what they got.

``python -m sandbox.load --url URL --sellers N --rate R --seconds MAX --out FILE``. Requests leave
on schedule whether or not earlier ones were answered; what would exceed ``--in-flight`` is counted
as skipped, not sent. The snapshot in FILE is replaced about four times a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import random
import signal
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.http_client import Client, NoAnswer, Request

SNAPSHOT_INTERVAL = 0.25
"""Seconds between snapshots."""
LATENCY_WINDOW = 1000
"""Latest answers the latencies are taken from."""
GAPS_KEPT = 1200
"""Seconds for which the longest gap of each second is kept."""
PATHS = ("/", "/api/orders", "/api/chat")
MOST_BEHIND = 1.0
"""Seconds the schedule may be late before it starts afresh instead of sending a burst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What traffic to make."""

    sellers: int
    webhook_share: float
    """Share (0 to 1) of the requests that are Meta's webhooks."""
    app_secret: str = field(repr=False)
    paths: tuple[str, ...] = PATHS
    seed: int = 1

    def requests(self) -> Iterator[Request]:
        """Yield requests without end: the same sellers, paths and webhooks for the same seed."""
        choice = random.Random(self.seed)
        ids = [f"seller-{number:04}" for number in range(1, self.sellers + 1)]
        sent = 0
        while True:
            sent += 1
            seller = choice.choice(ids)
            if choice.random() < self.webhook_share:
                yield self._webhook(seller, sent)
            else:
                yield Request("GET", choice.choice(self.paths), (("X-Seller-Id", seller),))

    def _webhook(self, seller: str, number: int) -> Request:
        message = {
            "sender": {"id": f"buyer-{number}"},
            "message": {"mid": f"m{self.seed}-{number}"},
        }
        entry = {"id": seller, "time": int(time.time()), "messaging": [message]}
        body = json.dumps({"object": "page", "entry": [entry]}).encode()
        signed = hmac.new(self.app_secret.encode(), body, hashlib.sha256).hexdigest()
        headers = (
            ("Content-Type", "application/json"),
            ("X-Hub-Signature-256", f"sha256={signed}"),
        )
        return Request("POST", "/webhooks/meta", headers, body)


@dataclass(slots=True)
class Count:
    """Answers and, among them, 5xx."""

    requests: int = 0
    failed: int = 0

    def add(self, *, failed: bool) -> None:
        """Count one answer."""
        self.requests += 1
        self.failed += failed


@dataclass(slots=True)
class Tally:
    """What the sellers got."""

    requests: int = 0
    no_answer: int = 0
    rejected: int = 0
    """Answered 4xx: the traffic itself is wrong (an app secret that differs, for example)."""
    server_errors: int = 0
    skipped: int = 0
    """Not sent, because too many were in flight."""
    by_build: dict[str, Count] = field(default_factory=dict)
    by_track: dict[str, Count] = field(default_factory=dict)
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCY_WINDOW))

    gaps: deque[list[float]] = field(default_factory=lambda: deque(maxlen=GAPS_KEPT))
    """``[when, seconds]``: the longest time between two good answers that ended in each second."""
    last_good: float | None = None

    def _good(self) -> None:
        now = time.time()
        gap = 0.0 if self.last_good is None else now - self.last_good
        self.last_good = now
        if not self.gaps or int(self.gaps[-1][0]) != int(now):
            self.gaps.append([now, gap])
        elif gap > self.gaps[-1][1]:
            self.gaps[-1] = [now, gap]

    def answered(self, status: int, headers: dict[str, str], seconds: float) -> None:
        """Count an answer; header names are lower case."""
        failed = status >= 500
        if status < 400:
            self._good()
        self.requests += 1
        self.server_errors += failed
        self.rejected += 400 <= status < 500
        self.latencies.append(seconds)
        # An answer without a build was made by something in front of the application.
        build = headers.get("x-build", "none")
        self.by_build.setdefault(build, Count()).add(failed=failed)
        if "x-served-by" in headers:
            self.by_track.setdefault(headers["x-served-by"], Count()).add(failed=failed)

    def unanswered(self) -> None:
        """Count a request that got no answer."""
        self.requests += 1
        self.no_answer += 1

    def snapshot(self) -> dict[str, Any]:
        """Return what FILE holds. ``failed`` is no answer or 5xx; latencies in milliseconds."""
        ordered = sorted(self.latencies)
        now = time.time()
        lasting = [] if self.last_good is None else [[now, now - self.last_good]]
        return {
            "time": now,
            # Seconds ago, and seconds between two good answers.
            "gaps": [[round(now - when, 3), round(gap, 3)] for when, gap in [*self.gaps, *lasting]],
            "requests": self.requests,
            "failed": self.no_answer + self.server_errors,
            "no_answer": self.no_answer,
            "rejected": self.rejected,
            "skipped": self.skipped,
            "by_build": _counts(self.by_build),
            "by_track": _counts(self.by_track),
            "latency_ms": {"p50": _quantile(ordered, 0.5), "p95": _quantile(ordered, 0.95)},
        }


def _counts(counts: dict[str, Count]) -> dict[str, dict[str, int]]:
    return {name: {"requests": c.requests, "failed": c.failed} for name, c in counts.items()}


def _quantile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


class Load:
    """Plays ``plan`` against ``url`` at ``rate`` requests per second."""

    def __init__(
        self, url: str, plan: Plan, *, rate: float, in_flight: int, timeout: float
    ) -> None:
        self.tally = Tally()
        self._plan = plan
        self._rate = rate
        self._limit = in_flight
        self._client = Client(url, timeout=timeout)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Send no more; requests in flight are still waited for."""
        self._stopping.set()

    async def run(self, seconds: float, out: Path) -> None:
        """Send for at most ``seconds`` or until stopped, keeping the snapshot ``out`` fresh."""
        writer = asyncio.create_task(self._keep_writing(out))
        try:
            await self._send(time.monotonic() + seconds)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._client.close()
            write(out, self.tally.snapshot())

    async def _send(self, deadline: float) -> None:
        tasks: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        for request in self._plan.requests():
            due = max(due + 1 / self._rate, time.monotonic() - MOST_BEHIND)
            if due > deadline or await self._stopped_before(due):
                break
            if len(tasks) >= self._limit:
                self.tally.skipped += 1
                continue
            task = asyncio.create_task(self._one(request))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def _stopped_before(self, due: float) -> bool:
        pause = due - time.monotonic()
        if pause > 0 and not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
        return self._stopping.is_set()

    async def _one(self, request: Request) -> None:
        started = time.monotonic()
        try:
            answer = await self._client.send(request)
        except NoAnswer:
            self.tally.unanswered()
        else:
            self.tally.answered(answer.status, answer.headers, time.monotonic() - started)

    async def _keep_writing(self, out: Path) -> None:
        while True:
            write(out, self.tally.snapshot())
            await asyncio.sleep(SNAPSHOT_INTERVAL)


def write(out: Path, document: dict[str, Any]) -> None:
    """Replace ``out`` in one step: a reader never sees half of it."""
    part = out.with_name(f".{out.name}.{os.getpid()}")
    part.write_text(json.dumps(document))
    part.replace(out)


async def _run(args: argparse.Namespace) -> None:
    plan = Plan(
        sellers=args.sellers,
        webhook_share=args.webhooks,
        app_secret=args.app_secret,
        seed=args.seed,
        paths=tuple(args.path or PATHS),
    )
    load = Load(args.url, plan, rate=args.rate, in_flight=args.in_flight, timeout=args.timeout)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, load.stop)
    await load.run(args.seconds, args.out)


def main() -> None:
    """Send until ``--seconds`` are over, SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="sandbox.load", description=__doc__)
    parser.add_argument("--url", required=True, type=_http_url)
    parser.add_argument("--sellers", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="requests per second")
    parser.add_argument("--seconds", type=float, required=True, help="at most so long")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--webhooks", type=float, default=0.3, help="share that is webhooks, 0 to 1"
    )
    parser.add_argument("--app-secret", default="sandbox-app-secret")
    parser.add_argument("--path", action="append", help="what sellers ask for (repeatable)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for one answer")
    parser.add_argument("--in-flight", type=int, default=200)
    asyncio.run(_run(parser.parse_args()))


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "http" or not parts.hostname:
        raise argparse.ArgumentTypeError("an http:// URL is expected")
    return text


if __name__ == "__main__":
    main()
