"""A whole world in memory, on a virtual clock: Render, PostHog, the edge, probes and traffic.

Ports are implemented the way the real systems behave as far as decisions can tell. Every call to
the outside is written to ``world.calls`` and passes ``world.before`` and ``world.after``, where a
test can make it fail or stop it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from slipway.config import Service as Settings
from slipway.errors import Cancelled, SlipwayError, Unreachable
from slipway.gates.artifact import Gate
from slipway.ports import (
    Artifact,
    Autoscaling,
    Event,
    Flag,
    Habits,
    Holder,
    Phase,
    Promotion,
    Record,
    Requests,
)
from slipway.release.deploys import Ports
from slipway.release.journal import Journal
from slipway.release.ledger import Ledger
from slipway.release.stop import Stop
from slipway.release.traffic import Traffic
from tests.unit.builds import (
    CANARY,
    HOLDER,
    STABLE,
    STAGING,
    START,
    Build,
    commit_of,
    image,
)
from tests.unit.open_gate import OpenGate
from tests.unit.world_history import MemoryHistory
from tests.unit.world_ports import MemoryEdge, MemoryFlags, MemoryProber, MemoryRender
from tests.unit.world_probes import MemoryBrowser, MemoryKept


class VirtualClock:
    def __init__(self) -> None:
        self.t = 0.0
        self.cancel_at: float | None = None
        self._shields = 0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.t)

    def monotonic(self) -> float:
        return self.t

    def sleep(self, seconds: float) -> None:
        cancelled = self.cancel_at is not None and not self._shields
        if cancelled and self.cancel_at is not None and self.t + seconds >= self.cancel_at:
            self.t = max(self.t, self.cancel_at)
            raise Cancelled("the job is being stopped", remedy="Start it again.")
        self.t += seconds

    @contextmanager
    def shielded(self) -> Iterator[None]:
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1


@dataclass
class PlacedDeploy:
    id: str
    build: Build
    created: float
    trigger: str = "api"
    ends: str | None = None
    pinned: bool = True
    live_at: float | None = None
    begun: float | None = None
    """When its turn came; ``None``: it is queued behind a running one."""
    ended_at: float = 0.0

    @property
    def over(self) -> bool:
        return self.live_at is not None or self.ends is not None

    def end(self, status: str, at: float) -> None:
        self.ends, self.ended_at = status, at


@dataclass
class PlacedService:
    id: str
    instances: int
    deploys: list[PlacedDeploy] = field(default_factory=list)
    suspended: bool = False
    auto_deploy: bool = False
    scaled_at: float = -1e9
    autoscaling: Autoscaling | None = field(
        default_factory=lambda: Autoscaling(enabled=True, minimum=2, maximum=10)
    )
    disk: bool = False
    maintenance: bool = False
    autoscaled: int | None = None
    """How many instances autoscaling chose beside the configured count."""
    health_path: str | None = "/healthz"
    plan: str = "standard"
    region: str = "frankfurt"
    start_command: str | None = None
    pre_deploy_command: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    """Fingerprints of values, by name."""
    events: list[Event] = field(default_factory=list)


class World:
    """State of everything outside, and the ports onto it."""

    deploy_seconds = 40.0
    requests_per_second = 100.0
    rollout = "one-by-one"
    """Or ``all-at-once``, or ``in-pairs``: how Render replaces instances within a deploy."""

    def __init__(self, *, git: bool = False) -> None:
        self.clock = VirtualClock()
        self.git = git
        self.builds: dict[str, Build] = {}
        self.calls: list[str] = []
        self.before: Callable[[str], None] = lambda call: None
        self.after: Callable[[str], None] = lambda call: None
        self.services = {
            STABLE: PlacedService(STABLE, 2),
            CANARY: PlacedService(CANARY, 1, autoscaling=None),
            STAGING: PlacedService(STAGING, 1),
        }
        self.seconds_of: dict[str, float] = {}
        """How long calls take, by the beginning of their name."""
        self.habits: Habits | None = None
        """What the edge knows of how sellers differ."""
        self.queue_deploys = False
        self.overlap: str | None = None
        """Render's policy where a deploy is running: ``wait`` or ``override``. ``None``: none, and
        each deploy takes its time beside the others."""
        self.rewinds = True
        """Whether what is done beside the main path takes none of its time."""
        self.start_limit: float | None = None
        """Seconds a build gets to become healthy; ``None``: as long as it likes. Render: 900."""
        self.landing: list[tuple[float, Callable[[], object]]] = []
        """What is on its way to Render from a runner that died: when it arrives, and what it does.
        """
        self.silent_while_running = False
        """Render does not say the build of a deploy before it is live."""
        self.no_canary_traffic = False
        self.static = False
        self.balanced: tuple[str, ...] = ()
        """Services behind a balancer, which looks at their health, at ``https://www.example``."""
        self.assets: tuple[str, ...] = ()
        """What the page of the build that serves loads: paths."""
        self.metrics: Callable[[str, datetime, datetime], Requests | None] | None = (
            lambda service, since, until: None
        )
        """What Render counts; ``None``: the plan does not include it."""
        self.expired: set[str] = set()
        """Deploys whose builds Render no longer keeps."""
        self.in_progress: set[str] = set()
        """Builds whose deployment nobody has closed: their run died."""
        self.blamed: set[str] = set()
        """Builds whose deployment says that they were rolled back."""
        self.ended_as: dict[str, str] = {}
        """Builds whose deployment ended in an error, and the word that it says."""
        self.messages: dict[str, str] = {}
        """What the commits of builds say."""
        self.unvouched: set[str] = set()
        """Builds of which no deployment says that they passed."""
        self.probes = 0
        self.flag: Flag | None = Flag(
            id=9, key="release-canary", version=1, active=False, filters={}, share=0, record=None
        )
        self.lease: tuple[str, Holder, float] | None = None
        self.edge_flag = "release-canary"
        self.silent_edges: tuple[str, ...] = ()
        """Instances of the edge whose counters are missing."""
        self.silent_peers: tuple[str, ...] = ()
        """Instances of the edge that do not confirm a kill."""
        self.sellers = 400
        """How many the edge has seen in the last days."""
        self.promotion: Promotion | None = None
        self.gate: Gate = OpenGate()
        self.started: list[Artifact] = []
        """What Render was asked to deploy."""
        self.killed: str | None = None
        self.killed_reason: str | None = None
        self.killed_version = 0
        self.epoch = 1
        self.counts = {"stable": [0.0, 0.0], "canary": [0.0, 0.0]}
        self.counted = 0.0
        self.ids = 0
        self.max_share_seen = 0.0
        self.served_bad: set[str] = set()
        self.seed(STABLE, "v0", "v1")
        self.seed(CANARY, "v1")
        self.seed(STAGING, "v1")

    # -- arranging -------------------------------------------------------------------------

    def seed(self, service_id: str, *names: str) -> None:
        for name in names:
            self.builds.setdefault(name, Build(name))
            deploy = self.add(service_id, self.builds[name], "api")
            deploy.created = deploy.begun = self.clock.t - 10_000 + 100 * self.ids
            deploy.live_at = deploy.created + 40

    def build(self, name: str, **behaviour: Any) -> Artifact:
        if name not in self.builds:  # what is made to be released has not passed yet
            self.unvouched.add(name)
        self.builds[name] = Build(name, **behaviour)
        if self.git:
            return Artifact(kind="commit", reference=commit_of(name), commit=commit_of(name))
        return image(name)

    def running(self, service_id: str) -> str | None:
        """Name of the build a service serves."""
        live = self.live(self.services[service_id])
        return live.build.name if live else None

    def deploy_by_somebody(self, service_id: str, name: str, trigger: str = "new_commit") -> None:
        self.add(service_id, self.builds[name], trigger)

    def ports(self) -> Ports:
        return Ports(
            platform=MemoryRender(self),
            prober=MemoryProber(self),
            kept=MemoryKept(self),
            browser=MemoryBrowser(self),
            clock=self.clock,
            journal=Journal(self.clock),
            ledger=Ledger(lambda: MemoryHistory(self), "production/bot"),
            gate=self.gate,
            poll=5.0,
            confirm=20.0,
        )

    def traffic(
        self, ports: Ports, release: str, candidate: str, *, holder: Holder = HOLDER
    ) -> Traffic:
        return Traffic(
            flags=MemoryFlags(self),
            edge=MemoryEdge(self),
            clock=self.clock,
            journal=ports.journal,
            key="release-canary",
            lease=180.0,
            release=release,
            holder=holder,
            candidate=candidate,
            start=self.start,
        )

    def stop(self, ports: Ports) -> Stop:
        return Stop(
            edge=MemoryEdge(self),
            flags=MemoryFlags(self),
            key="release-canary",
            clock=self.clock,
            journal=ports.journal,
            start=self.start,
        )

    def start(self, function: Callable[[], None]) -> _Beside:
        """Run something beside the main path: it takes time, and the main path does not."""
        began = self.clock.t
        function()
        ends = self.clock.t
        if self.rewinds:
            self.clock.t = began
        return _Beside(self.clock, ends)

    # -- inside ----------------------------------------------------------------------------

    def add(self, service_id: str, build: Build, trigger: str) -> PlacedDeploy:
        self.ids += 1
        service = self.services[service_id]
        running = self.running_deploys(service)
        deploy = PlacedDeploy(f"dep-{self.ids}", build, self.clock.t, trigger)
        service.deploys.append(deploy)
        if self.overlap == "override":
            for other in running:
                other.end("canceled", self.clock.t)
        if self.overlap != "wait" or not running:
            deploy.begun = self.clock.t
        return deploy

    def land(self) -> None:
        """Let arrive at Render what was on its way and is due by now."""
        now = self.clock.t
        due = [one for one in self.landing if one[0] <= now]
        if not due:
            return
        self.landing = [one for one in self.landing if one[0] > now]
        hooks = self.before, self.after
        self.before = self.after = lambda call: None
        for at, act in due:
            self.clock.t = at
            with suppress(SlipwayError):
                act()
        self.clock.t = now
        self.before, self.after = hooks

    def settle(self, service: PlacedService) -> None:
        """Let deploys become live or fail whose time has come; then the newest queued one's turn
        comes, and those queued before it are skipped."""
        while True:
            for deploy in service.deploys:
                if deploy.over or deploy.begun is None:
                    continue
                ready = deploy.begun + self.deploy_seconds
                if self.clock.t < ready:
                    continue
                if deploy.build.status:
                    deploy.end(deploy.build.status, ready)
                elif deploy.build.becomes_live:
                    deploy.live_at = ready
                elif self.start_limit and self.clock.t >= deploy.begun + self.start_limit:
                    deploy.end("update_failed", deploy.begun + self.start_limit)
            waiting = [d for d in service.deploys if not d.over and d.begun is None]
            if not waiting or any(d.begun is not None and not d.over for d in service.deploys):
                return
            *skipped, turn = waiting
            for deploy in skipped:
                deploy.end("canceled", self.clock.t)
            before = [d.ended_at if d.ends else d.live_at or 0 for d in service.deploys if d.over]
            turn.begun = max(turn.created, *before)

    def running_deploys(self, service: PlacedService) -> list[PlacedDeploy]:
        self.settle(service)
        return [d for d in service.deploys if not d.over]

    def status(self, service: PlacedService, deploy: PlacedDeploy) -> str:
        live = self.live(service)
        if deploy.ends:
            return deploy.ends
        if deploy.live_at is None or deploy.live_at > self.clock.t:
            return "update_in_progress" if deploy.begun is not None else "queued"
        return "live" if live is deploy else "deactivated"

    def live(self, service: PlacedService) -> PlacedDeploy | None:
        self.settle(service)
        served = [d for d in service.deploys if d.live_at is not None and d.live_at <= self.clock.t]
        return max(served, key=lambda d: d.live_at or 0, default=None)

    def instances(self, service: PlacedService) -> list[tuple[str, PlacedDeploy, bool]]:
        """Return what Render lists: ids, their deploys, and whether they serve.

        A deploy replaces instances in its last 30 s. All at once, old ones stay 60 s unrouted.
        """
        live = self.live(service)
        if live is None:
            return []
        wanted = service.autoscaled or service.instances
        count = wanted if self.clock.t - service.scaled_at >= 30 else 1
        fleet = [(f"{service.id}-{live.id}-{n}", live, True) for n in range(count)]
        coming = self.coming(service)
        if coming is not None:
            fresh = [(f"{service.id}-{coming.id}-{n}", coming, True) for n in range(count)]
            if self.rollout == "all-at-once":
                return fleet + [(name, deploy, False) for name, deploy, _ in fresh]
            each = (self.deploy_seconds - 10) / count
            step = 2 if self.rollout == "in-pairs" else 1
            done = int((self.clock.t - (coming.begun or 0) - 10) / each / step) * step
            starting = [(name, deploy, False) for name, deploy, _ in fresh[done : done + step]]
            return fresh[:done] + starting + fleet[done:]
        before = [d for d in service.deploys if d.live_at is not None and d is not live]
        last = max(before, key=lambda d: d.live_at or 0, default=None)
        lately = live.live_at is not None and self.clock.t - live.live_at < 60
        if self.rollout == "all-at-once" and last is not None and lately:
            fleet += [(f"{service.id}-{last.id}-{n}", last, False) for n in range(count)]
        return fleet

    def coming(self, service: PlacedService) -> PlacedDeploy | None:
        """Return the deploy whose instances are taking over."""
        for deploy in service.deploys:
            good = deploy.build.becomes_live and not deploy.build.status and not deploy.over
            if good and deploy.begun is not None and self.clock.t - deploy.begun >= 10:
                return deploy
        return None

    def behind(self, url: str) -> PlacedService:
        """Return the service that answers at an address: behind the balancer, one that is well."""
        name = url.split("//")[1].split(".", maxsplit=1)[0]
        if name != "www":
            return self.services[name]
        services = [self.services[each] for each in self.balanced]
        well = [service for service in services if self.is_well(service)]
        turn = well or services
        return turn[self.probes % len(turn)]

    def is_well(self, service: PlacedService) -> bool:
        live = self.live(service)
        if live is None:
            return False
        since = self.clock.t - (live.live_at if live.live_at is not None else self.clock.t)
        after = live.build.sick_after
        return live.build.healthy and not (after is not None and since > after)

    def seen_by_the_edge(self) -> Record | None:
        """Return the record as the edge has it: an inactive flag carries none."""
        return self.flag.record if self.flag and self.flag.active else None

    def show_flag(self) -> None:
        """Let the edge see the flag: a later record of another release ends the latch."""
        record, flag = self.seen_by_the_edge(), self.flag
        if record is None or flag is None or self.killed is None:
            return
        if record.release != self.killed and flag.version > self.killed_version:
            self.killed = None

    def effective_share(self) -> float:
        flag = self.flag
        alive = self.lease is not None and self.clock.t < self.lease[2]
        if flag is None or not flag.active or flag.record is None or not alive:
            return 0.0
        record = flag.record
        self.show_flag()
        if self.killed is not None:
            return 0.0
        if self.lease is None or self.lease[0] != record.release:
            return 0.0
        if record.phase not in (Phase.CANARY, Phase.BAKING, Phase.SETTLING):
            return 0.0
        return min(flag.share, record.share)

    def flow(self) -> None:
        """Let the traffic since the last look be served by what serves now."""
        self.land()
        elapsed = max(0.0, self.clock.t - self.counted)
        self.counted += elapsed
        share = self.effective_share() / 100
        self.max_share_seen = max(self.max_share_seen, share)
        if self.no_canary_traffic:
            share = 0.0
        for track, service_id, part in (
            ("canary", CANARY, share),
            ("stable", STABLE, 1 - share),
        ):
            requests = self.requests_per_second * elapsed * part
            live = self.live(self.services[service_id])
            build = live.build if live else Build("none", error_rate=1.0)
            rate = build.error_rate
            if build.error_rate_under_load is not None and part > 0.5:
                rate = build.error_rate_under_load
            self.counts[track][0] += requests
            self.counts[track][1] += requests * rate

    def call(self, name: str) -> Call:
        return Call(self, name)


