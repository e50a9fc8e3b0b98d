"""The format of slipway.yml. Durations are written ``90s``, ``10m`` or ``2h``: seconds here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from slipway.config.base import (
    EnvName,
    Glob,
    HttpUrl,
    Model,
    Seconds,
    SellerId,
    ServiceId,
    Share,
    UrlPath,
    off,
)
from slipway.config.guarding import Data, Migrations, Webhook
from slipway.config.judging import Judge, Metric, MetricName, Prometheus
from slipway.config.people import Pages, Rollback
from slipway.config.policy import Policy, Said
from slipway.errors import UsageError


class Render(Model):
    """Where Render's API is, and how it is asked."""

    api_url: HttpUrl = "https://api.render.com/v1"
    poll: Seconds = 5.0
    """Between two questions about a deploy."""
    confirm: Seconds = 20.0
    """Between the two readings that confirm a way back: two timeouts of a request, so that one
    still in flight when we asked would have landed in between."""


class PostHog(Model):
    """The project that holds the release flag. The host is the private one: ``eu.posthog.com``."""

    host: HttpUrl = "https://us.posthog.com"
    project: Annotated[int, Field(strict=True, gt=0)]


class BuildName(Model):
    """Where a running build names the commit it was built from."""

    header: str = "X-Build"
    field: str = "build"


class Health(Model):
    """The probe of a service: a GET that must answer 2xx or 3xx within ``timeout``."""

    path: UrlPath = "/healthz"
    failures: int = Field(default=3, ge=1)
    """This many failed probes in a row mean that the build is not healthy."""
    timeout: Seconds = 5.0
    deadline: Seconds = 120.0
    """For a build that went live to answer as itself. Render keeps old instances for 60 s after it
    has switched, and some requests may still reach them."""


class Track(Model):
    """One Render service."""

    service: ServiceId


class SmokeProbe(Model):
    """A GET that staging must answer well after a deploy, beside its health check."""

    path: UrlPath
    status: Annotated[int, Field(ge=100, le=599)] = 200
    contains: str | None = Field(default=None, min_length=1, max_length=200)
    """Text that must be in the first 64 KiB of the answer."""


class Staging(Track):
    """The staging service."""

    url: HttpUrl | None = None
    """What QA opens, where it is not the address that Render gives the service."""
    smoke: tuple[SmokeProbe, ...] = ()

    frozen: str | None = Field(default=None, min_length=1, max_length=200)
    """Why nothing is deployed to staging now: Meta's App Review needs it as it is, for example."""


class Canary(Track):
    """The canary service."""

    differs: tuple[EnvName, ...] = ()
    """Environment variables whose values may differ from the stable service's."""
    sellers: Annotated[tuple[SellerId, ...], Field(max_length=200)] = ()
    """Ids of sellers who meet every candidate first, beside the share: for a team whose share means
    nobody. In lower case, as the edge compares them."""


class Promises(Model):
    """What production must be like before a release begins. Render's dashboard can break each."""

    instances: Annotated[int, Field(strict=True, ge=1, le=100)] = 2
    """At least so many, so that one may die."""
    autoscaling: bool = True
    """Whether autoscaling must be on; its minimum is then what `instances` is compared with."""
    health_path: bool = True
    """Whether Render must check the health of new instances before it sends them anybody."""
    no_disk: bool = True
    """Whether a disk is refused: with one Render stops the old instance before it starts the new
    one."""


class Edge(Model):
    """The edge in front of the stable and the canary service."""

    url: HttpUrl
    flag: str = Field(default="release-canary", pattern=r"^[A-Za-z0-9_-]{1,100}$")
    lease: Annotated[Seconds, Field(ge=10, le=600)] = 180.0


class Step(Model):
    """A share of the sellers, and for how long it is judged."""

    share: Share
    for_: Seconds


