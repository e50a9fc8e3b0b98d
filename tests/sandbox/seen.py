"""Invented observations, as the observer would have made them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.observation import Begun, Counter, Instance, Sample, build_of, release_entry

V1, V2, V3 = ("1" * 40, "2f" * 20, "3c" * 20)
VERSIONS = {V1: "v1", V2: "v2", V3: "v3"}
STABLE, CANARY = "srv-stable", "srv-canary"


@dataclass(slots=True)
class World:
    """Two tracks under load; ``sample`` is what one look at them sees."""

    now: float = 0.0
    share: float = 0.0
    stable_build: str = V1
    canary_build: str = V1
    canary_errors: float = 0.0
    """Share (0 to 1) of the canary's answers that are 5xx."""
    killed: str | None = None
    edge_down: bool = False
    epoch: str = "e1"
    counts: dict[str, list[int]] = field(default_factory=lambda: {"s": [0, 0], "c": [0, 0]})
    by_build: dict[str, dict[str, int]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    asked: int = 0

    def run(self, seconds: float, rate: int = 100) -> None:
        """Let ``seconds`` pass, looking four times a second."""
        for _ in range(int(seconds * 4)):
            self.now += 0.25
            for _ in range(rate // 4):
                self._request()
            self.samples.append(self.sample())

    def _request(self) -> None:
        self.asked += 1
        # Spreads requests evenly and exactly: 5 % is every twentieth.
        canary = int(self.asked * self.share / 100) > int((self.asked - 1) * self.share / 100)
        track = self.counts["c" if canary else "s"]
        errors = self.canary_errors
        failed = canary and int((track[0] + 1) * errors) > int(track[0] * errors)
        track[0] += 1
        track[1] += failed
        build = self.canary_build if canary else self.stable_build
        mine = self.by_build.setdefault(build, {"requests": 0, "failed": 0})
        mine["requests"] += 1
        mine["failed"] += failed

    def sample(self) -> Sample:
        """Look once."""
        stable, canary = (
            Counter(epoch=self.epoch, requests=n, errors=e) for n, e in self.counts.values()
        )
        return Sample(
            at=self.now,
            share=None if self.edge_down else self.share,
            phase=None,
            killed=self.killed,
            stable=None if self.edge_down else stable,
            canary=None if self.edge_down else canary,
            instances=tuple(self._instances()),
            loads={"main": self.load()},
        )

    def load(self) -> dict[str, Any]:
        """Return what the load's file says now."""
        return {
            "time": time.time(),
            "requests": sum(b["requests"] for b in self.by_build.values()),
            "failed": sum(b["failed"] for b in self.by_build.values()),
            "by_build": {name: dict(counts) for name, counts in self.by_build.items()},
        }

    def _instances(self) -> Iterator[Instance]:
        for service, build in ((STABLE, self.stable_build), (CANARY, self.canary_build)):
            for number in range(2):
                yield Instance(
                    service=service,
                    id=f"{service}-{number}",
                    state="serving",
                    build=build,
                    version=VERSIONS[build],
                )

    def release(self, name: str, result: str, reason: str, candidate: str) -> dict[str, Any]:
        """Play a canary release of ``candidate`` to its end and return its entry."""
        begun = Begun(
            name=name,
            strategy="canary",
            stable_service=STABLE,
            canary_service=CANARY,
            behind_edge=True,
            at=self.now,
            started_at="2026-01-01T00:00:00Z",
            stable_before=build_of(self.sample().instances, STABLE),
        )
        first = len(self.samples)
        self.samples.append(self.sample())
        self.run(2)
        self.canary_build, self.share = candidate, 5.0
        self.run(10)
        if result == "promoted":
            self.share = 95.0
            self.run(8)
            self.stable_build = candidate
            self.run(2)
        self.share = 0.0
        if result == "rolled-back":
            self.killed, self.canary_build = "1.1-release", self.stable_build
        self.run(1)
        return release_entry(
            begun, self.samples[first:], result=result, reason=reason, versions=VERSIONS
        )


def story() -> tuple[dict[str, Any], list[Sample]]:
    """Return a report and its samples: one promotion, an outage of the edge, one rollback."""
    world = World()
    world.run(3)
    reason = "5xx and bot latency stayed stable for 10 minutes at 5 %, then 8 minutes at 95 %"
    good = world.release("v2: faster replies", "promoted", reason, V2)
    world.edge_down = True
    world.run(2)
    world.edge_down = False
    world.run(2)
    world.canary_errors = 0.4
    reason = (
        "5xx on the canary: 21 of 52 requests against 0 of 948 on stable <script>alert(1)</script>"
    )
    bad = world.release("v3: new checkout & gateway", "rolled-back", reason, V3)
    world.run(3)
    report = {
        "started_at": "2026-01-01T00:00:00Z",
        "seconds": world.now,
        "machine": {"python": "3.11.7", "haproxy": "2.6.12", "cores": 2},
        "builds": VERSIONS,
        "samples": len(world.samples),
        "samples_missing": sum(bool(sample.missing) for sample in world.samples),
        "releases": [good, bad],
    }
    return report, world.samples