@dataclass(frozen=True, slots=True)
class _Beside:
    """A task that was run at once, and counts as done when the time it took has passed."""

    clock: VirtualClock
    ends: float

    def done(self) -> bool:
        return self.clock.t >= self.ends

    def wait(self, seconds: float) -> None:
        self.clock.t = max(self.clock.t, min(self.ends, self.clock.t + seconds))


class Call:
    """One call to the outside: may be stopped before it acts, or lose its answer after."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    def __enter__(self) -> None:
        world = self._world
        slow = [s for prefix, s in world.seconds_of.items() if self._name.startswith(prefix)]
        world.clock.t += max(slow, default=0.0)
        world.flow()
        world.calls.append(self._name)
        self._world.before(self._name)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._world.after(self._name)


def settings(**changes: Any) -> Settings:
    """A service of slipway.yml with its defaults: 5 % for 10 min, bake of 10 min at 95 %."""
    data: Mapping[str, Any] = {
        "stable": {"service": STABLE},
        "canary": {"service": CANARY},
        "staging": {"service": STAGING},
        "edge": {"url": "https://edge.example"},
        **changes,
    }
    return Settings.model_validate(data)


def fail_once(at: int, *, after: bool, matching: str = "") -> Callable[[World], None]:
    """Make the ``at``-th call (from 0) to the outside fail once: before it acts, or after."""

    def arrange(world: World) -> None:
        seen = [0]

        def hook(call: str) -> None:
            if matching and not call.startswith(matching):
                return
            seen[0] += 1
            if seen[0] == at + 1:
                raise Unreachable(f"{call} got no answer", remedy="Try again.")

        if after:
            world.after = hook
        else:
            world.before = hook

    return arrange