class Rolling(Model):
    """How instances are replaced: Render does it, this says how closely it is watched."""

    watch: Seconds = 120.0
    """For how long the new build is watched once it alone serves."""
    probe_every: Annotated[Seconds, Field(ge=0.05, le=10)] = 0.1
    """Between two probes while instances are replaced."""
    max_failed_probes: Annotated[int, Field(strict=True, ge=0, le=1000)] = 0
    """More failed probes than this while instances are replaced: the build goes back. Probes on new
    connections, on a kept-alive one, and of the files of the old page count together."""
    one_by_one: Literal["observed", "required"] = "observed"
    """``observed``: Render decides how it replaces instances, and it is said what was seen.
    ``required``: there must be a `fleet`, whose services are replaced one after the other."""
    metrics: Annotated[Literal["auto", "required", "off"], BeforeValidator(off)] = "auto"
    """Whether Render's own count of 5xx answers is looked at during the watch. ``auto``: where it
    can be had; ``required``: a release that cannot have it is refused, or goes back."""
    assets: Annotated[Literal["report", "required", "off"], BeforeValidator(off)] = "report"
    """The files that the old page loads, looked at until the watch ends. ``report``: it is said
    where they stop answering; ``required``: while instances change that is a failed probe."""


class Strategy(Model):
    """How a release goes. A canary's defaults: 5 % for ten minutes, then a bake of ten at 95 %."""

    use: Literal["auto", "canary", "rolling"] = "auto"
    """``auto``: canary where the service has a `canary:`, else rolling."""
    minor: tuple[Glob, ...] = ()
    """A change of nothing but these files is released by ``rolling`` in any case."""
    steps: tuple[Step, ...] = (Step.model_validate({"share": 5, "for": "10m"}),)
    bake: Step = Step.model_validate({"share": 95, "for": "10m"})
    judge: Judge = Judge()
    rolling: Rolling = Rolling()
    deploy_deadline: Seconds = 1200.0
    """Render itself gives a build up to 15 minutes to become healthy, after building it."""

    @model_validator(mode="after")
    def _shares_only_rise(self) -> Strategy:
        if not self.steps:
            raise ValueError("a canary needs at least one step")
        shares = [step.share for step in (*self.steps, self.bake)]
        if shares != sorted(shares):
            raise ValueError(f"shares must not fall: {shares}")
        return self


