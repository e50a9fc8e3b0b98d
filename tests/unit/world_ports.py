"""The ports onto the world in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from slipway.clients import records
from slipway.errors import BuildGone, FlagConflict, NotEverywhere, NotFound, NotOnThisPlan, Refused
from slipway.ports import (
    Answer,
    Artifact,
    Deploy,
    DeployStatus,
    EdgeCounts,
    EdgeState,
    Event,
    Flag,
    Habits,
    Holder,
    Instance,
    Promotion,
    Record,
    Requests,
    Sellers,
    Service,
    TrackCounts,
)
from tests.unit.builds import IMAGE, START, Build, commit_of, digest, image

if TYPE_CHECKING:
    from tests.unit.world import PlacedDeploy, PlacedService, World


class MemoryRender:
    def __init__(self, world: World) -> None:
        self.w = world

    def _service(self, service_id: str) -> PlacedService:
        if service_id not in self.w.services:
            raise NotFound(f"no service {service_id}", remedy="Check the id.")
        return self.w.services[service_id]

    def _deploy(self, service: PlacedService, deploy: PlacedDeploy) -> Deploy:
        raw = self.w.status(service, deploy)
        known = raw in {status.value for status in DeployStatus}
        name = deploy.build.name
        return Deploy(
            id=deploy.id,
            status=DeployStatus(raw) if known else DeployStatus.UNKNOWN,
            raw_status=raw,
            identity=self._said(name, running=raw == "update_in_progress"),
            reference=commit_of(name) if self.w.git else image(name).reference,
            trigger=deploy.trigger,
            created_at=START + timedelta(seconds=deploy.created),
            finished_at=None,
            pinned=deploy.pinned,
        )

    def _said(self, name: str, *, running: bool) -> str | None:
        if running and self.w.silent_while_running:
            return None
        return commit_of(name) if self.w.git else digest(name)

    def service(self, service_id: str) -> Service:
        with self.w.call(f"render.service {service_id}"):
            s = self._service(service_id)
            return Service(
                id=s.id,
                name=s.id,
                type="static_site" if self.w.static else "web_service",
                image_backed=not self.w.git,
                suspended=s.suspended,
                auto_deploy=s.auto_deploy,
                url=f"https://{s.id}.example",
                instances=s.instances,
                image_path=None if self.w.git else f"{IMAGE}:latest",
                health_path=s.health_path,
                plan=s.plan,
                region=s.region,
                start_command=s.start_command,
                pre_deploy_command=s.pre_deploy_command,
                autoscaling=s.autoscaling,
                disk=s.disk,
                maintenance=s.maintenance,
            )

    def deploys(self, service_id: str, *, limit: int = 20) -> Sequence[Deploy]:
        with self.w.call(f"render.deploys {service_id}"):
            s = self._service(service_id)
            newest = sorted(s.deploys, key=lambda d: d.created, reverse=True)
            return [self._deploy(s, d) for d in newest[:limit]]

    def deploy(self, service_id: str, deploy_id: str) -> Deploy:
        with self.w.call(f"render.deploy {service_id}"):
            s = self._service(service_id)
            return self._deploy(s, next(d for d in s.deploys if d.id == deploy_id))

    def start_deploy(self, service_id: str, artifact: Artifact) -> Deploy | None:
        with self.w.call(f"render.start {service_id}"):
            self.w.started.append(artifact)
            s = self._service(service_id)
            build = next(
                b
                for b in self.w.builds.values()
                if artifact.identity in (digest(b.name), commit_of(b.name))
            )
            made = self.w.add(service_id, build, "api")
            queued = self.w.queue_deploys or made.begun is None
            return None if queued else self._deploy(s, made)

    def roll_back(self, service_id: str, deploy_id: str) -> Deploy:
        with self.w.call(f"render.roll_back {service_id}"):
            s = self._service(service_id)
            if deploy_id in self.w.expired:
                raise BuildGone(f"400, {deploy_id} is gone", remedy="Deploy the commit anew.")
            old = next(d for d in s.deploys if d.id == deploy_id)
            return self._deploy(s, self.w.add(service_id, old.build, "rollback"))

    def cancel_deploy(self, service_id: str, deploy_id: str) -> None:
        with self.w.call(f"render.cancel {service_id}"):
            s = self._service(service_id)
            deploy = next(d for d in s.deploys if d.id == deploy_id)
            self.w.settle(s)
            if not deploy.over:
                deploy.end("canceled", self.w.clock.t)

    def instances(self, service_id: str) -> Sequence[Instance]:
        with self.w.call(f"render.instances {service_id}"):
            s = self._service(service_id)
            return [
                Instance(id=name, created_at=START + timedelta(seconds=deploy.created + 1))
                for name, deploy, _ in self.w.instances(s)
            ]

    def scale(self, service_id: str, instances: int) -> None:
        with self.w.call(f"render.scale {service_id}"):
            s = self._service(service_id)
            if not (s.autoscaling and s.autoscaling.enabled):
                s.instances, s.scaled_at = instances, self.w.clock.t

    def env_vars(self, service_id: str) -> Mapping[str, str]:
        with self.w.call(f"render.env_vars {service_id}"):
            return dict(self._service(service_id).env)

    def events(self, service_id: str, *, since: datetime) -> Sequence[Event]:
        with self.w.call(f"render.events {service_id}"):
            return [event for event in self._service(service_id).events if event.at >= since]

    def requests(self, service_id: str, *, since: datetime, until: datetime) -> Requests | None:
        with self.w.call(f"render.requests {service_id}"):
            if self.w.metrics is None:
                raise NotOnThisPlan("Render: 400", remedy="Ask for a larger plan.")
            return self.w.metrics(service_id, since, until)

    def disable_auto_deploy(self, service_id: str) -> None:
        with self.w.call(f"render.auto_deploy {service_id}"):
            self._service(service_id).auto_deploy = False


class MemoryFlags:
    def __init__(self, world: World) -> None:
        self.w = world

    def read(self, key: str) -> Flag | None:
        with self.w.call("flags.read"):
            return self.w.flag

    def create(self, key: str) -> Flag:
        with self.w.call("flags.create"):
            self.w.flag = Flag(
                id=9, key=key, version=1, active=False, filters={}, share=0, record=None
            )
            return self.w.flag

    def write(self, flag: Flag, record: Record, *, activate: bool = False) -> Flag:
        with self.w.call(f"flags.write {record.phase}"):
            now = self.w.flag
            if now is None:
                raise FlagConflict("the flag was deleted", remedy="Look who.")
            # PostHog compares only what is to change, and against what was read (its clients say).
            raised = activate and not flag.active
            edited = now.filters != flag.filters or (raised and now.active)
            if now.version != flag.version and edited:
                raise FlagConflict("the flag was changed by somebody", remedy="Look who.")
            self.w.flag = replace(
                now,
                version=now.version + 1,
                active=now.active or raised,
                filters=records.filters(record),
                share=record.share,
                record=record,
            )
            self.w.show_flag()
            if self.w.flag.active is not (activate or flag.active):
                raise FlagConflict("it is not active as it was", remedy="Look who.")
            return self.w.flag

    def editor(self, flag: Flag) -> str | None:
        with self.w.call("flags.editor"):
            return "bea@example.com"

    def kill(self, flag: Flag, record: Record | None = None) -> None:
        with self.w.call("flags.kill"):
            if self.w.flag is not None:
                self.w.flag = replace(
                    self.w.flag,
                    version=self.w.flag.version + 1,
                    active=False,
                    filters=records.filters_for_nobody(record),
                    share=0,
                    record=record,
                )


class MemoryEdge:
    def __init__(self, world: World) -> None:
        self.w = world

    def _state(self) -> EdgeState:
        w = self.w
        w.show_flag()
        record = w.seen_by_the_edge()
        left = w.lease[2] - w.clock.t if w.lease else 0.0
        return EdgeState(
            share=w.effective_share(),
            flag=w.edge_flag,
            flag_version=w.flag.version if w.flag else None,
            phase=record.phase if record else None,
            release=record.release if record else None,
            candidate=record.candidate if record else None,
            lease_release=w.lease[0] if w.lease and left > 0 else None,
            lease_holder=w.lease[1] if w.lease and left > 0 else None,
            lease_remaining=max(left, 0.0),
            killed=w.killed,
            killed_reason=w.killed_reason,
            why="as the record says",
            promotion=w.promotion,
        )

    def state(self) -> EdgeState:
        with self.w.call("edge.state"):
            return self._state()

    def counts(self) -> EdgeCounts:
        with self.w.call("edge.counts"):
            tracks = {
                track: TrackCounts(
                    requests=int(requests), errors=int(errors), root_errors=int(errors)
                )
                for track, (requests, errors) in self.w.counts.items()
            }
            epoch = str(self.w.epoch)
            return EdgeCounts(
                epoch=epoch,
                stable=tracks["stable"],
                canary=tracks["canary"],
                missing=self.w.silent_edges,
            )

    def habits(self, share: float) -> Habits | None:
        with self.w.call("edge.habits"):
            return self.w.habits

    def sellers(self, share: float) -> Sellers:
        with self.w.call("edge.sellers"):
            known = self.w.sellers
            return Sellers(known=known, cohort=round(known * share / 100), seconds=172_800.0)

    def renew(self, release: str, holder: Holder, ttl: float) -> EdgeState:
        with self.w.call("edge.renew"):
            lease, now = self.w.lease, self.w.clock.t
            rerun = (
                lease and lease[1].run_id == holder.run_id and holder.attempt >= lease[1].attempt
            )
            if lease and now < lease[2] and not rerun:
                raise Refused(f"release {lease[0]} holds the edge", remedy="Wait.")
            self.w.lease = (release, holder, now + ttl)
            return self._state()

    def give_back(self, release: str, holder: Holder) -> None:
        with self.w.call("edge.give_back"):
            if self.w.lease and self.w.lease[:2] == (release, holder):
                self.w.lease = None

    def refresh(self, version: int, timeout: float) -> EdgeState:
        with self.w.call("edge.refresh"):
            return self._state()

    def promote(self, release: str, by: str, reason: str) -> EdgeState:
        with self.w.call("edge.promote"):
            if self._state().lease_release != release:
                raise Refused(f"no lease is held for {release}", remedy="Look at its run.")
            self.w.promotion = Promotion(by=by, reason=reason)
            return self._state()

    def kill(self, release: str | None, reason: str) -> EdgeState:
        with self.w.call("edge.kill"):
            lease, now = self.w.lease, self.w.clock.t
            if release and lease and now < lease[2] and lease[0] != release:
                return self._state()
            record, alive = self.w.seen_by_the_edge(), bool(lease and now < lease[2])
            if release is None and not alive and record is None:
                return self._state()  # nothing is under way: a latch would end the next release
            running = lease[0] if lease and alive else record.release if record else "*"
            self.w.killed, self.w.killed_reason = release or running, reason
            self.w.killed_version = self.w.flag.version if self.w.flag else 0
            if self.w.silent_peers:
                silent = ", ".join(self.w.silent_peers)
                raise NotEverywhere(
                    f"{silent} did not confirm it", remedy="Look.", state=self._state()
                )
            return self._state()


class MemoryProber:
    def __init__(self, world: World) -> None:
        self.w = world

    def probe(self, url: str, *, timeout: float, text: str | None = None) -> Answer:
        self.w.flow()
        service = self.w.behind(url)
        serving = [deploy for _, deploy, serves in self.w.instances(service) if serves]
        if not serving:
            return Answer(url=url, status=502, seconds=0.1, build=None)
        self.w.probes += 1
        live = serving[self.w.probes % len(serving)]
        coming = self.w.coming(service) or live
        if "/assets/" in url and live.build.forgets and live.build.name not in url:
            return Answer(url=url, status=404, seconds=0.1, build=_named(live.build))
        if coming.build.drops:
            coming.build.drops -= 1
            return Answer(url=url, status=502, seconds=0.1, build=None)
        sick = live.build.sick_after is not None and (
            live.live_at is not None and self.w.clock.t - live.live_at > live.build.sick_after
        )
        path = "/" + url.split("//")[1].partition("/")[2]
        page = live.build.pages.get(path)
        if page is not None and live.live_at is not None:
            status, body = page(self.w.clock.t - live.live_at)
        else:
            status, body = 200 if live.build.healthy and not sick else 503, ""
        return Answer(
            url=url,
            status=status,
            seconds=0.1,
            build=_named(live.build),
            holds=None if text is None else text in body,
        )


def _named(build: Build) -> str | None:
    return None if build.nameless else commit_of(build.name)