class Service(Model):
    """One service of the team: its environments, its edge, and its strategy."""

    paths: Annotated[tuple[Glob, ...], Field(min_length=1)] = ("**",)
    """What it is made from: a release whose changes touch none of these leaves it alone."""
    url: HttpUrl | None = None
    """What users open."""
    build: BuildName = BuildName()
    health: Health = Health()
    staging: Staging | None = None
    stable: Track | None = None
    fleet: Annotated[tuple[ServiceId, ...], Field(min_length=2, max_length=50)] | None = None
    """In the place of `stable`: services of one instance each, behind a balancer of the user's at
    `url`. They are replaced one by one, in this order."""
    canary: Canary | None = None
    promises: Promises = Promises()
    edge: Edge | None = None
    metrics: Mapping[MetricName, Metric] = Field(default_factory=dict, max_length=10)
    """What is judged beside the edge's 5xx: pairs of counters, by a name of the user's."""
    webhook: Webhook | None = None
    data: Data | None = None
    migrations: Migrations | None = None
    lock: bool = True
    """Whether, once a build was rolled back, neither it nor what descends from it is released until
    a fix is marked or a person unlocks."""
    policy: Annotated[Policy | None, Said] = None
    """In the place of the policy for all services, as a whole."""
    strategy: Strategy = Strategy()

    @model_validator(mode="after")
    def _tracks_differ(self) -> Service:
        tracks = (self.staging, self.stable, self.canary)
        ids = [*(track.service for track in tracks if track), *(self.fleet or ())]
        if len(set(ids)) != len(ids):
            raise ValueError("staging, stable, canary and fleet must be different Render services")
        return self

    @model_validator(mode="after")
    def _the_edges_own_metric_keeps_its_name(self) -> Service:
        if "5xx" in self.metrics:
            raise ValueError("metrics.5xx: that is the name of what is always judged; take another")
        return self

    @model_validator(mode="after")
    def _a_fleet_stands_alone(self) -> Service:
        if self.fleet is None:
            if self.strategy.rolling.one_by_one == "required":
                raise ValueError(
                    "strategy.rolling.one-by-one is required, and Render decides by itself how it "
                    "replaces the instances of one service: make each instance a service of its "
                    "own and list them under `fleet`"
                )
            return self
        if self.stable or self.canary or self.edge:
            raise ValueError("a service has `fleet`, or `stable` with `canary` and `edge`")
        if self.url is None:
            raise ValueError("a fleet needs `url`: the address of the balancer in front of it")
        return self

    @model_validator(mode="after")
    def _a_canary_that_is_asked_for_is_there(self) -> Service:
        if self.strategy.use == "canary" and not (self.canary and self.edge):
            raise ValueError("strategy.use is canary, and there is no `canary` or no `edge`")
        return self

    @model_validator(mode="after")
    def _lease_outlives_a_look(self) -> Service:
        if self.edge is None:
            return self
        limits = {
            "strategy.judge.every": (self.strategy.judge.every, self.edge.lease / 4),
            "health.timeout": (self.health.timeout, self.edge.lease / 2),
        }
        if self.webhook is not None:
            limits["webhook.within"] = (self.webhook.within, self.edge.lease / 2)
        for name, (value, most) in limits.items():
            if value > most:
                raise ValueError(
                    f"{name} is {value:g} s and may be {most:g} s at most with a lease of "
                    f"{self.edge.lease:g} s: the lease has to be renewed in time"
                )
        return self


class Config(Model):
    """A whole slipway.yml."""

    version: Literal[1]
    render: Render = Render()
    posthog: PostHog | None = None
    prometheus: Prometheus | None = None
    pages: Pages = Pages()
    rollback: Rollback = Rollback()
    policy: Annotated[Policy | None, Said] = None
    """What may reach production. Without one nothing may."""
    services: Mapping[str, Service] = Field(min_length=1)

    @model_validator(mode="after")
    def _a_render_service_is_of_one_service(self) -> Config:
        taken: dict[str, str] = {}
        for name, service in self.services.items():
            tracks = (service.staging, service.stable, service.canary)
            for one in {*(t.service for t in tracks if t), *(service.fleet or ())}:
                if taken.setdefault(one, name) != name:
                    raise ValueError(f"{taken[one]} and {name} both name the Render service {one}")
        return self

    def unanswered(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the place of each metric whose source is not there, and what to add."""
        for name, service in self.services.items():
            for metric, asked in service.metrics.items():
                here = ("services", name, "metrics", metric)
                if asked.source == "prometheus" and self.prometheus is None:
                    yield here, "it asks Prometheus: add `prometheus: {url: …}`"
                if asked.source == "posthog" and self.posthog is None:
                    yield here, "it asks PostHog: add `posthog: {host: …, project: …}`"
                if asked.source == "edge" and service.edge is None:
                    yield here, f"it asks the edge, and {name} has none"

    def policy_of(self, name: str) -> tuple[Policy | None, tuple[str, ...]]:
        """Return the policy for a service, and where in the file it stands."""
        own = self.services[name].policy
        return (own, ("services", name, "policy")) if own else (self.policy, ("policy",))

    def service(self, name: str) -> Service:
        """Return the service with this name, or say which names there are."""
        if name in self.services:
            return self.services[name]
        known = ", ".join(sorted(self.services))
        raise UsageError(
            f"there is no service {name!r} in slipway.yml",
            remedy=f"Use one of: {known}. Or add {name!r} under `services:`.",
        )
